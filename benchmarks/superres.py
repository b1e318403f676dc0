"""How good is the sharpener? PSNR and SSIM of bicubic, blend and sharpened on the people that a pool holds out.

    python -m benchmarks.superres POOLS [--network FOLDER] [--samples 24] [--steps 1] [--clean]

POOLS is a pool of 256 or 512 pixels, or a folder of pools; the small video is the truth made small with a painter's
faults (`superres.degrade`), or, with --clean, without. "face" counts only the pixels of head, lips, eyes, teeth and
tongue. Times are seconds of one thread for a frame.
"""

import argparse
from collections import defaultdict
from time import perf_counter

import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from superres.blend import blend, enlarge
from superres.data import AS_PAINTED, Place, SharpenTask, Source, read
from superres.degrade import Degradation
from superres.loss import decibels
from superres.sample import DiffusionUpscale
from vlogger.body.parts import PARTS
from vlogger.pixels import to_uint8
from vlogger.types import Controls, seeded

FACE = tuple(PARTS.index(name) for name in ("head", "lips", "eyes", "teeth", "tongue"))
SPARED = Degradation(spared=1.0)


def stage_of(folder: str | None, steps: int) -> DiffusionUpscale:
    """The stage of conf/superres/default.yaml, with other weights and steps."""
    settings = ["+superres=default", f"superres.network.folder={folder or 'null'}", f"superres.steps={steps}"]
    with initialize_config_module("conf", version_base="1.3"):
        return instantiate(compose(overrides=settings).superres, _convert_="all")


def face_of(source: Source, index: int) -> Tensor:
    """(size, size) bool: pixels of the face in the first frame."""
    parts = torch.from_numpy(source.pool.parts[index, 0, :: source.shrink, :: source.shrink].copy())
    return torch.isin(parts, torch.tensor(FACE, dtype=torch.uint8))


def candidates(task: SharpenTask, source: Source, index: int, stage: DiffusionUpscale) -> tuple[Tensor, dict, float]:
    """The truth (1 3 h w) of a sample, what each method makes of it, and the seconds that the network took."""
    crops = read(source, [Place(index, 0, 1, 0, 0, source.size)])
    condition = task.teach(crops, source.size // task.small, seeded(index)).condition
    small = to_uint8(255 * condition["small"][0])
    condition = {**condition, "small": small[None].float() / 255}
    noise = torch.randn(1, 3, source.size, source.size, generator=seeded(index))
    start = perf_counter()
    ours = stage.sharpen(small, controls_of(condition), noise).float() / 255
    seconds = perf_counter() - start
    plain = enlarge(condition["small"], source.size // task.small)[0].clamp(0, 1)
    return crops["target"][0], {"bicubic": plain, "blend": blend(**condition)[0].clamp(0, 1), "ours": ours}, seconds


def controls_of(condition: dict[str, Tensor]) -> Controls:
    """What the sharpener reads of the controls; the rest is nothing."""
    warped, visible = condition["warped"][0], condition["visible"][0]
    nothing = torch.zeros_like(visible)
    return Controls(torch.zeros_like(warped), nothing, warped, visible, nothing, 25.0)


def scores(truth: Tensor, made: Tensor, face: Tensor) -> dict[str, float]:
    """PSNR in dB and SSIM, of the whole picture and of the face."""
    _, similarity = structural_similarity_index_measure(made, truth, data_range=1.0, return_full_image=True)
    result = {"psnr": decibels(made - truth), "ssim": similarity.mean()}
    if face.any():
        result |= {"face psnr": decibels((made - truth)[..., face]), "face ssim": similarity[..., face].mean()}
    return {name: float(value) for name, value in result.items()}


@torch.inference_mode()
def measure(task: SharpenTask, source: Source, stage: DiffusionUpscale, count: int) -> None:
    """Print a table for one pool at one size."""
    table, seconds = defaultdict(list), []
    for index in source.samples(held_out=True)[:count].tolist():
        truth, made, took = candidates(task, source, index, stage)
        seconds.append(took)
        for name, picture in made.items():
            for score, value in scores(truth, picture, face_of(source, index)).items():
                table[name, score].append(value)
    names = ("psnr", "ssim", "face psnr", "face ssim")
    median = sorted(seconds)[len(seconds) // 2]
    print(f"\n{source.pool.folder.name} at {source.size}: {len(seconds)} pictures, {median:.3f} s a frame")
    print(f"{'':10}" + "".join(f"{name:>12}" for name in names))
    for method in ("bicubic", "blend", "ours"):
        means = [sum(table[method, name]) / max(1, len(table[method, name])) for name in names]
        print(f"{method:10}" + "".join(f"{mean:12.3f}" for mean in means))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pools")
    parser.add_argument("--network", help="folder of the weights; default: those of the package")
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--clean", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = SharpenTask(options.pools, degradation=SPARED if options.clean else AS_PAINTED)
    stage = stage_of(options.network, options.steps)
    for of_size in task.sources.values():
        for source in of_size:
            measure(task, source, stage, options.samples)


if __name__ == "__main__":
    main()

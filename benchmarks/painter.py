"""How much the painter repairs: PSNR and SSIM on a held-out pool, whole picture, face and mouth, against the bare warp.

    python -m benchmarks.painter POOL [--weights FOLDER] [--samples 100] [--steps 1 4 8] [--guidance 1]
        [--perceptual mobilenet_v2-b0353104.pth] [--frames 8]

Rows: the photo as it is, the warp with its holes filled smoothly, the warp painted in so many steps. PSNR is that of
the mean squared error over all pixels of a region of a sample, SSIM the mean of its map there; both are means over
samples in which the region is seen. A pool folder, or a folder of pools whose held-out persons are used.

--perceptual: the MobileNet distance (`vlogger.evaluation.perceptual`; better: down) of the box around the face.
--frames: clips of so many frames, also painted without the temporal layers ("no time"). change: of neighbouring frames
in the face, the mean distance from the true change in grey levels / its size as a multiple of the true one's.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from video_diffusion.data import Augmentation, PoolTask
from video_diffusion.loss import FACE, MOUTH, Emphasis, base_of, dilated, psnr, region
from video_diffusion.network import DROPPED, alone, painter_in
from video_diffusion.sample import EMBEDDED
from video_diffusion.schedule import ddim
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.guidance import Guided
from vlogger.diffusion.sampling import sample
from vlogger.evaluation.perceptual import MobileNet, load_mobilenet, mobilenet_distance

REGIONS = ("full", "face", "mouth")
FEWEST = 15  # pixels of a region that is worth measuring
SHARED = 0.5  # of the noise's variance is the same in all frames of a clip, as in sampling

Way = Callable[[Batch], Tensor]
Scores = dict[str, Tensor]  # name of a column -> (samples, numbers in a cell), NaN where there is nothing to measure


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(arguments.threads)
    task = PoolTask(
        arguments.pool,
        8,
        Augmentation(),
        Emphasis(),
        frames=arguments.frames,
        validation=-(-arguments.samples // 8),
        held_out=arguments.held_out,
    )
    batches = task.validation()
    network = painter_in(arguments.weights)
    ways: dict[str, Way] = {"photo": photo, "warp": lambda batch: base_of(batch.condition)}
    for scale in arguments.guidance:
        led = "" if scale == 1 else f", x{scale:g}"
        ways |= {f"painted, {steps} steps{led}": painting(network, steps, scale) for steps in arguments.steps}
    if arguments.frames > 1:
        ways |= {f"no time, {steps} steps": painting(network, steps, together=False) for steps in arguments.steps}
    judge = load_mobilenet(Path(arguments.perceptual)) if arguments.perceptual else None
    print(f"{sum(len(batch.clean) for batch in batches)} samples of {', '.join(task.pools)}; PSNR dB / SSIM")
    for number, (name, way) in enumerate(ways.items()):
        scores, milliseconds = measured(batches, way, judge)
        if number == 0:
            print(f"{'':22}" + "".join(f"{column:>16}" for column in [*scores, "CPU ms a frame"]))
        print(
            f"{name:22}{''.join(f'{cell(values):>16}' for values in scores.values())}{milliseconds:16.1f}", flush=True
        )
    if arguments.picture:
        save_picture(arguments.picture, batches[0], list(ways.values()))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool")
    parser.add_argument("--weights", default=str(EMBEDDED))
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--held-out", type=float, default=0.05, help="share of persons; 1 uses the whole pool")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0], help="scales of the controls; 1 is none")
    parser.add_argument("--perceptual", help="torchvision's MobileNetV2 (mobilenet_v2-b0353104.pth)")
    parser.add_argument("--frames", type=int, default=1, help="of a sample; more than 1 measures the temporal layers")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", help="a PNG of the first samples: target, then each way")
    return parser.parse_args()


def photo(batch: Batch) -> Tensor:
    return batch.condition["photo"][:, None].expand_as(batch.clean)


def painting(network, steps: int, guidance: float = 1.0, together: bool = True) -> Way:
    """batch -> what the network paints in so many steps, from the same noise for all; `together`: as clips."""
    denoiser = Guided(network if together else partial(alone, network), guidance, DROPPED)

    def paint(batch: Batch) -> Tensor:
        return sample(denoiser, ddim(), noise_for(batch.clean), network.prepare(batch.condition), steps)

    return paint


def noise_for(clean: Tensor) -> Tensor:
    """The same for all ways, clips partly sharing it (b t 3 h w)."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(clean.shape, generator=generator)
    if clean.shape[1] == 1:
        return noise
    same = torch.randn(clean[:, :1].shape, generator=generator)
    return (1 - SHARED) ** 0.5 * noise + SHARED**0.5 * same


@torch.inference_mode()
def measured(batches: list[Batch], way: Way, judge: MobileNet | None) -> tuple[Scores, float]:
    """All columns of a row, and CPU milliseconds for each frame."""
    rows, seconds, frames = [], 0.0, 0
    for batch in batches:
        start = time.process_time()
        pictures = way(batch)
        seconds += time.process_time() - start
        frames += pictures.shape[0] * pictures.shape[1]
        rows.append(scores_of(pictures, batch, judge))
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}, 1000 * seconds / frames


def cell(values: Tensor) -> str:
    """The mean over the samples that have one: decibels or grey levels, then what is near 1."""
    first, *rest = values.nanmean(dim=0).tolist()
    return f"{first:.2f} / {rest[0]:.3f}" if rest else f"{first:.4f}"


def scores_of(pictures: Tensor, batch: Batch, judge: MobileNet | None) -> Scores:
    scores = repaired(pictures, batch)
    if judge is not None:
        scores["MobileNet"] = torch.stack([looks(judge, *pair) for pair in faces(pictures, batch)])[:, None]
    if pictures.shape[1] > 1:
        scores["change"] = changes(pictures, batch)
    return scores


def repaired(pictures: Tensor, batch: Batch) -> Scores:
    """For each region (samples, 2): PSNR and SSIM; NaN where it is not seen."""
    mouth = dilated(region(batch.condition["parts"], MOUTH), 2)
    masks = [torch.ones_like(mouth), region(batch.condition["parts"], FACE), mouth]
    similarity = ssim_map(pictures, batch.clean)
    scores = {name: torch.full((len(pictures), 2), torch.nan) for name in REGIONS}
    for (name, mask), index in [(pair, i) for pair in zip(REGIONS, masks) for i in range(len(pictures))]:
        one = slice(index, index + 1)
        if mask[one].sum() >= FEWEST:
            scores[name][index, 0] = psnr(pictures[one], batch.clean[one], mask[one])
            scores[name][index, 1] = (similarity[one] * mask[one]).sum() / mask[one].sum()
    return scores


def ssim_map(pictures: Tensor, clean: Tensor) -> Tensor:
    """(b t 3 h w) twice -> (b t 1 h w)."""
    first, second = (values.flatten(0, 1).clamp(-1, 1) for values in (pictures, clean))
    _, full = structural_similarity_index_measure(first, second, data_range=(-1.0, 1.0), return_full_image=True)
    assert isinstance(full, Tensor)
    return full.mean(dim=1, keepdim=True).unflatten(0, clean.shape[:2])


def faces(pictures: Tensor, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
    """The box around the face of each sample (t 3 h w in [0, 1]): as painted, and as it is."""
    seen = region(batch.condition["parts"], FACE).amax(dim=(1, 2)) > 0
    for painted, clean, mask in zip(pictures, batch.clean, seen):
        rows, columns = (mask.any(dim=axis).nonzero().flatten() for axis in (1, 0))
        box = (..., slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        yield painted[box].clamp(-1, 1) / 2 + 0.5, clean[box] / 2 + 0.5


def looks(judge: MobileNet, painted: Tensor, clean: Tensor) -> Tensor:
    return mobilenet_distance(judge, painted, clean).mean()


def changes(pictures: Tensor, batch: Batch) -> Tensor:
    """(samples, 2) of neighbouring frames in the face: the distance of the change from the true one in grey levels, and
    its size as a multiple of the true one's."""
    face = region(batch.condition["parts"], FACE)
    both = face[:, 1:] * face[:, :-1]
    made, true = (values.clamp(-1, 1).diff(dim=1) * 127.5 * both for values in (pictures, batch.clean))
    size, apart, wanted = (values.abs().sum(dim=(1, 2, 3, 4)) for values in (made, made - true, true))
    return torch.stack([apart / (3 * both.sum(dim=(1, 2, 3, 4))), size / wanted], dim=1)


def save_picture(file: str, batch: Batch, ways: list) -> None:
    """Rows: target, then each way; one column for each sample of the batch."""
    from PIL import Image

    with torch.inference_mode():
        rows = [pictures[:, 0] for pictures in (batch.clean, *(way(batch) for way in ways))]
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1).clamp(-1, 1)
    Image.fromarray(((grid + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(file)


if __name__ == "__main__":
    main()

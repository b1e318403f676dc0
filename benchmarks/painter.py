"""How much the painter repairs: PSNR and SSIM on a held-out pool, whole picture, face and mouth, against the bare warp.

    python -m benchmarks.painter POOL [--weights FOLDER] [--samples 100] [--steps 1 4 8] [--guidance 1]

Rows: the photo as it is, the warp with its holes filled smoothly, the warp painted in so many steps. PSNR is that of
the mean squared error over all pixels of a region of a sample, SSIM the mean of its map there; both are means over
samples in which the region is seen. A pool folder, or a folder of pools whose held-out persons are used.
"""

import argparse
import time
from collections.abc import Iterator

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from video_diffusion.data import Augmentation, PoolTask
from video_diffusion.loss import FACE, MOUTH, Emphasis, base_of, dilated, psnr, region
from video_diffusion.network import painter_in
from video_diffusion.sample import DROPPED, EMBEDDED
from video_diffusion.schedule import ddim
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.guidance import Guided
from vlogger.diffusion.sampling import sample

REGIONS = ("full", "face", "mouth")
FEWEST = 15  # pixels of a region that is worth measuring


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(arguments.threads)
    task = PoolTask(
        arguments.pool,
        8,
        Augmentation(),
        Emphasis(),
        validation=-(-arguments.samples // 8),
        held_out=arguments.held_out,
    )
    batches = task.validation()
    network = painter_in(arguments.weights)
    ways = {"photo": photo, "warp": lambda batch: base_of(batch.condition)}
    for scale in arguments.guidance:
        led = "" if scale == 1 else f", x{scale:g}"
        ways |= {f"painted, {steps} steps{led}": painting(network, steps, scale) for steps in arguments.steps}
    print(f"{sum(len(batch.clean) for batch in batches)} samples of {', '.join(task.pools)}; PSNR dB / SSIM")
    print(f"{'':22}" + "".join(f"{name:>16}" for name in REGIONS) + f"{'CPU ms a frame':>15}")
    for name, way in ways.items():
        print_row(name, batches, way)
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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", help="a PNG of the first samples: target, then each way")
    return parser.parse_args()


def photo(batch: Batch) -> Tensor:
    return batch.condition["photo"][:, None].expand_as(batch.clean)


def painting(network, steps: int, guidance: float = 1.0):
    """batch -> what the network paints in so many steps, from the same noise for all."""
    denoiser = Guided(network, guidance, DROPPED)

    def paint(batch: Batch) -> Tensor:
        noise = torch.randn(batch.clean.shape, generator=torch.Generator().manual_seed(0))
        return sample(denoiser, ddim(), noise, network.prepare(batch.condition), steps)

    return paint


@torch.inference_mode()
def print_row(name: str, batches: list[Batch], way) -> None:
    scores, seconds, frames = [], 0.0, 0
    for batch in batches:
        start = time.process_time()
        pictures = way(batch)
        seconds += time.process_time() - start
        frames += pictures.shape[0] * pictures.shape[1]
        scores += scores_of(pictures, batch)
    means = torch.stack(scores).nanmean(dim=0)
    row = "".join(f"{f'{ratio:.2f} / {similarity:.3f}':>16}" for ratio, similarity in means.tolist())
    print(f"{name:22}{row}{1000 * seconds / frames:15.1f}", flush=True)


def scores_of(pictures: Tensor, batch: Batch) -> Iterator[Tensor]:
    """For each sample: (regions, 2), PSNR and SSIM; NaN where the region is not seen."""
    parts = batch.condition["parts"]
    mouth = dilated(region(parts, MOUTH), 2)
    masks = torch.stack([torch.ones_like(mouth), region(parts, FACE), mouth])
    similarity = ssim_map(pictures, batch.clean)
    for index in range(len(pictures)):
        one = slice(index, index + 1)
        yield torch.tensor(
            [
                [
                    psnr(pictures[one], batch.clean[one], mask[one]),
                    (similarity[one] * mask[one]).sum() / mask[one].sum(),
                ]
                if mask[one].sum() >= FEWEST
                else [torch.nan, torch.nan]
                for mask in masks
            ]
        )


def ssim_map(pictures: Tensor, clean: Tensor) -> Tensor:
    """(b t 3 h w) twice -> (b t 1 h w)."""
    first, second = (values.flatten(0, 1).clamp(-1, 1) for values in (pictures, clean))
    _, full = structural_similarity_index_measure(first, second, data_range=(-1.0, 1.0), return_full_image=True)
    assert isinstance(full, Tensor)
    return full.mean(dim=1, keepdim=True).unflatten(0, clean.shape[:2])


def save_picture(file: str, batch: Batch, ways: list) -> None:
    """Rows: target, then each way; one column for each sample of the batch."""
    from PIL import Image

    with torch.inference_mode():
        rows = [pictures[:, 0] for pictures in (batch.clean, *(way(batch) for way in ways))]
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1).clamp(-1, 1)
    Image.fromarray(((grid + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(file)


if __name__ == "__main__":
    main()

"""What the sharpener's temporal layers bring and cost: clips sharpened frame by frame and in groups.

    python -m benchmarks.superres_time POOLS --clips FOLDER [--network FOLDER] [--held-out 0.05] [--samples 8]

POOLS is a pool of clips of 256 or 512 pixels, or a folder of pools; of stills, each is set in motion over 10 frames
(`superres.moving`). `--clips`: the weights with temporal layers; `--network`: those without. The small video is the
truth made small with a painter's faults, of which some change from frame to frame (`superres.degrade`).

Columns, of what the network may change at all ("unsure", benchmarks/superres.py): PSNR in dB; change: of neighbouring
frames, the mean distance from the true change in grey levels; still: the first frame shown over and over, its small
version with ever new faults, the temporal standard deviation in grey levels. Seconds are CPU of one thread a frame.
"""

import argparse
from collections import defaultdict
from time import process_time

import torch
from torch import Tensor

from benchmarks.superres import controls_of, known_of, stage_of
from superres.blend import enlarge, unsure
from superres.data import Place, SharpenTask, Source, read
from superres.loss import decibels
from superres.moving import Wandering
from superres.sample import DiffusionUpscale
from vlogger.pixels import to_uint8
from vlogger.types import Controls, Video, seeded

FRAMES = 10
FPS = 25.0


class Clip:
    """truth (t 3 H W), the small video of it, and controls that were drawn before."""

    def __init__(self, truth: Tensor, small: Video, drawn: Controls):
        self.truth, self.small, self.all = truth, small, drawn
        self.size, self.fps, self.photo, self.reference = truth.shape[-1], FPS, truth[0], drawn[:1]

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, frames: slice) -> Controls:
        return self.all[frames]

    @property
    def unsure(self) -> Tensor:
        """(t 3 H W) bool."""
        factor = self.size // self.small.frames.shape[-1]
        return (enlarge(unsure(self.all.visible, 3, factor), factor, "linear") > 0).expand_as(self.truth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pools")
    parser.add_argument("--clips", required=True, help="folder of weights with temporal layers")
    parser.add_argument("--network", help="folder of weights without; default: those of the package")
    parser.add_argument("--held-out", type=float, default=0.05, help="share of persons; 1 uses the whole pool")
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = SharpenTask(options.pools, frames=FRAMES, held_out=options.held_out)
    stages = {"frame by frame": stage_of(options.network, 1), "in groups": stage_of(options.clips, 1)}
    for of_size in task.sources.values():
        for source in of_size:
            measure(task, source, stages, options.samples)


def clip_of(task: SharpenTask, source: Source, index: int, still: bool) -> Clip:
    """A sample as a clip, or its first frame as one that stands still."""
    place = Place(index, 0, 1 if still else source.pool.frames, 0, 0, source.size)
    crops = read(source, [place])
    crops["known"] = torch.cat([known_of(source, Place(index, t, 1, 0, 0, source.size), seen)
                                for t, seen in enumerate(crops["visible"][0].split(1))])[None]  # fmt: skip
    if crops["target"].shape[1] == 1:
        crops = (Wandering(0, 0, 0) if still else Wandering())(crops, FRAMES, seeded(index))
    small = task.teach(crops, source.size // task.small, seeded(index)).condition["small"]
    warped, known = crops["warped"][0], crops["known"][0]
    visible = torch.where(known > 0.99, 1.0, torch.where(known > 0.25, 0.5, 0.0))
    return Clip(crops["target"][0], Video(to_uint8(255 * small[0]), FPS), controls_of(warped, visible))


def sharpened(stage: DiffusionUpscale, clip: Clip) -> tuple[Tensor, float]:
    """The clip in [0, 1], and CPU seconds."""
    start = process_time()
    made = torch.cat([part.frames for part in stage([clip.small], clip, generator=seeded(0))])
    return made.float() / 255, process_time() - start


@torch.inference_mode()
def measure(task: SharpenTask, source: Source, stages: dict[str, DiffusionUpscale], count: int) -> None:
    """Print a table for one pool at one size."""
    held_out = source.samples(held_out=True)
    chosen = held_out[:: max(1, len(held_out) // count)][:count].tolist()
    rows = defaultdict(lambda: defaultdict(list))
    for index in chosen:
        moving, still = (clip_of(task, source, index, still=kind) for kind in (False, True))
        for name, stage in stages.items():
            made, seconds = sharpened(stage, moving)
            error, row = made - moving.truth, rows[name]
            row["PSNR"].append(float(decibels(error[moving.unsure])))
            row["change"].append(float(255 * error.diff(dim=0).abs()[moving.unsure[1:]].mean()))
            row["still"].append(float(255 * sharpened(stage, still)[0].std(0)[still.unsure[0]].mean()))
            row["s a frame"].append(seconds / len(made))
    print(f"\n{source.pool.folder.name} at {source.size}: {len(chosen)} clips\n")
    print("| | PSNR | change | still | s a frame |\n|---|---|---|---|---|")
    for name, row in rows.items():
        cells = " | ".join(f"{sum(values) / len(values):.3f}" for values in row.values())
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

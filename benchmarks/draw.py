"""Milliseconds a frame of everything that Draw does, by part, at 128, 256 and 512.

    python -m vlogger.generate image=PHOTO audio=SPEECH subject_out=S.npz motion_out=M.npz
    python -m benchmarks.draw S.npz M.npz [--frames 48]

The second row of a size is what a sharpener asks for: no surface, no parts. CPU time of one thread. The total is
measured alone (best of three); the parts are its shares under the profiler of Python, which makes small calls look a
little dearer than they are.
"""

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable

import torch

from render.controls import MeshControls
from vlogger.body.smplx import load_body
from vlogger.framing import FINEST, crop, region_of
from vlogger.io_values import load_motion, load_subject
from vlogger.pipeline import SMALL
from vlogger.stages import ControlSequence

WINDOW = 12  # frames that a painter asks for at once
PARTS = {
    "pose": ("points_of",),
    "raster": ("rasterize",),
    "maps": ("fill_surface", "fill_parts"),
    "field": ("body_field", "lend_lips", "trusted"),
    "halo": ("with_halo",),
    "read": ("read_photo",),
    "room": ("put_before",),
    "guess": ("draw_guesses",),
    "mask": ("moved_mask",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject")
    parser.add_argument("motion")
    parser.add_argument("--frames", type=int, default=48)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    body = load_body()
    subject, (motion, _) = load_subject(arguments.subject), load_motion(arguments.motion)
    frames = min(arguments.frames, len(motion))
    print(f"{'':6}{'all':>8}" + "".join(f"{name:>8}" for name in (*PARTS, "rest")) + "   ms a frame")
    for size in (128, 256, 512):
        square = crop(subject, region_of(subject, body), FINEST)
        sequence = MeshControls(body)(motion[:frames], square, size=size)
        print(f"{size:<6}" + row(sequence), flush=True)
        if size > SMALL:
            print(f"{size:<4}- " + row(sequence.without_maps()), flush=True)


def row(sequence: ControlSequence) -> str:
    """Milliseconds a frame: all, and of each part."""
    whole = 1000 * min(seconds(lambda: draw_all(sequence)) for _ in range(3)) / len(sequence)
    parts = [whole * share for share in shares(lambda: draw_all(sequence))]
    return f"{whole:8.2f}" + "".join(f"{part:8.2f}" for part in parts)


def draw_all(sequence: ControlSequence) -> None:
    """Every frame, window by window."""
    for start in range(0, len(sequence), WINDOW):
        sequence[start : start + WINDOW]


def seconds(run: Callable[[], None]) -> float:
    """CPU time."""
    start = time.process_time()
    run()
    return time.process_time() - start


def shares(run: Callable[[], None]) -> list[float]:
    """The share of the time that each of `PARTS` takes, and of the rest."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(run)
    stats = pstats.Stats(profile).get_stats_profile()
    spent = {name: entry.cumtime for name, entry in stats.func_profiles.items()}
    found = [sum(spent.get(name, 0.0) for name in names) / stats.total_tt for names in PARTS.values()]
    return [*found, 1 - sum(found)]


if __name__ == "__main__":
    main()

"""How well clips are tracked: python -m benchmarks.track VIDEOS_FOLDER PORTRAITS_FOLDER

One line a clip: fps of the file and of the track; frames, frames without a face; distance of MediaPipe's landmarks from
the tracked mesh's in pixels, were the longer side 512: mean, 95th percentile of the frames; jitter of the head in
degrees (second differences / sqrt(6), rms over the calmest tenth of the clip); frames a CPU second, all in all and of
the tracking alone; frames a second. Then still clips: portraits of 512 pixels with sensor noise (sigma 5 of 255), 72
frames: rms of the head's rotation about its mean.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from render.clip import SeeClip
from render.window import SPINE, chain_to
from vlogger.body.rotation import matrix_to_axis_angle
from vlogger.body.smplx import Body, load_body
from vlogger.io_values import load_motion
from vlogger.io_video import saved, source_of
from vlogger.track import samples, write
from vlogger.types import Motion, Video

STILLS, FRAMES, NOISE = 4, 72, 5.0
STRETCH = 12  # frames of which the calmest tenth is sought


def tracked(body: Body, path: Path, folder: Path) -> tuple[Motion, dict[str, np.ndarray], list[float]]:
    """The motion, the other arrays of the file; CPU seconds in all, of the tracking alone, seconds in all."""
    begin, clock = time.process_time(), time.perf_counter()
    subject = SeeClip(body, name=path.name)(samples(path, source_of(path).duration))
    between = time.process_time()
    write(folder / "track.npz", path, subject, body, "largest")
    end, seconds = time.process_time(), time.perf_counter() - clock
    motion, _ = load_motion(folder / "track.npz")
    with np.load(folder / "track.npz") as file:
        more = {name: file[name] for name in ("missing", "error")}
    return motion, more, [end - begin, end - between, seconds]


def head(motion: Motion) -> Tensor:
    """(t, 3, 3) the head's rotation in camera space."""
    return chain_to(motion.rotations.double(), (*SPINE, "neck", "head"))


def calm_jitter(turns: Tensor) -> float:
    """Degrees: noise by second differences of the rotation, over the calmest tenth of the stretches."""
    steps = matrix_to_axis_angle(turns[:-1].mT @ turns[1:]).rad2deg()
    noise, speed = steps.diff(dim=0).square().sum(1) / 6, steps.norm(dim=1)[1:]
    stretches = torch.arange(0, len(speed) - STRETCH, STRETCH // 2)
    calm = stretches[torch.stack([speed[i : i + STRETCH].mean() for i in stretches]).argsort()]
    chosen = calm[: max(1, len(calm) // 10)]
    return float(torch.stack([noise[i : i + STRETCH].mean() for i in chosen]).mean().sqrt())


def about_mean(turns: Tensor) -> float:
    """Degrees: rms of rotations (t, 3, 3) about their mean."""
    u, _, vt = torch.linalg.svd(turns.mean(0))
    return float(matrix_to_axis_angle((u @ vt).T @ turns).rad2deg().square().sum(1).mean().sqrt())


def still_clip(portrait: Path, out: Path) -> None:
    """A lossless clip of the portrait with the noise of a sensor."""
    dice = np.random.default_rng(0)
    image = np.array(Image.open(portrait).convert("RGB").resize((512, 512), Image.Resampling.LANCZOS)).astype(float)
    frames = np.stack([image + dice.normal(0, NOISE, image.shape) for _ in range(FRAMES)]).clip(0, 255).round()
    video = Video(torch.from_numpy(frames.astype(np.uint8)).permute(0, 3, 1, 2).contiguous(), 25.0)
    for _ in saved(out, iter([video])):
        pass


def main(videos: str, portraits: str) -> None:
    body = load_body()
    names = ("fps", "track", "frames", "missing", "px mean", "px 95%", "jitter", "all", "tracking", "frames/s")
    print(f"{'clip':40}" + "".join(f"{name:>10}" for name in names))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in sorted(p for p in Path(videos).iterdir() if p.suffix in (".mp4", ".mkv", ".webm", ".mov")):
            motion, more, costs = tracked(body, path, folder)
            source, pixels = source_of(path), more["error"][~more["missing"]]
            pixels = pixels * 512 / max(source.height, source.width)
            numbers = [source.fps, motion.fps, len(motion), more["missing"].sum(), pixels.mean()]
            numbers += [np.percentile(pixels, 95), calm_jitter(head(motion))]
            numbers += [len(motion) / cost for cost in costs]
            print(f"{path.name[:40]:40}" + "".join(f"{value:10.5g}" for value in numbers), flush=True)
        paths = sorted(Path(portraits).glob("faker*.jpg"))
        for path in paths[:: max(1, len(paths) // STILLS)][:STILLS]:
            still_clip(path, folder / "still.mkv")
            turns = head(tracked(body, folder / "still.mkv", folder)[0])
            print(f"{path.name[:40]:40} still: rms {about_mean(turns):.3f} degrees", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

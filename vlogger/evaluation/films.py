"""A finished clip as it is measured: its pictures, the face in them, and the body tracked through that face."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.align import ClipAligner
from render.evidence import markers
from render.track import Track, fit_clip, shape_of
from vlogger.body.smplx import Body
from vlogger.evaluation.faces import follow, found_share
from vlogger.io_video import load_video
from vlogger.pixels import resize
from vlogger.stages import MotionToControls
from vlogger.types import Audio, Video


@dataclass(frozen=True)
class Film:
    """Pictures (t, 3, h, w) uint8 at `fps`; the face's points are looked for once, unless they are `known`."""

    frames: Tensor
    fps: float
    known: NDArray | None = None

    @cached_property
    def points(self) -> NDArray:
        """(t, 478, 3) MediaPipe's points in pixels, nan without a face."""
        return follow(self.frames.permute(0, 2, 3, 1).numpy()) if self.known is None else self.known

    @property
    def has_face(self) -> bool:
        """Whether enough frames show one to be measured."""
        return found_share(self.points) > 0.5

    def track(self, body: Body, shaped_by: int = 1, draw: MotionToControls | None = None) -> Track:
        """The body followed through the face; UserError without any face. Its shape comes from so many frames, spread
        over the inside of the clip (two seconds each). With `draw` the first frame's skin is laid onto the others'."""
        size = (self.frames.shape[-2], self.frames.shape[-1])
        seen = np.flatnonzero(np.isfinite(self.points[:, 0, 0]))
        chosen = seen[np.linspace(0, len(seen) - 1, shaped_by + 2)[1:-1].round().astype(int)] if len(seen) else seen
        betas = shape_of([self.points[chosen]], size, markers(body), len(chosen)) if len(chosen) else None
        align = None if draw is None else ClipAligner(self.frames, body, draw, reference=0)
        return fit_clip(self.points, size, body, self.fps, betas, align)


def load_film(path: Path, fps: float, seconds: float, side: int) -> Film:
    """The first seconds of a video: at `fps`, each moment shown by the frame that lies nearest, the shorter side of
    the picture at most `side` pixels."""
    pictures, rate = [], fps
    for clip in load_video(path):
        rate = clip.fps
        pictures.append(shrunk(clip.frames, side))
        if sum(map(len, pictures)) >= seconds * rate + 1:
            break
    frames = torch.cat(pictures)
    count = max(1, min(round(seconds * fps), round(len(frames) / rate * fps)))
    at = ((np.arange(count) + 0.5) / fps * rate).astype(int).clip(max=len(frames) - 1)
    return Film(frames[torch.from_numpy(at)].contiguous(), fps)


def shrunk(pictures: Tensor, side: int) -> Tensor:
    """Pictures (..., h, w), the shorter side not longer than `side`."""
    height, width = pictures.shape[-2:]
    scale = min(1.0, side / min(height, width))
    return resize(pictures, max(1, round(height * scale)), max(1, round(width * scale)))


def cut(audio: Audio, seconds: float) -> Audio:
    """The first seconds of a sound."""
    return Audio(audio.samples[: round(seconds * audio.sample_rate)], audio.sample_rate)


def some(frames: Tensor, count: int) -> Tensor:
    """At most so many of the frames, spread evenly."""
    at = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return frames[torch.from_numpy(at)]


def collected(clips: Iterable[Video]) -> Tensor:
    """All frames of an iterator of short clips."""
    return torch.cat([clip.frames for clip in clips])

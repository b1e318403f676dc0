"""The whole method, in the order it happens: see, hear, draw, paint, sharpen, and lay the result into the picture."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from vlogger.body.smplx import Body
from vlogger.framing import FINEST, Region, crop, region_of
from vlogger.pixels import composite, resize
from vlogger.stages import (
    AudioToMotion,
    ControlSequence,
    ControlsToVideo,
    MotionToControls,
    PortraitToSubject,
    Upscale,
    without_maps,
)
from vlogger.types import Audio, Controls, Portrait, Subject, Video, seeded

SMALL = 128  # pixels: the painter's side (VLOGGER 4: the base model works at 128 x 128)
SIDES = (128, 256, 512)  # pixels: what the sharpener reaches
STAGES = 3  # of which each has its own chance
CLIP_BYTES = 64_000_000  # whole pictures that are held at once


@dataclass(frozen=True)
class Vlogger:
    """Five stages and the body that they share. Called, it yields the video in short clips as they are made.

    `maps`: whether the sharpener reads `surface` and `parts` of its controls; else they are not drawn for it.
    """

    subject: PortraitToSubject
    motion: AudioToMotion
    render: MotionToControls
    video: ControlsToVideo
    superres: Upscale
    body: Body
    maps: bool = True

    def __call__(
        self, portrait: Portrait, audio: Audio, *, size: int | None, seed: int, start: int = 0
    ) -> Iterator[Video]:
        """`size`: shorter side of the output in pixels, None for the portrait's own. `start`: the frame with which the
        painter and the sharpener begin (`vlogger.resume`)."""
        subject = at_size(self.subject(portrait), size)
        region = region_of(subject, self.body)
        motion = self.motion(audio, subject, generator=chance(seed, 0))
        square = crop(subject, region, FINEST)
        large = small = LastWindow(self.render(motion, square, size=SMALL))
        clips = self.video(small, generator=chance(seed, 1))
        if (side := generated_side(region)) > SMALL:
            drawn = self.render(motion, square, size=side)
            large = LastWindow(drawn if self.maps else without_maps(drawn))
            clips = self.superres(clips, large, generator=chance(seed, 2))
        return in_picture(clips, large, subject.portrait, region, start)


def chance(seed: int, stage: int) -> torch.Generator:
    """Each stage's own generator, so that a stage replaced by its saved file leaves the chance of the others alone."""
    return seeded(seed * STAGES + stage)


def generated_side(region: Region) -> int:
    """The smallest side that is not coarser than the picture, else the largest one."""
    return next((side for side in SIDES if side >= region.side), SIDES[-1])


def output_shape(height: int, width: int, size: int | None) -> tuple[int, int]:
    """Height and width of the output: shorter side `size`, the portrait's aspect, both even (4:2:0 video needs it)."""
    scale = size / min(height, width) if size else 1.0
    halves = (height * scale / 2, width * scale / 2)
    if size:
        return (max(1, round(halves[0])) * 2, max(1, round(halves[1])) * 2)
    return (max(1, int(halves[0])) * 2, max(1, int(halves[1])) * 2)


def at_size(subject: Subject, size: int | None) -> Subject:
    """The subject in the output's pixels. Without a size nothing is resampled: an odd last row or column is cut off."""
    image = subject.portrait.image
    height, width = output_shape(image.shape[1], image.shape[2], size)
    if size is None and min(image.shape[1:]) > 1:
        return replace(subject, portrait=subject.portrait.seen(lambda whole: whole[:, :height, :width].contiguous()))
    scale = torch.tensor([width / image.shape[2], height / image.shape[1], 1.0])
    portrait = subject.portrait.seen(lambda whole: resize(whole, height, width))
    return replace(subject, portrait=portrait, intrinsics=scale[:, None] * subject.intrinsics)


class LastWindow:
    """A sequence of controls that remembers its last window: sharpener and compositor ask for the same one."""

    def __init__(self, controls: ControlSequence):
        self.controls, self.fps, self.size = controls, controls.fps, controls.size
        self.photo, self.reference = controls.photo, controls.reference
        self.last: tuple[tuple[int, int, int], Controls] | None = None

    def __len__(self) -> int:
        return len(self.controls)

    def __getitem__(self, frames: slice) -> Controls:
        key = frames.indices(len(self))
        if self.last is None or self.last[0] != key:
            self.last = None  # free the old window before the new one is rendered
            self.last = (key, self.controls[frames])
        return self.last[1]


def in_picture(
    clips: Iterator[Video], controls: ControlSequence, portrait: Portrait, region: Region, start: int = 0
) -> Iterator[Video]:
    """The generated squares laid into the portrait where the body or its halo moved; else the portrait's own pixels.

    `start` is the number of the clips' first frame.
    """
    square = (region.left, region.top, region.side)
    step = max(1, CLIP_BYTES // portrait.image.numel())
    for clip in clips:
        moved = controls[start : start + len(clip)].moved
        for i in range(0, len(clip), step):
            part = slice(i, i + step)
            yield Video(composite(portrait.image, clip.frames[part], moved[part], square), clip.fps)
        start += len(clip)

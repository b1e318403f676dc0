"""The five verbs as protocols: a stage is any callable of this shape. No base class, no registry."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import torch

from vlogger.types import Audio, Controls, Motion, Portrait, Subject, Video


@runtime_checkable
class ControlSequence(Protocol):
    """Controls that are rendered a window at a time: `controls[i:j]` renders those frames, nothing is kept.

    `photo` is the reference picture at the same size (1 frame, values in [0, 1], shape 3 h w) and `reference` its own
    controls (one frame): the pair that VLOGGER feeds beside the per-frame controls (Fig. 2).
    """

    fps: float
    size: int
    photo: torch.Tensor
    reference: Controls

    def __len__(self) -> int: ...

    def __getitem__(self, frames: slice) -> Controls: ...


@runtime_checkable
class MapsOptional(Protocol):
    """Controls that can be had cheaper: `without_maps()` is the same sequence whose windows have 0 for `surface` and
    `parts`, for those who read only the other three."""

    def without_maps(self) -> ControlSequence: ...


def without_maps(controls: ControlSequence) -> ControlSequence:
    """The same controls without `surface` and `parts`, if that is cheaper."""
    return controls.without_maps() if isinstance(controls, MapsOptional) else controls


@runtime_checkable
class PortraitToSubject(Protocol):
    """See: fit the body to the photo."""

    def __call__(self, portrait: Portrait) -> Subject: ...


@runtime_checkable
class AudioToMotion(Protocol):
    """Hear: speech becomes motion of that body, round(duration * fps) frames of it."""

    def __call__(self, audio: Audio, subject: Subject, *, generator: torch.Generator) -> Motion: ...


@runtime_checkable
class MotionToControls(Protocol):
    """Draw: a sequence of `len(motion)` controls, `size` pixels square. `subject.portrait` is square already."""

    def __call__(self, motion: Motion, subject: Subject, *, size: int) -> ControlSequence: ...


@runtime_checkable
class ControlsToVideo(Protocol):
    """Paint: short clips, in order, `len(controls)` frames together."""

    def __call__(self, controls: ControlSequence, *, generator: torch.Generator) -> Iterator[Video]: ...


@runtime_checkable
class Upscale(Protocol):
    """Sharpen: the same clips at the size of `controls`, which hold the photo warped at that size.

    A stage that never reads `surface` and `parts` may say so by an attribute `reads_maps = False`: they are then 0.
    """

    def __call__(
        self, video: Iterable[Video], controls: ControlSequence, *, generator: torch.Generator
    ) -> Iterator[Video]: ...

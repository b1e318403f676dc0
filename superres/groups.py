"""A video in groups of frames for a network that looks at several at once: the same groups however the video is cut.

Groups begin at multiples of their length. What a group's frames become depends on them and on the frames just before,
its context, which are looked at again with it; never on what comes later, and not on where clips end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vlogger.stages import ControlSequence
from vlogger.types import Video

Told = tuple[Tensor, Tensor, Tensor]
"""Small frames (t 3 h w uint8), the warped photo (t 3 H W) and where it is visible (t 1 H W)."""
Window = tuple[int, int, Told]
"""The number of a window's first frame, how many frames of it are context, and its frames."""


@dataclass(frozen=True)
class Piece:
    """Whole groups that are ready: their windows, and how many of the first new frames are finished already."""

    windows: list[Window]
    skipped: int
    fps: float


def in_groups(
    video: Iterable[Video], controls: ControlSequence, lengths: tuple[int, int], start: int, painted: Tensor
) -> Iterator[Piece]:
    """The video from frame `start` on, where its first clip begins; `lengths`: of a group and of its context.

    `painted` (n 3 h w uint8): the small frames before `start`. A piece has the length of its clip where clips end with
    groups; else frames wait until their group is complete, or the video over.
    """
    group, context = lengths
    first = max(0, start - start % group - context)
    held, done, end, fps = before(first, start, painted, controls), start, start, controls.fps
    for clip in video:
        told = controls[end : end + len(clip)]
        held, end, fps = joined(held, (clip.frames, told.warped, told.visible)), end + len(clip), clip.fps
        ready = end - end % group
        if ready > done:
            yield Piece(windows(held, first, done, ready, lengths), done % group, fps)
            done, kept = ready, max(0, ready - context)
            held, first = cut(held, kept - first, end - first) if kept < end else None, kept
    if held is not None and end > done:
        yield Piece(windows(held, first, done, end, lengths), done % group, fps)


def before(first: int, start: int, painted: Tensor, controls: ControlSequence) -> Told | None:
    """What was told of the frames first, ... start - 1 of an interrupted video."""
    if first == start:
        return None
    told = controls[first:start]
    return painted[len(painted) - (start - first) :], told.warped, told.visible


def windows(held: Told, first: int, done: int, end: int, lengths: tuple[int, int]) -> list[Window]:
    """The groups of the frames done, ... end - 1, each with its context; `held` begins with frame `first`."""
    group, context = lengths
    starts = range(done - done % group, end, group)
    edges = [(max(0, start - context), start, min(end, start + group)) for start in starts]
    return [(begin, start - begin, cut(held, begin - first, stop - first)) for begin, start, stop in edges]


def joined(held: Told | None, fresh: Told) -> Told:
    """Frames and those that follow them."""
    if held is None:
        return fresh
    frames, warped, visible = (torch.cat(pair) for pair in zip(held, fresh, strict=True))
    return frames, warped, visible


def cut(held: Told, start: int, stop: int) -> Told:
    """Some of the frames."""
    frames, warped, visible = held
    return frames[start:stop], warped[start:stop], visible[start:stop]

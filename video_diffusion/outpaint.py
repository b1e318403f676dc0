"""Temporal outpainting (VLOGGER 3.2): a window of frames, then windows that begin with the last of the one before."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Window(NamedTuple):
    """Frames first … last - 1 are sampled together; those before `new` are known already."""

    first: int
    new: int
    last: int


def windows(total: int, size: int, overlap: int, reach: int | None = None) -> Iterator[Window]:
    """Windows of at most `size` frames whose new frames are 0 … total - 1, each once; `overlap` known ones before.

    Known frames farther away than the network's `reach` cannot change a new one: they are left out.
    """
    assert 0 <= overlap < size
    new = 0
    while new < total:
        last = min(max(0, new - overlap) + size, total)
        yield Window(max(0, new - (overlap if reach is None else min(overlap, reach))), new, last)
        new = last


def outpaint(paint: Callable[[Window, Tensor], Tensor], plan: Iterator[Window], painted: Tensor) -> Iterator[Tensor]:
    """The new frames of each window, in order.

    `paint(window, known)` gives the new frames (t, ...); `known` are those before them in the window. `painted`: frames
    before the first window.
    """
    for window in plan:
        count = window.new - window.first
        assert len(painted) >= count
        known = painted[len(painted) - count :]
        fresh = paint(window, known)
        yield fresh
        painted = torch.cat([known, fresh]) if count else fresh


def frame_noise(seed: int, first: int, last: int, shape: tuple[int, ...], shared: float) -> Tensor:
    """White noise of frames first … last - 1 (t, *shape): what a frame gets depends on the seed and its number alone.

    `shared` of the variance is the same in all frames (arXiv 2305.10474), so that what is invented flickers less.
    """
    own = torch.stack([_noise(seed, 1 + frame, shape) for frame in range(first, last)])
    return (1 - shared) ** 0.5 * own + shared**0.5 * _noise(seed, 0, shape)


def _noise(seed: int, number: int, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    return torch.randn(shape, generator=generator)

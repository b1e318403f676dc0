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


def windows(total: int, size: int, overlap: int) -> Iterator[Window]:
    """Windows of at most `size` frames whose new frames are 0 … total - 1, each once; `overlap` known ones before."""
    assert 0 <= overlap < size
    new = 0
    while new < total:
        first = max(0, new - overlap)
        last = min(first + size, total)
        yield Window(first, new, last)
        new = last


def outpaint(paint: Callable[[Window, Tensor], Tensor], plan: Iterator[Window]) -> Iterator[Tensor]:
    """The new frames of each window, in order.

    `paint(window, known)` gives all frames of the window (t, ...), of which it was given the first ones as `known`.
    """
    painted = torch.empty(0)
    for window in plan:
        count = window.new - window.first
        known = painted[len(painted) - count :]
        painted = paint(window, known)
        yield painted[count:]


def frame_noise(seed: int, first: int, last: int, shape: tuple[int, ...], shared: float) -> Tensor:
    """White noise of frames first … last - 1 (t, *shape): what a frame gets depends on the seed and its number alone.

    `shared` of the variance is the same in all frames (arXiv 2305.10474), so that what is invented flickers less.
    """
    own = torch.stack([_noise(seed, 1 + frame, shape) for frame in range(first, last)])
    return (1 - shared) ** 0.5 * own + shared**0.5 * _noise(seed, 0, shape)


def _noise(seed: int, number: int, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    return torch.randn(shape, generator=generator)

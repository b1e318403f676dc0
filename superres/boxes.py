"""Where the network has to look: boxes around what is not the warped photo itself, in cells of the network's grain.

A call of the network costs something before its first pixel, and it was trained on squares: so boxes have a least side,
and neighbours share one where that is cheaper. The boxes of a picture depend on that picture alone.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from torch import Tensor

LEAST = 8  # cells: the side of the squares that the network was trained on (128 pixels of 16 a cell)
CALL = 100  # cells that take as long as what a call costs besides its pixels
MARGIN = 2  # cells that the network sees around what is wanted


class Box(NamedTuple):
    """Rows top to bottom and columns left to right of a grid of cells, the ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def cost(self) -> int:
        """Of a call of the network for this box, in cells."""
        return CALL + (self.bottom - self.top) * (self.right - self.left)

    def cut(self, pictures: Tensor, cell: int) -> Tensor:
        """The box of pictures (..., H, W) whose cells have a side of `cell` pixels: a view."""
        top, left, bottom, right = (cell * edge for edge in self)
        return pictures[..., top:bottom, left:right]


def boxes_around(wanted: Tensor, margin: int = MARGIN) -> list[Box]:
    """Boxes that hold every wanted cell (h w bool) with a margin around it, where the picture goes on so far.

    No two meet, each is `LEAST` cells wide and high or as much as there is, and together they cost less than the whole,
    which is the only one else.
    """
    height, width = wanted.shape
    near = ndimage.binary_dilation(wanted.numpy(), np.ones((3, 3)), margin) if margin else wanted.numpy()
    label = np.zeros(near.shape, np.int32)
    ndimage.label(near, np.ones((3, 3)), label)
    found = [Box(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(label)]
    boxes, whole = merged([grown(box, height, width) for box in found]), Box(0, 0, height, width)
    return boxes if sum(box.cost for box in boxes) < whole.cost else [whole]


def grown(box: Box, height: int, width: int) -> Box:
    """The box, at least `LEAST` wide and high as far as the picture is so large."""
    top, bottom = stretched(box.top, box.bottom, height)
    left, right = stretched(box.left, box.right, width)
    return Box(top, left, bottom, right)


def stretched(start: int, stop: int, size: int) -> tuple[int, int]:
    """At least LEAST, or all, of [0, size) that holds [start, stop), around its middle if there is room."""
    length = min(size, max(LEAST, stop - start))
    first = max(0, min(size - length, (start + stop - length) // 2))
    return first, first + length


def merged(boxes: list[Box]) -> list[Box]:
    """Pairs that meet, or are cheaper as one, become one until there are none."""
    for one, other in combinations(boxes, 2):
        both = around(one, other)
        if meet(one, other) or both.cost < one.cost + other.cost:
            return merged([box for box in boxes if box not in (one, other)] + [both])
    return boxes


def around(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    return Box(*map(min, one[:2], other[:2]), *map(max, one[2:], other[2:]))


def meet(one: Box, other: Box) -> bool:
    """Whether a cell is in both."""
    high, low = max(one.top, other.top), min(one.bottom, other.bottom)
    return high < low and max(one.left, other.left) < min(one.right, other.right)

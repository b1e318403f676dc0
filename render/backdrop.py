"""What stands still behind the person, who moves in front of it; what was hidden is continued from beside it.

The halo (`render.halo`) carries hair, hats and clothes along with the body; without a matte it would bend the wall
behind them too. Arrays are numpy, (h, w, ...), float32.
"""

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from render.halo import smoothstep, spread

AIR, PERSON = 0.3, 0.7  # of a matte: less is not the person, from here on it wholly is (fine hair is a little of both)
CARRIED = 1.0  # pixels at 128 around the person that move along: no matte is exact
TRACES = 2.0  # the same, that may show traces of hair and are invented where the person has left
SOURCES = 3.5  # the same, from which on the picture tells what is invented
EVEN = 2.0  # the same: how even the border of a mirror is made (standard deviation)
SOFT = 0.6  # the same: how soft these borders are (standard deviation)


@dataclass(frozen=True)
class Backdrop:
    """person (h,w): 1 where the photo shows the person, 0 where not, soft between; plate (h,w,3) the picture without
    the person; hidden (h,w): 0 where the plate is the photo itself, 1 where it is invented."""

    person: NDArray
    plate: NDArray
    hidden: NDArray


def backdrop_of(image: NDArray, matte: NDArray, body: NDArray[np.bool_]) -> Backdrop:
    """image (h,w,3), matte (h,w) both in [0,1]; body (h,w): pixels that surely are the person's."""
    unit = len(image) / 128
    core = np.maximum(smoothstep((matte - AIR) / (PERSON - AIR)), body).astype(np.float32)
    person, hidden = (cv2.GaussianBlur(grown(core, reach * unit), (0, 0), SOFT * unit) for reach in (CARRIED, TRACES))
    free = (grown(core, SOURCES * unit) == 0).astype(np.float32)
    plate = image + hidden[..., None] * (continued(image, free) - image) if free.any() else image
    return Backdrop(person, np.ascontiguousarray(plate, np.float32), hidden)


def continued(image: NDArray, free: NDArray) -> NDArray:
    """The image (h,w,3), where free (h,w) is 0, as it goes on: its mirror image at the border, where that is free, and
    the smooth mean of what is around elsewhere. A mirror keeps leaves and bricks what they are."""
    depth = cv2.distanceTransform((free == 0).astype(np.uint8), cv2.DIST_L2, 5)
    even = cv2.GaussianBlur(depth, (0, 0), EVEN * len(image) / 128)
    slope = np.stack([cv2.Sobel(even, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))], -1)
    outwards = -slope / np.maximum(np.linalg.norm(slope, axis=-1, keepdims=True), 1e-6)
    place = np.indices(free.shape).transpose(1, 2, 0)[..., ::-1] + 2 * depth[..., None] * outwards
    place = place.astype(np.float32)
    mirrored, real = (
        cv2.remap(values, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        for values in (np.ascontiguousarray(image, np.float32), free)
    )
    smooth = spread(image, free)
    return smooth + (real >= 1)[..., None] * (mirrored - smooth)


def grown(mask: NDArray, radius: float) -> NDArray:
    """The greatest value (h,w) within a disc of this radius, pixels."""
    side = 2 * round(radius) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def put_before(person, plate, hidden, field, warped, visible, moving):
    """Changes warped (3,h,w), read through field (h,w,2) where visible (h,w) is not 0: where that reads beside the
    person, the plate is seen instead. Into moving (h,w,2): the field, as far as what is seen moves or was hidden.
    """
    height, width = visible.shape
    for y in range(height):
        for x in range(width):
            dx, dy = field[y, x, 0], field[y, x, 1]
            moving[y, x, 0], moving[y, x, 1] = dx, dy
            if (dx == 0.0 and dy == 0.0) or visible[y, x] == 0.0:
                continue
            row = min(max(np.float32(y) + dy, np.float32(0)), np.float32(height - 1))
            column = min(max(np.float32(x) + dx, np.float32(0)), np.float32(width - 1))
            share = _one(person, row, column)
            if share >= 1.0:
                continue
            for c in range(3):
                warped[c, y, x] = plate[y, x, c] + share * (warped[c, y, x] - plate[y, x, c])
            new = (np.float32(1) - share) * hidden[y, x]
            changed = max(share, new)
            moving[y, x, 0], moving[y, x, 1] = dx * changed, dy * changed


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _one(values, row, column):
    """values (h,w) at (row, column) within it, in units where pixel centres are whole numbers."""
    y, x = min(int(row), values.shape[0] - 2), min(int(column), values.shape[1] - 2)
    down, right = row - np.float32(y), column - np.float32(x)
    above = values[y, x] + right * (values[y, x + 1] - values[y, x])
    below = values[y + 1, x] + right * (values[y + 1, x + 1] - values[y + 1, x])
    return above + down * (below - above)

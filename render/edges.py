"""Where one surface of the body ends before another (a jaw before the neck, a lip before the chin) neighbouring pixels
read the photo at far places: without a camera's softness such an edge is a stair of pixels."""

import numba
import numpy as np
from numpy.typing import NDArray

JUMP = 1.5  # pixels of the photo, more than one, between what neighbouring pixels read
SIDE, CORNER = np.float32(0.46), np.float32(0.21)  # weights of neighbours: a Gaussian of 0.8 pixels


def soften_jumps(field: NDArray, face_id: NDArray, planes: NDArray, visible: NDArray) -> None:
    """In place: known pixels of the body whose neighbours read the photo elsewhere become means of what is around them.

    field (h,w,2): displacements into the photo; face_id (h,w): negative off the body; planes (3,h,w), visible (h,w).
    """
    places = np.argwhere(_jumps(field, face_id, visible))
    if len(places):
        planes[:, places[:, 0], places[:, 1]] = _means(planes, visible, places)


@numba.njit(cache=True, nogil=True)
def _jumps(field, face_id, visible):
    """(h,w) bool: the pixels on both sides of a jump. The outermost ones stay."""
    height, width = face_id.shape
    found, least = np.zeros((height, width), np.bool_), np.float32(JUMP * JUMP)
    for y in range(1, height - 2):
        for x in range(1, width - 2):
            if face_id[y, x] < 0 or visible[y, x] != 1.0:
                continue
            for j, i in ((y, x + 1), (y + 1, x)):
                if face_id[j, i] < 0 or visible[j, i] != 1.0:
                    continue
                dx, dy = field[j, i, 0] - field[y, x, 0], field[j, i, 1] - field[y, x, 1]
                if dx * dx + dy * dy > least:
                    found[y, x] = found[j, i] = True
    return found


@numba.njit(cache=True, nogil=True)
def _means(planes, visible, places):
    """(3,n) colours at the places (n,2): of the 3 x 3 pixels that have one, the nearer the more."""
    means = np.zeros((3, len(places)), np.float32)
    for n in range(len(places)):
        y, x, total = places[n, 0], places[n, 1], np.float32(0)
        for j in range(-1, 2):
            for i in range(-1, 2):
                if visible[y + j, x + i] > 0:
                    weight = np.float32(1) if i == j == 0 else CORNER if i and j else SIDE
                    total += weight
                    for c in range(3):
                        means[c, n] += weight * planes[c, y + j, x + i]
        for c in range(3):
            means[c, n] /= total
    return means

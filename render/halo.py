"""The motion of what the mesh does not have (hair, hats, collars, air): the body's, carried outwards and faded to none.

Fields are displacements in pixels from a pixel of the new frame to its place in the photo, arrays (h, w, 2) float32.
"""

from collections.abc import Sequence

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

RIM = 0.08  # how far inside its outline the body lends its motion to the halo, in halo widths
HIDDEN_TRUST = 0.25  # weight of rim pixels whose skin the photo does not show
NO_FOLD = 2.5  # a halo is at least this many times as wide as it moves: the background is stretched, never folded
REST, GO = 0.05, 0.3  # pixels at 128: less motion than REST is none, so that the far background stands still
COARSE = 48  # cells of the grid on which far places ask every rim cell
LOCAL = 4.0  # how soon a partly known cell is taken for known


def depth_inside(body: NDArray) -> NDArray:
    """(h,w) bool -> distance of each body pixel to the nearest pixel that is none (0 off the body)."""
    return cv2.distanceTransform(body.astype(np.uint8), cv2.DIST_L2, 5)


def add_halo(field: NDArray, body: NDArray, seen: NDArray, reach: NDArray, photo_inside: NDArray) -> NDArray:
    """The field, known on the body (h,w) bool, made whole.

    seen (h,w): 1 where the photo shows the skin; reach (h,w): how far the halo of a body pixel extends (pixels): there
    about half of the rim's displacement is left, beyond 1.5 reach none; photo_inside (h,w): `depth_inside` of the
    photo's body.
    """
    if not body.any() or not field.any():
        return field
    inside = depth_inside(body)
    rim = body & (inside <= np.maximum(1.5, RIM * reach))
    weight = rim * (np.float32(HIDDEN_TRUST) + np.float32(1 - HIDDEN_TRUST) * seen)
    lent = outline_to_outline(field, rim, inside, photo_inside)
    whole = spread(np.dstack([lent, reach]), weight)
    distance = cv2.distanceTransform(1 - body.astype(np.uint8), cv2.DIST_L2, 5) - 0.5
    far = length(whole)
    width = 1.5 * np.maximum(whole[..., 2], NO_FOLD * far)
    unit = len(field) / 128
    share = (1 - smoothstep(distance / np.maximum(width, 1e-3))) * smoothstep((far / unit - REST) / (GO - REST))
    return np.where(body[..., None], field, whole[..., :2] * share[..., None])


def outline_to_outline(field: NDArray, rim: NDArray, inside: NDArray, photo_inside: NDArray) -> NDArray:
    """The rim's displacements, changed so that its distance to the outline is the same in the photo.

    When a head turns, skin of its old inside becomes its outline; the air and hair beside that must still come from
    beside the photo's outline, not from the face. Differences below a pixel are left alone (nothing flickers).
    """
    rows, columns = np.nonzero(rim)
    place = columns + field[rows, columns, 0], rows + field[rows, columns, 1]
    here = _read(photo_inside, *place)
    excess = np.maximum(here - inside[rows, columns] - 1, 0)
    if not excess.any():
        return field
    slopes = (cv2.Scharr(photo_inside, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    outwards = -np.stack([_read(slope, *place) for slope in slopes], 1)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    lent = field.copy()
    lent[rows, columns] += outwards * excess[:, None]
    return lent


def _read(values: NDArray, columns: NDArray, rows: NDArray) -> NDArray:
    """values (h,w) interpolated at n places."""
    return cv2.remap(values, columns[None].astype(np.float32), rows[None].astype(np.float32), cv2.INTER_LINEAR)[0]


def spread(values: NDArray, weight: NDArray) -> NDArray:
    """Fill values (h,w,c) where weight (h,w) is 0 from the nearest known ones, smoothly.

    Push-pull (Gortler et al., The Lumigraph, 1996, 3.4.2) down to a coarse grid, inverse-distance weights on that grid:
    far away, a near still shoulder counts for more than a large moving head.
    """
    levels = [np.dstack([values * weight[..., None], weight]).astype(np.float32)]
    while max(levels[-1].shape[:2]) > COARSE:
        levels.append(_resized(levels[-1], [(n + 1) // 2 for n in levels[-1].shape[:2]], cv2.INTER_AREA))
    filled = inverse_distance(levels[-1])
    for level in levels[-2::-1]:
        known = level[..., -1:]
        confidence = np.minimum(1, LOCAL * known)
        coarse = _resized(filled, level.shape[:2], cv2.INTER_LINEAR)
        filled = coarse + confidence * (level[..., :-1] / np.maximum(known, 1e-12) - coarse)
    return filled


def _resized(image: NDArray, shape: Sequence[int], kind: int) -> NDArray:
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=kind)).reshape(*shape, -1)


@numba.njit(cache=True, nogil=True)
def inverse_distance(cells):
    """cells (h,w,c+1): values * weight, weight -> (h,w,c): the known, elsewhere their mean, weights / distance^4."""
    height, width, channels = cells.shape[0], cells.shape[1], cells.shape[2] - 1
    rows, columns = np.nonzero(cells[:, :, channels] > 0)
    filled = np.zeros((height, width, channels), np.float32)
    for y in range(height):
        for x in range(width):
            total = cells[y, x, channels]
            if total > 0:
                for c in range(channels):
                    filled[y, x, c] = cells[y, x, c] / total
                continue
            for k in range(len(rows)):
                r2 = np.float32((rows[k] - y) ** 2 + (columns[k] - x) ** 2)
                share = 1.0 / ((r2 + 0.01) * (r2 + 0.01))
                total += share * cells[rows[k], columns[k], channels]
                for c in range(channels):
                    filled[y, x, c] += share * cells[rows[k], columns[k], c]
            for c in range(channels):
                filled[y, x, c] /= max(total, 1e-30)
    return filled


def length(field: NDArray) -> NDArray:
    """(h,w,2+) -> (h,w): of the first two components. (Not by OpenCV, whose last bit depends on memory addresses.)"""
    return np.sqrt(field[..., 0] * field[..., 0] + field[..., 1] * field[..., 1])


def smoothstep(x: NDArray) -> NDArray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)

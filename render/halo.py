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
    return cv2.distanceTransform(body.view(np.uint8), cv2.DIST_L2, 5)


def add_halo(
    field: NDArray,
    body: NDArray,
    seen: NDArray,
    reach: NDArray,
    photo_inside: NDArray,
    outlined: NDArray | None = None,
) -> NDArray:
    """The field, known on the body (h,w) bool, made whole.

    seen (h,w): 1 where the photo shows the skin; reach (h,w): how far the halo of a body pixel extends (pixels): there
    about half of the rim's displacement is left, beyond 1.5 reach none; photo_inside (h,w): `depth_inside` of the
    photo's body; outlined (h,w) bool: the body whose outline is meant, where only a part of it is known.
    """
    if not body.any() or not field.any():
        return field
    inside = depth_inside(body)
    rim = body & (inside <= np.maximum(1.5, RIM * reach))
    weight = rim * (np.float32(HIDDEN_TRUST) + np.float32(1 - HIDDEN_TRUST) * seen)
    lent = outline_to_outline(field, rim, inside if outlined is None else depth_inside(outlined), photo_inside)
    known = np.empty((*body.shape, 3), np.float32)
    known[..., :2], known[..., 2] = lent, reach
    whole = spread(known, weight)
    distance = cv2.distanceTransform((~body).view(np.uint8), cv2.DIST_L2, 5)
    return _come_to_rest(field, body, whole, distance, np.float32(len(field) / 128))


def stretched(bare: NDArray, bare_body: NDArray, whole: NDArray, body: NDArray) -> NDArray:
    """Two halos (h,w,2) become one: `bare`, of `bare_body` (h,w) bool, the part of the body whose skin is seen, right
    beside it; farther out `whole`, of all of the body. In between it is stretched, never folded: beside a head that
    turns away hair comes round with the cheek at its inner edge, and with the head's outline at its outer one."""
    beside = cv2.dilate(body.view(np.uint8), np.ones((3, 3), np.uint8)) - body.view(np.uint8)
    outside = np.where(body[..., None], spread(whole, beside.astype(np.float32)), whole)
    away = cv2.distanceTransform((~bare_body).view(np.uint8), cv2.DIST_L2, 5)
    width = np.maximum(np.float32(NO_FOLD) * np.linalg.norm(outside - bare, axis=-1), np.float32(1e-3))
    share = smoothstep((away - np.float32(0.5)) / width)[..., None]
    return np.where(bare_body[..., None], bare, bare + share * (outside - bare)).astype(np.float32)


@numba.njit(cache=True, nogil=True)
def _come_to_rest(field, body, whole, distance, unit):
    """The body's own field (h,w,2), around it the spread one: whole (h,w,3) with its reach, less with the distance."""
    result = field.copy()
    for y in range(len(field)):
        for x in range(field.shape[1]):
            if body[y, x]:
                continue
            dx, dy = whole[y, x, 0], whole[y, x, 1]
            far = np.sqrt(dx * dx + dy * dy)
            width = max(np.float32(1.5) * max(whole[y, x, 2], np.float32(NO_FOLD) * far), np.float32(1e-3))
            near = np.float32(1) - smooth((distance[y, x] - np.float32(0.5)) / width)
            share = near * smooth((far / unit - np.float32(REST)) / np.float32(GO - REST))
            result[y, x, 0], result[y, x, 1] = dx * share, dy * share
    return result


@numba.njit(cache=True, nogil=True)
def smooth(x):
    """`smoothstep` of one number."""
    x = min(max(x, np.float32(0)), np.float32(1))
    return x * x * (np.float32(3) - np.float32(2) * x)


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
    levels = [_weighted(values, weight)]
    while max(levels[-1].shape[:2]) > COARSE:
        levels.append(_resized(levels[-1], [(n + 1) // 2 for n in levels[-1].shape[:2]], cv2.INTER_AREA))
    filled = inverse_distance(levels[-1])
    for level in levels[-2::-1]:
        filled = _resized(filled, level.shape[:2], cv2.INTER_LINEAR)
        _believe(level, filled)
    return filled


@numba.njit(cache=True, nogil=True)
def _weighted(values, weight):
    """(h,w,c), (h,w) -> (h,w,c+1): values * weight, weight."""
    height, width, channels = values.shape
    product = np.zeros((height, width, channels + 1), np.float32)
    for y in range(height):
        for x in range(width):
            if weight[y, x] != 0:
                for c in range(channels):
                    product[y, x, c] = values[y, x, c] * weight[y, x]
                product[y, x, channels] = weight[y, x]
    return product


@numba.njit(cache=True, nogil=True)
def _believe(level, filled):
    """Changes filled (h,w,c), come from a coarser level, towards what is known at this one (h,w,c+1)."""
    height, width, channels = filled.shape
    for y in range(height):
        for x in range(width):
            known = level[y, x, channels]
            if known > 0:
                confidence = min(np.float32(1), np.float32(LOCAL) * known)
                for c in range(channels):
                    filled[y, x, c] += confidence * (level[y, x, c] / known - filled[y, x, c])


def _resized(image: NDArray, shape: Sequence[int], kind: int) -> NDArray:
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=kind)).reshape(*shape, -1)


@numba.njit(cache=True, nogil=True)
def inverse_distance(cells):
    """cells (h,w,c+1): values * weight, weight -> (h,w,c): the known, elsewhere their mean, weights / distance^4."""
    height, width, channels = cells.shape[0], cells.shape[1], cells.shape[2] - 1
    rows, columns = np.nonzero(cells[:, :, channels] > 0)
    filled = np.zeros((height, width, channels), np.float32)
    sums, shares = np.empty((channels + 1, width), np.float32), np.empty(width, np.float32)
    for y in range(height):
        sums[:] = 0
        for k in range(len(rows)):
            across, column = np.float32((rows[k] - y) ** 2) + np.float32(0.01), np.float32(columns[k])
            for x in range(width):  # simple inner loops: the processor does several steps of them at once
                away = column - np.float32(x)
                r2 = across + away * away
                shares[x] = np.float32(1) / (r2 * r2)
            for c in range(channels + 1):
                _add(sums[c], shares, cells[rows[k], columns[k], c])
        for x in range(width):
            known = cells[y, x, channels]
            for c in range(channels):
                if known > 0:
                    filled[y, x, c] = cells[y, x, c] / known
                else:
                    filled[y, x, c] = sums[c, x] / max(sums[channels, x], np.float32(1e-30))
    return filled


@numba.njit(cache=True, nogil=True)
def _add(sums, shares, value):
    for x in range(len(sums)):
        sums[x] += value * shares[x]


def smoothstep(x: NDArray) -> NDArray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)

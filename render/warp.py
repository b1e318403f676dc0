"""The photo carried along the moving body (VLOGGER 3.2, C^w), what of it is known, and what must be repainted.

Per frame: every body pixel asks where its skin point lies in the photo and whether the photo shows it (a depth test
against the body in the photo's pose); the motion is extended to hair and background (`render.halo`); the photo is read
there. Arrays are numpy, (h, w, ...), float32; displacements point from the new frame to the photo, in pixels.
"""

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from render.guess import Looks, Seen, closing, draw_guesses, kinds_seen
from render.halo import add_halo, depth_inside, smoothstep
from render.mouth import lend_lips

FINE = 3  # the photo's depth buffer has FINE x FINE samples per pixel; odd, so that one lies on the pixel's centre
DEPTH_TOLERANCE = 5e-4  # metres: what lies deeper behind the photo's surface is hidden (an eye behind its lid)
FOLD_TOLERANCE = 3e-3  # the same for skin: a lid folded under its brow is read from the fold
STILL, MOVING = 0.15, 0.6  # displacement below which nothing is repainted, above which all is (pixels at 128)
GROW, SOFT, BORDER = 3.0, 1.2, 6.0  # of the repainted region: margin, blur, distance to the frame's edge (same)
HIDDEN_NEAR = 10.0  # a newly uncovered pixel counts as moved when something within this distance moved (same)
SLIP = 1.5  # how well outlines are known: the halo may read this far inside the photo's body (same)
FAR = 1e9


@dataclass(frozen=True)
class PhotoView:
    """The photo and the body as the photo shows it: everything that does not depend on the frame.

    image (h,w,3) in [0,1]; projected (V,3) u, v, depth; faces (F,3); area (F,) `areas` of its faces;
    farthest (3h,3w) metres, the greatest depth seen around each fine sample; inside (h,w) distance of body pixels to
    the outline; reach (F,) the halo's width around each face; folds (F,) bool: skin that may fold (not
    lips, eyes, mouth); looks: of what the photo hides. Lengths in pixels.
    """

    image: NDArray
    projected: NDArray
    faces: NDArray
    area: NDArray
    farthest: NDArray
    inside: NDArray
    reach: NDArray
    folds: NDArray
    looks: Looks


@dataclass(frozen=True)
class Warp:
    """field (h,w,2); warped (h,w,3), 0 where unknown; visible (h,w) 0, 0.5 (a guess) or 1; moved (h,w) in [0,1]."""

    field: NDArray
    warped: NDArray
    visible: NDArray
    moved: NDArray


def farthest_around(depth: NDArray) -> NDArray:
    """A depth buffer (H,W), 0 = nothing, -> the greatest depth among each sample and its 8 neighbours (FAR = nothing).

    What is compared with it gets the slope of the surface as tolerance, to half a pixel of the photo.
    """
    return cv2.dilate(np.where(depth > 0, depth, FAR).astype(np.float32), np.ones((FINE, FINE), np.uint8))


def warp_photo(view: PhotoView, projected: NDArray, face_id: NDArray, bary: NDArray) -> Warp:
    """The photo as the body in a new pose shows it: projected (V,3) and what each pixel sees, (h,w) and (h,w,3)."""
    area = areas(projected, view.faces)
    same_side = area * view.area > 0
    field, seen = body_field(face_id, bary, view.faces, view.projected, same_side, view.farthest, view.folds)
    kind = kinds_seen(view.looks.kind, face_id)
    lend_lips(field, seen, kind, view.looks.mouth)
    slip = SLIP * len(field) / 128
    body = solid(face_id >= 0, seen, slip)
    reach = view.reach[np.maximum(face_id, 0)]
    field = add_halo(field, body, seen, reach, view.inside)
    warped, visible = read_photo(view.image, field, view.inside, body, np.where(body, seen, 1).astype(np.float32), slip)
    drawn = Seen(kind, face_id, bary, projected, closing(view.looks, projected))
    draw_guesses(view.looks, drawn, warped, visible)
    return Warp(field, warped, visible, moved_mask(field, (visible == 1).astype(np.float32)))


def solid(body: NDArray, seen: NDArray, slip: float) -> NDArray:
    """The body (h,w) without the hidden skin that lies nearer than `slip` to its outline.

    Outlines are not known better than that: there the halo (hair that comes round with the head) tells more.
    """
    return body & ((seen > 0) | (depth_inside(body) > slip))


def areas(projected: NDArray, faces: NDArray) -> NDArray:
    """(F,) twice the projected area of each face in pixels^2; its sign tells which side is seen."""
    a, b, c = (projected[faces[:, k], :2] for k in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])


@numba.njit(cache=True, nogil=True)
def body_field(face_id, bary, faces, photo, same_side, farthest, folds):
    """Displacement (h,w,2) of the body's pixels (0 elsewhere) and whether the photo shows their skin (h,w) 0 or 1.

    Shown: inside the photo, the face turned the same way as now, and nothing nearer there; or hardly hidden in a fold.
    """
    height, width = face_id.shape
    fine_h, fine_w = farthest.shape
    field = np.zeros((height, width, 2), np.float32)
    seen = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            f = face_id[y, x]
            if f < 0:
                continue
            u, v, w = 0.0, 0.0, 0.0
            for k in range(3):
                i = faces[f, k]
                share = np.float64(bary[y, x, k]) * photo[i, 2]
                u += share * photo[i, 0]
                v += share * photo[i, 1]
                w += share
            u, v = u / w, v / w
            field[y, x, 0], field[y, x, 1] = u - (x + 0.5), v - (y + 0.5)
            fx, fy = int(np.floor(u * FINE)), int(np.floor(v * FINE))
            if 0 <= fx < fine_w and 0 <= fy < fine_h:
                behind = w - farthest[fy, fx]
                if (same_side[f] and behind <= DEPTH_TOLERANCE) or (folds[f] and abs(behind) <= FOLD_TOLERANCE):
                    seen[y, x] = 1.0
    return field, seen


@numba.njit(cache=True, nogil=True)
def read_photo(image, field, inside, body, seen, slip):
    """The photo's colours (h,w,3) at pixel + field, 0 where unknown, and what is known (h,w).

    Unknown: skin that the photo does not show, and halo pixels that would read the photo's body deeper than `slip`.
    """
    height, width = body.shape
    warped = np.zeros((height, width, 3), np.float32)
    visible = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            u, v = x + field[y, x, 0], y + field[y, x, 1]
            row = min(max(int(np.floor(v + 0.5)), 0), height - 1)
            column = min(max(int(np.floor(u + 0.5)), 0), width - 1)
            if seen[y, x] == 0.0 or (not body[y, x] and inside[row, column] > slip):
                continue
            visible[y, x] = 1.0
            half_x = _half_footprint(field, y, x, 0)
            half_y = _half_footprint(field, y, x, 1)
            taps = 4 if half_x > 0.0 or half_y > 0.0 else 1
            for k in range(taps):
                du = half_x if k % 2 else -half_x
                dv = half_y if k // 2 else -half_y
                _add_bilinear(image, v + dv, u + du, 1.0 / taps, warped[y, x])
    return warped, visible


@numba.njit(cache=True, nogil=True)
def _half_footprint(field, y, x, axis):
    """Half of how much wider than a pixel (along u: axis 0, along v: 1) the pixel's footprint in the photo is."""
    height, width = field.shape[:2]
    x0, x1, y0, y1 = max(x - 1, 0), min(x + 1, width - 1), max(y - 1, 0), min(y + 1, height - 1)
    along_x = (field[y, x1, axis] - field[y, x0, axis]) / (x1 - x0)
    along_y = (field[y1, x, axis] - field[y0, x, axis]) / (y1 - y0)
    if axis == 0:
        along_x += 1.0
    else:
        along_y += 1.0
    extent = np.sqrt(along_x * along_x + along_y * along_y)
    return 0.25 * (extent - 1.0) if 1.0 < extent < 3.0 else 0.0


@numba.njit(cache=True, nogil=True)
def _add_bilinear(image, row, column, weight, out):
    """Add weight * image at (row, column), in units where pixel centres are whole numbers, to out (3,)."""
    height, width = image.shape[:2]
    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
    y0, x0 = min(int(row), height - 2), min(int(column), width - 2)
    fy, fx = row - y0, column - x0
    for c in range(3):
        top = image[y0, x0, c] * (1 - fx) + image[y0, x0 + 1, c] * fx
        bottom = image[y0 + 1, x0, c] * (1 - fx) + image[y0 + 1, x0 + 1, c] * fx
        out[c] += weight * (top * (1 - fy) + bottom * fy)


def moved_mask(field: NDArray, visible: NDArray) -> NDArray:
    """(h,w): 0 where the frame stays as the photo shows it, 1 where it must be repainted, exactly 0 on the border.

    visible (h,w): 1 where the photo's colours are known, else 0. Continuous in the field: unknown pixels count only as
    much as something near them moves.
    """
    unit = len(field) / 128
    distance = np.hypot(field[..., 0], field[..., 1])
    if distance.max() <= STILL * unit:
        return np.zeros_like(visible)
    near = grey_dilate(distance, HIDDEN_NEAR * unit)
    raw = np.maximum(_motion(distance, unit), (1 - visible) * _motion(near, unit))
    sigma = SOFT * unit
    soft = cv2.GaussianBlur(grey_dilate(raw, GROW * unit), (0, 0), sigma)
    return (soft * border_fade(visible.shape[0], visible.shape[1], BORDER * unit)).astype(np.float32)


def _motion(distance: NDArray, unit: float) -> NDArray:
    return smoothstep((distance / unit - STILL) / (MOVING - STILL))


def grey_dilate(values: NDArray, radius: float) -> NDArray:
    """The greatest value (h,w) within a square of +-radius pixels."""
    size = 2 * round(radius) + 1
    return cv2.dilate(values.astype(np.float32), np.ones((size, size), np.uint8))


def border_fade(height: int, width: int, reach: float) -> NDArray:
    """(h,w): exactly 0 on the outermost pixels, 1 from `reach` inwards."""
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in (height, width))
    return smoothstep(np.minimum(y[:, None], x[None, :]) / reach)

"""The photo carried along the moving body (VLOGGER 3.2, C^w), what of it is known, and what must be repainted.

Per frame: every body pixel asks where its skin point lies in the photo and whether the photo shows it (a depth test
against the body in the photo's pose); the motion is extended to hair and background (`render.halo`); the photo is read
there. Arrays are numpy, (h, w, ...), float32; displacements point from the new frame to the photo, in pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from render.anatomy import HIDDEN, SKIN, box_of
from render.backdrop import Backdrop, put_before
from render.edges import soften_jumps
from render.guess import MARGIN, NOTHING, Looks, Seen, draw_guesses
from render.halo import add_halo, depth_inside, smooth, smoothstep, stretched
from render.mouth import lend_lips
from render.read import colours_at, read_photo

FINE = 3  # the photo's depth buffer has FINE x FINE samples per pixel; odd, so that one lies on the pixel's centre
DEPTH_TOLERANCE = 5e-4  # metres: what lies deeper behind the photo's surface is hidden (an eye behind its lid)
FOLD_TOLERANCE = 3e-3  # the same for skin: a lid folded under its brow is read from the fold
STILL, MOVING = 0.15, 0.6  # displacement below which nothing is repainted, above which all is (pixels at 128)
GROW, SOFT, BORDER = 3.0, 1.2, 6.0  # of the repainted region: margin, blur, distance to the frame's edge (same)
HIDDEN_NEAR = 10.0  # a newly uncovered pixel counts as moved when something within this distance moved (same)
SLIP = 1.5  # how well outlines are known: the halo may read this far inside the photo's body (same)
RING = 0.6  # width of the outline of skin that hair or air beside it takes along (same), a pixel at least
DEEPEST = 8.0  # how far from seen skin hair is stretched (same)
ISLAND = 2.5  # half the width of skin that hair around it takes along (same)
GAP = 1.0  # how far what is known reaches into what is not (same)
HALO_GRID = 128  # cells to a side on which the halo is made
FAR = 1e9


@dataclass(frozen=True)
class PhotoView:
    """The photo and the body as the photo shows it: everything that does not depend on the frame.

    image (h,w,3) in [0,1]; projected (V,3) u, v, depth; faces (F,3); front (F,) bool, which side it shows of each face;
    farthest (3h,3w) metres, the greatest depth seen around each fine sample; inside (h,w) distance of body pixels to
    the outline, coarse_inside the same on the halo's grid; reach (F,) the halo's width around each face; folds (F,)
    bool: skin that may fold (not lips, eyes, mouth); looks: of what the photo hides. Lengths in pixels. backdrop: what
    stands still behind the person; None: the halo bends it.
    """

    image: NDArray
    projected: NDArray
    faces: NDArray
    front: NDArray
    farthest: NDArray
    inside: NDArray
    coarse_inside: NDArray
    reach: NDArray
    folds: NDArray
    looks: Looks
    backdrop: Backdrop | None = None


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


def warp_photo(
    view: PhotoView, projected: NDArray, face_id: NDArray, bary: NDArray, into: tuple[NDArray, NDArray] | None = None
) -> Warp:
    """The photo as the body in a new pose shows it: projected (V,3) and what each pixel sees, (h,w) and (h,w,3).

    `into`: arrays (3,h,w) and (h,w) of zeros that are to hold `warped` and `visible`; None makes them.
    """
    field, seen, kind = body_field(face_id, bary, projected, view)
    box = box_of(kind, HIDDEN, MARGIN * view.looks.scale)
    lend_lips(field, seen, kind, view.looks.mouth)
    slip = SLIP * len(field) / 128
    inside = depth_inside(face_id >= 0)
    body = trusted(field, seen, inside, view.inside, slip)
    lent = lent_to_hair(body, seen, kind, inside) if view.backdrop is not None else None
    field = with_halo(field, body, lent, seen, face_id, view)
    if lent is not None:
        seen[lent] = 1
    planes, visible = into or (np.zeros((3, *seen.shape), np.float32), np.zeros(seen.shape, np.float32))
    read_photo(view.image, field, view.inside, body, seen, slip, planes, visible)
    moving = field
    if view.backdrop is not None:
        close_gaps(view.image, field, kind, planes, visible)
        moving = np.empty_like(field)
        behind = (view.backdrop.person, view.backdrop.plate, view.backdrop.hidden)
        put_before(*behind, field, planes, visible, moving)
    warped = planes.transpose(1, 2, 0)
    if box is not None:
        draw_guesses(view.looks, Seen(kind[box], face_id[box], bary[box], projected), warped[box], visible[box])
    soften_jumps(field, face_id, planes, visible)
    return Warp(field, warped, visible, moved_mask(moving, visible))


def trusted(field: NDArray, seen: NDArray, inside: NDArray, photo_inside: NDArray, slip: float) -> NDArray[np.bool_]:
    """The body (h,w) without the hidden skin that lies nearer than `slip` to its outline. Changes seen (h,w).

    inside, photo_inside (h,w): `depth_inside`. Skin within `slip` of the photo's outline may be background there,
    stretched over the cheek when the head turns: it is unseen where it comes to lie deeper inside. Outlines are not
    known better than that; at the new one the halo (hair that comes round with the head) tells more.
    """
    body = np.zeros(seen.shape, np.bool_)
    _trust(field, seen, inside, photo_inside, slip, body)
    return body


@numba.njit(cache=True, nogil=True)
def _trust(field, seen, inside, photo_inside, slip, body):
    height, width = seen.shape
    for y in range(height):
        for x in range(width):
            if inside[y, x] == 0.0:
                continue
            if seen[y, x] != 0.0:
                row = min(max(int(np.floor(y + field[y, x, 1] + 0.5)), 0), height - 1)
                column = min(max(int(np.floor(x + field[y, x, 0] + 0.5)), 0), width - 1)
                if photo_inside[row, column] < slip + 1 and inside[y, x] > photo_inside[row, column] + slip:
                    seen[y, x] = 0.0
            body[y, x] = seen[y, x] > 0.0 or inside[y, x] > slip


def lent_to_hair(body: NDArray[np.bool_], seen: NDArray, kind: NDArray[np.uint8], inside: NDArray) -> NDArray[np.bool_]:
    """(h,w) skin of the body (h,w) that is not drawn as such: what the photo hides, islands of seen skin in that, and
    the outline, where no fit tells skin from hair.

    A head that turns uncovers skin which the photo does not show. What is beside it in the photo, hair, an ear, then
    the room, comes round with the last skin that is seen (`render.halo.stretched`).
    """
    lent = body & ((seen == 0) | (inside < max(1.2, RING * len(body) / 128))) & (kind == SKIN)
    if lent.any():
        side = 2 * round(ISLAND * len(body) / 128) + 1
        shape = np.ones((side, side), np.uint8)
        own = (body & ~lent).view(np.uint8)
        islands = (own > cv2.morphologyEx(own, cv2.MORPH_OPEN, shape)) & (cv2.dilate(lent.view(np.uint8), shape) > 0)
        lent |= islands & (kind == SKIN)
        lent &= cv2.distanceTransform(1 - (body & ~lent).view(np.uint8), cv2.DIST_L2, 5) < DEEPEST * len(body) / 128
    return lent


def close_gaps(image: NDArray, field: NDArray, kind: NDArray[np.uint8], planes: NDArray, visible: NDArray) -> None:
    """Gaps in what is known, up to GAP wide to each side, move as the nearest known pixel: field (h,w,2), planes
    (3,h,w) and visible (h,w) are changed there. Wider holes lose their rim. Not what is drawn by `render.guess`."""
    known = visible != 0
    gap = ~known & ((kind == SKIN) | (kind == NOTHING))
    if gap.any():
        _extend(gap, known, GAP * len(visible) / 128, image, field, planes, visible)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _extend(gap, known, reach, image, field, planes, visible):
    height, width = gap.shape
    wide = int(reach)
    for y in range(height):
        for x in range(width):
            if not gap[y, x]:
                continue
            row, column, least = -1, -1, reach * reach
            for j in range(max(y - wide, 0), min(y + wide + 1, height)):
                for i in range(max(x - wide, 0), min(x + wide + 1, width)):
                    away = (j - y) ** 2 + (i - x) ** 2
                    if known[j, i] and (away < least or (row < 0 and away == least)):
                        row, column, least = j, i, away
            if row >= 0:
                dx, dy = field[row, column, 0], field[row, column, 1]
                field[y, x, 0], field[y, x, 1], visible[y, x] = dx, dy, 1.0
                colours = colours_at(image, np.float32(y) + dy, np.float32(x) + dx)
                planes[0, y, x], planes[1, y, x], planes[2, y, x] = colours


def facing(projected: NDArray, faces: NDArray) -> NDArray[np.bool_]:
    """(F,) which side of each face is seen (the sign of its projected area)."""
    a, b, c = (projected[faces[:, k], :2] for k in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) > (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])


def body_field(
    face_id: NDArray, bary: NDArray, projected: NDArray, view: PhotoView
) -> tuple[NDArray, NDArray, NDArray[np.uint8]]:
    """Displacement (h,w,2) of the body's pixels (0 elsewhere), whether the photo shows their skin (h,w) 0 or 1, and
    their kind (h,w) as in `render.anatomy` (NOTHING elsewhere).

    Shown: inside the photo, the face turned the same way as now, and nothing nearer there; or hardly hidden in a fold.
    """
    shape = face_id.shape
    field, seen = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
    kind = np.full(shape, NOTHING, np.uint8)
    told = (view.faces, view.projected, view.front, view.farthest, view.folds, view.looks.kind)
    _body_field(face_id, bary, projected, *told, field, seen, kind)
    return field, seen, kind


@numba.njit(cache=True, nogil=True)
def _body_field(face_id, bary, now, faces, photo, front, farthest, folds, kind_of_face, field, seen, kind):
    fine_h, fine_w = farthest.shape
    corners, last, same_side, fold, its_kind = np.empty((3, 3)), -1, False, False, np.uint8(0)
    for y in range(face_id.shape[0]):
        for x in range(face_id.shape[1]):
            f = face_id[y, x]
            if f < 0:
                continue
            if f != last:
                for k in range(3):
                    i = faces[f, k]
                    w = np.float64(photo[i, 2])
                    corners[k, 0], corners[k, 1], corners[k, 2] = w * photo[i, 0], w * photo[i, 1], w
                same_side = _front(now, faces[f, 0], faces[f, 1], faces[f, 2]) == front[f]
                last, fold, its_kind = f, folds[f], kind_of_face[f]
            kind[y, x] = its_kind
            a, b, c = np.float64(bary[y, x, 0]), np.float64(bary[y, x, 1]), np.float64(bary[y, x, 2])
            w = a * corners[0, 2] + b * corners[1, 2] + c * corners[2, 2]
            inverse = 1.0 / w
            u = (a * corners[0, 0] + b * corners[1, 0] + c * corners[2, 0]) * inverse
            v = (a * corners[0, 1] + b * corners[1, 1] + c * corners[2, 1]) * inverse
            field[y, x, 0], field[y, x, 1] = u - (x + 0.5), v - (y + 0.5)
            if 0.0 <= u * FINE < fine_w and 0.0 <= v * FINE < fine_h:
                behind = w - farthest[int(v * FINE), int(u * FINE)]
                if (same_side and behind <= DEPTH_TOLERANCE) or (fold and abs(behind) <= FOLD_TOLERANCE):
                    seen[y, x] = 1.0


@numba.njit(cache=True, nogil=True)
def _front(points, i, j, k):
    """`facing` of one face, given its vertices' numbers."""
    one_x, one_y = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
    two_x, two_y = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1]
    return one_x * two_y > two_x * one_y


def with_halo(
    field: NDArray,
    body: NDArray[np.bool_],
    lent: NDArray[np.bool_] | None,
    seen: NDArray,
    face_id: NDArray,
    view: PhotoView,
) -> NDArray:
    """`halo.add_halo` on a grid of about `HALO_GRID` cells, as the halo is smooth; the body keeps its own field, but
    for what of it is `lent` (h,w), which moves with the halo."""
    cells = len(view.coarse_inside)
    step = len(field) // cells
    whole, coarse_body = _halo_of(field, body, seen, face_id, view, None)
    if whole is None:
        return field
    if lent is not None and lent.any():
        body = body & ~lent
        bare, coarse_bare = _halo_of(field, body, seen, face_id, view, coarse_body)
        if bare is not None:
            whole = stretched(bare, coarse_bare, whole, coarse_body)
    if step == 1:
        return np.where(body[..., None], field, whole)
    around_body = cv2.resize(step * whole, field.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    cv2.copyTo(field, body.view(np.uint8), around_body)
    return around_body


def _halo_of(
    field: NDArray, body: NDArray, seen: NDArray, face_id: NDArray, view: PhotoView, outlined: NDArray | None
) -> tuple[NDArray | None, NDArray[np.bool_]]:
    """The halo's field on the grid, in cells, and the cells (n,n) that are the body's; None without any."""
    cells = len(view.coarse_inside)
    step = len(field) // cells
    mean = np.zeros((cells, cells, 5), np.float32)
    _cell_means(field, body, seen, face_id, view.reach, step, mean)
    coarse_body = mean[..., 4] >= 0.5
    if not coarse_body.any():
        return None, coarse_body
    coarse = mean[..., :2] * (coarse_body[..., None] / np.float32(step))
    known = (coarse, coarse_body, mean[..., 2], mean[..., 3] / np.float32(step))
    return add_halo(*known, view.coarse_inside, outlined), coarse_body


@numba.njit(cache=True, nogil=True)
def _cell_means(field, body, seen, face_id, reach, step, mean):
    """Into mean (n,n,5): over each step x step cell, field, seen and reach of the body's pixels, and their share.

    reach (F,): of each face.
    """
    for y in range(len(body)):
        for x in range(len(body)):
            if body[y, x]:
                row, column = y // step, x // step
                mean[row, column, 0] += field[y, x, 0]
                mean[row, column, 1] += field[y, x, 1]
                mean[row, column, 2] += seen[y, x]
                mean[row, column, 3] += reach[face_id[y, x]]
                mean[row, column, 4] += 1
    for y in range(len(mean)):
        for x in range(len(mean)):
            count = mean[y, x, 4]
            if count > 0:
                for c in range(4):
                    mean[y, x, c] /= count
                mean[y, x, 4] = count / (step * step)


def coarse_grid(size: int) -> int:
    """How many cells to a side the halo of a picture of `size` pixels has: a whole number of pixels each."""
    step = max(1, round(size / HALO_GRID))
    return size // step if size % step == 0 else size


def moved_mask(field: NDArray, visible: NDArray) -> NDArray:
    """(h,w): 0 where the frame stays as the photo shows it, 1 where it must be repainted, exactly 0 on the border.

    visible (h,w): 1 where the photo's colours are known, else less. Continuous in the field: unknown pixels count only
    as much as something near them moves.
    """
    unit = len(field) / 128
    motion = np.empty(visible.shape, np.uint8)
    if not _motion(field, np.float32(unit), motion):
        return np.zeros_like(visible)
    if visible.min() < 1:
        near = grey_dilate(motion, HIDDEN_NEAR * unit)
        cv2.copyTo(near, (visible < 1).view(np.uint8), motion)
    soft = blurred(grey_dilate(motion, GROW * unit), SOFT * unit)
    return soft * border_fade(visible.shape[0], visible.shape[1], BORDER * unit)


def blurred(mask: NDArray, sigma: float) -> NDArray:
    """A Gaussian blur (h,w) uint8, a wide one on a coarser grid, which blurs a little by itself."""
    step, (height, width) = max(1, 2 ** int(np.log2(sigma / SOFT))), mask.shape
    if step == 1 or height % step or width % step:
        return cv2.GaussianBlur(mask, (0, 0), sigma)
    small = cv2.resize(mask, (width // step, height // step), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), float(np.sqrt((sigma / step) ** 2 - 0.25)))
    return cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)


@numba.njit(cache=True, nogil=True)
def _motion(field, unit, motion):
    """Into motion (h,w) uint8: from 0 for what moves no farther than STILL to 255 from MOVING on; whether any is not 0.

    In 255 steps, as a mask for 8-bit pictures: OpenCV grows and blurs bytes several times as fast as floats.
    """
    still, width, some = np.float32(STILL), np.float32(MOVING - STILL), False
    low, high = (np.float32(STILL) * unit) ** 2, (np.float32(MOVING) * unit) ** 2
    for y in range(motion.shape[0]):
        for x in range(motion.shape[1]):
            squared = field[y, x, 0] * field[y, x, 0] + field[y, x, 1] * field[y, x, 1]
            motion[y, x] = 0
            if squared > low:
                some, motion[y, x] = True, 255
                if squared < high:
                    share = smooth((np.sqrt(squared) / unit - still) / width)
                    motion[y, x] = np.uint8(np.float32(255) * share + np.float32(0.5))
    return some


def grey_dilate(values: NDArray, radius: float) -> NDArray:
    """The greatest value (h,w) within a square of +-radius pixels."""
    size = 2 * round(radius) + 1
    return cv2.dilate(values, np.ones((size, size), np.uint8))


@lru_cache(maxsize=4)
def border_fade(height: int, width: int, reach: float) -> NDArray:
    """(h,w): exactly 0 on the outermost pixels, 1 from `reach` inwards."""
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]).astype(np.float32) for n in (height, width))
    return smoothstep(np.minimum(y[:, None], x[None, :]) / reach).astype(np.float32) / 255

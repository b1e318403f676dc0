"""What the body model says about surfaces that the photo hides: mouth, eyeballs and lids, in the photo's light.

Where they are is known from the model, only their looks are invented: better than a hole.
"""

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from render import eyes, mouth
from render.anatomy import (
    EYE,
    HIDDEN,
    LID,
    LIPS,
    MOUTH,
    SINK,
    SKIN,
    UPPER,
    box_of,
    kind_is,
    kinds,
    lid_rims,
    lid_shares,
    local_places,
)
from render.halo import smoothstep
from vlogger.body.smplx import Body

GUESSED = 0.5  # of `Controls.visible`
NOTHING = 255  # kind of a pixel without body
FEWEST = 12  # pixels of teeth in a photo from which their colour is taken
MARGIN = 0.03  # metres around what is drawn that may lend it colour
NEARBY = 0.006  # metres: how far away skin lends its colour to a lid
CLOSE = 0.002  # and lips to the dark line between them: an upper lip under a moustache stays dark
CREASE, EDGE = (0.03, 0.10), (0.90, 1.01)  # shares of a blink (`anatomy.lid_shares`) that name parts of a lid
PLATE = 0.02  # where it begins
LASHES = 0.8  # how dark they make the lid
FOLD, DOME, LIT = 0.80, 0.93, 0.7  # brightness of a shut lid in its crease and from LIT of its way down on, of skin's
SOFT_LIDS = 0.002  # metres (standard deviation) by which a drawn lid's edges are softened
SWELL, FAINT = 1.4, 0.02  # how much opaquer that makes it; what counts as nothing
CLOSING = 1.25, 2.0  # times its length in the photo at which a lid begins to be drawn, and is
USUAL = 0.3  # by how much the brightness of skin may differ from the median to lend its colour
SEAM = 0.0015  # metres from an opened mouth within which a dark line between the photo's lips is not believed
SEAM_DARK = 0.75  # of the lips' usual brightness
SHUT = 4  # the photo's lashes are kept till the lid is nearly drawn: stretched over a closed one they are splinters
STIRRED = 0.1, 0.5  # of its length in the photo: a lid that begins to be moved, and is
STEP, EDGES = 0.1, 0.8  # of brightness: a step at the end of lid or lip that is softened; pixels (standard deviation)
SOFT = 0.6  # pixels (standard deviation) by which drawn edges are softened


Places = tuple[NDArray, ...]  # rows (n,) and columns (n,) of pixels


@dataclass(frozen=True)
class Looks:
    """A subject's hidden surfaces. faces (F,3); kind (F,), local (V,3) as in `render.anatomy`; plates, edges
    (V,2), lashes, relief (V,1), lid_ends: parts of the lids, lid_lengths (2,) in the photo; lips (n,) numbers of their
    vertices; scale pixels per metre; tones, iris (3,) colours; mouth: what the photo shows of it."""

    faces: NDArray
    kind: NDArray
    local: NDArray
    plates: NDArray
    edges: NDArray
    lashes: NDArray
    relief: NDArray
    lid_ends: list[tuple[NDArray, NDArray]]
    lid_lengths: NDArray
    lips: NDArray
    scale: float
    tones: mouth.Tones
    iris: NDArray
    mouth: mouth.MouthPhoto


def looks_of(image: NDArray, body: Body, projected: NDArray, scale: float, face_id: NDArray, bary: NDArray) -> Looks:
    """Read off the photo (h,w,3), of which face_id (h,w) and bary (h,w,3) say what it shows of the body; projected
    (V,3): that body."""
    faces, kind, local, lids = body.faces.numpy(), kinds(body), local_places(body), lid_shares(body)
    rims = lid_rims(body)[:, None]
    ends, shown = lid_ends(lids), kinds_seen(kind, face_id)
    places = interpolated(local, faces, np.maximum(face_id, 0), bary)
    white = eyes.white_of(image, shown, places)
    pale = mouth.toothlike(image, shown)
    return Looks(
        faces=faces,
        kind=kind,
        local=local,
        plates=lid_plates(lids, rims),
        edges=rims * (lids > 0),
        lashes=rims,
        relief=lid_relief(lids),
        lid_ends=ends,
        lid_lengths=lid_lengths(ends, projected),
        lips=np.unique(faces[kind == LIPS]),
        scale=scale,
        tones=mouth.Tones(white, tooth_of(image[pale & (shown == UPPER)], white), lip_of(image[shown == LIPS], white)),
        iris=eyes.iris_of(image, shown, places, white),
        mouth=mouth.mouth_photo(image, shown, scale),
    )


def tooth_of(teeth: NDArray, white: NDArray) -> NDArray:
    """The colour (3,) of a tooth in full light: the photo's own (n,3), or the usual one under this white."""
    if len(teeth) < FEWEST:
        return white * np.array(mouth.ENAMEL, np.float32)
    luma = teeth @ eyes.LUMA
    return teeth[luma >= np.quantile(luma, 0.6)].mean(0)


def lip_of(lips: NDArray, white: NDArray) -> NDArray:
    """The colour (3,) of the lips (n,3), a usual one if there are none."""
    return np.median(lips, axis=0) if len(lips) else white * np.array(mouth.FLESH, np.float32)


def kinds_seen(kind: NDArray, face_id: NDArray) -> NDArray[np.uint8]:
    """(h,w) kind of what each pixel shows, NOTHING off the body."""
    return np.where(face_id >= 0, kind[np.maximum(face_id, 0)], NOTHING).astype(np.uint8)


def interpolated(values: NDArray, faces: NDArray, face_id: NDArray, bary: NDArray) -> NDArray:
    """Values (V,c) of the vertices at pixels: face_id (...,), bary (...,3) -> (...,c)."""
    found = np.empty((face_id.size, values.shape[1]), np.float32)
    _interpolate(values, faces, face_id.reshape(-1), bary.reshape(-1, 3), found)
    return found.reshape(*face_id.shape, -1)


@numba.njit(cache=True, nogil=True)
def _interpolate(values, faces, face_id, bary, found):
    for n in range(len(face_id)):
        i, j, k = faces[face_id[n], 0], faces[face_id[n], 1], faces[face_id[n], 2]
        for c in range(values.shape[1]):
            found[n, c] = bary[n, 0] * values[i, c] + bary[n, 1] * values[j, c] + bary[n, 2] * values[k, c]


def closing(looks: Looks, lengths: NDArray) -> NDArray[np.float32]:
    """(2,) in [0,1]: how far the plate of each upper lid has come out of the fold that hides it while the eye is open.
    lengths (2,): `lid_lengths` in the frame."""
    longer = lengths / np.maximum(looks.lid_lengths, 1e-6)
    return smoothstep((longer - CLOSING[0]) / (CLOSING[1] - CLOSING[0])).astype(np.float32)


def lid_ends(lids: NDArray) -> list[tuple[NDArray, NDArray]]:
    """Numbers of the vertices in the crease and at the edge of each upper lid; lids (V,2): `anatomy.lid_shares`."""
    return [
        (np.flatnonzero((lid > CREASE[0]) & (lid < CREASE[1])), np.flatnonzero((lid > EDGE[0]) & (lid < EDGE[1])))
        for lid in lids.T
    ]


def lid_lengths(ends: list[tuple[NDArray, NDArray]], projected: NDArray) -> NDArray:
    """(2,) pixels from the crease of each upper lid to its edge, 0 for a body without."""
    lengths = np.zeros(2)
    for side, (crease, edge) in enumerate(ends):
        if len(crease) and len(edge):
            lengths[side] = _between_means(projected, crease, edge)
    return lengths


@numba.njit(cache=True, nogil=True)
def _between_means(points, one, other):
    """Distance in the picture between the means of two groups of points (V,3), given by their numbers."""
    x, y = 0.0, 0.0
    for i in one:
        x += points[i, 0] / len(one)
        y += points[i, 1] / len(one)
    for i in other:
        x -= points[i, 0] / len(other)
        y -= points[i, 1] / len(other)
    return np.sqrt(x * x + y * y)


def lid_plates(lids: NDArray, rims: NDArray) -> NDArray:
    """(V,2) in [0,1]: 1 below the crease of each upper lid, without its lashes (V,1)."""
    return smoothstep((lids - PLATE) / 0.1) * (1 - rims)


def lid_relief(lids: NDArray) -> NDArray[np.float32]:
    """(V,1) how bright a shut lid is beside the skin around it: a fold above, a dome below; 1 elsewhere. Measured on
    shut eyes in pictures and videos (docs/draw.md). lids (V,2): `anatomy.lid_shares`."""
    share = lids.max(1, keepdims=True)
    into, out = smoothstep(share / CREASE[1]), smoothstep((share - CREASE[1]) / (LIT - CREASE[1]))
    return (1 + (FOLD - 1) * into + (DOME - FOLD) * out).astype(np.float32)


@dataclass(frozen=True)
class Seen:
    """What a part of a frame shows: kind, face_id (h,w), bary (h,w,3); and all vertices, projected (V,3)."""

    kind: NDArray
    face_id: NDArray
    bary: NDArray
    projected: NDArray

    def at(self, values: NDArray, faces: NDArray, chosen: Places) -> NDArray:
        """Values (V,c) of the vertices at the n chosen pixels: (n,c)."""
        return interpolated(values, faces, self.face_id[chosen], self.bary[chosen])


def draw_guesses(looks: Looks, seen: Seen, warped: NDArray, visible: NDArray) -> None:
    """Fill warped (h,w,3) and visible (h,w) in place, where visible is 0 and something of `HIDDEN` is shown, and where
    a lid closes: what the photo has of its plate is too narrow to be stretched."""
    alpha = np.where(kind_is(seen.kind, HIDDEN), 1 - visible, 0).astype(np.float32)
    lengths = lid_lengths(looks.lid_ends, seen.projected)
    closed = closing(looks, lengths)
    if closed.any():
        lids = seen.kind == LID
        shown = np.nonzero(lids & (visible == 1))
        lids_there = seen.at(np.hstack([looks.plates, looks.edges]), looks.faces, shown)
        alpha[shown] = lids_there @ np.concatenate([closed, closed**SHUT])
        soft = np.minimum(1, SWELL * cv2.GaussianBlur(alpha * lids, (0, 0), SOFT_LIDS * looks.scale))
        alpha = np.where(lids | (seen.kind == SKIN) & (soft > FAINT), soft, alpha)
    box = box_of((alpha > 0).view(np.uint8), (1,), MARGIN * looks.scale)
    if box is not None:
        part = Seen(seen.kind[box], seen.face_id[box], seen.bary[box], seen.projected)
        blend_in(looks, part, alpha[box], warped[box], visible[box])
        soften_lips(part.kind, alpha[box], warped[box])
    moved = stirred(looks, lengths)
    if moved > 0:
        soften_lids(looks, seen, warped, moved)


def stirred(looks: Looks, lengths: NDArray) -> float:
    """In [0,1]: how much longer or shorter a lid is than in the photo, whose own edges are soft."""
    change = np.abs(lengths - looks.lid_lengths) / np.maximum(looks.lid_lengths, 1e-6)
    return float(smoothstep((change.max() - STIRRED[0]) / (STIRRED[1] - STIRRED[0])))


def soften_lids(looks: Looks, seen: Seen, warped: NDArray, strength: float) -> None:
    """In place: where a lid ends, over the eye or over the other lid, the picture (h,w,3) gets edges as soft as a
    camera's instead of the stairs of pixels that belong to one triangle each."""
    box = box_of(seen.kind, (LID, EYE), 3)
    if box is None:
        return
    picture, part = warped[box], Seen(seen.kind[box], seen.face_id[box], seen.bary[box], seen.projected)
    square, eye, rims = np.ones((3, 3), np.uint8), part.kind == EYE, np.zeros(part.kind.shape, np.uint8)
    lids = np.nonzero(part.kind == LID)
    rims[lids] = part.at(looks.lashes, looks.faces, lids)[:, 0] > FAINT
    ends = np.maximum(cv2.dilate(rims, square), cv2.morphologyEx(eye.view(np.uint8), cv2.MORPH_GRADIENT, square))
    soften(picture, ends, strength)


def soften_lips(kind: NDArray, alpha: NDArray, warped: NDArray) -> None:
    """In place: the same where lips end before what is drawn (alpha (h,w) above 0) of the mouth behind them."""
    opened = kind_is(kind, MOUTH) & (alpha > 0)
    box = box_of(opened.view(np.uint8), (1,), 3)
    if box is None:
        return
    square, inside = np.ones((3, 3), np.uint8), opened[box].view(np.uint8)
    lips = cv2.dilate((kind[box] == LIPS).view(np.uint8), square)
    soften(warped[box], lips * cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, square), 1.0)


def soften(picture: NDArray, ends: NDArray, strength: float) -> None:
    """In place: steps of brightness at `ends` (h,w, 0 or 1) of things in the picture (h,w,3) become soft."""
    steps = cv2.morphologyEx(picture @ eyes.LUMA, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > STEP
    share = strength * np.minimum(1, 2 * cv2.GaussianBlur((ends * steps).astype(np.float32), (0, 0), SOFT))[..., None]
    picture += share * (cv2.GaussianBlur(picture, (0, 0), EDGES) - picture)


def blend_in(looks: Looks, seen: Seen, alpha: NDArray, warped: NDArray, visible: NDArray) -> None:
    """Mix what is drawn into warped with weights alpha (h,w) in [0,1], in place."""
    known, read, some = (visible == 1) & (alpha == 0), warped.copy("C"), alpha > 0
    drawn, luma = read.copy(), read @ eyes.LUMA
    opened = some & kind_is(seen.kind, MOUTH)
    for covered, draw in ((opened, _mouth), (some & (seen.kind == EYE), _eyes)):
        chosen = np.nonzero(covered)
        if len(chosen[0]):
            drawn[chosen] = draw(looks, seen, chosen)
    seam = dark_seam(luma, known & (seen.kind == LIPS), opened, SEAM * looks.scale)
    if seam is not None:
        alpha, known, some = np.maximum(alpha, seam), known & ~seam, some | seam
    for covered, lender, reach in (((LID, SKIN), SKIN, NEARBY), ((LIPS,), LIPS, CLOSE)):
        chosen = np.nonzero(some & kind_is(seen.kind, covered))
        if len(chosen[0]):
            lends = close_to(chosen, known & (seen.kind == lender), MARGIN * looks.scale)
            lent = nearby(read, luma, lends, chosen, reach * looks.scale, lender == LIPS)
            shade = seen.at(np.hstack([looks.lashes, looks.relief]), looks.faces, chosen)
            drawn[chosen] = lent * ((1 - LASHES * shade[:, :1]) * shade[:, 1:])
    mix_in(drawn, alpha, warped, visible)


def dark_seam(luma: NDArray, lips: NDArray, opened: NDArray, reach: float) -> NDArray[np.bool_] | None:
    """(h,w) of the lips' pixels (h,w) those next to the opened mouth that read the dark line between closed lips; None
    if there are no lips, or nothing is opened. luma (h,w): brightness."""
    if not opened.any() or not lips.any():
        return None
    near = mouth.distance_to(opened) <= reach + 1
    return lips & near & (luma < SEAM_DARK * median(luma[lips]))


def median(values: NDArray) -> float:
    """Of n > 0 numbers; several times as fast for a few thousand as numpy's own."""
    middle = len(values) // 2
    parted = np.partition(values, (middle - 1, middle) if len(values) % 2 == 0 else middle)
    return float(parted[middle] if len(values) % 2 else (parted[middle - 1] + parted[middle]) / 2)


def close_to(places: Places, chosen: NDArray, margin: float) -> NDArray[np.bool_]:
    """Of the chosen pixels (h,w) those in the box around places, with a margin in pixels: a lid asks no beard."""
    reach, left = int(np.ceil(margin)), np.zeros_like(chosen)
    box = tuple(slice(max(0, place.min() - reach), place.max() + reach + 1) for place in places)
    left[box] = chosen[box]
    return left


def nearby(warped: NDArray, luma: NDArray, lends: NDArray, wanted: Places, sigma: float, alike: bool) -> NDArray:
    """Colours (n,3) of the wanted pixels: of those that lend theirs (h,w), the nearer the more; the unusually dark
    (brows, lashes) or bright lend little, if not all lend `alike`. luma (h,w): brightness."""
    usual = max(median(luma[lends]), 1e-3) if lends.any() and not alike else 0.0
    sums = np.zeros((*lends.shape, 4), np.float32)
    _lend(warped, luma, lends, np.float32(usual), sums)
    (height, width), (rows, columns) = lends.shape, wanted
    total = np.zeros((len(rows), 4), np.float32)
    for spread, share in ((sigma, 1.0), (3 * sigma, 0.02), (9 * sigma, 0.0004)):
        add_from(blurred(sums, spread), height, width, rows, columns, np.float32(share), total)
    return total[:, :3] / np.maximum(total[:, 3:], 1e-6)


@numba.njit(cache=True, nogil=True)
def _lend(warped, luma, lends, usual, sums):
    """Into sums (h,w,4), which is 0: of the pixels that lend, colour * weight and weight (1 if usual is 0)."""
    for y in range(lends.shape[0]):
        for x in range(lends.shape[1]):
            if lends[y, x]:
                off = (luma[y, x] / usual - np.float32(1)) / np.float32(USUAL) if usual > 0 else np.float32(0)
                weight = np.exp(-off * off)
                for c in range(3):
                    sums[y, x, c] = warped[y, x, c] * weight
                sums[y, x, 3] = weight


@numba.njit(cache=True, nogil=True)
def add_from(small, height, width, rows, columns, share, total):
    """Adds to total (n,c) share times small (p,q,c), enlarged bilinearly to (height, width), at n of its pixels."""
    tall, wide, channels = small.shape
    for n in range(len(rows)):
        v = min(max((rows[n] + 0.5) * tall / height - 0.5, 0.0), tall - 1.0)
        u = min(max((columns[n] + 0.5) * wide / width - 0.5, 0.0), wide - 1.0)
        y0, x0 = int(v), int(u)
        y1, x1 = min(y0 + 1, tall - 1), min(x0 + 1, wide - 1)
        down, right = np.float32(v - y0), np.float32(u - x0)
        for c in range(channels):
            above = small[y0, x0, c] + right * (small[y0, x1, c] - small[y0, x0, c])
            below = small[y1, x0, c] + right * (small[y1, x1, c] - small[y1, x0, c])
            total[n, c] += share * (above + down * (below - above))


def blurred(image: NDArray, sigma: float) -> NDArray:
    """A Gaussian blur of (h,w,c); a wide one as a smaller picture."""
    step = max(1, int(sigma / 1.5))
    height, width = image.shape[:2]
    small = cv2.resize(image, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), sigma / step)


def _mouth(looks: Looks, seen: Seen, chosen: Places) -> NDArray:
    depth = seen.at(seen.projected[:, 2:], looks.faces, chosen)[:, 0]
    inside = mouth.Inside(
        seen.kind[chosen],
        seen.at(looks.local, looks.faces, chosen),
        depth - SINK - median(seen.projected[looks.lips, 2]),
        mouth.distance_to(seen.kind == LIPS)[chosen] / looks.scale,
    )
    return mouth.draw_mouth(inside, looks.tones, 1 / looks.scale)


def _eyes(looks: Looks, seen: Seen, chosen: Places) -> NDArray:
    from_lids = cv2.distanceTransform((seen.kind == EYE).view(np.uint8), cv2.DIST_L2, 5)[chosen] / looks.scale
    return eyes.draw_eyes(seen.at(looks.local, looks.faces, chosen), from_lids, looks.tones.white, looks.iris)


def mix_in(drawn: NDArray, alpha: NDArray, warped: NDArray, visible: NDArray) -> None:
    """Mixes drawn (h,w,3), its edges as soft as a camera's, into warped with weights alpha (h,w); what is drawn becomes
    a guess in visible (h,w). What is neither drawn nor known does not count."""
    box = box_of((alpha > 0).view(np.uint8), (1,), np.ceil(4 * SOFT) + 1)
    if box is None:
        return
    sums = np.zeros((*alpha[box].shape, 4), np.float32)
    _counted(drawn[box], alpha[box], visible[box], sums)
    _mix(cv2.GaussianBlur(sums, (0, 0), SOFT), alpha[box], warped[box], visible[box])


@numba.njit(cache=True, nogil=True)
def _counted(drawn, alpha, visible, sums):
    """Into sums (h,w,4), which is 0: the colours that are drawn or known, and 1."""
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            if alpha[y, x] > 0 or visible[y, x] > 0:
                for c in range(3):
                    sums[y, x, c] = drawn[y, x, c]
                sums[y, x, 3] = 1.0


@numba.njit(cache=True, nogil=True)
def _mix(soft, alpha, warped, visible):
    """Mixes the means soft (h,w,4) into warped (h,w,3)."""
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            share = alpha[y, x]
            if share > 0:
                whole = max(soft[y, x, 3], np.float32(1e-6))
                for c in range(3):
                    colour = min(max(soft[y, x, c] / whole, np.float32(0)), np.float32(1))
                    warped[y, x, c] += np.float32(share) * (colour - warped[y, x, c])
                if share > 0.5:
                    visible[y, x] = GUESSED

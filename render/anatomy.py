"""What lies behind lips and lids, triangle by triangle: the parts that a photo often hides and a motion uncovers.

`kinds` names them, `set_teeth` puts the teeth where people have theirs, `local_places` gives each vertex the
coordinates in which its colour is drawn (`render.mouth`, `render.eyes`).
"""

from dataclasses import replace
from functools import lru_cache

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body

Box = tuple[slice, slice]  # rows and columns of a picture

SKIN, LIPS, UPPER, LOWER, TONGUE, CAVITY, EYE, LID = range(8)
MOUTH = (UPPER, LOWER, TONGUE, CAVITY)
HIDDEN = (*MOUTH, LIPS, EYE, LID)  # kinds that are drawn where the photo does not show them

_UPPER_TEETH, _LOWER_TEETH = 4, 5  # values of `Body.face_part`
BITE = 0.0035  # metres that the open body's upper teeth are too high: people show 2 mm of them below a resting lip
_FORWARD = 0.0025  # metres that its teeth stand too far back
_OVERBITE = 0.0015  # metres that the upper teeth reach below the upper edge of the lower ones
_LID_THICKNESS = 0.005  # metres from the eyeball within which skin is a lid
_BLINK = 0.002  # metres that a blink moves a lid at least
_RIM, _RIM_SHARE = 0.0008, 0.15  # metres that lashes are high, least share of a blink at the ends of a lid's edge
_BESIDE = 0.0025  # metres to the side within which parts of a lid lie above each other
SINK = 0.012  # metres by which the mouth is drawn deeper: at rest its floor is closer to the chin than motions bend it


def kinds(body: Body) -> NDArray[np.uint8]:
    """(F,) kind of each triangle."""
    part, piece = body.part_of_face.numpy(), body.face_part.numpy()
    kind = np.full(len(part), SKIN, np.uint8)
    for name, value in (("lips", LIPS), ("teeth", CAVITY), ("tongue", TONGUE), ("eyes", EYE)):
        kind[part == PARTS.index(name)] = value
    kind[piece == _UPPER_TEETH], kind[piece == _LOWER_TEETH] = UPPER, LOWER
    middle = body.v_template.numpy()[body.faces.numpy()].mean(1)
    for centre, radius, _ in eyeballs(body):
        near = np.linalg.norm(middle - centre, axis=1) < radius + _LID_THICKNESS
        kind[(kind == SKIN) & near] = LID
    kind[(kind == SKIN) & (_blinks(body)[body.faces].amin(1) > _BLINK).numpy()] = LID
    return kind


def _blinks(body: Body) -> torch.Tensor:
    """(V,) metres that each vertex moves in a blink, 0 where the body's expressions have no names."""
    blinks = [i for i, name in enumerate(body.expression_names) if name.startswith("eyeBlink")]
    return body.exprdirs[..., blinks].norm(dim=1).amax(-1) if blinks else torch.zeros(len(body.v_template))


def lid_shares(body: Body) -> NDArray[np.float32]:
    """(V, 2) in [0,1]: of the way that the edge of an upper lid goes in a blink, what each vertex above the middle of
    that eye goes; one column for each eye."""
    moved, shares = _blinks(body).numpy(), np.zeros((len(body.v_template), 2), np.float32)
    template = body.v_template.numpy()
    for column, (centre, _, _) in zip(shares.T, eyeballs(body)):
        above = (np.sign(template[:, 0]) == np.sign(centre[0])) & (template[:, 1] > centre[1])
        column[:] = above * moved / max(moved.max(initial=0.0, where=above), 1e-6)
    return shares


def lid_rims(body: Body) -> NDArray[np.float32]:
    """(V,) in [0,1]: 1 where an upper lid's lashes grow, along the whole of its edge; fades within `_RIM`."""
    template, shares = body.v_template.numpy(), lid_shares(body)
    rims = np.zeros(len(template), np.float32)
    for share in shares.T:
        lid = np.flatnonzero(share > _RIM_SHARE)
        near = np.abs(template[lid, None, 0] - template[None, lid, 0]) < _BESIDE
        edge = share[lid] > 0.85 * np.where(near, share[lid], 0).max(1)  # the edge goes the farthest of all beside it
        lowest = np.where(near & edge, template[None, lid, 1], np.inf).min(1)
        above = (template[lid, 1] - lowest) / _RIM
        rims[lid] = edge * np.clip(2 - above, 0, 1)
    return rims


def sunk(body: Body) -> torch.Tensor:
    """(V,) metres to add to the depth of each vertex, so that the inside of the mouth never pierces the chin."""
    inside = torch.from_numpy(np.isin(kinds(body), MOUTH))
    depth = torch.zeros(len(body.v_template))
    depth[body.faces[inside].unique()] = SINK
    depth[body.faces[~inside].unique()] = 0.0
    return depth


def kind_is(kind: NDArray, wanted: tuple[int, ...]) -> NDArray[np.bool_]:
    """kind (...) uint8 -> bool, whether it is one of those wanted."""
    return _table(wanted)[kind]


@lru_cache(maxsize=32)
def _table(wanted: tuple[int, ...]) -> NDArray[np.bool_]:
    """(256,) whether each kind is wanted."""
    chosen = np.zeros(256, bool)
    chosen[list(wanted)] = True
    return chosen


def box_of(kind: NDArray, wanted: tuple[int, ...], margin: float = 0) -> Box | None:
    """The rows and columns that hold all pixels (h,w) of these kinds, with a margin in pixels; None without any."""
    top, bottom, left, right = _bounds(kind, _table(wanted))
    if bottom < 0:
        return None
    reach = int(np.ceil(margin))
    return slice(max(0, top - reach), bottom + reach + 1), slice(max(0, left - reach), right + reach + 1)


@numba.njit(cache=True, nogil=True)
def _bounds(kind, table):
    """First and last row and column of what is wanted; a last row of -1 where there is nothing."""
    height, width = kind.shape
    top, bottom, left, right = height, -1, width, -1
    for y in range(height):
        for x in range(width):
            if table[kind[y, x]]:
                top, bottom, left, right = min(top, y), y, min(left, x), max(right, x)
    return top, bottom, left, right


def eyeballs(body: Body) -> list[tuple[NDArray, float, NDArray]]:
    """Centre (3,) and radius of each eyeball of the template (metres), and the numbers of its vertices."""
    faces = body.faces[body.part_of_face == PARTS.index("eyes")]
    vertices = body.v_template.numpy()
    sides = []
    for sign in (-1, 1):
        ids = np.unique(faces.numpy())
        ids = ids[np.sign(vertices[ids, 0]) == sign]
        if len(ids):
            centre = (vertices[ids].min(0) + vertices[ids].max(0)) / 2
            sides.append((centre, float(np.linalg.norm(vertices[ids] - centre, axis=1).mean()), ids))
    return sides


def set_teeth(body: Body, drop: float = BITE) -> Body:
    """The body with its upper teeth lowered by `drop` metres and the lower ones behind them, both a little forward."""
    template = body.v_template.clone()
    upper, lower = (body.faces[body.face_part == piece].unique() for piece in (_UPPER_TEETH, _LOWER_TEETH))
    if not len(upper) or not len(lower):
        return body
    template[upper] += torch.tensor([0.0, -drop, _FORWARD])
    overlap = template[lower, 1].max() - template[upper, 1].min()
    template[lower] += torch.tensor([0.0, _OVERBITE - float(overlap), _FORWARD])
    return replace(body, v_template=template)


def local_places(body: Body) -> NDArray[np.float32]:
    """(V, 3): of eyeballs the direction from the centre; of teeth metres along the arch from the middle, and metres
    from the biting edge; 0 elsewhere."""
    vertices = body.v_template.numpy()
    places = np.zeros_like(vertices)
    for centre, radius, ids in eyeballs(body):
        places[ids] = (vertices[ids] - centre) / radius
    for piece, upwards in ((_UPPER_TEETH, 1.0), (_LOWER_TEETH, -1.0)):
        ids = body.faces[body.face_part == piece].unique().numpy()
        if len(ids):
            along = _along_arch(vertices[ids])
            places[ids, 0], places[ids, 1] = along, _from_edge(along, upwards * vertices[ids, 1])
    return places.astype(np.float32)


def _along_arch(teeth: NDArray) -> NDArray:
    """Length (n,) from the middle along the parabola through the front and the ends of a row of teeth (n, 3)."""
    x, z = teeth[:, 0], teeth[:, 2]
    bend = 2 * (z.max() - z[np.abs(x).argmax()]) / np.abs(x).max() ** 2
    return x / 2 * np.sqrt(1 + (bend * x) ** 2) + np.arcsinh(bend * x) / (2 * bend)


def _from_edge(along: NDArray, height: NDArray) -> NDArray:
    """Height (n,) of each vertex above the lowest one near it on the arch."""
    near = np.abs(along[:, None] - along[None]) < 0.004
    return height - np.where(near, height[None], np.inf).min(1)

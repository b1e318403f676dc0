"""One person's body posed frame after frame: `vlogger.body.smplx.pose` and `project`, without what is always zero.

Most vertices hang on one or two joints and follow no expression at all; shape is blended once. Lids meet and go no
further: a blink that would pull an upper lid over the lower one is as small as shuts the eye.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.targets import LID_PAIRS
from vlogger.body.skeleton import PARENTS
from vlogger.body.smplx import Body
from vlogger.types import Motion

_PARENTS = np.array(PARENTS, np.int64)
_LIDS = {"eyeBlinkRight": LID_PAIRS[:3], "eyeBlinkLeft": LID_PAIRS[3:]}  # by the expression that shuts them
OVERLAP = 0.0012  # metres by which shut lids lie over each other


@dataclass(frozen=True)
class Lid:
    """One eye: `blink` the number of the expression that shuts it, `gap` metres between the lids at rest, `moves` (e,)
    metres that each expression opens them by."""

    blink: int
    gap: float
    moves: NDArray


@dataclass(frozen=True)
class Puppet:
    """A body with one shape.

    shaped (V,3), joints (55,3) metres; movers (m,) the vertices that expressions move and moves (e,m,3) how;
    joint_moves (e,55,3); joint (V,k), share (V,k): the joints that each vertex hangs on; posedirs as in `Body`; lids:
    of the eyes that an expression can shut.
    """

    shaped: NDArray
    joints: NDArray
    movers: NDArray
    moves: NDArray
    joint_moves: NDArray
    joint: NDArray
    share: NDArray
    posedirs: Tensor | None
    lids: tuple[Lid, ...] = ()


def puppet_of(body: Body, betas: Tensor) -> Puppet:
    """Betas (n,): fewer than the body has count as zeros for the rest."""
    shaped, joints = (
        (rest + directions[..., : len(betas)] @ betas).numpy().astype(np.float32)
        for rest, directions in ((body.v_template, body.shapedirs), (body.J_template, body.J_shapedirs))
    )
    moves = body.exprdirs.numpy()
    movers = np.flatnonzero(moves.any((1, 2)))
    most = max(1, int((body.weights != 0).sum(1).max()))
    share, joint = (values.numpy() for values in body.weights.topk(most, dim=1))
    return Puppet(
        shaped,
        joints,
        movers,
        np.ascontiguousarray(moves[movers].transpose(2, 0, 1)),
        np.ascontiguousarray(body.J_exprdirs.numpy().transpose(2, 0, 1)),
        joint,
        share,
        body.posedirs,
        tuple(lid_of(body, shaped, name, pairs) for name, pairs in _LIDS.items() if shuts(body, name, pairs)),
    )


def shuts(body: Body, blink: str, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether the body has this expression, and knows where the lids are."""
    return blink in body.expression_names and bool((body.mp_faces[torch.tensor(pairs)] >= 0).all())


def lid_of(body: Body, shaped: NDArray, blink: str, pairs: Sequence[tuple[int, int]]) -> Lid:
    """The eye that `blink` shuts; shaped (V,3): the body at rest, upright."""
    upper, lower = (list(points) for points in zip(*pairs, strict=True))
    heights = np.concatenate([shaped[:, 1:2], body.exprdirs[:, 1].numpy()], axis=1)  # V 1+e
    faces, bary = body.faces.numpy(), body.mp_bary.numpy()
    up, down = (
        (heights[faces[body.mp_faces.numpy()[points]]] * bary[points][..., None]).sum(1).mean(0)
        for points in (upper, lower)
    )
    return Lid(body.expression_names.index(blink), float(up[0] - down[0]), (up - down)[1:].astype(np.float32))


def meeting(lids: Sequence[Lid], weights: NDArray) -> NDArray:
    """Expression weights (e,) with blinks that let the lids meet and go no further; other weights, and eyes that are
    open, are left as they are."""
    met = weights.copy()
    for lid in lids:
        if lid.blink >= len(weights):
            continue
        closing = float(lid.moves[lid.blink])
        over = lid.gap + float(weights @ lid.moves[: len(weights)]) + OVERLAP
        if over < 0 and closing < 0:
            met[lid.blink] = max(min(0.0, float(weights[lid.blink])), float(weights[lid.blink]) - over / closing)
    return met


def points_of(puppet: Puppet, motion: Motion, intrinsics: Tensor) -> NDArray[np.float32]:
    """(t,V,3) u, v in pixels and depth in metres of every vertex, as `pose` and `project` give them.

    Frame by frame: how a motion is cut into windows changes no bit.
    """
    rotations, camera = motion.rotations.numpy(), intrinsics.numpy()
    bent = correctives(puppet.posedirs, motion.rotations)
    points = np.empty((len(motion), *puppet.shaped.shape), np.float32)
    for frame, place in enumerate(motion.translation.numpy()):
        shaped = puppet.shaped.copy() if bent is None else puppet.shaped + bent[frame]
        weights = meeting(puppet.lids, motion.expression[frame].numpy())
        shaped[puppet.movers] += _blended(weights, puppet.moves)
        joints = puppet.joints + _blended(weights, puppet.joint_moves)
        carried = _chained(rotations[frame], joints, place, _PARENTS)
        _seen_at(shaped, puppet.joint, puppet.share, carried, camera, points[frame])
    return points


def _blended(weights: NDArray, moves: NDArray) -> NDArray:
    """weights (e or fewer,), moves (e,m,3) -> (m,3)."""
    used = moves[: len(weights)]
    return (weights @ used.reshape(len(used), -1)).reshape(-1, 3)


def correctives(posedirs: Tensor | None, rotations: Tensor) -> NDArray | None:
    """(t,V,3): what bending does to the skin beyond skinning (SMPL, eq. 8); None for bodies without."""
    if posedirs is None:
        return None
    feature = rotations[:, 1:] - torch.eye(3)
    return (feature.flatten(1) @ posedirs.T).unflatten(-1, (-1, 3)).numpy()


@numba.njit(cache=True, nogil=True)
def _chained(rotations, joints, translation, parents):
    """Local rotations (55,3,3), joints (55,3) at rest -> (55,3,4) what carries a point at rest to where it is."""
    turns, places = np.empty((len(joints), 3, 3)), np.empty((len(joints), 3))
    carried = np.empty((len(joints), 3, 4), np.float32)
    for joint in range(len(joints)):
        parent = parents[joint]
        for row in range(3):
            if joint == 0:
                places[0, row] = joints[0, row]
                turns[0, row] = rotations[0, row]
                continue
            places[joint, row] = places[parent, row]
            for k in range(3):
                places[joint, row] += turns[parent, row, k] * (joints[joint, k] - joints[parent, k])
                turned = 0.0
                for m in range(3):
                    turned += turns[parent, row, m] * rotations[joint, m, k]
                turns[joint, row, k] = turned
        for row in range(3):
            shift = places[joint, row] + translation[row]
            for k in range(3):
                carried[joint, row, k] = turns[joint, row, k]
                shift -= turns[joint, row, k] * joints[joint, k]
            carried[joint, row, 3] = shift
    return carried


@numba.njit(cache=True, nogil=True)
def _seen_at(shaped, joint, share, carried, camera, points):
    """Into points (V,3): linear blend skinning and the pinhole camera."""
    zero = np.float32(0.0)
    for i in range(len(shaped)):
        x, y, z = zero, zero, zero
        for n in range(joint.shape[1]):
            weight = share[i, n]
            if weight == zero:
                break
            t = carried[joint[i, n]]
            a, b, c = shaped[i, 0], shaped[i, 1], shaped[i, 2]
            x += weight * (t[0, 0] * a + t[0, 1] * b + t[0, 2] * c + t[0, 3])
            y += weight * (t[1, 0] * a + t[1, 1] * b + t[1, 2] * c + t[1, 3])
            z += weight * (t[2, 0] * a + t[2, 1] * b + t[2, 2] * c + t[2, 3])
        depth = -z
        safe = depth if abs(depth) >= np.float32(1e-6) else np.float32(1e-6)
        points[i, 0] = (camera[0, 0] * x - camera[0, 1] * y) / safe + camera[0, 2]
        points[i, 1] = camera[1, 1] * -y / safe + camera[1, 2]
        points[i, 2] = depth

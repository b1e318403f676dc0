"""Motions from one body to another: open body, SMPL-X, FLAME.

    python -m vlogger.body.convert MOTION.npz OUT.npz --target SMPLX_NEUTRAL.npz [--source BODY]

The bodies share names of joints, not expressions: ARKit's units here, principal components there, the jaw a joint or a
unit. So rotations are copied, and expression, jaw, head and translation are fitted so that corresponding points of the
two heads move alike (least squares, Gauss-Newton on all frames of a piece at once). Points correspond by nearness after
the heads are brought over each other (iterative closest points, Besl and McKay 1992), unless they are given. The
identity is the source's: what is compared is the target's skin pulled over the source's face.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from vlogger.body.normals import vertex_normals
from vlogger.body.parts import PARTS
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import JOINTS, joint_index
from vlogger.body.smplx import Body, load_body, pose, skin_turns, subset
from vlogger.io_values import load_motion, save_motion
from vlogger.types import Motion

FITTED = ("jaw", "head")  # joints whose rotations are fitted, the others are copied
SHARED = ("neck", "head", "jaw", "left_eye", "right_eye")  # joints that every head has: where the search begins
POINTS = 1500  # of the target's head that are compared, spread over it
NEAR, ALIKE = 0.012, 0.5  # metres, cosine of the normals: points farther apart do not correspond (lip to lip)
STEPS, PIECE = 6, 16  # of Gauss-Newton; frames at once
EXPRESSION_SIGMA, TURN_SIGMA, POINT_SIGMA = 1.5, 0.3, 1e-3  # of units or components, radians, metres
NUDGE = 1e-3  # radians: step of the differences that stand for derivatives by angles


@dataclass(frozen=True)
class Correspondence:
    """Points of the target and where they lie on the source."""

    vertices: Tensor  # (n,) of the target
    face: Tensor  # (n,) triangles of the source ...
    bary: Tensor  # (n, 3) ... and places in them


@dataclass(frozen=True)
class Converted:
    """The target's motion, and how far corresponding points are apart: rms of each frame (t,), metres."""

    motion: Motion
    error: Tensor


# ------------------------------------------------------------------------------------------------- correspondence


def correspond(source: Body, target: Body, rounds: int = 12) -> Correspondence:
    """Which points of the source's head the vertices of the target's head are nearest to."""
    ids = _spread_over(_head_skin(target), target.v_template.numpy())
    faces = source.faces[_skin_faces(source)].numpy()
    corners = source.v_template.numpy()[faces]
    turn, scale, shift = _similarity(
        *(body.J_template[[joint_index(n) for n in SHARED]].numpy() for body in (target, source))
    )
    template = target.v_template.numpy().astype(float)
    points, normals = template[ids], vertex_normals(template, target.faces.numpy())[ids]
    for _ in range(rounds + 1):
        face, bary, length = _nearest(scale * points @ turn.T + shift, corners)
        alike = (normals @ turn.T * _triangle_normals(corners)[face]).sum(1) > ALIKE
        near = alike & (length < np.clip(3 * np.median(length[alike]), NEAR / 6, NEAR))
        turn, scale, shift = _similarity(points[near], np.einsum("nkc,nk->nc", corners[face[near]], bary[near]))
    where = np.flatnonzero(_skin_faces(source).numpy())[face[near]]
    return Correspondence(torch.from_numpy(ids[near]), torch.from_numpy(where), torch.from_numpy(bary[near]).float())


def _head_skin(body: Body) -> NDArray:
    """(k,) vertices on the outside of the head."""
    joints = [joint_index(name) for name in ("head", "jaw")]
    on_head = body.weights[:, joints].sum(1) > 0.6
    used = torch.zeros(len(on_head), dtype=torch.bool)
    used[body.faces[_skin_faces(body)].flatten()] = True
    return torch.nonzero(on_head & used)[:, 0].numpy()


def _skin_faces(body: Body) -> Tensor:
    """(F,) skin and lips of the head, without eyes and the inside of the mouth."""
    return torch.isin(body.part_of_face, torch.tensor([PARTS.index(name) for name in ("head", "lips", "neck")]))


def _spread_over(ids: NDArray, vertices: NDArray) -> NDArray:
    """At most `POINTS` of the vertices, in a fixed order: every n-th from ear to ear."""
    order = ids[np.lexsort(vertices[ids].T)]
    return np.sort(order[np.linspace(0, len(order) - 1, min(POINTS, len(order))).round().astype(int)])


def _nearest(points: NDArray, corners: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Nearest place of points (n, 3) on triangles (F, 3, 3): triangle (n,), barycentrics (n, 3), distance (n,)."""
    import trimesh

    near = np.asarray(KDTree(corners.mean(1)).query(points, min(12, len(corners)))[1])
    candidates = corners[near].reshape(-1, 3, 3)
    on = trimesh.triangles.closest_point(candidates, np.repeat(points, near.shape[1], axis=0))
    length = np.linalg.norm(on.reshape(*near.shape, 3) - points[:, None], axis=-1)
    best = length.argmin(1)
    pick = np.arange(len(points)) * near.shape[1] + best
    bary = np.clip(np.nan_to_num(trimesh.triangles.points_to_barycentric(candidates[pick], on[pick])), 0, 1)
    bary /= np.maximum(bary.sum(1, keepdims=True), 1e-9)
    rows = np.arange(len(points))
    return near[rows, best], bary, length[rows, best]


def _triangle_normals(corners: NDArray) -> NDArray:
    """(F, 3) unit vectors of triangles (F, 3, 3)."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _similarity(source: NDArray, target: NDArray) -> tuple[NDArray, float, NDArray]:
    """Rotation, scale, shift that bring source (n, 3) closest to target (n, 3) (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    turn, scale = (u * sign) @ vt, float((s * sign).sum() / (a**2).sum())
    return turn, scale, target.mean(0) - scale * turn @ source.mean(0)


# ------------------------------------------------------------------------------------------------------ conversion


def convert(
    motion: Motion, source: Body, target: Body, betas: Tensor | None = None, pairs: Correspondence | None = None
) -> Converted:
    """A motion of the source body, of the shape `betas` (n,), as one of the target body."""
    betas = torch.zeros(source.shapedirs.shape[-1]) if betas is None else betas
    pairs = correspond(source, target) if pairs is None else pairs
    skin, own = pulled_over(source, target, betas, pairs), _points_on(source, pairs)
    pieces = [_converted(motion[start : start + PIECE], own, betas, skin) for start in range(0, len(motion), PIECE)]
    values = [
        torch.cat([getattr(piece.motion, name) for piece in pieces])
        for name in ("rotations", "expression", "translation")
    ]
    return Converted(Motion(*values, fps=motion.fps), torch.cat([piece.error for piece in pieces]))


def _points_on(source: Body, pairs: Correspondence) -> Body:
    """The source body whose vertices are the corresponding points."""
    corners = source.faces[pairs.face]

    def mix(rows: Tensor) -> Tensor:
        return torch.einsum("nk,nk...->n...", pairs.bary, rows[corners])

    correctives = None if source.posedirs is None else mix(source.posedirs.unflatten(0, (-1, 3))).flatten(0, 1)
    return replace(
        source,
        v_template=mix(source.v_template),
        shapedirs=mix(source.shapedirs),
        exprdirs=mix(source.exprdirs),
        posedirs=correctives,
        weights=mix(source.weights),
    )


def pulled_over(source: Body, target: Body, betas: Tensor, pairs: Correspondence) -> Body:
    """The target's corresponding vertices; their template is the source's resting points, brought to its joints."""
    here = _points_on(source, pairs)
    rest = (here.v_template + (here.shapedirs @ betas)).numpy()
    joints = [joint_index(name) for name in SHARED]
    places = (source.J_template + source.J_shapedirs @ betas)[joints].numpy()
    turn, _, _ = _similarity(places, target.J_template[joints].numpy())
    shift = target.J_template[joints].numpy().mean(0) - turn @ places.mean(0)
    few = subset(target, pairs.vertices)
    return replace(few, v_template=torch.from_numpy(rest @ turn.T + shift).float())


def _converted(motion: Motion, own: Body, betas: Tensor, skin: Body) -> Converted:
    """One piece: `own` are the source's points, `skin` the target's."""
    goal = pose(own, betas, motion.rotations, motion.expression, motion.translation).vertices
    expressions, none = skin.exprdirs.shape[-1], torch.zeros(skin.shapedirs.shape[-1])
    start = torch.stack([matrix_to_axis_angle(motion.rotations[:, joint_index(name)]) for name in FITTED], dim=1)
    values = torch.cat([torch.zeros(len(motion), expressions), start.flatten(1), torch.zeros(len(motion), 3)], dim=1)
    first = _posed(skin, none, motion, values)
    values[:, -3:] = (goal - first).mean(1)
    mean = torch.cat([torch.zeros_like(values[:, :expressions]), start.flatten(1), values[:, -3:]], dim=1)
    counts = torch.tensor([expressions, start[0].numel(), 3])
    stiff = torch.tensor([EXPRESSION_SIGMA, TURN_SIGMA, 1e3]).repeat_interleave(counts) ** -2 * POINT_SIGMA**2
    for _ in range(STEPS):
        here = _posed(skin, none, motion, values)
        jacobian = _slope(skin, none, motion, values, here).flatten(1, 2)
        normal = jacobian.mT @ jacobian + torch.diag(stiff)
        right = (jacobian.mT @ (goal - here).flatten(1)[..., None])[..., 0] + stiff * (mean - values)
        values = values + torch.linalg.solve(normal, right)
    error = (_posed(skin, none, motion, values) - goal).square().sum(-1).mean(1).sqrt()
    return Converted(_motion_of(motion, values, expressions), error)


def _motion_of(motion: Motion, values: Tensor, expressions: int) -> Motion:
    """The motion with fitted expression, joints and translation."""
    expression, angles, translation = values.split([expressions, 3 * len(FITTED), 3], dim=1)
    rotations = motion.rotations.clone()
    rotations[:, [joint_index(name) for name in FITTED]] = axis_angle_to_matrix(angles.unflatten(1, (-1, 3)))
    return Motion(rotations, expression, translation, motion.fps)


def _posed(skin: Body, betas: Tensor, motion: Motion, values: Tensor) -> Tensor:
    """(t, n, 3) the target's points."""
    moved = _motion_of(motion, values, skin.exprdirs.shape[-1])
    return pose(skin, betas, moved.rotations, moved.expression, moved.translation).vertices


def _slope(skin: Body, betas: Tensor, motion: Motion, values: Tensor, here: Tensor) -> Tensor:
    """(t, n, 3, p) how the points move with each value: expressions by skinning, angles by differences."""
    expressions = skin.exprdirs.shape[-1]
    turns = skin_turns(skin, _motion_of(motion, values, expressions).rotations)
    columns = [torch.einsum("tnij,nje->tnie", turns, skin.exprdirs)]
    for k in range(expressions, values.shape[1] - 3):
        nudge = torch.zeros(values.shape[1])
        nudge[k] = NUDGE
        columns.append(((_posed(skin, betas, motion, values + nudge) - here) / NUDGE)[..., None])
    columns.append(torch.eye(3).expand(*here.shape, 3))
    return torch.cat(columns, dim=-1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--source", type=Path, help="the body that moves so; default: the open body")
    parser.add_argument("--target", type=Path, help="the body that shall; default: the open body")
    args = parser.parse_args()
    source, target = load_body(args.source), load_body(args.target)
    made = convert(load_motion(args.motion)[0], source, target)
    save_motion(args.out, made.motion, JOINTS, target.expression_names)
    print(f"{args.out}: {len(made.motion)} frames, points {1e3 * float(made.error.mean()):.2f} mm apart (rms)")


if __name__ == "__main__":
    main()

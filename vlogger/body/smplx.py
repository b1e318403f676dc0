"""SMPL-X bodies (Pavlakos et al., CVPR 2019): shape, expression and linear blend skinning.

`load_body` reads SMPL-X's and FLAME's files, by default the open body that ships with vlogger. Axes: t frames,
V vertices, F triangles, n betas, e expressions. Metres; rotations are matrices, local to the parent joint.
"""

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from vlogger.body.landmarks import mediapipe_from_ibug, points_on_faces
from vlogger.body.model_files import read_model
from vlogger.body.parts import mouth_region, part_of_faces
from vlogger.body.skeleton import PARENTS
from vlogger.errors import UserError

OPEN_BODY = Path(__file__).with_name("open_body.npz")
_BETAS, _COLUMNS = 300, 400  # of `shapedirs`: 300 betas, then 100 expressions
_FEW_BETAS, _FEW_COLUMNS = 10, 20  # of older files with fewer columns, as the `smplx` package reads them
_IBUG_MOUTH = slice(48, 60)  # the outer lip contour among the 68 points


@dataclass(frozen=True)
class Body:
    """One body's arrays. Faces are int64, everything else that is not a name float32."""

    v_template: Tensor  # (V, 3)
    faces: Tensor  # (F, 3)
    shapedirs: Tensor  # (V, 3, n)
    exprdirs: Tensor  # (V, 3, e)
    posedirs: Tensor | None  # (V * 3, 486), None when there are no pose correctives
    J_regressor: Tensor | None  # (55, V), None in a subset, whose vertices cannot tell the joints
    weights: Tensor  # (V, 55)
    J_template: Tensor  # (55, 3) joints of the template, metres
    J_shapedirs: Tensor  # (55, 3, n) how betas move the joints
    J_exprdirs: Tensor  # (55, 3, e) how expressions move the joints
    expression_names: tuple[str, ...]  # e names
    face_part: Tensor  # (F,) 0 skin, 1 left eye, 2 right eye, 3 tongue, 4 upper teeth, 5 lower teeth
    part_of_face: Tensor  # (F,) index into `parts.PARTS`
    lmk68_faces: Tensor  # (68,) the iBUG points: triangle ...
    lmk68_bary: Tensor  # (68, 3) ... and place in it
    mp_faces: Tensor  # (478,) MediaPipe's points, -1 where unknown
    mp_bary: Tensor  # (478, 3)


class Posed(NamedTuple):
    """vertices (t, V, 3) and joints (t, 55, 3), metres."""

    vertices: Tensor
    joints: Tensor


def pose(body: Body, betas: Tensor, rotations: Tensor, expression: Tensor, translation: Tensor) -> Posed:
    """Vertices and joints of t frames.

    betas (n) or (t, n), rotations (t, 55, 3, 3), expression (t, e), translation (t, 3).
    Fewer betas or expressions than the body has count as zeros for the rest. The pelvis turns about its own joint.
    """
    shaped = body.v_template + _blend(body.shapedirs, betas) + _blend(body.exprdirs, expression)
    rest = body.J_template + _blend(body.J_shapedirs, betas) + _blend(body.J_exprdirs, expression)
    if body.posedirs is not None:
        shaped = shaped + _correctives(body.posedirs, rotations)
    turns, joints = _chain(rotations, rest)
    shifts = joints - (turns @ rest[..., None]).squeeze(-1)
    return Posed(_skin(body.weights, turns, shifts, shaped) + translation[:, None], joints + translation[:, None])


def personal(body: Body, offsets: Tensor | None) -> Body:
    """The same body with offsets (V, 3), metres, added to its template; the joints stay. None changes nothing.

    UserError when the offsets are of another body.
    """
    if offsets is None:
        return body
    if offsets.shape != body.v_template.shape:
        here, there = len(body.v_template), len(offsets)
        raise UserError(f"The subject was fitted with a body of {there} vertices, this one has {here}: use that body=.")
    return replace(body, v_template=body.v_template + offsets.to(body.v_template))


def skin_turns(body: Body, rotations: Tensor) -> Tensor:
    """(t, V, 3, 3): how each vertex follows a shift of its template; rotations (t, 55, 3, 3)."""
    rest = body.J_template.to(rotations)
    turns, _ = _chain(rotations, rest)
    return (body.weights.to(rotations) @ turns.flatten(2)).unflatten(-1, (3, 3))


def subset(body: Body, vertex_ids: Tensor) -> Body:
    """The same body with these (distinct) vertices only, the triangles and landmarks they span, and all joints."""
    place = torch.full((len(body.v_template),), -1, dtype=torch.long)
    place[vertex_ids] = torch.arange(len(vertex_ids))
    kept = (place[body.faces] >= 0).all(1)
    face_place = torch.where(kept, kept.long().cumsum(0) - 1, -1)
    posedirs = body.posedirs
    return replace(
        body,
        v_template=body.v_template[vertex_ids],
        faces=place[body.faces[kept]],
        shapedirs=body.shapedirs[vertex_ids],
        exprdirs=body.exprdirs[vertex_ids],
        posedirs=None if posedirs is None else posedirs.unflatten(0, (-1, 3))[vertex_ids].flatten(0, 1),
        J_regressor=None,
        weights=body.weights[vertex_ids],
        face_part=body.face_part[kept],
        part_of_face=body.part_of_face[kept],
        lmk68_faces=_renumber(face_place, body.lmk68_faces),
        mp_faces=_renumber(face_place, body.mp_faces),
    )


def to(body: Body, device: torch.device | str) -> Body:
    """The same body on another device."""
    values = {field.name: getattr(body, field.name) for field in fields(body)}
    return replace(body, **{name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)})


def load_body(path: str | Path | None = None, num_betas: int | None = None) -> Body:
    """A body from an SMPL-X or FLAME file, .npz or .pkl (None: the open body), with at most `num_betas` betas.

    FLAME's joints take the places of neck, head, jaw and eyes; the others fall together (`vlogger.body.model_files`).

    Shape and expression columns at the end that are all zero are dropped. UserError when the file is not there or is
    something else.
    """
    path = Path(path or OPEN_BODY)
    arrays = read_model(path)
    betas, expressions = _columns(arrays["shapedirs"], num_betas)
    names = arrays.get("expression_names", np.array([f"expression{i}" for i in range(expressions.shape[-1])]))
    template, faces = arrays["v_template"].astype(np.float32), arrays["f"].astype(np.int64)
    regressor, weights = arrays["J_regressor"].astype(np.float32), arrays["weights"].astype(np.float32)
    posedirs, face_part = arrays["posedirs"], arrays.get("face_part", np.zeros(len(faces))).astype(np.int64)
    lmk68_faces, lmk68_bary = _ibug(arrays)
    mp_faces, mp_bary = _mediapipe(arrays, lmk68_faces, lmk68_bary)
    part = part_of_faces(faces, weights, face_part, _mouth(arrays, template, faces, face_part))
    return Body(
        v_template=torch.from_numpy(template),
        faces=torch.from_numpy(faces),
        shapedirs=torch.from_numpy(betas),
        exprdirs=torch.from_numpy(expressions),
        posedirs=torch.from_numpy(posedirs.reshape(-1, 486).astype(np.float32)) if posedirs.any() else None,
        J_regressor=torch.from_numpy(regressor),
        weights=torch.from_numpy(weights),
        J_template=torch.from_numpy(_joints(regressor, template)),
        J_shapedirs=torch.from_numpy(_joints(regressor, betas)),
        J_exprdirs=torch.from_numpy(_joints(regressor, expressions)),
        expression_names=tuple(str(name) for name in names[: expressions.shape[-1]]),
        face_part=torch.from_numpy(face_part),
        part_of_face=torch.from_numpy(part),
        lmk68_faces=torch.from_numpy(lmk68_faces),
        lmk68_bary=torch.from_numpy(lmk68_bary),
        mp_faces=torch.from_numpy(mp_faces),
        mp_bary=torch.from_numpy(mp_bary),
    )


def _blend(directions: Tensor, weights: Tensor) -> Tensor:
    """(P, 3, n), (..., m <= n) -> (..., P, 3): the weighted sum of the first m directions."""
    used = directions[..., : weights.shape[-1]].flatten(0, 1)
    return (weights @ used.T).unflatten(-1, (-1, 3))


def _correctives(posedirs: Tensor, rotations: Tensor) -> Tensor:
    """(V * 3, 486), (t, 55, 3, 3) -> (t, V, 3): what bending does to the skin beyond skinning (SMPL, eq. 8)."""
    feature = rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return (feature.flatten(1) @ posedirs.T).unflatten(-1, (-1, 3))


def _chain(rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Local rotations (t, 55, 3, 3) and rest joints (t, 55, 3) -> rotations and joints in space, root to leaves."""
    turns, joints = [rotations[:, 0]], [rest[..., 0, :].expand(len(rotations), 3)]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        bone = (rest[..., joint, :] - rest[..., parent, :]).expand(len(rotations), 3)
        turns.append(turns[parent] @ rotations[:, joint])
        joints.append(joints[parent] + (turns[parent] @ bone[..., None]).squeeze(-1))
    return torch.stack(turns, dim=1), torch.stack(joints, dim=1)


def _skin(weights: Tensor, turns: Tensor, shifts: Tensor, shaped: Tensor) -> Tensor:
    """weights (V, 55), transforms (t, 55, 3, 3) and (t, 55, 3), points (t, V, 3) -> (t, V, 3)."""
    transforms = torch.cat([turns, shifts[..., None]], dim=-1).flatten(2)
    blended = (weights @ transforms).unflatten(-1, (3, 4))
    return (blended[..., :3] * shaped[..., None, :]).sum(-1) + blended[..., 3]


def _renumber(place: Tensor, ids: Tensor) -> Tensor:
    """New numbers of ids, -1 stays -1."""
    return torch.where(ids >= 0, place[ids], -1)


def _columns(shapedirs: np.ndarray, num_betas: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3, columns) -> betas (V, 3, n) and expressions (V, 3, e) without the zeros at their ends."""
    split, end = (_BETAS, _COLUMNS) if shapedirs.shape[-1] >= _COLUMNS else (_FEW_BETAS, _FEW_COLUMNS)
    betas, expressions = shapedirs[..., :split][..., :num_betas], shapedirs[..., split:end]
    return _drop_zeros(betas), _drop_zeros(expressions)


def _drop_zeros(directions: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(directions.any(axis=(0, 1)))
    return np.ascontiguousarray(directions[..., : used[-1] + 1 if len(used) else 0], dtype=np.float32)


def _joints(regressor: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(55, V) x (V, ...) -> (55, ...): a sparse product, whose last bits, unlike BLAS's, do not depend on threads."""
    columns = values.reshape(len(values), math.prod(values.shape[1:]))
    return (csr_array(regressor) @ columns).reshape(len(regressor), *values.shape[1:])


def _ibug(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The 68 points: the contour of a face seen straight (-1 where the file has none), then the 51 others."""
    contour = arrays.get("dynamic_lmk_faces_idx", np.full((1, 17), -1))[0]
    contour_bary = arrays.get("dynamic_lmk_bary_coords", np.zeros((1, 17, 3)))[0]
    faces = np.concatenate([contour, arrays["lmk_faces_idx"]]).astype(np.int64)
    return faces, np.concatenate([contour_bary, arrays["lmk_bary_coords"]]).astype(np.float32)


def _mediapipe(arrays: dict[str, np.ndarray], face68: np.ndarray, bary68: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 478 points as the file has them, else those that the 68 tell."""
    if "mp_faces" not in arrays:
        return mediapipe_from_ibug(face68, bary68)
    return arrays["mp_faces"].astype(np.int64), arrays["mp_bary"].astype(np.float32)


def _mouth(arrays: dict[str, np.ndarray], template: np.ndarray, faces: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(F,) lips and inside of the mouth as the file has them, else told from the iBUG points, else none."""
    if "mouth_region" in arrays:
        return arrays["mouth_region"]
    face, bary = (values[_IBUG_MOUTH] for values in _ibug(arrays))
    if len(np.unique(face)) < 3:
        return np.zeros(len(faces), np.int64)
    return mouth_region(template, faces, part, points_on_faces(template, faces, face, bary))

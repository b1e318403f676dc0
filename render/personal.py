"""Personal refinement: what shape and expression cannot tell of a face, as smooth offsets of the body's template.

The fit of a photo leaves residuals at the landmarks. They are mapped back through camera, pose and skinning, and
explained by the likeliest field of offsets on the head (`render.surface`), bounded; eyeballs, teeth and tongue go with
the skin around them. The offsets live in the template, beneath expression and pose, so a refined face moves as before.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from render.camera import project, projection_slope
from render.evidence import Markers, eye_distance
from render.surface import HeadField, head_field
from render.targets import INNER_LIP_PAIRS, LID_PAIRS, landmark_weights
from vlogger.body.smplx import Body, pose, skin_turns

BOUND = 0.012  # metres: no offset is longer
SEEN_SIGMA = 0.02  # of a landmark, in eye distances
GAP_SIGMA = 0.003  # of the opening of lips and lids, in eye distances
REST_SIGMA = 2e-4  # metres, of the lips at rest
OVERLAP = 2e-4  # metres by which closed lips press each other, so that no slit is drawn between them


class Equations(NamedTuple):
    """On the offsets of n points: the sum over points and axes of `slope` (r, n, 3) times offset is `wanted` (r,).

    `sigma` (r,): believed standard deviations, in the unit of `wanted`.
    """

    slope: NDArray
    wanted: NDArray
    sigma: NDArray


class Posture(NamedTuple):
    """A fitted pose: what `vlogger.body.smplx.pose` needs (one frame each), and the camera (3, 3)."""

    betas: Tensor
    rotations: Tensor
    expression: Tensor
    translation: Tensor
    intrinsics: Tensor


def field_of(body: Body, marks: Markers) -> HeadField:
    """The head's field as told by the markers' face landmarks."""
    return head_field(body, body.mp_faces[marks.ids], body.mp_bary[marks.ids])


def offsets_of(field: HeadField, equations: Equations) -> Tensor:
    """(V, 3) metres: the likeliest offsets, none longer than `BOUND`.

    With K the covariance of the points' offsets, G the slopes and S the variances, the offsets of the points are K z,
    those of all vertices `spread` z, where (1 + G' S^-1 G K) z = G' S^-1 wanted: its size does not grow with the number
    of equations, so many pictures can have their say.
    """
    count = equations.slope.shape[1]
    rows = equations.slope.transpose(0, 2, 1).reshape(-1, 3 * count)
    slope = csr_matrix(rows / equations.sigma[:, None])
    information = (slope.T @ slope).toarray()
    blocks = [information[:, k : k + count] @ field.covariance for k in range(0, 3 * count, count)]
    system = np.eye(3 * count) + np.concatenate(blocks, axis=1)
    told = np.linalg.solve(system, slope.T @ (equations.wanted / equations.sigma)).reshape(3, count)
    offsets = field.spread @ told.T
    length = np.linalg.norm(offsets, axis=1, keepdims=True)
    return torch.from_numpy((offsets * np.minimum(1, BOUND / np.maximum(length, 1e-9))).astype(np.float32))


def closed_lips(marks: Markers) -> Equations:
    """At rest the lips meet: bodies are modelled with them a little apart."""
    places = marks.body.v_template[: len(marks.ids)].numpy()
    pairs = _places(marks, INNER_LIP_PAIRS)
    slope = np.zeros((len(pairs), len(marks.ids), 3))
    slope[range(len(pairs)), pairs[:, 0], 1], slope[range(len(pairs)), pairs[:, 1], 1] = 1, -1
    gap = places[pairs[:, 0], 1] - places[pairs[:, 1], 1]
    return Equations(slope, -OVERLAP - gap, np.full(len(pairs), REST_SIGMA))


def seen_landmarks(marks: Markers, face_points: Tensor, posture: Posture) -> Equations:
    """The markers are seen where the photo's landmarks (478, 3) are, lips and lids as far open; in eye distances.

    `face_points`: pixels of the photo. Landmarks that slide over the face (its far outline) say nothing.
    """
    points, turns = _points_and_turns(marks, posture)
    unit = float(eye_distance(face_points))
    slope = (projection_slope(points, posture.intrinsics) @ turns).numpy() / unit
    miss = (face_points[marks.ids, :2] - project(points, posture.intrinsics)[:, :2]).numpy() / unit
    weight = landmark_weights(face_points, marks.ids).numpy()
    used, pairs = np.flatnonzero(weight > 0.05), _places(marks, (*INNER_LIP_PAIRS, *LID_PAIRS))
    at = np.zeros((len(used), 2, len(slope), 3))
    at[np.arange(len(used)), :, used] = slope[used]
    gap = np.zeros((len(pairs), 2, len(slope), 3))
    for sign, ends in ((-1, pairs[:, 0]), (1, pairs[:, 1])):
        gap[np.arange(len(pairs)), :, ends] = sign * slope[ends]
    wanted = np.concatenate([miss[used], miss[pairs[:, 1]] - miss[pairs[:, 0]]])
    sigma = np.concatenate([SEEN_SIGMA / weight[used], np.full(len(pairs), GAP_SIGMA)])
    return Equations(np.concatenate([at, gap]).reshape(-1, len(slope), 3), wanted.ravel(), np.repeat(sigma, 2))


def joined(*equations: Equations) -> Equations:
    """All equations together."""
    return Equations(*(np.concatenate(values) for values in zip(*equations)))


def _places(marks: Markers, pairs: tuple[tuple[int, int], ...]) -> NDArray:
    """(p, 2) places among the markers of pairs of MediaPipe's numbers; pairs that are not known are left out."""
    place = {int(number): i for i, number in enumerate(marks.ids)}
    known = [(place[a], place[b]) for a, b in pairs if a in place and b in place]
    return np.array(known, dtype=int).reshape(-1, 2)


def _points_and_turns(marks: Markers, posture: Posture) -> tuple[Tensor, Tensor]:
    """The face landmarks (n, 3) in camera space, and how each follows its offset in the template (n, 3, 3)."""
    here = pose(marks.body, *posture[:4]).vertices[0, : len(marks.ids)]
    return here, skin_turns(marks.body, posture.rotations)[0, : len(marks.ids)]

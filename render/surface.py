"""Smooth offset fields on the skin of the head: which fields are likely, told by a few points on them.

A field of offsets is a Gaussian process on the mesh, each coordinate for itself: its energy is the thin plate's (the
squared Laplacian, cotangent weights) plus a pull to zero, so its covariance is the inverse of a sparse matrix. What is
seen at n points gives a field in the span of n columns of that inverse (the representer theorem): they are computed
once for a body. Distances run along the skin: the upper lip is far from the lower one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree
from torch import Tensor

from vlogger.body.landmarks import LEFT_LIDS, RIGHT_LIDS
from vlogger.body.parts import PARTS
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body

REACH = 0.015  # metres along the skin over which offsets are alike
SIGMA = 0.005  # metres: believed deviation of each coordinate of an offset
NEIGHBOURS = 12  # vertices of the mouth's inside that carry teeth and tongue


@dataclass(frozen=True)
class HeadField:
    """The likely offsets of a body's head, as told by n points on its skin."""

    spread: NDArray  # (V, n) covariance of every vertex with every point, metres^2, for each coordinate
    covariance: NDArray  # (n, n) of the points


def head_field(body: Body, face: Tensor, bary: Tensor) -> HeadField:
    """The field of points on triangles (n,) at barycentrics (n, 3), all on the skin of the head."""
    free = np.flatnonzero(_head_skin(body))
    place = np.full(len(body.v_template), -1)
    place[free] = np.arange(len(free))
    corners = body.faces.numpy()[face.numpy()]
    rows = np.repeat(np.arange(len(corners)), 3)
    inside = place[corners].ravel() >= 0
    weights = np.asarray(bary, dtype=float).ravel()
    at = csc_matrix((weights[inside], (rows[inside], place[corners].ravel()[inside])), (len(corners), len(free)))
    columns = splu(stiffness(body, free)).solve(at.T.toarray())
    covariance = at @ columns
    scale = SIGMA**2 / np.diag(covariance).mean()
    spread = np.zeros((len(body.v_template), len(corners)))
    spread[free] = scale * columns
    return HeadField(carried(body) @ spread, scale * covariance)


def stiffness(body: Body, free: NDArray) -> csc_matrix:
    """(m, m) energy of fields that are zero but on the free vertices (m,): thin plate and pull to zero."""
    laplacian, area = cotangent_laplacian(body.v_template.double().numpy(), body.faces.numpy())
    rows = laplacian[:, free]
    plate = rows.T @ diags(1 / area) @ rows
    return csc_matrix(REACH**4 * plate + diags(area[free]))


def cotangent_laplacian(vertices: NDArray, faces: NDArray) -> tuple[csc_matrix, NDArray]:
    """(V, V) the Laplacian integrated over each vertex's area (zero on linear fields in the plane), and areas (V,)."""
    count = len(vertices)
    laplacian = csc_matrix((count, count))
    for corner in range(3):
        k, i, j = faces[:, corner], faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3]
        a, b = vertices[i] - vertices[k], vertices[j] - vertices[k]
        doubled = np.linalg.norm(np.cross(a, b), axis=1)
        cotangent = (a * b).sum(1) / np.maximum(doubled, 1e-12) / 2
        edge = coo_matrix((np.clip(cotangent, 0.02, 20), (i, j)), (count, count))
        laplacian = laplacian + edge + edge.T
    corners = vertices[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 6
    area = np.maximum(np.bincount(faces.ravel(), np.repeat(areas, 3), count), 1e-9)
    return csc_matrix(laplacian - diags(np.asarray(laplacian.sum(1)).ravel())), area


def carried(body: Body) -> csc_matrix:
    """(V, V) the offsets of all vertices from those of the skin: eyeballs go with their lids, teeth and tongue with the
    skin of the mouth around them, each as one rigid thing."""
    count = len(body.v_template)
    part = np.zeros(count, int)
    part[body.faces.numpy()] = body.face_part.numpy()[:, None]
    own = diags((part == 0).astype(float))
    rows, columns, values = [], [], []
    for value, carriers in _carriers(body, part).items():
        mine = np.flatnonzero(part == value)
        rows.append(np.repeat(mine, len(carriers)))
        columns.append(np.tile(carriers, len(mine)))
        values.append(np.full(len(mine) * len(carriers), 1 / len(carriers)))
    if not rows:
        return csc_matrix(own)
    follow = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count))
    return csc_matrix(own + follow)


def _carriers(body: Body, part: NDArray) -> dict[int, NDArray]:
    """For each value of `face_part` but skin: the skin vertices whose mean offset it has."""
    faces, template = body.faces.numpy(), body.v_template.numpy()
    found = {}
    for value, ring in ((1, LEFT_LIDS), (2, RIGHT_LIDS)):
        on = body.mp_faces.numpy()[list(ring)]
        found[value] = np.unique(faces[on[on >= 0]])
    cavity = np.unique(faces[(body.part_of_face.numpy() == PARTS.index("teeth")) & (body.face_part.numpy() == 0)])
    for value in (3, 4, 5):
        mine = template[part == value]
        if len(mine) and len(cavity):
            near = np.asarray(KDTree(template[cavity]).query(mine, min(NEIGHBOURS, len(cavity)))[1])
            found[value] = cavity[np.unique(near)]
    return {value: carriers for value, carriers in found.items() if len(carriers) and (part == value).any()}


def _head_skin(body: Body) -> NDArray:
    """(V,) skin that head and jaw move more than the neck."""
    joints = [joint_index(name) for name in ("head", "jaw", "left_eye", "right_eye")]
    skin = np.zeros(len(body.v_template), bool)
    skin[body.faces.numpy()[body.face_part.numpy() == 0]] = True
    return skin & (body.weights[:, joints].sum(1).numpy() > 0.5)

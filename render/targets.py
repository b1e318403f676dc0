"""Which points of a body model stand for which landmarks, and a body made of those points alone.

A point on a triangle is kept as a vertex of its own, whose template, directions and skinning weights are the mixture of
the triangle's: a body of a few hundred points that poses in a fraction of the time (the difference from mixing posed
vertices is below a tenth of a millimetre).
"""

from dataclasses import replace

import torch
from torch import Tensor

from vlogger.body.landmarks import INNER_LIPS, LEFT_LIDS, MEDIAPIPE_OF_IBUG, OUTER_LIPS, RIGHT_LIDS
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body

# MediaPipe's face outline from the top of the forehead, clockwise as the viewer sees it.
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
INNER_IBUG = MEDIAPIPE_OF_IBUG[17:]
RIGHT_IRIS, LEFT_IRIS = 468, 473
LIP_PAIRS = ((82, 87), (13, 14), (312, 317), (81, 178), (311, 402))  # upper, lower inner lip
INNER_LIP_PAIRS = tuple(zip(INNER_LIPS[1:10], reversed(INNER_LIPS[11:])))  # all between the corners
LID_PAIRS = ((160, 144), (159, 145), (158, 153), (387, 373), (386, 374), (385, 380))  # upper, lower; right eye, left

OUTLINE, OUTLINE_YAW = 0.3, 0.35  # weight of the outline; radians at which its far side no longer counts
FINGERS = ("thumb", "index", "middle", "ring", "pinky")  # in MediaPipe's order, four points each after the wrist
FINGER_TIPS = (4, 8, 12, 16, 20)


def points_body(body: Body, face: Tensor, bary: Tensor) -> Body:
    """The body whose vertices are the points (n,) triangles, (n, 3) places: joints and directions as before."""
    corners = body.faces[face]

    def mix(rows: Tensor) -> Tensor:
        return torch.einsum("nk,nk...->n...", bary.to(rows.dtype), rows[corners])

    posedirs = body.posedirs
    return replace(
        body,
        v_template=mix(body.v_template),
        shapedirs=mix(body.shapedirs),
        exprdirs=mix(body.exprdirs),
        posedirs=None if posedirs is None else mix(posedirs.unflatten(0, (-1, 3))).flatten(0, 1),
        weights=mix(body.weights),
        J_regressor=None,
        faces=body.faces[:0],
    )


def with_point(body: Body, joint: str, parent: str, offset: Tensor) -> Body:
    """The body with one more vertex: offset (3,) metres from a joint of the T pose, and moved as the parent moves."""
    at, weight = joint_index(joint), torch.zeros_like(body.weights[:1])
    weight[0, joint_index(parent)] = 1
    posedirs = body.posedirs
    return replace(
        body,
        v_template=torch.cat([body.v_template, (body.J_template[at] + offset)[None]]),
        shapedirs=torch.cat([body.shapedirs, body.J_shapedirs[at, None]]),
        exprdirs=torch.cat([body.exprdirs, body.J_exprdirs[at, None]]),
        posedirs=None if posedirs is None else torch.nn.functional.pad(posedirs, (0, 0, 0, 3)),
        weights=torch.cat([body.weights, weight]),
    )


def at_vertices(body: Body, vertices: Tensor) -> tuple[Tensor, Tensor]:
    """Triangles (n,) and places (n, 3) that are these vertices (n,)."""
    flat = body.faces.flatten()
    first = torch.full((len(body.v_template),), -1, dtype=torch.long)
    first[flat.flip(0)] = torch.arange(len(flat)).flip(0)
    slot = first[vertices]
    return slot // 3, torch.nn.functional.one_hot(slot % 3, 3).to(body.mp_bary.dtype)


def iris_vertices(body: Body) -> Tensor:
    """(2,) the foremost vertices of the right and the left eyeball: where the irises are."""
    return torch.stack([_farthest(body, f"{side}_eye", torch.tensor([0.0, 0.0, 1.0])) for side in ("right", "left")])


def finger_tips(body: Body, side: str) -> Tensor:
    """(5,) vertices: the ends of the fingers in MediaPipe's order."""
    tips = []
    for finger in FINGERS:
        bones = body.J_template[[joint_index(f"{side}_{finger}{i}") for i in (2, 3)]]
        tips.append(_farthest(body, f"{side}_{finger}3", bones[1] - bones[0]))
    return torch.stack(tips)


def _farthest(body: Body, joint: str, direction: Tensor) -> Tensor:
    """The vertex moved mostly by a joint that lies farthest in a direction."""
    mine = body.weights[:, joint_index(joint)] > 0.5
    return torch.where(mine, body.v_template @ direction, -torch.inf).argmax()


def landmark_weights(points: Tensor, ids: Tensor) -> Tensor:
    """(..., n) how much each of the MediaPipe points `ids` of faces (..., 478, 3) counts.

    Lips and lids count more. The outline counts less, and on the side that turns away from the viewer not at all: there
    the landmarks lie on the rim that is seen, which slides over the face.
    """
    weight = torch.ones(478, dtype=points.dtype)
    weight[[*OUTER_LIPS, *INNER_LIPS, *RIGHT_LIDS, *LEFT_LIDS]] = 1.5
    outline = torch.zeros(478, dtype=points.dtype)
    outline[list(OVAL)] = 1.0
    across = points[..., 263, :] - points[..., 33, :]  # from the right outer eye corner to the left one
    yaw = torch.atan2(across[..., 2], across[..., :2].norm(dim=-1))[..., None]  # > 0: the left side is farther
    away = torch.linalg.vecdot(points[..., :2] - points[..., 6:7, :2], across[..., None, :2]) * yaw > 0
    rim = OUTLINE * torch.where(away, (1 - yaw.abs() / OUTLINE_YAW).clamp(min=0), 1.0)
    return (weight * (1 - outline) + rim * outline)[..., ids]

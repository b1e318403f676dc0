"""Which square of the picture is generated, and the subject seen through it.

The pinhole camera is the one of `vlogger.types`: at the origin, looking along -z, u = fx x / -z + cx,
v = fy (-y) / -z + cy, pixel centres at +0.5.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body, personal, pose
from vlogger.pixels import resample
from vlogger.types import Subject

HEAD_AT = 0.40  # where the middle of the head sits in the square, as a share of the side from the top
FINEST = 512  # pixels: nothing is drawn larger than this for the sake of smaller controls, its means
HAND_MARGIN = 0.10  # room around visible hands, in heads


@dataclass(frozen=True)
class Region:
    """A square of the photo: left, top, side in its pixels, fractional; it may stick out of the photo."""

    left: float
    top: float
    side: float


def detail(size: int) -> int:
    """Pixels a side of a photo that is to be drawn at `size` for training: twice as many at least."""
    return max(2 * size, min(4 * size, FINEST))


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Camera-space points (..., 3) in metres -> (..., 3): u, v in pixels and depth -z in metres.

    Depth <= 0 is behind the camera; u, v are then finite but mean nothing.
    """
    depth = -points[..., 2]
    safe = torch.where(depth.abs() < 1e-6, torch.full_like(depth, 1e-6), depth)
    u = (intrinsics[0, 0] * points[..., 0] - intrinsics[0, 1] * points[..., 1]) / safe + intrinsics[0, 2]
    v = intrinsics[1, 1] * -points[..., 1] / safe + intrinsics[1, 2]
    return torch.stack([u, v, depth], dim=-1)


def pose_subject(subject: Subject, body: Body) -> Tensor:
    """The body as the photo shows it: vertices (V, 3) in camera space."""
    frame = (subject.rotations[None], subject.expression[None], subject.translation[None])
    return pose(personal(body, subject.offsets), subject.betas, *frame).vertices[0]


def chin_and_crown(body: Body) -> tuple[int, int]:
    """Vertices at the two ends of the head: the lowest one that the jaw moves, the highest one that the head moves."""
    owner = body.weights.argmax(1)
    height = body.v_template[:, 1]
    jaw, head = owner == joint_index("jaw"), owner == joint_index("head")
    chin = torch.where(jaw, height, torch.full_like(height, torch.inf)).argmin()
    return int(chin), int(torch.where(head, height, torch.full_like(height, -torch.inf)).argmax())


def head_height(vertices: Tensor, intrinsics: Tensor, body: Body) -> float:
    """Chin to crown in pixels, as if the head were upright at its depth (metres * f / depth)."""
    ends = vertices[list(chin_and_crown(body))]
    return float((ends[0] - ends[1]).norm() * intrinsics[1, 1] / -ends[:, 2].mean())


def region_of(subject: Subject, body: Body, scale: float = 2.2, reach: str = "head") -> Region:
    """The square around head and shoulders: `scale` heads wide, the head in its upper middle.

    `reach`: "head", or "hands" to widen the square until it holds the hands that the photo shows.
    """
    vertices = pose_subject(subject, body)
    head = head_height(vertices, subject.intrinsics, body)
    centre = project(vertices[list(chin_and_crown(body))].mean(0), subject.intrinsics)
    side = scale * head
    region = Region(float(centre[0]) - side / 2, float(centre[1]) - HEAD_AT * side, side)
    if reach == "head":
        return region
    return _widen(region, _visible_hands(vertices, subject, body), HAND_MARGIN * head)


def _visible_hands(vertices: Tensor, subject: Subject, body: Body) -> Tensor:
    """Projected hand vertices (n, 2) that lie inside the photo (first wrist joint and beyond)."""
    owner = body.weights.argmax(1)
    hands = (owner >= joint_index("left_index1")) | torch.isin(
        owner, torch.tensor([joint_index("left_wrist"), joint_index("right_wrist")])
    )
    seen = project(vertices[hands], subject.intrinsics)
    height, width = subject.portrait.image.shape[1:]
    inside = (seen[:, 2] > 0) & (seen[:, :2] >= 0).all(1) & (seen[:, 0] < width) & (seen[:, 1] < height)
    return seen[inside, :2]


def _widen(region: Region, points: Tensor, margin: float) -> Region:
    """The smallest square with the same top middle tendency that holds the region and the points with a margin."""
    if not len(points):
        return region
    low, high = (points.amin(0) - margin).tolist(), (points.amax(0) + margin).tolist()
    left, top = min(region.left, low[0]), min(region.top, low[1])
    right, bottom = max(region.left + region.side, high[0]), max(region.top + region.side, high[1])
    side = max(right - left, bottom - top)
    return Region((left + right - side) / 2, top, side)


def crop_intrinsics(intrinsics: Tensor, region: Region, side: int) -> Tensor:
    """The camera (3, 3) whose picture is the region, `side` pixels wide."""
    zoom = side / region.side
    moved = intrinsics.clone()
    moved[0, 2] -= region.left
    moved[1, 2] -= region.top
    moved[:2] *= zoom
    return moved


def crop(subject: Subject, region: Region, side: int) -> Subject:
    """The same subject seen through the region, `side` x `side` pixels; outside the photo its edge pixels go on."""
    box = (region.top, region.left, region.side, region.side)
    portrait = subject.portrait.seen(lambda image: resample(image, box, side, side))
    return replace(subject, portrait=portrait, intrinsics=crop_intrinsics(subject.intrinsics, region, side))

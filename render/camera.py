"""The pinhole camera at the origin (axes, pixel convention: `vlogger.types`), and what it does to faces."""

import torch
from torch import Tensor

from vlogger.framing import project

__all__ = ["project", "projection_slope", "scale_intrinsics", "signed_area", "unproject"]


def unproject(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """The inverse of `project`: (..., 3) of u, v (pixels) and depth (metres) -> camera-space points (..., 3)."""
    u, v, depth = pixels.unbind(-1)
    y = -(v - intrinsics[1, 2]) / intrinsics[1, 1] * depth
    x = ((u - intrinsics[0, 2]) * depth + intrinsics[0, 1] * y) / intrinsics[0, 0]
    return torch.stack([x, y, -depth], dim=-1)


def scale_intrinsics(intrinsics: Tensor, sx: float, sy: float) -> Tensor:
    """The camera (3, 3) of the same picture resized by sx in width and sy in height."""
    return intrinsics * intrinsics.new_tensor([sx, sy, 1.0])[:, None]


def signed_area(projected: Tensor, faces: Tensor) -> Tensor:
    """Twice the area of each projected face (..., F) in pixels^2; its sign tells which side is seen.

    With v pointing down, a face whose vertices run counter-clockwise for the viewer has a negative area.
    """
    a, b, c = (projected[..., faces[:, k], :2] for k in range(3))
    ab, ac = b - a, c - a
    return ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0]


def projection_slope(points: Tensor, intrinsics: Tensor) -> Tensor:
    """d pixel / d point (..., 2, 3), pixels per metre, of points (..., 3), for a camera without skew."""
    x, y, z = points.unbind(-1)
    zero = torch.zeros_like(x)
    u = torch.stack([-intrinsics[0, 0] / z, zero, intrinsics[0, 0] * x / z**2], dim=-1)
    v = torch.stack([zero, intrinsics[1, 1] / z, -intrinsics[1, 1] * y / z**2], dim=-1)
    return torch.stack([u, v], dim=-2)

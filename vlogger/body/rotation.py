"""Rotations as axis-angle vectors (radians), matrices, and the continuous 6D form of Zhou et al., CVPR 2019.

All maps are batched over the leading axes, differentiable, and finite in value and gradient everywhere, the zero
rotation and half turns included.
"""

import torch
from torch import Tensor

_SMALL = 1e-4  # squared angle below which the series are exact to float32 (and their derivatives too)


def axis_angle_to_matrix(vector: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3): Rodrigues' formula I + sin(a)/a [v] + (1 - cos a)/a^2 [v]^2."""
    square = (vector * vector).sum(-1)
    small = square < _SMALL
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    first = torch.where(small, 1 - square / 6 + square**2 / 120, angle.sin() / angle)
    second = torch.where(small, 0.5 - square / 24 + square**2 / 720, 2 * ((angle / 2).sin() / angle) ** 2)
    cross = _cross_matrix(vector)
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + first[..., None, None] * cross + second[..., None, None] * (cross @ cross)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3), angle in [0, pi]; through the unit quaternion, hence stable near half turns."""
    quaternion = _matrix_to_quaternion(matrix)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    square = (imaginary * imaginary).sum(-1, keepdim=True)
    small = square < _SMALL
    sine = torch.where(small, torch.ones_like(square), square).sqrt()
    near = torch.where(small, real, torch.ones_like(real))
    ratio = square / near**2
    series = 2 / near * (1 - ratio / 3 + ratio**2 / 5)
    return imaginary * torch.where(small, series, 2 * torch.atan2(sine, real) / sine)


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6): the first column, then the second."""
    return torch.cat([matrix[..., :, 0], matrix[..., :, 1]], dim=-1)


def six_d_to_matrix(six: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3) by Gram-Schmidt; two parallel or zero columns give garbage, not an error."""
    first = torch.nn.functional.normalize(six[..., :3], dim=-1)
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def _cross_matrix(vector: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3) with [v] w = v x w."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def _matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4), real part first and >= 0.

    The entries of R give 4 q q^T linearly; any non-zero row of it is q up to scale, the longest the best conditioned.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    rows = [
        [1 + xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, 1 + xx - yy - zz, yx + xy, xz + zx],
        [xz - zx, yx + xy, 1 - xx + yy - zz, zy + yz],
        [yx - xy, xz + zx, zy + yz, 1 - xx - yy + zz],
    ]
    outer = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    best = torch.diagonal(outer, dim1=-2, dim2=-1).argmax(-1)
    row = torch.take_along_dim(outer, best[..., None, None], dim=-2).squeeze(-2)
    sign = torch.where(row[..., :1] < 0, -1.0, 1.0)
    return torch.nn.functional.normalize(row * sign, dim=-1)

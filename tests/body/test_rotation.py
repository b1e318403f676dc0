import math

import pytest
import torch

from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_6d, matrix_to_axis_angle, six_d_to_matrix


def vectors(*angles: float) -> torch.Tensor:
    axes = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    return torch.cat([axes * angle for angle in angles]).double()


def test_matrix_exponential_is_the_slow_twin():
    vector = vectors(0.0, 1e-7, 1e-3, 0.0099, 0.0101, 1.0, 3.0, math.pi, 5.0)
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    torch.testing.assert_close(axis_angle_to_matrix(vector), torch.linalg.matrix_exp(cross), atol=1e-9, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3, 0.0199, 0.0201, 1.0, 2.0, 3.1, math.pi - 1e-6])
def test_there_and_back(angle):
    vector = vectors(angle)
    torch.testing.assert_close(matrix_to_axis_angle(axis_angle_to_matrix(vector)), vector, atol=1e-7, rtol=0)


def test_half_turn_comes_back_up_to_sign():
    matrix = axis_angle_to_matrix(vectors(math.pi).float())
    torch.testing.assert_close(axis_angle_to_matrix(matrix_to_axis_angle(matrix)), matrix, atol=1e-5, rtol=0)


def test_six_numbers_there_and_back():
    matrix = axis_angle_to_matrix(vectors(0.0, 0.5, math.pi))
    torch.testing.assert_close(six_d_to_matrix(matrix_to_6d(matrix)), matrix)


def test_any_six_numbers_make_a_rotation():
    matrix = six_d_to_matrix(torch.randn(50, 6, generator=torch.Generator().manual_seed(1)).double())
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(3).double().expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(50).double())


@pytest.mark.parametrize("angle", [0.0, 1e-3, 0.0201, 1.0, 3.0])
def test_gradients_match_finite_differences(angle):
    vector = vectors(angle)[:4].requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_to_matrix, vector)
    assert torch.autograd.gradcheck(lambda v: matrix_to_axis_angle(axis_angle_to_matrix(v)), vector)


@pytest.mark.parametrize("angle", [0.0, math.pi])
def test_gradients_are_finite_at_identity_and_half_turn(angle):
    vector = vectors(angle).float().requires_grad_()
    matrix_to_axis_angle(axis_angle_to_matrix(vector)).sum().backward()
    assert torch.isfinite(vector.grad).all()

"""Nonlinear least squares with box-free unknowns: Levenberg-Marquardt on forward-mode Jacobians.

A body seen through a camera has some two hundred unknowns and a few thousand residuals, each cheap: the Jacobian by
forward-mode autograd (one pass for all unknowns) and a dense solve converge in a dozen steps where first-order descent
needs hundreds.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_EASIER, _HARDER = 0.3, 8.0  # how the damping changes after a step that helped, that did not
_GIVE_UP = 1e6  # damping at which no step helps any more


def least_squares(residuals: Callable[[Tensor], Tensor], start: Tensor, steps: int, damping: float = 1e-2) -> Tensor:
    """The unknowns (p,) near `start` that minimise the sum of squares of residuals(p) (r,), in at most `steps` steps.

    Marquardt's scaling: the damping is relative to the diagonal of the normal matrix, so units do not matter. The cost
    never rises.
    """
    point, cost = start, float(residuals(start).square().sum())
    for _ in range(steps):
        jacobian, value = _linearise(residuals, point)
        normal, slope = jacobian.T @ jacobian, jacobian.T @ value
        scale = normal.diagonal().clamp(min=1e-9)
        while damping < _GIVE_UP:
            trial = point - torch.linalg.solve(normal + torch.diag(damping * scale), slope)
            trial_cost = float(residuals(trial).square().sum())
            if trial_cost < cost:
                break
            damping *= _HARDER
        else:
            return point
        gain, point, cost, damping = cost - trial_cost, trial, trial_cost, max(damping * _EASIER, 1e-7)
        if gain < 1e-3 * cost:
            return point
    return point


def _linearise(residuals: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
    """The Jacobian (r, p) and the residuals (r,)."""

    def twice(unknowns: Tensor) -> tuple[Tensor, Tensor]:
        value = residuals(unknowns)
        return value, value

    return torch.func.jacfwd(twice, has_aux=True)(point)

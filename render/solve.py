"""Nonlinear least squares with unknowns in soft ranges: Levenberg-Marquardt on forward-mode Jacobians.

A body seen through a camera has some two hundred unknowns and a few thousand residuals, each cheap: the Jacobian by
forward-mode autograd (one pass for all unknowns) and a dense solve converge in a dozen steps where first-order descent
needs hundreds.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_EASIER, _HARDER = 0.1, 6.0  # how the damping changes after a step that did what was promised, that did not
_GIVE_UP = 1e6  # damping at which no step helps any more
_ENOUGH = 1e-4  # of the cost: what a step must promise to be worth it
_FLIPS = 6  # how often a step decides anew which unknowns leave their range


class Ranges(NamedTuple):
    """Where the unknowns (p,) should stay; how far they stray is one more Gaussian, of deviation `sigma`."""

    low: Tensor
    high: Tensor
    sigma: float

    def beyond(self, point: Tensor) -> Tensor:
        """(p,) how far each unknown is outside, in deviations."""
        return (point - point.maximum(self.low).minimum(self.high)) / self.sigma


def least_squares(
    residuals: Callable[[Tensor], Tensor],
    start: Tensor,
    steps: int,
    ranges: Ranges | None = None,
    damping: float = 1e-4,
) -> Tensor:
    """The unknowns (p,) near `start` that minimise the sum of squares of residuals(p) (r,), in at most `steps` steps.

    `ranges` add their squares to the sum; each step foresees which unknowns it will push out of them. Marquardt's
    scaling: the damping is relative to the diagonal of the normal matrix, so units do not matter. It follows how much
    of the promised gain comes true (Nielsen 1999). The cost never rises.
    """
    if ranges is None:
        ranges = Ranges(torch.full_like(start, -torch.inf), torch.full_like(start, torch.inf), 1.0)

    def cost_at(point: Tensor) -> float:
        return float(residuals(point).square().sum() + ranges.beyond(point).square().sum())

    point, cost = start, cost_at(start)
    for _ in range(steps):
        jacobian, value = _linearise(residuals, point)
        normal, slope = jacobian.T @ jacobian, jacobian.T @ value
        while damping < _GIVE_UP:
            step = _step(normal, slope, point, ranges, damping)
            strays = ranges.beyond(point).square().sum() - ranges.beyond(point - step).square().sum()
            promised = float(2 * slope @ step - step @ normal @ step + strays)
            if promised < _ENOUGH * cost:
                return point
            trial_cost = cost_at(point - step)
            if trial_cost < cost:
                break
            damping *= _HARDER
        else:
            return point
        kept = (cost - trial_cost) / promised
        point, cost = point - step, trial_cost
        damping = max(damping * (_EASIER if kept > 0.7 else 1.0 if kept > 0.25 else _HARDER), 1e-7)
    return point


def _step(normal: Tensor, slope: Tensor, point: Tensor, ranges: Ranges, damping: float) -> Tensor:
    """(p,) what to subtract from the point: the damped minimum of the linearised sum, ranges included."""
    damped = normal + torch.diag(damping * normal.diagonal().clamp(min=1e-9))
    there = point
    for _ in range(_FLIPS):
        out = ranges.beyond(there) != 0
        edge = torch.where(there > ranges.high, ranges.high, ranges.low)
        pull = torch.where(out, point - edge, 0.0) / ranges.sigma**2
        step = torch.linalg.solve(damped + torch.diag(out / ranges.sigma**2), slope + pull)
        there = point - step
        if torch.equal(ranges.beyond(there) != 0, out):
            break
    return step


def _linearise(residuals: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
    """The Jacobian (r, p) and the residuals (r,)."""

    def twice(unknowns: Tensor) -> tuple[Tensor, Tensor]:
        value = residuals(unknowns)
        return value, value

    return torch.func.jacfwd(twice, has_aux=True)(point)

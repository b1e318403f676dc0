import numpy as np
import scipy.optimize
import torch

from render.solve import Ranges, least_squares


def test_soft_ranges_are_the_minimum_of_the_whole_sum():
    dice = torch.Generator().manual_seed(0)
    matrix, target = torch.randn(12, 5, generator=dice).double(), 3 * torch.randn(12, generator=dice).double()
    ranges = Ranges(torch.zeros(5).double(), torch.full((5,), 0.5).double(), 0.2)

    def cost(values):
        outside = (values - values.clip(0, 0.5)) / 0.2
        return ((matrix.numpy() @ values - target.numpy()) ** 2).sum() + (outside**2).sum()

    slow = scipy.optimize.minimize(cost, np.full(5, 0.3), method="Powell", options={"xtol": 1e-9, "ftol": 1e-12}).x
    found = least_squares(lambda x: matrix @ x - target, torch.full((5,), 0.3).double(), 20, ranges).numpy()
    assert ((slow < 0) | (slow > 0.5)).any()
    np.testing.assert_allclose(found, slow, atol=2e-3)


def test_a_stray_start_comes_back_in_few_steps():
    """A valley as long as it is narrow, behind the edge of a range: the edge is foreseen, not run into."""
    ranges = Ranges(torch.tensor([-1e9, 0.0]).double(), torch.tensor([1e9, 1.0]).double(), 1e-3)

    def residuals(x):
        return torch.stack([100 * (x[0] - x[1]), x[0] - 3])

    found = least_squares(residuals, torch.tensor([-5.0, -5.0]).double(), 4, ranges)
    np.testing.assert_allclose(found.numpy(), [1.0, 1.0], atol=0.01)

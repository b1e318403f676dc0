"""What the small encoder is taught: features, and the mouth that a regression reads off them."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from motion.distil import MouthMatters
from vlogger.diffusion.loss import squared
from vlogger.errors import UserError
from vlogger.types import seeded


@pytest.fixture
def kernel(tmp_path):
    path = tmp_path / "mouth.npz"
    np.savez(path, kernel=torch.randn(3, 6, 5, generator=seeded(0)).numpy())
    return path


def test_the_mouths_error_is_the_error_of_the_mouth(kernel):
    loss = MouthMatters(str(kernel), strength=2.0)
    made, true = (torch.randn(2, 40, 6, generator=seeded(seed)) for seed in (1, 2))
    losses = loss(made, true, torch.ones(2, 40, 1))
    mouths = [F.conv1d(values.transpose(1, 2), loss.kernel, padding=2) for values in (made, true)]
    assert torch.allclose(losses["mouth"], (mouths[0] - mouths[1]).square().mean(), rtol=1e-4)
    assert torch.allclose(losses["loss"], squared(made, true, torch.ones(2, 40, 1)) + 2 * losses["mouth"])


def test_an_error_that_no_mouth_shows_costs_its_square_only(kernel):
    loss = MouthMatters(str(kernel))
    loss.kernel[:, 0] = 0.0
    wrong = torch.zeros(1, 20, 6)
    wrong[..., 0] = 1.0
    losses = loss(wrong, torch.zeros(1, 20, 6), torch.ones(1, 20, 1))
    assert float(losses["mouth"]) == 0.0 and losses["loss"] == losses["features"]


def test_without_the_regression_it_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match=r"motion\.label"):
        MouthMatters(str(tmp_path / "mouth.npz"))

"""Distances of sets."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from vlogger.errors import UserError
from vlogger.evaluation import frechet


def twin(a, b):
    """As the formula says it."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    apart = a.mean(0) - b.mean(0)
    return apart @ apart + np.trace(first + second - 2 * np.real(sqrtm(first @ second)))


def test_it_is_the_formula():
    chance = np.random.default_rng(0)
    a, b = chance.standard_normal((200, 6)), 2 * chance.standard_normal((150, 6)) + 1
    assert frechet.frechet_distance(a, b) == pytest.approx(twin(a, b), rel=1e-6)
    assert frechet.frechet_distance(a, a) == pytest.approx(0, abs=1e-8)


def test_a_shift_counts_squared_and_few_samples_are_allowed():
    a = np.random.default_rng(0).standard_normal((5, 40))
    assert frechet.frechet_distance(a, a + 0.5) == pytest.approx(40 * 0.25, rel=1e-6)
    assert np.isnan(frechet.frechet_distance(a[:1], a))


class Pooled(torch.nn.Module):
    """A stand-in of the right shape for StyleGAN's Inception script."""

    def forward(self, pictures: torch.Tensor, return_features: bool = True) -> torch.Tensor:
        return pictures.float().mean((2, 3))


def test_a_script_gives_features_of_pictures(tmp_path):
    torch.jit.script(Pooled()).save(str(tmp_path / "a.pt"))
    inception = frechet.Inception(frechet.load_script(tmp_path / "a.pt", "fid"))
    assert inception(torch.full((2, 3, 40, 30), 9, dtype=torch.uint8)) == pytest.approx(9)
    (tmp_path / "b.pt").write_bytes(b"no script")
    for name in ("b.pt", "c.pt"):
        with pytest.raises(UserError, match=name):
            frechet.load_script(tmp_path / name, "fid")

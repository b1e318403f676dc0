"""Sharpness and naturalness move the right way."""

import numpy as np
import pytest
import torch

from vlogger.evaluation import quality
from vlogger.evaluation.sanity import blurred, noisy


@pytest.fixture(scope="module")
def pristine(film):
    """A model of good pictures made from this one: enough for directions."""
    ramp = np.exp(-((np.arange(7) - 3) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(ramp, ramp) / np.outer(ramp, ramp).sum()
    rows = np.concatenate([quality.block_features(picture, window) for picture in quality.luma(film.frames)])
    return quality.Pristine(rows.mean(0), np.cov(rows, rowvar=False), window)


def test_cpbd_falls_with_blur(film):
    sharp, soft = quality.sharpness(film.frames[:1]), quality.sharpness(blurred(film.frames[:1]))
    assert 0 <= soft < sharp <= 1


def test_an_even_picture_has_no_edges_to_judge():
    assert np.isnan(quality.cpbd(np.full((128, 128), 80.0)))


def test_widths_of_a_known_edge():
    row = np.concatenate([np.full(20, 10.0), np.linspace(10, 200, 8), np.full(20, 200.0)])
    widths = quality.edge_widths(np.tile(row, (40, 1)))
    assert widths[10:30].max() == 7  # steps that go up


def test_niqe_is_least_for_what_the_model_knows(film, pristine):
    own = quality.niqe(film.frames, pristine)
    assert own < 0.2
    assert quality.niqe(blurred(film.frames), pristine) > own + 1
    assert quality.niqe(noisy(film.frames), pristine) > own + 1
    assert np.isnan(quality.niqe(film.frames[:, :, :90], pristine))


def test_shapes_of_known_distributions():
    chance = np.random.default_rng(0)
    shape, left, right = quality.asymmetric(chance.standard_normal(200_000))
    assert shape == pytest.approx(2, abs=0.05) and left == pytest.approx(right, rel=0.02)
    shape, left, right = quality.asymmetric(chance.laplace(size=200_000))
    assert shape == pytest.approx(1, abs=0.05)
    skewed = np.abs(chance.standard_normal(100_000))
    shape, left, right = quality.asymmetric(np.concatenate([2 * skewed[:50_000], -skewed[50_000:]]))
    assert right == pytest.approx(2 * left, rel=0.05)


def test_luma_of_black_and_white():
    frames = torch.stack([torch.zeros(3, 2, 2), torch.full((3, 2, 2), 255.0)]).byte()
    assert quality.luma(frames)[:, 0, 0].tolist() == [16, 235]

"""Intervals of means."""

import numpy as np
import pytest

from vlogger.evaluation.bootstrap import estimate


def test_nothing_known_is_not_zero():
    assert estimate([]) is None and estimate([float("nan")]) is None


def test_one_clip_has_no_interval():
    one = estimate([2.0, float("nan")])
    assert one.mean == 2 and one.count == 1 and np.isnan(one.low)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
    held, chance = 0, np.random.default_rng(1)
    for _ in range(200):
        found = estimate(chance.standard_normal(40) + 1)
        held += found.low <= 1 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_the_same_values_give_the_same_interval():
    assert estimate([1, 2, 4, 8]) == estimate([1, 2, 4, 8])
    assert estimate([3, 3, 3]).low == pytest.approx(3)

"""Curves with known answers."""

import numpy as np
import pytest

from vlogger.evaluation import lips
from vlogger.evaluation.faces import aligned, aperture, in_millimetres, lid_opening, unit


def wave(frames=80, seed=0):
    return np.convolve(np.random.default_rng(seed).standard_normal(frames + 10), np.ones(5) / 5, "same")[:frames]


def test_a_curve_agrees_with_itself_at_any_scale():
    curve = wave()
    assert lips.correlation(curve, 3 * curve + 1) == pytest.approx(1)
    assert lips.correlation(curve, -curve) == pytest.approx(-1)


def test_unknown_frames_are_left_out_and_flat_curves_say_nothing():
    curve = wave()
    gappy = np.where(np.arange(80) % 7 == 0, np.nan, curve)
    assert lips.correlation(gappy, curve) == pytest.approx(1)
    assert np.isnan(lips.correlation(np.ones(80), curve))
    assert np.isnan(lips.correlation(curve[:5], curve[:5]))


@pytest.mark.parametrize("shift", [-4, 0, 3])
def test_a_known_shift_gives_its_lag(shift):
    curve = wave()
    lag, r = lips.best_lag(np.roll(curve, shift), curve)
    assert lag == shift and r > 0.95


def test_shuffled_clips_agree_by_chance_and_by_what_they_share():
    common = 3 * np.sin(np.arange(80) / 6)
    alone = [wave(seed=seed) for seed in range(40)]
    found = lips.matched_and_shuffled(alone, alone)
    assert np.mean(found["r"]) == pytest.approx(1)
    assert abs(np.mean(found["r_shuffled"])) < 0.1
    together = [curve + common for curve in alone]
    found = lips.matched_and_shuffled(together, together)
    assert np.mean(found["r_shuffled"]) > 0.8 and np.mean(found["r_truth_shuffled"]) > 0.8
    assert np.mean(found["r_rest"]) == pytest.approx(1) and abs(np.mean(found["r_rest_shuffled"])) < 0.1


def test_landmark_error_knows_its_millimetres_and_not_the_pose(face):
    points = face[None].repeat(3, axis=0)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    moved = 2.5 * points @ turn.T + 30
    assert lips.landmark_error(moved, points) == pytest.approx(0, abs=1e-3)
    opened = points.copy()
    opened[:, lips.LIPS, 1] += unit(points)[:, None] / 63.0
    assert lips.landmark_error(opened, points) == pytest.approx(1.0, abs=1e-3)
    assert lips.landmark_error(2.5 * opened @ turn.T, points) == pytest.approx(1.0, abs=1e-3)


def test_alignment_leaves_unknown_frames_unknown(face):
    points = face[None].repeat(2, axis=0)
    unknown = points.copy()
    unknown[1] = np.nan
    assert np.isnan(aligned(unknown, points)[1]).all() and np.isfinite(aligned(unknown, points)[0]).all()


def test_apertures_do_not_depend_on_size(face):
    points = face[None]
    assert aperture(points) == pytest.approx(aperture(7 * points)) and aperture(points)[0] > 0
    assert lid_opening(points) == pytest.approx(lid_opening(7 * points)) and lid_opening(points)[0] > 0
    assert unit(in_millimetres(points))[0] == pytest.approx(63)

"""Mouth curves of known phones."""

import itertools

import numpy as np
import pytest

from motion.features import EXPRESSIONS, MOUTH
from motion.visemes import VISEMES, columns, curves, segments, shape_vector

JAW, PUCKER, ROLL = (columns(unit)[0] for unit in ("jawOpen", "mouthPucker", "mouthRollLower"))
MAMA = (["", "m", "ˈ", "a", "m", "ə", ",", "u", ""], [0.5, 0.6, 0.65, 0.85, 0.95, 1.1, 1.6, 1.8, 2.3])


def at(moment: float) -> np.ndarray:
    return curves(*MAMA, np.array([moment]))[0]


def test_segments_cover_the_time_without_gaps():
    parts = segments(*MAMA)
    assert parts[0].start == 0 and parts[-1].end == 2.3
    for before, after in itertools.pairwise(parts):
        assert before.end == after.start
    vowel = next(part for part in parts if part.viseme == VISEMES["aa"])
    assert (vowel.start, vowel.end) == (0.6, 0.85), "a stress mark belongs to its vowel"


def test_a_length_mark_prolongs_its_vowel_and_an_overlong_phone_ends_in_silence():
    long = segments(["u", "ː"], [0.1, 0.2])
    assert [(part.start, part.end) for part in long] == [(0, 0.2)]
    tail = segments(["ʃ"], [0.6])
    assert [part.viseme for part in tail] == [VISEMES["CH"], VISEMES["sil"]]


def test_lips_close_for_m_open_for_a_and_rest_in_pauses():
    assert at(0.55)[ROLL] > 0.15 and at(0.55)[JAW] < 0.08
    assert at(0.72)[JAW] > 0.3
    assert at(0.9)[ROLL] > 0.15 and at(0.9)[JAW] < 0.08
    assert np.abs(at(0.1)).max() < 0.01 and np.abs(at(1.35)).max() < 0.02 and np.abs(at(2.2)).max() < 0.01


def test_rounding_comes_early():
    times = np.arange(1.2, 2.2, 0.005)
    values = curves(*MAMA, times)
    centre = lambda column: (times * values[:, column]).sum() / values[:, column].sum()  # noqa: E731
    assert centre(PUCKER) < centre(JAW) - 0.02


def test_short_vowels_open_less():
    slow, fast = (curves(["t", "a", "t"], [0.1 * f, 0.3 * f, 0.4 * f], np.array([0.2 * f]))[0, JAW] for f in (1.0, 0.3))
    assert fast < 0.85 * slow


def test_curves_are_smooth_bounded_and_leave_the_upper_face():
    values = curves(*MAMA, np.arange(0, 2.3, 0.01))
    assert values.min() >= 0 and values.max() <= 1
    assert np.abs(np.diff(values, axis=0)).max() < 0.12
    upper = [i for i, name in enumerate(EXPRESSIONS) if name not in MOUTH]
    assert np.abs(values[:, upper]).max() == 0


@pytest.mark.parametrize("name", VISEMES)
def test_each_viseme_held_long_is_its_shape(name):
    from motion.visemes import VISEME_OF

    symbol = next((symbol for symbol, viseme in VISEME_OF.items() if viseme == name), "")
    if name == "ou":
        symbol = "u"
    values = curves([symbol], [0.15], np.array([0.05]))[0]
    np.testing.assert_allclose(values, shape_vector(VISEMES[name].shape), atol=1e-6)

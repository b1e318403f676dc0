"""Which voice says what."""

import random

import numpy as np

from motion.speech_data import Line, blended, plan, style_of

VOICES = ["af_a", "am_b", "bf_c", "zf_d"]
STYLES = {name: np.full((5, 1, 4), float(number), np.float32) for number, name in enumerate(VOICES)}


def test_the_same_seed_plans_the_same():
    texts = [("en-us", "one."), ("en-gb", "two."), ("en-us", "three.")]
    assert plan(texts, VOICES, 2, 5) == plan(texts, VOICES, 2, 5)
    assert len(plan(texts, VOICES, 2, 5)) == 6


def test_a_blend_says_the_same_words_with_voices_of_its_own():
    line = Line("en-us", "Good morning, all of you.", "af_a", 1.0)
    for seed in range(8):
        made = blended(line, "See you there!", VOICES, random.Random(seed))
        names = made.voice.split("+")
        assert 2 <= len(set(names)) == len(names) <= 3 and set(names) <= set(VOICES)
        words = made.text.replace(",", "").replace(".", "").replace("!", "").split()
        assert sorted(words) == sorted(["Good", "morning", "all", "of", "you", "See", "you", "there"])


def test_a_mixed_style_lies_between_its_voices_or_a_little_beyond():
    values = [float(style_of("am_b+zf_d", STYLES, random.Random(seed)).mean()) for seed in range(40)]
    mean = 1.5
    low, high = (mean + 1.25 * (edge - mean) for edge in (1.0, 3.0))
    assert low <= min(values) < max(values) <= high and len(set(values)) > 30
    assert style_of("bf_c", STYLES, random.Random(0)) is STYLES["bf_c"]

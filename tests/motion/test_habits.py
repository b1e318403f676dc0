"""Where somebody speaks, and what faces and bodies do beside the mouth: the processes' own statistics."""

import numpy as np
import pytest
import torch

from motion.audio import SAMPLE_RATE
from motion.features import EXPRESSIONS, MOUTH, FeatureSpace
from motion.habits import (
    CALM,
    DEGREE,
    MEMORY,
    RATE,
    REACH,
    Scene,
    around,
    blink,
    blinks,
    brows,
    eyes,
    fixations,
    habits,
    head,
    moods,
    recent,
    scene,
    sway,
)
from motion.lips import lips_on
from motion.prosody import Prosody, activity, drop_short, prosody
from vlogger.body.smplx import load_body
from vlogger.types import seeded

JOINTS = ("neck", "head", "left_eye", "right_eye", "spine3", "left_elbow", "right_elbow")
SPACE = FeatureSpace(JOINTS)


def talk(seconds: float = 6.0) -> torch.Tensor:
    """A voice of 120 Hz: syllables of 200 ms, every fourth louder and higher, silent in the last third."""
    time = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    syllable = (time / 0.2).floor()
    stressed = (syllable % 4 == 1).float()
    phase = torch.cumsum(120 * (1 + 0.3 * stressed) / SAMPLE_RATE, 0)
    voice = sum(torch.sin(2 * torch.pi * k * phase) / k for k in range(1, 8))
    loud = torch.sin(torch.pi * (time / 0.2 - syllable)) ** 2 * (0.1 + 0.15 * stressed)
    return loud * voice * (time < seconds * 2 / 3) + 1e-4 * torch.randn(len(time), generator=seeded(0))


def still(seconds: float, speech: float) -> Scene:
    times = torch.arange(round(seconds * RATE)) / RATE
    always = torch.full((len(times),), speech)
    return Scene(times, always, torch.zeros(0), torch.zeros(0), always, 6 * always)


def test_speech_is_found_and_silence_is_not():
    heard = prosody(talk())
    assert heard.speech[20:380].mean() > 0.95 and heard.speech[430:].mean() == 0
    assert prosody(torch.zeros(SAMPLE_RATE)).speech.sum() == 0
    assert activity(torch.full((100,), -20.0)).all(), "without any contrast all of it counts"


def test_accents_are_the_stressed_syllables():
    heard = prosody(talk())
    stressed = np.arange(0.3, 4.0, 0.8)
    found = [np.abs(heard.accents.numpy() - moment).min() < 0.08 for moment in stressed]
    assert np.mean(found) >= 0.8
    assert len(heard.accents) <= 1.5 * len(stressed) and heard.strength.min() >= 0.4


def test_short_runs_are_dropped():
    mask = torch.zeros(100, dtype=torch.bool)
    mask[10:13], mask[50:80] = True, True
    assert drop_short(mask, 0.1).nonzero().flatten().tolist() == list(range(50, 80))


def count(shut: torch.Tensor) -> int:
    return int(((shut[1:] > 0.5) & (shut[:-1] <= 0.5)).sum())


def test_blinks_have_their_rate_and_length_and_prefer_pauses():
    speech, pause = (blinks(still(1800, value), seeded(1)) for value in (1.0, 0.0))
    assert 11 < count(speech) / 30 < 17 and 24 < count(pause) / 30 < 36
    lengths = (speech > 0.05).sum() / RATE / count(speech)
    assert 0.1 < lengths < 0.4 and speech.max() <= 1


@pytest.mark.parametrize("seconds", [0.16, 0.25, 0.4])
def test_a_blink_shuts_and_opens_once(seconds):
    times = torch.arange(100) / 200
    shut = blink(times, 0.05, seconds)
    assert shut.max() > 0.99 and shut[0] == 0 and shut[times > 0.05 + seconds].abs().max() < 1e-5
    assert (shut.diff().sign().diff().abs() > 1).sum() <= 1, "up, then down"


def test_sway_has_variance_one():
    assert abs(float(sway(50_000, 0.5, seeded(0)).std()) - 1) < 0.1


def test_the_gaze_stays_while_the_head_turns():
    view = still(60, 1.0)
    turn = head(view, seeded(0))
    gaze = eyes(view, turn, seeded(1))
    down, right = fixations(view, seeded(1))
    seen = gaze["left_eye.y"] + 0.9 * (turn["neck.y"] + turn["head.y"])
    torch.testing.assert_close(seen, right * DEGREE, atol=1e-5, rtol=0)
    assert (right.abs() < 1).float().mean() > 0.5, "mostly at the camera"
    assert down.abs().max() < 25


def test_heads_nod_and_hands_beat_on_the_stresses():
    times = torch.arange(round(600 * RATE)) / RATE
    accents = torch.arange(2.0, 598.0, 2.0)
    ones = torch.ones(len(times))
    view = Scene(times, ones, accents, torch.ones(len(accents)), ones, 6 * ones)
    curves = habits(SPACE, view, seeded(0))
    around = ((times - 1.0) % 2.0 * RATE).round().long()
    for name, sign in (("head.x", 1), ("right_elbow.y", 1), ("left_elbow.y", -1)):
        mean = torch.zeros(100).index_add_(0, around, sign * curves[:, SPACE.names.index(name)]) / len(accents)
        assert 0.8 < float(mean.argmax()) / RATE < 1.2, "at the accent, the middle of 2 s"
        assert mean.max() - mean.min() > 0.004


def test_the_mouth_is_left_alone_and_chance_is_the_generator():
    view = scene(prosody(talk()), -1.0, 8.0)
    first, again, other = (habits(SPACE, view, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first[:, SPACE.only(MOUTH) > 0].abs().max() == 0 and first.shape == (401, SPACE.size)
    assert view.speech[:40].sum() == 0 and view.speech[60:200].mean() > 0.9


def test_moods_leave_lips_as_open_as_they_are():
    ones = torch.ones(2000)
    view = Scene(torch.arange(2000) / RATE, ones, torch.zeros(0), torch.zeros(0), ones, 6 * ones)
    mood, lips = moods(SPACE, view, seeded(0))[:, : len(EXPRESSIONS)], lips_on(load_body())
    said = torch.zeros_like(mood)
    said[:, EXPRESSIONS.index("jawOpen")] = torch.rand(len(mood), generator=seeded(1)) * 0.4
    change, speech = lips((said + mood).clamp(0, 1)) - lips(said), lips(said)
    assert change[:, 0].std() < 0.1 * speech[:, 0].std() and mood.std(0).max() > 0.1


def test_who_talks_on_is_lively_and_a_single_word_leaves_the_head_calm():
    speech = torch.zeros(3000)
    speech[500:550], speech[1000:2500] = 1, 1
    view = scene(Prosody(speech, torch.zeros(0), torch.zeros(0)), 0.0, 30.0)
    moved = torch.stack([head(view, seeded(seed))["head.y"] for seed in range(200)]).std(0)
    word, silent, talking = (float(moved[round(second * RATE)]) for second in (5.4, 29.0, 20.0))
    assert silent < 0.2 * talking and word < 0.35 * talking
    assert view.talking.max() == 1 and view.lively[0] == pytest.approx(CALM)


def test_how_much_is_said_is_what_was_said_in_the_last_seconds():
    speech = (torch.rand(700, generator=seeded(0)) > 0.5).float()
    width = round(MEMORY * 100)
    windows = [speech[max(0, k + 1 - width) : k + 1] for k in range(len(speech))]
    twin = torch.stack([window.sum() / max(100, len(window)) for window in windows])
    torch.testing.assert_close(recent(speech), twin)
    reach = round(REACH * 100)
    nearby = torch.stack([speech[max(0, k - reach) : k + reach + 1].sum() / 100 for k in range(len(speech))])
    torch.testing.assert_close(around(speech), nearby)


def test_who_speaks_raises_brows_and_seldom_frowns_and_who_is_silent_hardly_moves_them():
    speaking, silent = brows(still(300, 1.0), seeded(0)), brows(still(300, 0.0), seeded(0))
    down, up = speaking["browDownLeft"], speaking["browInnerUp"]
    assert (down >= 0).all() and down.mean() < 0.2 and 0.1 < up.mean() < 0.3
    assert 0.15 < down.std() < 0.35 and 0.25 < up.std() < 0.7
    assert (down > 0.3).float().mean() < 0.25 < 0.35 < (up > 0.3).float().mean(), "a frown is an exception"
    assert silent["browInnerUp"].std() < 0.6 * up.std() and silent["browDownLeft"].mean() < down.mean()

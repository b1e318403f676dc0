"""What is silent, and what the lips do there."""

import numpy as np
import pytest
import torch

from vlogger.evaluation.silence import paused, silence_of, speech_by_level
from vlogger.types import Audio


@pytest.fixture
def audio():
    """A second of noise, a second of nothing."""
    noise = 0.3 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    return Audio(torch.cat([noise, torch.zeros(16000)]).clamp(-1, 1), 16000)


def test_the_level_tells_speech_from_nothing(audio):
    speech = speech_by_level(audio, 50, 25.0)
    assert speech[:25].all() and not speech[25:].any()


def test_lips_that_rest_and_lips_that_do_not():
    speech = np.arange(50) < 25
    moving = 0.2 + 0.1 * np.sin(np.arange(50))
    found = silence_of(moving, speech, 25.0)
    assert found["silent_motion"] == pytest.approx(1, abs=0.1)
    resting = silence_of(np.where(speech, moving, 0.05), speech, 25.0)
    assert resting["silent_motion"] < 0.2 and resting["silent_aperture"] == pytest.approx(0.05)


def test_without_silence_nothing_is_said():
    assert np.isnan(silence_of(np.ones(20), np.ones(20, bool), 25.0)["silent_motion"])


def test_a_pause_begins_when_lips_have_had_time_to_close():
    speech = np.zeros(60, bool)
    speech[20:25] = True
    assert paused(speech, 10.0).tolist() == [not speech[max(0, t - 5) : t + 3].any() for t in range(60)]
    time = np.arange(60)
    closing = np.where(time < 25, 0.1 * (time % 2), np.maximum(0.16 - 0.04 * (time - 25), 0))
    found = silence_of(np.where(time < 19, 0.0, closing), speech, 10.0)
    assert found["silent_motion"] > 0.1 and found["pause_motion"] < 0.02
    assert np.isnan(silence_of(closing[18:27], speech[18:27], 10.0)["pause_motion"])

"""Laws of the log-mel front end."""

import pytest
import torch

from motion.audio import (
    COLUMNS_PER_SECOND,
    FLOOR_DB,
    HOP,
    SAMPLE_RATE,
    WINDOW,
    around,
    frame_times,
    hear,
    hear_blocks,
    level,
    loudness,
    mel_filters,
    mel_power,
    normalise,
    resample,
)


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * SAMPLE_RATE), generator=torch.Generator().manual_seed(seed))


def test_mel_power_equals_a_loop_over_columns():
    samples = noise(0.3)
    padded = torch.cat([torch.zeros(WINDOW // 2), samples, torch.zeros(WINDOW)])
    window = torch.hann_window(WINDOW)
    slow = []
    for column in range(1 + len(samples) // HOP):
        frame = padded[column * HOP : column * HOP + WINDOW] * window
        slow.append(mel_filters() @ (torch.fft.rfft(frame).abs() * 2 / window.sum()) ** 2)
    torch.testing.assert_close(mel_power(samples), torch.stack(slow), rtol=1e-4, atol=1e-9)


def test_long_sound_is_cut_into_blocks_without_a_seam():
    samples = noise(31)
    part = mel_power(samples[29 * SAMPLE_RATE :])
    torch.testing.assert_close(mel_power(samples)[29 * COLUMNS_PER_SECOND + 5 :], part[5:], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("frequency", [200, 1000, 4000])
def test_a_sine_is_loudest_in_its_own_bin(frequency):
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    power = mel_power(torch.sin(2 * torch.pi * frequency * time))[50]
    own = (mel_filters()[:, round(frequency / SAMPLE_RATE * WINDOW)]).argmax()
    assert abs(int(power.argmax()) - int(own)) <= 1


@pytest.mark.parametrize("rate", [8000, 22050, 25000, 48000])
def test_resampling_keeps_duration_and_sine(rate):
    time = torch.arange(rate) / rate
    there = resample(torch.sin(2 * torch.pi * 440 * time), rate)
    assert len(there) == SAMPLE_RATE
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(SAMPLE_RATE) / SAMPLE_RATE)
    torch.testing.assert_close(there[1000:-1000], expected[1000:-1000], atol=0.02, rtol=0)


def test_level_is_its_recursion_and_knows_only_the_past():
    loud = 40 * torch.rand(300, generator=torch.Generator().manual_seed(1)) - 60
    expected, state = [], -30.0
    for value in loud.tolist():
        state = max(value, state - 0.01, FLOOR_DB)
        expected.append(state)
    torch.testing.assert_close(level(loud, -30.0), torch.tensor(expected), atol=1e-4, rtol=0)
    torch.testing.assert_close(level(loud, -30.0)[:100], level(loud[:100], -30.0))


def test_volume_does_not_matter():
    samples = noise(2)
    torch.testing.assert_close(hear(5 * samples, SAMPLE_RATE), hear(samples, SAMPLE_RATE), atol=0.02, rtol=0)


def test_silence_stays_silent():
    assert (hear(torch.zeros(SAMPLE_RATE), SAMPLE_RATE) == -2).all()
    hiss = hear(1e-4 * noise(3) / 0.1, SAMPLE_RATE)
    assert hiss.max() < -0.5, "a hiss of -80 dB must not be lifted to the loudness of speech"


def test_normalising_in_pieces_equals_all_at_once():
    power = mel_power(noise(2) * torch.linspace(0, 1, 2 * SAMPLE_RATE))
    whole = normalise(power, -40.0)
    state = float(level(loudness(power), -40.0)[95])
    rest = normalise(power[96:], state)[4:]  # the loudness of a column needs four earlier ones
    torch.testing.assert_close(whole[100:], rest, atol=1e-3, rtol=0)


@pytest.mark.parametrize("seconds", [0.2, 30.0, 61.7])
def test_hearing_block_by_block_equals_hearing_at_once(seconds):
    samples = noise(seconds) * torch.linspace(0, 3, round(seconds * SAMPLE_RATE)).sin()
    blocks = list(hear_blocks(samples))
    torch.testing.assert_close(torch.cat(blocks), hear(samples, SAMPLE_RATE), atol=1e-5, rtol=0)
    assert max(map(len, blocks)) <= 3000


@pytest.mark.parametrize("fps", [24, 25, 29.97])
def test_what_is_heard_lies_around_the_middle_of_each_frame(fps):
    ramp = torch.arange(200.0)[:, None].expand(200, 3) / 100 - 1.0  # its value tells its time
    offsets = (-0.06, 0.0, 0.12)
    heard = around(ramp, 100.0, frame_times(20, fps, first=10), offsets, torch.zeros(3)).unflatten(1, (3, 3))
    moment = (torch.arange(10, 30) + 0.5) / fps
    torch.testing.assert_close(heard[:, 1, 0], moment - 1, atol=1e-4, rtol=0)
    torch.testing.assert_close(heard[:, 2, 2] - heard[:, 1, 2], torch.full((20,), 0.12), atol=1e-4, rtol=0)


def test_beyond_the_recording_is_what_is_said_to_be():
    heard = around(torch.ones(10, 4), 50.0, torch.tensor([-5.0, 100.0]), (0.0,), torch.full((4,), -2.0))
    assert (heard == -2).all()

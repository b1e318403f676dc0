"""Sound as log-mel columns, levelled causally, and what is heard around each motion frame.

16 kHz, 25 ms Hann windows every 10 ms, 80 triangular mel bins (VLOGGER 3.1: "standard Mel-spectrogram"). Column j is
centred at j * 10 ms. Frame i of a motion lies at (i + 0.5) / fps seconds, at any fps.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from math import gcd

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLE_RATE = 16_000
HOP = 160
WINDOW = 400
BINS = 80
COLUMNS_PER_SECOND = SAMPLE_RATE // HOP
QUIET_DB = -120.0  # what digital silence counts as
QUIET = -2.0  # what normalised log-mel shows of silence
FLOOR_DB = -45.0  # nothing quieter than this is taken for speech: silence is not amplified
RELEASE_DB = 1.0  # per second: how fast the level forgets a loud moment
SMOOTHING = 5  # columns over which loudness is averaged, backwards in time
_BLOCK = 3000  # columns per STFT: an hour of sound costs no more memory than half a minute


def resample(samples: Tensor, rate: int, target: int = SAMPLE_RATE) -> Tensor:
    """(s,) at `rate` Hz -> at `target` Hz, by a polyphase filter."""
    if rate == target:
        return samples
    from scipy.signal import resample_poly

    common = gcd(rate, target)
    return torch.from_numpy(resample_poly(samples.numpy(), target // common, rate // common).astype(np.float32))


def mel(hertz: np.ndarray) -> np.ndarray:
    """The mel scale, 2595 log10(1 + f / 700)."""
    return 2595 * np.log10(1 + hertz / 700)


def mel_corners() -> np.ndarray:
    """(82,) Hz: between which the bins rise and fall, evenly spaced on the mel scale from 0 to 8 kHz."""
    return 700 * (10 ** (np.linspace(0, mel(np.array(SAMPLE_RATE / 2)), BINS + 2) / 2595) - 1)


@cache
def mel_filters() -> Tensor:
    """(80, 201) triangles, each of height 1, evenly spaced on the mel scale from 0 to 8 kHz."""
    corners = mel_corners()
    frequency = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    rise = (frequency - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    fall = (corners[2:, None] - frequency) / (corners[2:] - corners[1:-1])[:, None]
    filters = np.minimum(rise, fall).clip(min=0)
    return torch.from_numpy(filters / filters.sum(1, keepdims=True).clip(min=1e-3)).float()


def mel_power(samples: Tensor) -> Tensor:
    """16 kHz sound (s,) -> mean power in each mel bin (1 + s // 160, 80); a full-scale sine is about 1 in its bin."""
    columns = 1 + len(samples) // HOP
    padded = F.pad(samples, (WINDOW // 2, WINDOW // 2 + HOP))
    blocks = [_power(padded[start * HOP :], min(_BLOCK, columns - start)) for start in range(0, columns, _BLOCK)]
    return torch.cat(blocks)


def _power(samples: Tensor, columns: int) -> Tensor:
    """The first `columns` columns of a sound that starts half a window before the first."""
    window = torch.hann_window(WINDOW)
    frames = samples[: (columns - 1) * HOP + WINDOW].unfold(0, WINDOW, HOP) * window
    spectrum = torch.fft.rfft(frames).abs().square() * (2 / window.sum()) ** 2
    return spectrum @ mel_filters().T


def decibels(power: Tensor) -> Tensor:
    """10 log10, at least -120 dB."""
    return 10 * power.clamp(min=10 ** (QUIET_DB / 10)).log10()


def loudness(power: Tensor) -> Tensor:
    """(c, 80) -> (c,) dB: mean power of all bins, averaged over the last 50 ms."""
    mean = F.pad(power.mean(1), (SMOOTHING - 1, 0))
    return decibels(mean.unfold(0, SMOOTHING, 1).mean(1))


def level(loud: Tensor, start: float) -> Tensor:
    """(c,) dB -> (c,) dB: a peak follower that only knows the past; it rises at once and falls by 1 dB a second.

    level[j] = max(loud[j], level[j - 1] - 0.01, floor), level[-1] = start; so streaming needs to keep one number.
    """
    slope = RELEASE_DB / COLUMNS_PER_SECOND * torch.arange(len(loud), dtype=torch.float64)
    lifted = loud.double() + slope
    lifted[:1] = lifted[:1].clamp(min=start - RELEASE_DB / COLUMNS_PER_SECOND)
    return (lifted.cummax(0).values - slope).clamp(min=FLOOR_DB).float()


def opening_level(power: Tensor, seconds: float = 3.0) -> float:
    """The loudest moment of the opening, dB: what `level` starts from when the sound is at hand."""
    return max(FLOOR_DB, float(loudness(power[: int(seconds * COLUMNS_PER_SECOND)]).max()))


def normalise(power: Tensor, start: float) -> Tensor:
    """(c, 80) power -> (c, 80) in [-2, 2]: dB relative to the level; -60 dB and less is -2, silence too."""
    return relative(power, level(loudness(power), start))


def relative(power: Tensor, levels: Tensor) -> Tensor:
    """Power (c, 80) against levels (c,) in dB, in [-2, 2]."""
    return ((decibels(power) - levels[:, None] + 20) / 20).clamp(-2, 2)


def hear(samples: Tensor, rate: int) -> Tensor:
    """A whole recording, (s,) at any rate -> normalised log-mel (c, 80), 100 columns a second."""
    power = mel_power(resample(samples, rate))
    return normalise(power, opening_level(power))


def hear_blocks(samples: Tensor) -> Iterator[Tensor]:
    """16 kHz sound -> the columns of `hear` in order, 30 seconds at a time, so that an hour costs no more memory."""
    if len(samples) == 0:
        return
    state = opening_level(mel_power(samples[: 3 * SAMPLE_RATE]))
    columns, tail = 1 + len(samples) // HOP, torch.zeros(SMOOTHING - 1, BINS)
    for start in range(0, columns, _BLOCK):
        taken = min(_BLOCK, columns - start)
        piece = samples[max(0, start * HOP - WINDOW // 2) : (start + taken) * HOP + WINDOW]
        piece = F.pad(piece, (WINDOW // 2 if start == 0 else 0, taken * HOP + WINDOW))
        power = _power(piece, taken)
        levels = level(loudness(torch.cat([tail, power]))[SMOOTHING - 1 :], state)
        state, tail = float(levels[-1]), torch.cat([tail, power])[1 - SMOOTHING :]
        yield relative(power, levels)


def around(features: Tensor, rate: float, times: Tensor, offsets: Sequence[float], outside: Tensor) -> Tensor:
    """(c, size) features, `rate` a second from 0 s on; moments (t,) -> (t, n * size): what is heard `offsets` (n,)
    seconds from each, between two features linearly, `outside` (size,) beyond the recording."""
    position = (times.double()[:, None] + torch.tensor(list(offsets), dtype=torch.float64)) * rate
    padded = torch.cat([outside[None], features, outside[None]])
    position = (position + 1).clamp(0, len(features) + 1)
    left = position.floor().long().clamp(max=len(features))
    share = (position - left).to(features.dtype)[..., None]
    return torch.lerp(padded[left], padded[left + 1], share).flatten(1)


def frame_times(frames: int, fps: float, first: int = 0) -> Tensor:
    """(frames,) float64 seconds: the middle of frames first, first + 1, …"""
    return (torch.arange(first, first + frames, dtype=torch.float64) + 0.5) / fps

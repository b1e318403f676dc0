"""What a clean recording does, 100 times a second: where somebody speaks, and which syllables are stressed."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import COLUMNS_PER_SECOND, HOP, SAMPLE_RATE, decibels, mel_power

NOISE_SHARE, SPEECH_SHARE = 0.05, 0.95  # quantiles of loudness that stand for background and speech
THRESHOLD = 0.4  # of the way from background to speech
LEAST_CONTRAST = 12.0  # dB: with less, all of it is one thing
QUIETEST = -50.0  # dB of full scale: speech is not quieter
SHORT_GAP, SHORT_BURST = 0.15, 0.06  # seconds that are filled, and dropped
SYLLABLE = 0.18  # seconds between two nuclei at least
LOWEST, HIGHEST = 70, 400  # Hz, of the voice


@dataclass(frozen=True)
class Prosody:
    """`speech` (c,) 1.0 while somebody speaks, column j at j * 10 ms; `accents` (n,) seconds of stressed syllables and
    their `strength` (n,), 1 on average."""

    speech: Tensor
    accents: Tensor
    strength: Tensor


def prosody(samples: Tensor) -> Prosody:
    """Of a clean recording, (s,) at 16 kHz."""
    loud = smooth(decibels(mel_power(samples).mean(1)), 5)
    speech = activity(loud)
    nuclei = peaks(smooth(loud, 7), speech)
    accents, strength = stressed(loud, pitch(samples, len(loud)), nuclei)
    return Prosody(speech, accents, strength)


def smooth(values: Tensor, width: int) -> Tensor:
    """(c,) mean of `width` (odd) neighbours."""
    padded = F.pad(values[None, None], (width // 2, width // 2), mode="replicate")
    return F.avg_pool1d(padded, width, 1)[0, 0]


def activity(loud: Tensor) -> Tensor:
    """(c,) dB -> (c,) 0 or 1: louder than the threshold, short gaps filled, short bursts dropped."""
    low, high = (float(loud.quantile(share)) for share in (NOISE_SHARE, SPEECH_SHARE))
    if high < QUIETEST:
        return torch.zeros_like(loud)
    if high - low < LEAST_CONTRAST:
        return torch.ones_like(loud)
    active = loud > max(low + THRESHOLD * (high - low), high - 35)
    filled = ~drop_short(~active, SHORT_GAP)
    return drop_short(filled, SHORT_BURST).float()


def drop_short(mask: Tensor, seconds: float) -> Tensor:
    """(c,) bool without its runs that are shorter than this."""
    padded = np.pad(mask.numpy().astype(np.int8), 1)
    starts, ends = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    kept = torch.zeros_like(mask)
    for start, end in zip(starts, ends, strict=True):
        if end - start >= seconds * COLUMNS_PER_SECOND:
            kept[start:end] = True
    return kept


def peaks(loud: Tensor, speech: Tensor) -> Tensor:
    """(n,) columns of the syllables' nuclei: the loudest moment within SYLLABLE, while somebody speaks."""
    width = 2 * round(SYLLABLE * COLUMNS_PER_SECOND / 2) + 1
    highest = F.max_pool1d(loud[None, None], width, 1, width // 2)[0, 0]
    return ((loud == highest) & (speech > 0)).nonzero().flatten()


def pitch(samples: Tensor, columns: int) -> Tensor:
    """(columns,) octaves above the median of the voice, 0 where there is none: autocorrelation of 40 ms."""
    size = 640
    padded = F.pad(samples, (size // 2, size + columns * HOP - len(samples)))
    frames = padded.unfold(0, size, HOP)[:columns]
    frames = (frames - frames.mean(1, keepdim=True)) * torch.hann_window(size)
    power = torch.fft.rfft(frames, 2 * size).abs().square()
    likeness = torch.fft.irfft(power)[:, : SAMPLE_RATE // LOWEST]
    likeness = likeness / likeness[:, :1].clamp(min=1e-9)
    best = likeness[:, SAMPLE_RATE // HIGHEST :].max(1)
    height = (SAMPLE_RATE / (best.indices + SAMPLE_RATE // HIGHEST)).log2()
    voiced = best.values > 0.45
    return torch.where(voiced, height - height[voiced].median(), 0.0) if voiced.any() else torch.zeros(columns)


def stressed(loud: Tensor, height: Tensor, nuclei: Tensor) -> tuple[Tensor, Tensor]:
    """Of the nuclei those that stand out from their neighbours in loudness and pitch: seconds, and strength."""
    if len(nuclei) == 0:
        return torch.zeros(0), torch.zeros(0)
    size = F.max_pool1d(height[None, None], 9, 1, 4)[0, 0][nuclei]
    score = loud[nuclei] / 6 + size * 2
    around = F.avg_pool1d(F.pad(score[None, None], (2, 2), mode="replicate"), 5, 1)[0, 0]
    out = score - around
    chosen = out > 0
    strength = out[chosen] / out[chosen].mean().clamp(min=1e-6) if chosen.any() else out[chosen]
    return nuclei[chosen] / COLUMNS_PER_SECOND, strength.clamp(0.4, 2.0)

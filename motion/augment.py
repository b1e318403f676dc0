"""Other rooms, microphones and noises for the same speech: changes of mel power (c, 80), by a generator.

Working on mel columns instead of samples costs next to nothing; gain, equaliser, noise and reverberation act on
powers. Lengths and timing stay.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import BINS, COLUMNS_PER_SECOND, mel, mel_corners


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number between the two."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def smooth_curve(points: int, generator: torch.Generator) -> Tensor:
    """(80,) a random smooth curve over the bins, about standard normal at `points` places."""
    knots = torch.randn(1, 1, points, generator=generator)
    return F.interpolate(knots, BINS, mode="linear", align_corners=True)[0, 0]


def vocal_tract(power: Tensor, generator: torch.Generator, most: float = 0.15) -> Tensor:
    """A shorter or longer throat: every formant moves by up to `most` (vocal tract length perturbation, Jaitly and
    Hinton, 2013). Other people's voices, while what is said and when stays."""
    factor = 1 + uniform(-most, most, generator)
    corners = mel_corners()
    place = torch.from_numpy(mel(corners[1:-1] * factor) / mel(corners[-1]) * (BINS + 1) - 1).float()
    place = place.clamp(0, BINS - 1)
    low = place.floor().long().clamp(max=BINS - 2)
    return torch.lerp(power[:, low], power[:, low + 1], place - low)


def gain(power: Tensor, generator: torch.Generator, decibels: float = 15.0) -> Tensor:
    """Louder or quieter as a whole."""
    return power * 10 ** (uniform(-decibels, decibels, generator) / 10)


def equalise(power: Tensor, generator: torch.Generator, decibels: float = 5.0) -> Tensor:
    """A random tone control."""
    return power * 10 ** (decibels * smooth_curve(6, generator) / 10)


def band(power: Tensor, generator: torch.Generator) -> Tensor:
    """A telephone or an old codec: the treble is cut away somewhere above 2 kHz."""
    edge = int(uniform(BINS * 0.5, BINS, generator))
    keep = torch.arange(BINS) < edge
    return power * torch.where(keep, 1.0, 1e-5)


def reverberate(power: Tensor, generator: torch.Generator) -> Tensor:
    """Exponential tails of 0.1 to 0.6 s (time to -60 dB), some dB below the direct sound."""
    decay = 10 ** (-6 / (COLUMNS_PER_SECOND * uniform(0.1, 0.6, generator)))
    tail = decay ** torch.arange(1, 40) * 10 ** (-uniform(3, 15, generator) / 10) * (1 - decay)
    kernel = torch.cat([torch.ones(1), tail]).flip(0)
    padded = F.pad(power.T[:, None], (len(kernel) - 1, 0))
    return F.conv1d(padded, kernel[None, None])[:, 0].T


def add_noise(power: Tensor, generator: torch.Generator) -> Tensor:
    """Coloured stationary noise, 5 to 50 dB below the mean power of the speech, with the flicker of an STFT."""
    below = uniform(5, 50, generator)
    colour = 10 ** (smooth_curve(4, generator) - torch.linspace(0, 1, BINS))
    flicker = -torch.rand(power.shape, generator=generator).clamp(min=1e-6).log()  # exponential, as of white noise
    return power + power.mean() * 10 ** (-below / 10) * colour / colour.mean() * flicker


def augment(power: Tensor, generator: torch.Generator) -> Tensor:
    """Each change with its own chance, in the order of nature: throat, tone, room, noise, microphone, volume."""
    changes = ((vocal_tract, 0.6), (equalise, 0.7), (reverberate, 0.3), (add_noise, 0.6), (band, 0.15), (gain, 1.0))
    for change, chance in changes:
        if float(torch.rand((), generator=generator)) < chance:
            power = change(power, generator)
    return power


def mask_bins(mel: Tensor, generator: torch.Generator, widest: int = 10) -> Tensor:
    """SpecAugment (Park et al., 2019) in frequency: one random band of normalised log-mel (c, 80) is silent."""
    width = int(uniform(0, widest + 1, generator))
    first = int(uniform(0, BINS - width + 1, generator))
    masked = mel.clone()
    masked[:, first : first + width] = -2.0
    return masked

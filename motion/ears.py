"""Ears: what turns sound into the features that the motion network hears. Swapped by `motion.ear` in the configuration.

Every ear has `rate` features a second (the first at 0 s), `size` numbers in each, `silence` (what it makes of nothing),
`lookahead` seconds, `blocks` (a recording's features in order, some at a time, so that memory is bounded) and `learn`
(all of them, of a recording with other acoustics when a generator is given).
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import (
    BINS,
    COLUMNS_PER_SECOND,
    QUIET,
    SAMPLE_RATE,
    WINDOW,
    hear_blocks,
    mel_power,
    normalise,
    opening_level,
)
from motion.augment import augment, mask_bins, uniform
from motion.encoder import SpeechEncoder
from motion.pretrained import PretrainedEncoder

_BANDS = 8  # of the mel scale, whose loudness a learned ear keeps beside what it learned


class Ear(Protocol):
    """See above."""

    rate: float
    size: int
    lookahead: float

    @property
    def silence(self) -> Tensor: ...

    def blocks(self, samples: Tensor) -> Iterator[Tensor]: ...

    def learn(self, samples: Tensor, generator: torch.Generator | None) -> Tensor: ...


def changed_mel(samples: Tensor, generator: torch.Generator | None) -> Tensor:
    """(s,) 16 kHz -> log-mel (c, 80), with a generator in other acoustics and with a band missing."""
    power = mel_power(samples)
    if generator is None:
        return normalise(power, opening_level(power))
    power = augment(power, generator)
    return mask_bins(normalise(power, opening_level(power)), generator)


class LogMel:
    """Log-mel itself, as in VLOGGER."""

    rate, size, lookahead = float(COLUMNS_PER_SECOND), BINS, WINDOW / SAMPLE_RATE / 2

    @property
    def silence(self) -> Tensor:
        return torch.full((BINS,), QUIET)

    def blocks(self, samples: Tensor) -> Iterator[Tensor]:
        return hear_blocks(samples)

    def learn(self, samples: Tensor, generator: torch.Generator | None) -> Tensor:
        return changed_mel(samples, generator)


class Learned:
    """Our small encoder, and beside it the loudness in 8 bands, which it was not asked to keep."""

    rate = COLUMNS_PER_SECOND / 2

    def __init__(self, encoder: SpeechEncoder):
        self.encoder, self.size = encoder, encoder.config["size"] + _BANDS
        self.lookahead = encoder.after / COLUMNS_PER_SECOND + LogMel.lookahead

    @property
    def silence(self) -> Tensor:
        nothing = torch.full((1 + self.encoder.before + self.encoder.after, BINS), QUIET)
        with torch.inference_mode():
            return torch.cat([self.encoder(nothing[None])[0, 0], torch.full((_BANDS,), QUIET)]).clone()

    def blocks(self, samples: Tensor) -> Iterator[Tensor]:
        """Columns are kept until the encoder has heard what lies before and after them."""
        before, after = self.encoder.before, self.encoder.after
        kept, _last = torch.full((before, BINS), QUIET), None
        for mel in hear_blocks(samples):
            kept = torch.cat([kept, mel])
            whole = (len(kept) - before - after) // 2 * 2
            if whole > 0:
                yield self.features(kept[: whole - 1 + before + after])
                kept = kept[whole:]
        left = len(kept) - before
        if left > 0:
            columns = 2 * ((left + 1) // 2) - 1 + before + after
            yield self.features(F.pad(kept, (0, 0, 0, max(0, columns - len(kept))), value=QUIET)[:columns])

    def features(self, mel: Tensor) -> Tensor:
        """Columns with context (c, 80) -> (n, size)."""
        learned = self.encoder.piece(mel)
        own = mel[self.encoder.before :][: 2 * len(learned) : 2]
        return torch.cat([learned, own.unflatten(1, (_BANDS, -1)).mean(2)], dim=1)

    def learn(self, samples: Tensor, generator: torch.Generator | None) -> Tensor:
        mel = changed_mel(samples, generator)
        count = (len(mel) + 1) // 2
        columns = 2 * count - 1 + self.encoder.after
        mel = F.pad(mel, (0, 0, self.encoder.before, max(0, columns - len(mel))), value=QUIET)
        with torch.autocast("cpu", torch.bfloat16):  # training needs no more, and it takes half the time
            return self.features(mel[: columns + self.encoder.before]).float()


class Pretrained:
    """An encoder of `transformers`: wav2vec2, HuBERT, WavLM, Whisper. It looks a second ahead, and further."""

    rate = 50.0

    def __init__(self, encoder: PretrainedEncoder):
        self.encoder, self.size, self.lookahead = encoder, encoder.size, 1.0

    @property
    def silence(self) -> Tensor:
        return self.encoder(torch.zeros(SAMPLE_RATE))[25].clone()

    def blocks(self, samples: Tensor) -> Iterator[Tensor]:
        return self.encoder.blocks(samples)

    def learn(self, samples: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is not None:
            noise = torch.randn(len(samples), generator=generator) * samples.std()
            samples = samples + 10 ** (-uniform(5, 50, generator) / 20) * noise
            samples = 10 ** (uniform(-15, 10, generator) / 20) * samples
        return self.encoder(samples)

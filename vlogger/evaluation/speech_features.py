"""What the lip judge hears: columns of numbers at a fixed rate, from log-mel or from a speech encoder."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from motion.audio import SAMPLE_RATE, hear, resample
from vlogger.errors import UserError
from vlogger.types import Audio

WHISPER_RATE = 50.0
WHISPER_SPAN = 30  # seconds that the encoder takes at a time


class SpeechFeatures(Protocol):
    """Sound -> (c, d) columns, `rate` of them a second, column j centred at (j + 0.5) / rate seconds."""

    @property
    def name(self) -> str: ...

    @property
    def rate(self) -> float: ...

    def __call__(self, audio: Audio) -> Tensor: ...


@dataclass(frozen=True)
class LogMel:
    """The levelled log-mel columns that the motion network hears (`motion.audio`), two averaged: 50 a second."""

    name: str = "log-mel"
    rate: float = 50.0

    def __call__(self, audio: Audio) -> Tensor:
        mel = hear(audio.samples, audio.sample_rate)
        return mel[: len(mel) // 2 * 2].unflatten(0, (-1, 2)).mean(1)


@dataclass(frozen=True)
class Whisper:
    """Layers of a Whisper encoder, by the path of a folder or a hub id, standardised over the clip."""

    source: str
    layers: tuple[int, ...] = (3, 5)
    rate: float = WHISPER_RATE

    @property
    def name(self) -> str:
        return f"whisper {self.source} layers {self.layers}"

    @cached_property
    def parts(self):
        """Encoder and feature extractor."""
        from transformers import WhisperFeatureExtractor, WhisperModel

        try:
            model = WhisperModel.from_pretrained(self.source)
            return model.get_encoder().eval(), WhisperFeatureExtractor.from_pretrained(self.source)
        except OSError as error:
            raise UserError(f"{self.source} is no Whisper model: give a folder with its weights or a hub id") from error

    @torch.inference_mode()
    def __call__(self, audio: Audio) -> Tensor:
        encoder, extractor = self.parts
        samples, columns = resample(audio.samples, audio.sample_rate), []
        for part in samples.split(WHISPER_SPAN * SAMPLE_RATE):
            mel = extractor(part.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
            states = encoder(mel, output_hidden_states=True).hidden_states
            count = max(1, round(len(part) / SAMPLE_RATE * WHISPER_RATE))
            columns.append(torch.cat([states[layer][0, :count] for layer in self.layers], dim=1))
        found = torch.cat(columns)
        return (found - found.mean(0)) / found.std(0, unbiased=False).clamp(min=1e-3)

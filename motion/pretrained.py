"""Speech encoders of `transformers` as ears: wav2vec2, HuBERT, WavLM, Whisper, from a folder or a hub id."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from vlogger.errors import UserError

RATE = 50.0  # features a second of all of these
HOP = 320  # samples at 16 kHz
BLOCK, CONTEXT = 8, 1  # seconds that are kept of a run of the encoder, and heard on either side of it


class PretrainedEncoder(nn.Module):
    """16 kHz sound -> the chosen hidden states, joined, 50 a second.

    `layers` index transformers' `hidden_states` (0 is what enters the first layer). Long sounds are read 8 seconds at a
    time with a second of context on either side, so memory is bounded. `bfloat16`: computed so.
    """

    def __init__(self, path: str | Path, layers: Sequence[int] = (4, 6), bfloat16: bool = False):
        super().__init__()
        from transformers import AutoFeatureExtractor, AutoModel

        try:
            self.model = AutoModel.from_pretrained(path).eval()
            self.prepare = AutoFeatureExtractor.from_pretrained(path)
        except (OSError, ValueError) as error:
            raise UserError(f"There is no speech encoder of transformers in '{path}': {error}") from None
        self.layers, self.is_bfloat16 = tuple(layers), bfloat16
        self.is_whisper = self.model.config.model_type == "whisper"
        if self.is_whisper:
            self.encoder, self.size = self.model.encoder, len(self.layers) * self.model.config.d_model
            shorten(self.encoder, (BLOCK + 2 * CONTEXT) * int(RATE))
        else:
            self.encoder, self.size = self.model, len(self.layers) * self.model.config.hidden_size

    def forward(self, samples: Tensor) -> Tensor:
        """(s,) -> (1 + s // 320, size); the feature with index i belongs to the moment i * 20 ms."""
        return torch.cat(list(self.blocks(samples)))

    def blocks(self, samples: Tensor) -> Iterator[Tensor]:
        """The same, 8 seconds at a time."""
        count = 1 + len(samples) // HOP
        step, context = int(BLOCK * RATE), int(CONTEXT * RATE)
        for start in range(0, count, step):
            first, last = (start - context) * HOP, (start + step + context) * HOP
            piece = torch.nn.functional.pad(samples[max(0, first) : last], (max(0, -first), 0))
            piece = torch.nn.functional.pad(piece, (0, last - first - len(piece)))
            yield self.states(piece)[context : context + min(step, count - start)]

    @torch.inference_mode()
    def states(self, samples: Tensor) -> Tensor:
        """One block of sound, 10 s long or less -> (frames, size)."""
        if self.is_whisper:
            given = self.prepare(samples.numpy(), sampling_rate=16_000, return_tensors="pt", padding="do_not_pad")
            columns = 2 * self.encoder.config.max_source_positions
            features = given["input_features"]
            missing = max(0, columns - features.shape[-1])
            features = torch.nn.functional.pad(features[..., :columns], (0, missing), value=float(features.min()))
        else:  # the first window is centred at 12.5 ms, so 12.5 ms before the sound centre it at 0
            padded = torch.nn.functional.pad(samples, (200, 600))
            features = self.prepare(padded.numpy(), sampling_rate=16_000, return_tensors="pt")["input_values"]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_bfloat16):
            states = self.encoder(features, output_hidden_states=True).hidden_states
        return torch.cat([states[layer][0].float() for layer in self.layers], dim=-1)


def shorten(encoder, frames: int) -> None:
    """Let a Whisper encoder read windows of `frames` instead of 30 seconds: fewer of its positions."""
    table = encoder.embed_positions.weight.data[:frames]
    encoder.embed_positions = nn.Embedding.from_pretrained(table, freeze=True)
    encoder.config.max_source_positions = len(table)

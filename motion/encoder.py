"""A small speech encoder of our own, cut out of a big one: two layers of attention over log-mel that look 110 ms ahead.

Log-mel (100 columns a second, `motion.audio`) -> 50 features a second. It begins as the first layers of a pretrained
Whisper encoder without positions and with a third of their inner units (`motion.prune`), and learns to say what the
whole encoder says of the same sound (`motion.teacher`, `motion.distil`), and hears rooms, noises and telephones while
the teacher heard the clean recording.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from motion.audio import BINS, QUIET
from vlogger.checkpoint import Checkpoint

WEIGHTS = Path(__file__).with_name("weights") / "encoder"
BLOCK = 500  # features made at a time from a long recording


class Layer(nn.Module):
    """A pre-norm transformer layer in which each feature sees `back` before it and `ahead` after it, and how far they
    are from it (a learned bias for each head and distance, arXiv 1910.10683).

    Nothing is padded: the output is shorter than the input by back + ahead.
    """

    def __init__(self, width: int, heads: int, hidden: int, back: int, ahead: int):
        super().__init__()
        self.heads, self.back, self.ahead = heads, back, ahead
        self.norm, self.query, self.key = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.distance = nn.Parameter(torch.zeros(heads, back + 1 + ahead))
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, width) -> (b, t - back - ahead, width)"""
        x = self.attend(x)
        return x + self.mlp(x)

    def attend(self, x: Tensor) -> Tensor:
        """The first half of it."""
        known, own = self.norm(x), slice(self.back, x.shape[1] - self.ahead)
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(known[:, own]), self.key(known), self.value(known))
        )
        heard = F.scaled_dot_product_attention(query, key, value, attn_mask=self.near(x.shape[1]).to(query.dtype))
        return x[:, own] + self.out(heard.transpose(1, 2).flatten(2))

    def near(self, frames: int) -> Tensor:
        """(heads, frames - back - ahead, frames) what is added to the scores: the bias of the distance, -inf beyond."""
        seen = self.back + self.ahead
        place = torch.arange(frames) - torch.arange(frames - seen)[:, None]
        bias = self.distance[:, place.clamp(0, seen)]
        return bias.masked_fill((place < 0) | (place > seen), -torch.inf)


class SpeechEncoder(Checkpoint):
    """(b, c, 80) log-mel -> (b, n, size); `before` and `after` say how many columns of it are context.

    Its layers see `back` features of 20 ms before each one and `ahead` after it.
    """

    @register_to_config
    def __init__(
        self,
        width: int = 512,
        size: int = 192,
        heads: int = 8,
        hidden: int = 768,
        back: Sequence[int] = (32, 32),
        ahead: Sequence[int] = (3, 2),
    ):
        super().__init__()
        self.first = nn.Conv1d(BINS, width, 3)
        self.halve = nn.Conv1d(width, width, 3, stride=2)
        self.begin = nn.Parameter(torch.zeros(width))
        layers = (Layer(width, heads, hidden, *reach) for reach in zip(back, ahead, strict=True))
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, size)

    @property
    def before(self) -> int:
        """Columns that are needed before the first feature's own."""
        return 2 + 2 * sum(self.config["back"])

    @property
    def after(self) -> int:
        """Columns that are needed after the last feature's own: its look-ahead."""
        return 2 + 2 * sum(self.config["ahead"])

    def forward(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.halve(F.gelu(self.first(mel.transpose(1, 2))))).transpose(1, 2)
        return self.head(self.norm(self.layers(x + self.begin)))

    @torch.inference_mode()
    def hear(self, mel: Tensor) -> Tensor:
        """A whole recording, (c, 80) -> ((c + 1) // 2, size); feature i belongs to column 2 i.

        Before and after it is silence.
        """
        columns = (len(mel) + 1) // 2 * 2 - 1 + self.before + self.after
        return self.piece(F.pad(mel, (0, 0, self.before, self.after + 1), value=QUIET)[:columns])

    @torch.inference_mode()
    def piece(self, mel: Tensor) -> Tensor:
        """Columns with their context, (before + 2 n - 1 + after, 80) -> (n, size), BLOCK at a time."""
        context, parts = self.before + self.after, []
        count = (len(mel) - context + 1) // 2
        for start in range(0, count, BLOCK):
            columns = 2 * min(BLOCK, count - start) - 1 + context
            parts.append(self(mel[None, 2 * start : 2 * start + columns])[0])
        return torch.cat(parts)


def load_encoder(path: str | Path | None = None) -> SpeechEncoder:
    """Trained weights from a folder or a hub id (None: those that ship with vlogger)."""
    return SpeechEncoder.from_pretrained(WEIGHTS if path is None else path)

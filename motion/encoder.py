"""A small speech encoder of our own: convolutions over log-mel that look 110 ms ahead, taught by a big one.

Log-mel (100 columns a second, `motion.audio`) -> 50 features a second. It learns to say what a pretrained multilingual
encoder says of the same sound (`motion.teacher`, `motion.distil`), and hears rooms, noises and telephones while the
teacher heard the clean recording.
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
BLOCK = 1500  # features made at a time from a long recording


class Block(nn.Module):
    """Three taps `dilation` apart, then an MLP, added to the input. `ahead`: the last tap lies in the future.

    Nothing is padded: the output is shorter than the input by 2 * dilation.
    """

    def __init__(self, width: int, dilation: int, ahead: bool):
        super().__init__()
        self.before, self.after = (dilation, dilation) if ahead else (2 * dilation, 0)
        self.norm = nn.LayerNorm(width)
        self.taps = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mlp = nn.Sequential(nn.GELU(), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, width) -> (b, t - 2 dilation, width)"""
        heard = self.taps(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x[:, self.before : x.shape[1] - self.after] + self.mlp(heard)


class SpeechEncoder(Checkpoint):
    """(b, c, 80) log-mel -> (b, n, size); `before` and `after` say how many columns of it are context.

    Of `dilations` (in features of 20 ms) the first `centred` blocks also look forward; the others only back.
    """

    @register_to_config
    def __init__(
        self,
        width: int = 192,
        size: int = 192,
        dilations: Sequence[int] = (1, 1, 1, 2, 2, 4, 8, 16),
        centred: int = 4,
    ):
        super().__init__()
        self.first = nn.Conv1d(BINS, width, 3)
        self.halve = nn.Conv1d(width, width, 3, stride=2)
        self.blocks = nn.ModuleList(Block(width, step, place < centred) for place, step in enumerate(dilations))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, size)
        begin_(self)

    @property
    def before(self) -> int:
        """Columns that are needed before the first feature's own."""
        return 2 + 2 * sum(block.before for block in self.layers)

    @property
    def after(self) -> int:
        """Columns that are needed after the last feature's own: its look-ahead."""
        return 2 + 2 * sum(block.after for block in self.layers)

    @property
    def layers(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def forward(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.halve(F.gelu(self.first(mel.transpose(1, 2))))).transpose(1, 2)
        for block in self.layers:
            x = block(x)
        return self.head(self.norm(x))

    @torch.inference_mode()
    def hear(self, mel: Tensor) -> Tensor:
        """A whole recording, (c, 80) -> ((c + 1) // 2, size), in blocks; feature i belongs to column 2 i.

        Before and after it is silence.
        """
        count = (len(mel) + 1) // 2
        padded = F.pad(mel, (0, 0, self.before, self.after + 1), value=QUIET)
        parts = []
        for start in range(0, count, BLOCK):
            taken = min(BLOCK, count - start)
            columns = 2 * taken - 1 + self.before + self.after
            parts.append(self(padded[None, 2 * start : 2 * start + columns])[0])
        return torch.cat(parts)


@torch.no_grad()
def begin_(encoder: SpeechEncoder) -> None:
    """First weights: convolutions that keep the size of what passes, blocks and head that begin small.

    With PyTorch's own, half of which vanishes in each layer, sixty steps learn what these learn in twenty.
    """
    for conv in (encoder.first, encoder.halve, *(block.taps for block in encoder.layers)):
        nn.init.kaiming_normal_(conv.weight)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    for block in encoder.layers:
        widen, narrow = block.mlp[1], block.mlp[3]
        assert isinstance(widen, nn.Linear) and isinstance(narrow, nn.Linear)
        nn.init.kaiming_normal_(widen.weight)
        nn.init.normal_(narrow.weight, std=0.3 / narrow.in_features**0.5)
    nn.init.normal_(encoder.head.weight, std=0.02)
    nn.init.zeros_(encoder.head.bias)


def load_encoder(path: str | Path | None = None) -> SpeechEncoder:
    """Trained weights from a folder or a hub id (None: those that ship with vlogger)."""
    return SpeechEncoder.from_pretrained(WEIGHTS if path is None else path)

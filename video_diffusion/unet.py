"""The per-frame denoiser, VLOGGER's base model (3.2): a U-Net that knows of noise, and of nothing else.

Everything it is told about a frame arrives as `control`: tensors that are added to its skips and to its middle. Frames
are a batch, "b*t c h w"; only temporal convolutions (blocks.TemporalConv) know which of them make a clip.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlogger.diffusion.blocks import Downsample, ResBlock, TimeEmbedding, Upsample, zero_


class Encoder(nn.Module):
    """One residual block for each width, halving between them, and one in the middle.

    The base and the control branch have one each, of the same shape ("a copy of the encoder").
    """

    def __init__(self, widths: Sequence[int], embedding: int, temporal: bool = False):
        super().__init__()
        self.blocks = nn.ModuleList([ResBlock(width, width, embedding, temporal) for width in widths])
        self.downs = nn.ModuleList([Downsample(wide, narrow) for wide, narrow in pairwise(widths)])
        self.middle = ResBlock(widths[-1], widths[-1], embedding, temporal)

    def forward(self, x: Tensor, embedding: Tensor, frames: int) -> list[Tensor]:
        """x (b*t, widths[0], h, w) -> the output of each block, the finest first, the middle's last."""
        features = []
        for level, block in enumerate(self.blocks):
            x = block(x if level == 0 else self.downs[level - 1](x), embedding, frames)
            features.append(x)
        return [*features, self.middle(x, embedding, frames)]


class Decoder(nn.Module):
    """The way back up: at each level a residual block on what comes from below beside the skip."""

    def __init__(self, widths: Sequence[int], embedding: int, temporal: bool = False):
        super().__init__()
        self.blocks = nn.ModuleList([ResBlock(2 * width, width, embedding, temporal) for width in widths])
        self.ups = nn.ModuleList([Upsample(narrow, wide) for wide, narrow in pairwise(widths)])

    def forward(self, features: Sequence[Tensor], embedding: Tensor, frames: int) -> Tensor:
        """The outputs of an `Encoder` -> (b*t, widths[0], h, w)."""
        *skips, x = features
        for level in reversed(range(len(self.blocks))):
            x = self.blocks[level](torch.cat([x, skips[level]], dim=1), embedding, frames)
            x = x if level == 0 else self.ups[level - 1](x)
        return x


class FrameUNet(nn.Module):
    """Noisy frame and diffusion step -> a correction of the frame, zero at the start.

    Works on pixels unshuffled by `patch` (128 x 128 x 3 -> 64 x 64 x 12), which costs a quarter.
    """

    def __init__(self, widths: Sequence[int], embedding: int, patch: int = 2, temporal: bool = False):
        super().__init__()
        channels = 3 * patch**2
        self.patch = patch
        self.time = TimeEmbedding(embedding)
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.encoder = Encoder(widths, embedding)
        self.decoder = Decoder(widths, embedding, temporal)
        self.norm = nn.GroupNorm(8, widths[0])
        self.out = zero_(nn.Conv2d(widths[0], channels, 3, padding=1))

    def forward(self, patches: Tensor, embedding: Tensor, control: Sequence[Tensor], frames: int) -> Tensor:
        """patches (b*t, 3 p p, h/p, w/p), embedding (b*t, e), control as an `Encoder` gives -> (b*t, 3, h, w)."""
        features = self.encoder(self.stem(patches), embedding, frames)
        features = [own + added for own, added in zip(features, control, strict=True)]
        x = self.decoder(features, embedding, frames)
        return F.pixel_shuffle(self.out(F.silu(self.norm(x))), self.patch)


class Retouch(nn.Module):
    """Hints and the filled warp -> a correction of the warp, zero at the start: what needs no chance.

    The same for all noise levels, so it is computed once for a frame.
    """

    def __init__(self, widths: Sequence[int], embedding: int, patch: int = 2):
        super().__init__()
        channels = 3 * patch**2
        self.patch = patch
        self.constant = nn.Parameter(torch.zeros(1, embedding))
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.encoder = Encoder(widths, embedding)
        self.decoder = Decoder(widths, embedding)
        self.norm = nn.GroupNorm(8, widths[0])
        self.out = zero_(nn.Conv2d(widths[0], channels, 3, padding=1))
        self.filter = zero_(nn.Conv2d(3, 3, 5, padding=2))

    def forward(self, hints: Tensor, base: Tensor) -> Tensor:
        """hints (n, widths[0], h/p, w/p), base (n, 3, h, w) -> (n, 3, h, w)."""
        embedding = self.constant.expand(len(base), -1)
        features = self.encoder(self.stem(unshuffled(base, self.patch)) + hints, embedding, 1)
        x = self.decoder(features, embedding, 1)
        return self.filter(base) + F.pixel_shuffle(self.out(F.silu(self.norm(x))), self.patch)


def unshuffled(pictures: Tensor, patch: int) -> Tensor:
    """(n, c, h, w) -> (n, c p p, h/p, w/p), channels last in memory: twice as fast on a CPU."""
    return F.pixel_unshuffle(pictures, patch).contiguous(memory_format=torch.channels_last)

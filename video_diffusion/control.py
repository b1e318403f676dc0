"""The control branch (VLOGGER 3.2, Fig. 2; ControlNet, arXiv 2302.05543): an encoder that is told everything.

Per frame it sees the noisy frame, the dense surface, the parts, the warped photo and where it is known; the photo and
the photo's own surface and parts are combined with these (Fig. 2, the circled plus). A convolution of stacked pictures
is the sum of convolutions, so what stays the same over a video is computed once: `ReferenceEncoder`.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from video_diffusion.unet import Encoder, unshuffled
from vlogger.diffusion.blocks import Downsample, zero_


class ReferenceEncoder(nn.Module):
    """The photo with its own surface and parts, as the branch wants it: a map to add, tokens to look things up in."""

    def __init__(self, channels: int, widths: Sequence[int], patch: int):
        super().__init__()
        self.patch = patch
        self.stem = nn.Conv2d(channels * patch**2, widths[0], 3, padding=1)
        self.downs = nn.ModuleList([Downsample(wide, narrow) for wide, narrow in pairwise(widths)])

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(b, channels, h, w) -> map (b, widths[0], h/p, w/p), tokens (b, n, widths[-1])."""
        added = x = self.stem(unshuffled(pictures, self.patch))
        for down in self.downs:
            x = down(F.silu(x))
        return added, rearrange(x, "b c h w -> b (h w) c")


class LookUp(nn.Module):
    """Attention of each pixel of the coarsest map to all of its frame and all of the reference; zero at the start."""

    def __init__(self, width: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm, self.norm_reference = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = zero_(nn.Linear(width, width))

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        """x (b*t, c, h, w), reference (b, n, c) -> (b*t, c, h, w)."""
        height = x.shape[2]
        own = self.norm(rearrange(x, "b c h w -> b (h w) c"))
        tokens = self.norm_reference(reference).repeat_interleave(len(x) // len(reference), dim=0)
        key, value = self.key_value(torch.cat([own, tokens], dim=1)).chunk(2, dim=2)
        split = [rearrange(part, "b n (h c) -> b h n c", h=self.heads) for part in (self.query(own), key, value)]
        found = rearrange(F.scaled_dot_product_attention(*split), "b h n c -> b n (h c)")
        return x + rearrange(self.out(found), "b (h w) c -> b c h w", h=height)


class ControlBranch(nn.Module):
    """What is known of the frames -> what is added to the base's skips and middle, through zero-initialised 1x1."""

    def __init__(self, channels: int, widths: Sequence[int], embedding: int, patch: int):
        super().__init__()
        self.patch = patch
        self.hint = nn.Conv2d(channels * patch**2, widths[0], 3, padding=1)
        self.stem = nn.Conv2d(3 * patch**2, widths[0], 3, padding=1)
        self.encoder = Encoder(widths, embedding, temporal=True)
        self.look_up = LookUp(widths[-1])
        self.zeros = nn.ModuleList([zero_(nn.Conv2d(width, width, 1)) for width in [*widths, widths[-1]]])

    def hints(self, pictures: Tensor) -> Tensor:
        """The controls of frames (b*t, channels, h, w) -> (b*t, widths[0], h/p, w/p): the same at every noise level."""
        return self.hint(unshuffled(pictures, self.patch))

    def forward(
        self, patches: Tensor, hints: Tensor, reference: Tensor, embedding: Tensor, frames: int, known: int = 0
    ) -> list[Tensor]:
        """Noisy patches, `hints` plus the reference's map, its tokens, embedding (b*t, e) -> one for each feature.

        The first `known` frames of each clip are looked at by the others and left out of what comes out.
        """
        features = self.encoder(self.stem(patches) + hints, embedding, frames)
        *skips, middle = [later(feature, frames, known) for feature in features]
        features = [*skips, self.look_up(middle, reference)]
        return [zero(feature) for zero, feature in zip(self.zeros, features, strict=True)]


def later(x: Tensor, frames: int, known: int) -> Tensor:
    """Clips (b*t, ...) of `frames` frames without their first `known` ones."""
    return x.unflatten(0, (-1, frames))[:, known:].flatten(0, 1) if known else x

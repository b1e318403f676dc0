"""The truth, made small, as a painter would have painted it: slightly wrong in all the ways that painters are.

Pictures are "b t 3 h w" in [0, 1] at the small size; each sample has its own amounts, uniform up to the settings.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from vlogger.pixels import resize

BLOCK = 8


@dataclass(frozen=True)
class Degradation:
    """The most of each: shift (small pixels), blur and extra blur of the delicate places (share of a 5-tap blur),
    colour cast, noise (of [0, 1]), coarseness of compression; `spared` = chance that a sample stays as it is.
    """

    shift: float = 0.6
    blur: float = 0.8
    delicate: float = 1.0
    cast: float = 0.03
    noise: float = 0.02
    compression: float = 0.05
    spared: float = 0.15

    def __call__(self, small: Tensor, delicate: Tensor, generator: Generator) -> Tensor:
        """small (b t 3 h w), delicate (b t 1 h w): 1 at mouth and eyes."""
        b, t, _, h, w = small.shape

        def amount(most: float, *shape: int) -> Tensor:
            return most * torch.rand(b, *(shape or (1, 1, 1, 1)), generator=generator)

        x = displaced(small, self.shift * torch.randn(b, t, 2, 4, 4, generator=generator) / 2)
        x = x.lerp(blurred(x), amount(self.blur))
        x = x.lerp(blurred(blurred(x)), amount(self.delicate) * blurred(delicate))
        x = x + amount(2 * self.cast, 1, 3, 1, 1) - self.cast
        x = x + amount(self.noise) * torch.randn(b, t, 3, h, w, generator=generator)
        x = compressed(x, amount(self.compression), generator)
        spared = torch.rand(b, 1, 1, 1, 1, generator=generator) < self.spared
        return torch.where(spared, small, x.clamp(0, 1))


def displaced(x: Tensor, coarse: Tensor) -> Tensor:
    """Pixels moved by a smooth field: x (b t c h w), coarse (b t 2 4 4) in pixels, (right, down)."""
    b, t, _, h, w = x.shape
    field = resize(coarse, h, w)
    y, z = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    grid = torch.stack([(z + field[:, :, 0]) * 2 / w - 1, (y + field[:, :, 1]) * 2 / h - 1], dim=-1)
    moved = F.grid_sample(x.flatten(0, 1), grid.flatten(0, 1), "bicubic", "border", align_corners=False)
    return moved.unflatten(0, (b, t))


def blurred(x: Tensor) -> Tensor:
    """(b t c h w) -> the same, smoothed by 1 4 6 4 1 in both directions; the border goes on."""
    taps = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    pad = F.pad(x.flatten(0, 1), (2, 2, 2, 2), mode="replicate")
    (bt, c, h, w), flat = pad.shape, pad.reshape(-1, 1, *pad.shape[-2:])
    flat = F.conv2d(F.conv2d(flat, taps.view(1, 1, 5, 1)), taps.view(1, 1, 1, 5))
    return flat.view(bt, c, h - 4, w - 4).unflatten(0, x.shape[:2])


def compressed(x: Tensor, coarseness: Tensor, generator: Generator) -> Tensor:
    """As if through JPEG: cosine coefficients of 8 x 8 blocks rounded, the coarser the higher the frequency.

    x (b t c h w) with h, w multiples of 8; the blocks begin anywhere; coarseness (b 1 1 1 1), 0 changes nothing.
    """
    dy, dx = torch.randint(BLOCK, (2,), generator=generator).tolist()
    (h, w), cosines, rank = x.shape[-2:], cosine_basis(), torch.arange(BLOCK)
    blocks = x.roll((dy, dx), (-2, -1)).unfold(-2, BLOCK, BLOCK).unfold(-2, BLOCK, BLOCK)  # b t c h/8 w/8 8 8
    step = (coarseness[..., None, None] * (rank[:, None] + rank) / (BLOCK - 1)).clamp(min=1e-6)
    rounded = ((cosines @ blocks @ cosines.T) / step).round() * step
    back = (cosines.T @ rounded @ cosines).transpose(-3, -2).reshape(*x.shape[:-2], h, w)
    return back.roll((-dy, -dx), (-2, -1))


def cosine_basis() -> Tensor:
    """The orthonormal DCT-II of length 8: (frequency, place)."""
    k, n = torch.arange(BLOCK)[:, None], torch.arange(BLOCK)
    basis = torch.cos(math.pi * (n + 0.5) * k / BLOCK) * (2 / BLOCK) ** 0.5
    basis[0] /= 2**0.5
    return basis

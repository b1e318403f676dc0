"""The layers that the image networks are built from: residual blocks with room for time, down, up, time embedding.

Pictures are "b*t c h w": a clip is a batch of frames, and only the temporal convolution knows which belong together.
"""

from typing import TypeVar

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

Module = TypeVar("Module", bound=nn.Module)


class TimeEmbedding(nn.Module):
    """Diffusion step (b,) -> (b, width): sinusoids, then an MLP (diffusers' layers)."""

    def __init__(self, width: int, frequencies: int = 64):
        super().__init__()
        self.sinusoids = Timesteps(frequencies, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.mlp = TimestepEmbedding(frequencies, width)

    def forward(self, timestep: Tensor) -> Tensor:
        return self.mlp(self.sinusoids(timestep).to(self.mlp.linear_1.weight.dtype))


class TemporalConv(nn.Module):
    """1-D convolution over time at every pixel, added to its input and zero at the start (VLOGGER 3.2, Fig. 2)."""

    def __init__(self, channels: int, kernel: int = 3):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2)
        zero_(self.conv)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        h, w = x.shape[-2:]
        sequence = rearrange(x, "(b t) c h w -> (b h w) c t", t=frames)
        return x + rearrange(self.conv(sequence), "(b h w) c t -> (b t) c h w", h=h, w=w)


class ResBlock(nn.Module):
    """GroupNorm, Swish, Conv, [temporal conv], GroupNorm scaled and shifted by the diffusion step, Swish, Conv.

    The temporal convolution stands after the first convolution and before the second norm, as in VLOGGER 3.2.
    """

    def __init__(self, channels_in: int, channels_out: int, embedding: int, temporal: bool = False):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.temporal = TemporalConv(channels_out) if temporal else None
        self.norm2 = nn.GroupNorm(8, channels_out)
        self.conv2 = zero_(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.modulation = nn.Linear(embedding, 2 * channels_out)
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor, frames: int = 1) -> Tensor:
        """x (b*t, c, h, w), embedding (b*t, e)."""
        h = self.conv1(F.silu(self.norm1(x)))
        if self.temporal is not None and frames > 1:
            h = self.temporal(h, frames)
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        return self.skip(x) + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class Downsample(nn.Conv2d):
    """Half the size by a strided convolution."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 3, stride=2, padding=1)


class Upsample(nn.Module):
    """Twice the size: 1x1 convolution, then nearest neighbour."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.conv(x), scale_factor=2.0, mode="nearest")


def zero_(module: Module) -> Module:
    """The same layer with all weights zero: at the start it changes nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def step_of(timestep: Tensor | int, batch: int, device: torch.device) -> Tensor:
    """One diffusion step for each of the batch: (b,) float."""
    return torch.as_tensor(timestep, device=device).float().reshape(-1).expand(batch)

"""Classifier-free guidance, a wrapper around a denoiser that knows nothing of it (Ho & Salimans, arXiv 2207.12598)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vlogger.diffusion.sampling import Condition, Denoiser


def without(condition: Condition, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The condition with the named entries dropped: all zeros, as in training."""
    return {name: torch.zeros_like(value) if name in names else value for name, value in condition.items()}


@dataclass(frozen=True)
class Guided:
    """x0 = x0(nothing) + scale * (x0(condition) - x0(nothing)); scale 1 is the plain denoiser, at its cost."""

    denoiser: Denoiser
    scale: float
    names: tuple[str, ...]

    def __call__(self, noisy: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        if self.scale == 1:
            return self.denoiser(noisy, timestep, condition)
        dropped = without(condition, self.names)
        both = {name: torch.cat([dropped[name], condition[name]]) for name in condition}
        free, led = self.denoiser(torch.cat([noisy, noisy]), torch.cat([timestep, timestep]), both).chunk(2)
        return free + self.scale * (led - free)

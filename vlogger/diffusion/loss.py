"""What a denoiser is trained on: the clean value from a noisy one (VLOGGER Eq. 1), weighted where it matters."""

from collections.abc import Mapping

import torch
from torch import Tensor


def noise_levels(batch: int, scheduler, generator: torch.Generator, emphasis: float = 1.0) -> Tensor:
    """Random diffusion steps (b,) int64; `emphasis` > 1 prefers high noise (uniform ** (1 / emphasis))."""
    uniform = torch.rand(batch, generator=generator) ** (1 / emphasis)
    steps = scheduler.config.num_train_timesteps
    return (uniform * steps).long().clamp(max=steps - 1)


def drop(
    condition: Mapping[str, Tensor], chances: Mapping[str, float], generator: torch.Generator
) -> dict[str, Tensor]:
    """Zero the named conditions of some samples, each with its own chance, so that guidance can do without."""
    dropped = dict(condition)
    for name, chance in chances.items():
        value = condition[name]
        kept = torch.rand(len(value), generator=generator).to(value.device) >= chance
        dropped[name] = value * kept.view(-1, *[1] * (value.ndim - 1))
    return dropped


def weighted_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Mean of `error` where `weight` says how much each entry counts (broadcast)."""
    weight = weight.expand_as(error)
    return (error * weight).sum() / weight.sum().clamp(min=1e-8)


def squared(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """||x0 - x0_hat||^2 (VLOGGER Eq. 1)."""
    return weighted_mean((prediction - target) ** 2, weight)


def absolute(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """|x0 - x0_hat|, which keeps pictures sharper than the square."""
    return weighted_mean((prediction - target).abs(), weight)

"""Sampling: the loop over a diffusers scheduler, with known values kept known.

A denoiser is any callable `(noisy, timestep (b,), condition) -> x0`: it predicts the clean value (VLOGGER Eq. 1), and
the schedulers are built with `prediction_type="sample"`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Condition = Mapping[str, Tensor]
Denoiser = Callable[[Tensor, Tensor, Condition], Tensor]


@dataclass(frozen=True)
class Known:
    """What is given of the sample: `mask` (1 = given) and `values`, both broadcastable to the sample."""

    mask: Tensor
    values: Tensor


@torch.inference_mode()
def sample(
    denoiser: Denoiser, scheduler, noise: Tensor, condition: Condition, steps: int, known: Known | None = None
) -> Tensor:
    """From noise to a clean sample in `steps` calls of the denoiser.

    `scheduler` is any diffusers scheduler with `prediction_type="sample"` and `step(..., eta=0)`-like determinism.
    Known values enter by replacement: at each step they are overwritten with the known ones at that noise level
    (RePaint, arXiv 2201.09865, Eq. 8), and stand exactly as given in the result.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    x = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        if known is not None:
            x = torch.where(known.mask > 0.5, scheduler.add_noise(known.values.expand_as(x), noise, timestep[None]), x)
        clean = denoiser(scheduler.scale_model_input(x, timestep), timestep.expand(len(x)), condition)
        x = scheduler.step(clean, timestep, x).prev_sample
    return x if known is None else torch.where(known.mask > 0.5, known.values.expand_as(x), x)

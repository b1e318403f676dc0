"""The noise that the painter is trained and sampled with: one home for its numbers."""

from collections.abc import Mapping
from typing import Any

from diffusers.schedulers.scheduling_ddim import DDIMScheduler


def ddim(steps: int = 1000) -> DDIMScheduler:
    """Cosine schedule (arXiv 2102.09672), x0 prediction, first sampling step from pure noise ("trailing")."""
    return DDIMScheduler(
        num_train_timesteps=steps,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        timestep_spacing="trailing",
        clip_sample=True,
    )


def as_trained(config: Mapping[str, Any]) -> DDIMScheduler:
    """The noise of another model's scheduler, to be sampled as ours is: by DDIM, from x0."""
    ours = {"prediction_type": "sample", "timestep_spacing": "trailing", "clip_sample": True, "thresholding": False}
    scheduler = DDIMScheduler.from_config({**config, **ours, "_class_name": "DDIMScheduler"})
    assert isinstance(scheduler, DDIMScheduler)
    return scheduler

"""The noise that the painter is trained and sampled with: one home for its numbers."""

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

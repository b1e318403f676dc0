"""Train one stage: `python -m vlogger.train experiment=motion|video_image|video_temporal|superres data=FOLDER`.

Checkpoints go to `run/` (default runs/<experiment>): `last.ckpt` holds everything that a resumed training needs and is
continued automatically; at the end, and at each checkpoint, the averaged weights are written as a folder
(`config.json`, `model.safetensors`) that `from_pretrained` reads.
"""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="train")
def main(cfg: DictConfig) -> None:
    """Build the module and the trainer from the configuration, continue where the last run stopped."""
    from pathlib import Path

    import torch
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from vlogger.errors import UserError

    try:
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        torch.manual_seed(cfg.seed)  # the initial weights
        module = instantiate(cfg.experiment.module, _convert_="all")
        trainer = instantiate(cfg.trainer, _convert_="all")
        last = Path(cfg.run) / "last.ckpt"
        trainer.fit(module, ckpt_path=str(last) if cfg.resume and last.exists() else None)
        module.denoiser.save_pretrained(Path(cfg.run) / "weights")
        print(f"{cfg.experiment.name}: {trainer.global_step} steps, weights in {Path(cfg.run) / 'weights'}")
    except (UserError, InstantiationException) as error:
        cause = error if isinstance(error, UserError) else error.__cause__
        if not isinstance(cause, UserError):
            raise
        raise SystemExit(f"vlogger.train: {cause}") from None


if __name__ == "__main__":
    main()

"""Make training data: `python -m vlogger.curate dataset=stills|people|talking|speech data=FOLDER out=POOL`."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="curate")
def main(cfg: DictConfig) -> None:
    """Build the named data set's maker from the configuration and run it."""
    import torch
    from hydra.utils import instantiate

    from vlogger.errors import UserError

    try:
        torch.set_num_threads(cfg.threads)
        body = instantiate(cfg.body)
        draw = instantiate(cfg.render, body=body)
        see = instantiate(cfg.subject, body=body)
        instantiate(cfg.dataset, body=body, draw=draw, see=see)()
    except UserError as error:
        raise SystemExit(f"vlogger.curate: {error}") from None


if __name__ == "__main__":
    main()

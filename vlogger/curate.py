"""Make training data: `python -m vlogger.curate dataset=stills|people|talking|speech data=FOLDER out=POOL`."""

import hydra
from omegaconf import DictConfig

GIVEN = ("body", "draw", "see")  # of a data set: handed over as objects


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="curate")
def main(cfg: DictConfig) -> None:
    """Build the named data set's maker from the configuration and run it."""
    import torch
    from hydra.utils import instantiate

    from vlogger.build import stage
    from vlogger.errors import UserError

    try:
        torch.set_num_threads(cfg.threads)
        body = instantiate(cfg.body)
        draw = stage(cfg.render, body)
        see = stage(cfg.subject, body)
        made = instantiate({key: cfg.dataset[key] for key in cfg.dataset if key not in GIVEN}, _partial_=True)
        made(body=body, draw=draw, see=see)()
    except UserError as error:
        raise SystemExit(f"vlogger.curate: {error}") from None


if __name__ == "__main__":
    main()

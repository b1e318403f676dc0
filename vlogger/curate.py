"""Make training data: `python -m vlogger.curate dataset=stills|people|talking|bodies|speech data=FOLDER out=POOL`."""

import hydra
from omegaconf import DictConfig

GIVEN = {"body": "body", "draw": "render", "see": "subject", "paint": "video"}
"""What a data set may ask for, handed over as objects, and where in the configuration they are."""


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="curate")
def main(cfg: DictConfig) -> None:
    """Build the named data set's maker from the configuration and run it."""
    import torch
    from hydra.utils import instantiate

    from vlogger.errors import UserError

    try:
        torch.set_num_threads(cfg.threads)
        made = instantiate({key: cfg.dataset[key] for key in cfg.dataset if key not in GIVEN}, _partial_=True)
        made(**given(cfg))()
    except UserError as error:
        raise SystemExit(f"vlogger.curate: {error}") from None


def given(cfg: DictConfig) -> dict:
    """The objects that the data set names: the body and stages of the pipeline."""
    from hydra.utils import instantiate

    from vlogger.build import stage

    body = instantiate(cfg.body)
    asked = {name: node for name, node in GIVEN.items() if name in cfg.dataset.keys()}  # noqa: SIM118
    return {name: body if name == "body" else stage(cfg[node], body) for name, node in asked.items()}


if __name__ == "__main__":
    main()

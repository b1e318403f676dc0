"""Configurations become objects, by the rules of docs/architecture.md. Hydra is known here and to the entries alone."""

from functools import partial
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from vlogger.body.smplx import Body
    from vlogger.pipeline import Vlogger

STAGES = ("subject", "motion", "render", "video", "superres")


def build(cfg: DictConfig) -> "Vlogger":
    """The five stages and their body, instantiated."""
    from hydra.utils import instantiate

    from vlogger.pipeline import Vlogger

    body = instantiate(cfg.body)
    subject, motion, render, video, superres = (stage(cfg[name], body) for name in STAGES)
    return Vlogger(subject, motion, render, video, superres, body, getattr(superres, "reads_maps", True))


def stage(node: DictConfig, body: "Body") -> Any:
    """An object from its node, whose key `body` receives the one body."""
    from hydra.utils import instantiate

    bare = OmegaConf.masked_copy(node, [str(key) for key in node.keys() if key != "body"])  # noqa: SIM118
    bare._set_parent(node._get_parent())  # so that interpolations like ${fps} still see the root
    made = instantiate(bare, _partial_=True)
    if "body" in node.keys():  # noqa: SIM118 (the operator `in` does not see a value that is still ???)
        made = partial(made, body=body)
    return made if node.get("_partial_") else made()

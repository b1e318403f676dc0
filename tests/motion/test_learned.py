"""The embedded weights: the default's mouth with drawn habits, and those that make everything."""

import pytest
import torch
from hydra import compose, initialize_config_module

from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body
from vlogger.build import stage
from vlogger.evaluation.liveliness import spread, world_rotation
from vlogger.hear import neutral
from vlogger.types import Audio, seeded


@pytest.fixture(scope="module")
def body():
    return load_body()


def made(body, name: str, seconds: float):
    """The stage and a motion of loud and soft syllables of noise."""
    with initialize_config_module("conf", version_base="1.3"):
        made_of = stage(compose("generate", [f"motion={name}"]).motion, body)
    loud = 0.05 + 0.2 * torch.rand(round(seconds * 5), generator=seeded(0)).repeat_interleave(3200)
    sound = Audio((loud * torch.randn(len(loud), generator=seeded(1))).clamp(-1, 1), 16000)
    return made_of, made_of(sound, neutral(body), generator=seeded(0))


def test_the_learned_weights_look_ahead_and_the_defaults_do_not(body):
    learned, motion = made(body, "learned", 6)
    plain, other = made(body, "default", 6)
    assert learned.network.config["ahead"] and not plain.network.config["ahead"]
    assert not learned.drawn and plain.drawn and len(motion) == len(other)
    assert spread(world_rotation(motion, "head")) > 0.3, "its head moves by itself"
    assert motion.rotations[:, joint_index("left_eye")].std() > 0

"""A person in front of a camera, for the tests of the warp and the controls."""

import pytest
import torch

from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body, load_body
from vlogger.types import Motion, Portrait, Subject


@pytest.fixture(scope="session")
def body() -> Body:
    return load_body()


@pytest.fixture(scope="session")
def seated(body) -> Subject:
    """Head and shoulders in a smooth colourful square picture of 96 pixels, the head turned a little."""
    rotations = torch.eye(3).repeat(55, 1, 1)
    turns = {"left_shoulder": (0, 0, -1.2), "right_shoulder": (0, 0, 1.2), "head": (0.05, 0.1, 0.02)}
    for name, turn in turns.items():
        rotations[joint_index(name)] = axis_angle_to_matrix(torch.tensor(turn))
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    image = torch.stack([x * 2.4, y * 2.4, 128 + 100 * torch.sin(x / 9) * torch.cos(y / 7)]).to(torch.uint8)
    camera = torch.tensor([[180.0, 0, 48], [0, 180.0, 48], [0, 0, 1]])
    place = torch.tensor([0.0, -0.27, -1.3])
    return Subject(Portrait(image), torch.zeros(10), rotations, torch.zeros(len(body.expression_names)), place, camera)


@pytest.fixture(scope="session")
def still(seated) -> Motion:
    """Two frames without motion."""
    frames = (seated.rotations, seated.expression, seated.translation)
    return Motion(*(value.expand(2, *value.shape).clone() for value in frames), fps=25.0)


@pytest.fixture
def nod(still):
    """A function: the still motion with the head turned by axis-angle (radians) in its second frame."""

    def moved(*turn: float) -> Motion:
        rotations = still.rotations.clone()
        rotations[1, joint_index("head")] = axis_angle_to_matrix(torch.tensor(turn)) @ rotations[1, joint_index("head")]
        return Motion(rotations, still.expression, still.translation, still.fps)

    return moved

"""The fast posing of one person is `pose` and `project`, however the motion is cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from render.posing import meeting, points_of, puppet_of
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.smplx import pose
from vlogger.framing import project
from vlogger.types import Motion

CAMERA = torch.tensor([[180.0, 0.5, 48], [0, 190.0, 50], [0, 0, 1]])


@pytest.fixture
def wild(body) -> Motion:
    """Three frames in which every joint and expression moves."""
    generator = torch.Generator().manual_seed(0)
    rotations = axis_angle_to_matrix(0.4 * torch.randn(3, 55, 3, generator=generator))
    expression = torch.rand(3, len(body.expression_names), generator=generator)
    expression[:, [body.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right")]] = 0.0
    place = torch.tensor([0.1, -0.2, -1.5]) + 0.1 * torch.randn(3, 3, generator=generator)
    return Motion(rotations, expression, place, 25.0)


def slow(body, betas, motion) -> np.ndarray:
    posed = pose(body, betas, motion.rotations, motion.expression, motion.translation)
    return project(posed.vertices, CAMERA).numpy()


def test_equals_the_slow_twin(body, wild):
    betas = torch.tensor([1.0, -0.5, 0.8, 0.3])
    fast = points_of(puppet_of(body, betas), wild, CAMERA)
    assert np.abs(fast - slow(body, betas, wild))[..., :2].max() < 2e-3  # pixels
    assert np.abs(fast - slow(body, betas, wild))[..., 2].max() < 2e-6  # metres


def test_fewer_expressions_and_pose_correctives_count(body, wild):
    few = replace(wild, expression=wild.expression[:, :3])
    generator = torch.Generator().manual_seed(1)
    bending = replace(body, posedirs=1e-3 * torch.randn(3 * len(body.v_template), 486, generator=generator))
    fast = points_of(puppet_of(bending, torch.zeros(2)), few, CAMERA)
    assert np.abs(fast - slow(bending, torch.zeros(2), few))[..., :2].max() < 2e-3
    assert np.abs(fast - points_of(puppet_of(body, torch.zeros(2)), few, CAMERA)).max() > 0.1


def test_windows_change_no_bit(body, wild):
    puppet = puppet_of(body, torch.zeros(10))
    assert np.array_equal(points_of(puppet, wild, CAMERA)[1:2], points_of(puppet, wild[1:2], CAMERA))


def lid_gap(body, puppet, expression) -> np.ndarray:
    """(t, 2) pixels between upper and lower lid of a head that looks into the camera, right and left eye."""
    place = torch.tensor([[0, 0, -1.5]]).repeat(len(expression), 1)
    still = Motion(torch.eye(3).repeat(len(expression), 55, 1, 1), expression, place, 25.0)
    points = points_of(puppet, still, CAMERA)
    corners = body.faces[body.mp_faces[[159, 386, 145, 374]]].numpy()
    heights = (points[:, corners, 1] * body.mp_bary[[159, 386, 145, 374]].numpy()).sum(-1)
    return heights[:, 2:] - heights[:, :2]


def test_lids_meet_and_go_no_further(body):
    """Narrowed and wide eyes, blinks of any size: once the lids touch nothing changes any more."""
    sides = [body.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    for name in ("eyeSquint", "eyeWide", ""):
        expression = torch.zeros(21, len(body.expression_names))
        if name:
            expression[:, [body.expression_names.index(f"{name}{side}") for side in ("Left", "Right")]] = 0.8
        expression[:, sides] = torch.linspace(0, 1.5, 21)[:, None]
        gap = lid_gap(body, puppet_of(body, torch.zeros(2)), expression)
        assert gap[0].min() > 0.3 and (np.diff(gap, axis=0) < 1e-3).all(), "a blink only closes"
        assert abs(gap[-1]).max() < 0.15 * gap[0].min(), "shut, and not crossed"
        assert abs(gap[-1] - gap[-4]).max() < 1e-3


def test_lids_that_do_not_touch_are_left_alone(body):
    expression = torch.zeros(2, len(body.expression_names))
    expression[:, body.expression_names.index("eyeBlinkLeft")] = 0.3
    puppet = puppet_of(body, torch.zeros(2))
    assert len(puppet.lids) == 2
    for row in expression.numpy():
        assert np.array_equal(meeting(puppet.lids, row), row)
    nobody = replace(puppet, lids=())
    assert np.array_equal(lid_gap(body, puppet, expression), lid_gap(body, nobody, expression))

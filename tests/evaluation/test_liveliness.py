"""Motions with known statistics."""

import numpy as np
import pytest
import torch

from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.evaluation import liveliness
from vlogger.types import Motion

FPS = 25.0


def still(frames, body):
    rotations = torch.eye(3).repeat(frames, 55, 1, 1)
    return Motion(rotations, torch.zeros(frames, body.exprdirs.shape[-1]), torch.zeros(frames, 3), FPS)


def test_a_still_body_has_nothing(body):
    found = liveliness.motion_statistics(still(20, body), body, hands=True)
    assert all(value == pytest.approx(0, abs=1e-3) for value in found.values())


def test_a_head_that_turns_evenly(body):
    motion = still(21, body)
    angle = torch.linspace(0, 20, 21).deg2rad()
    motion.rotations[:, joint_index("head")] = axis_angle_to_matrix(torch.stack([0 * angle, angle, 0 * angle], 1))
    found = liveliness.motion_statistics(motion, body, hands=True)
    assert found["head_speed"] == pytest.approx(25, rel=1e-2) and found["head_speed_deviation"] < 0.1
    assert found["head_range"] == pytest.approx(np.std(np.linspace(0, 20, 21)), rel=1e-2)
    assert found["hand_activity"] == pytest.approx(0, abs=1e-5)


def test_the_neck_turns_the_head_too(body):
    motion = still(5, body)
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.1, 0.0]))
    motion.rotations[:, joint_index("neck")] = turn
    motion.rotations[:, joint_index("head")] = turn
    assert torch.allclose(liveliness.world_rotation(motion, "head"), (turn @ turn).expand(5, 3, 3), atol=1e-6)


def test_jitter_of_a_cubic_is_its_third_derivative():
    time = torch.arange(30, dtype=torch.double) / FPS
    points = torch.stack([time**3, 0 * time, time**2], dim=1)[:, None]
    assert liveliness.jitter(points, FPS) == pytest.approx(6, rel=1e-3)
    assert np.isnan(liveliness.jitter(points[:3], FPS))


def test_blinks_are_counted_once_each_and_long_closings_are_none():
    opening = np.full(100, 0.3)
    opening[10:14], opening[40:43], opening[60:90] = 0.05, 0.0, 0.05
    assert liveliness.blinks(opening, FPS) == pytest.approx([0.16, 0.12])
    found = liveliness.blink_statistics(opening, FPS)
    assert found["blink_rate"] == pytest.approx(30) and found["blink_duration"] == pytest.approx(0.14)


def test_gaze_and_hands(body):
    motion = still(20, body)
    angle = torch.tensor([0.1, -0.1]).repeat(10)
    motion.rotations[:, joint_index("left_eye")] = axis_angle_to_matrix(torch.stack([0 * angle, angle, 0 * angle], 1))
    motion.rotations[:, joint_index("right_elbow")] = axis_angle_to_matrix(
        torch.stack([angle, 0 * angle, 0 * angle], 1)
    )
    found = liveliness.motion_statistics(motion, body, hands=True)
    assert found["gaze_spread"] == pytest.approx(np.rad2deg(0.1), rel=1e-3) and found["hand_activity"] > 0.1


def test_emos_table_and_seeds():
    table = liveliness.velocity_table([np.full(10, 30.0), np.full(10, 60.0)])
    assert table["mean"] == pytest.approx(1.5) and table["variance_within"] == 0 and table["vmv"] == pytest.approx(0.25)
    same = torch.full((3, 4, 4), 100, dtype=torch.uint8)
    assert liveliness.seed_diversity([same, same]) == 0
    assert liveliness.seed_diversity([same, same + 10]) == pytest.approx(5)

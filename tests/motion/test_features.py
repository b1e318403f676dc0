"""Motion to vectors and back."""

import torch

from motion.features import (
    EXPRESSIONS,
    MOUTH,
    FeatureSpace,
    Reference,
    longest,
    mirror,
    mirrored,
    to_features,
    to_motion,
)
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body
from vlogger.types import Motion

SPACE = FeatureSpace(
    ("neck", "head", "left_eye"), {"brow": 1.0, "mouthSmile": 0.5}, {"jaw": 0.1, "neck": 0.03, "head": 2}
)


def reference(seed: int = 0) -> Reference:
    chance = torch.Generator().manual_seed(seed)
    turns = axis_angle_to_matrix(torch.randn(55, 3, generator=chance))
    return Reference(turns, 0.3 * torch.rand(52, generator=chance), torch.randn(3, generator=chance))


def still(pose: Reference, frames: int = 4) -> Motion:
    return Motion(
        pose.rotations.repeat(frames, 1, 1, 1),
        pose.expression.repeat(frames, 1),
        pose.translation.repeat(frames, 1),
        24.0,
    )


def test_names_are_those_of_the_open_body():
    assert load_body().expression_names == EXPRESSIONS


def test_the_reference_has_no_residual():
    features = to_features(SPACE, still(reference()), reference())
    assert features[:, ~SPACE.face].abs().max() < 1e-5
    kept = [i for i, name in enumerate(EXPRESSIONS) if name.startswith("brow")]
    assert features[:, kept].abs().max() == 0


def test_expression_of_the_mouth_is_absolute():
    pose = reference()
    other = pose._replace(expression=torch.zeros(52))
    jaw = EXPRESSIONS.index("jawOpen")
    first, second = (to_features(SPACE, still(pose), ref)[:, jaw] for ref in (pose, other))
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, pose.expression[jaw].expand(4) / 0.1)


def test_round_trip_from_features():
    chance = torch.Generator().manual_seed(3)
    pose = reference()._replace(expression=torch.zeros(52))
    features = torch.rand(7, SPACE.size, generator=chance) * 0.9
    back = to_features(SPACE, to_motion(SPACE, features, pose, 24.0), pose)
    torch.testing.assert_close(back, features, atol=2e-5, rtol=1e-4)


def test_round_trip_from_motion():
    pose, chance = reference(), torch.Generator().manual_seed(4)
    rotations = pose.rotations.repeat(5, 1, 1, 1)
    for joint in SPACE.joints:
        turn = axis_angle_to_matrix(0.5 * torch.randn(5, 3, generator=chance))
        rotations[:, joint_index(joint)] = pose.rotations[joint_index(joint)] @ turn
    motion = Motion(rotations, torch.rand(5, 52, generator=chance), torch.randn(5, 3, generator=chance), 25.0)
    back = to_motion(SPACE, to_features(SPACE, motion, pose), pose, 25.0)
    torch.testing.assert_close(back.rotations, motion.rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(back.expression, motion.expression, atol=1e-5, rtol=0)
    torch.testing.assert_close(back.translation, motion.translation, atol=1e-5, rtol=0)


def test_joints_that_are_not_described_stay():
    pose = reference()
    motion = to_motion(SPACE, torch.randn(3, SPACE.size, generator=torch.Generator().manual_seed(5)), pose, 24.0)
    moving = {joint_index(name) for name in SPACE.joints}
    for joint in set(range(55)) - moving:
        assert (motion.rotations[:, joint] == pose.rotations[joint]).all()
    assert motion.expression.min() >= 0 and motion.expression.max() <= 1


def test_the_longest_beginning_counts():
    assert longest({"mouth": 1.0, "mouthSmile": 2.0}, "mouthSmileLeft", 0.0) == 2.0
    assert longest({"mouth": 1.0}, "jawOpen", 7.0) == 7.0
    assert all(name.startswith(("jaw", "mouth", "tongue")) for name in MOUTH)


def test_a_mirror_shows_the_mirrored_body():
    """Joints of the mirrored motion are the mirrored joints: x changes its sign, left and right their place."""
    from vlogger.body.smplx import pose

    body = load_body()
    space = FeatureSpace(("neck", "head", "left_eye", "right_eye"))
    rest = Reference(torch.eye(3).repeat(55, 1, 1), torch.zeros(52), torch.zeros(3))
    features = 0.3 * torch.randn(2, space.size, generator=torch.Generator().manual_seed(0)).abs()
    both = (to_motion(space, values, rest, 24.0) for values in (features, mirror(space, features)))
    joints = [pose(body, torch.zeros(1), m.rotations, m.expression * 0, m.translation).joints for m in both]
    swapped = joints[0] * torch.tensor([-1.0, 1.0, 1.0])
    for name, other in (("head", "head"), ("left_eye", "right_eye"), ("right_eye", "left_eye")):
        torch.testing.assert_close(
            joints[1][:, joint_index(name)], swapped[:, joint_index(other)], atol=4e-3, rtol=0
        )  # the body is symmetric to some millimetres
    torch.testing.assert_close(mirror(space, mirror(space, features)), features)
    assert mirrored("mouthLeft") == "mouthRight" and mirrored("eyeLookInRight") == "eyeLookInLeft"


def test_without_residuals_the_rotations_themselves_are_described():
    space, pose = FeatureSpace(("neck", "head"), residual=False), reference()
    other = reference(1)
    features = to_features(space, still(pose), pose)
    assert features[:, len(EXPRESSIONS) : -3].abs().max() > 0.1
    back = to_motion(space, features, other, 24.0).rotations
    head, elbow = joint_index("head"), joint_index("left_elbow")
    torch.testing.assert_close(back[:, head], still(pose).rotations[:, head], atol=1e-5, rtol=0)
    assert torch.equal(back[:, elbow], still(other).rotations[:, elbow])

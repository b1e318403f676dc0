"""Between the open body and a file made of its head in FLAME's format, whose expressions mean other things."""

import numpy as np
import pytest
import torch

from vlogger.body.convert import convert, correspond
from vlogger.body.model_files import FLAME_JOINTS
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import OPEN_BODY, load_body, pose
from vlogger.types import Motion

FRAMES = 4
PLACES = [joint_index(name) for name in FLAME_JOINTS]


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def arrays():
    with np.load(OPEN_BODY) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def flame(arrays, tmp_path_factory):
    """The open body's head as FLAME: another place and size, vertices in another order, mixed expressions."""
    rng = np.random.default_rng(0)
    owners = arrays["weights"][:, [*PLACES, *range(12)]].sum(1)
    ids = rng.permutation(np.flatnonzero((arrays["weights"][:, PLACES].sum(1) > 0.5) & (owners > 0)))
    place = np.full(len(owners), -1)
    place[ids] = np.arange(len(ids))
    faces = place[arrays["f"].astype(int)]
    weights = arrays["weights"][ids][:, PLACES]
    mixed = arrays["shapedirs"][ids, :, 300:352] @ np.linalg.qr(rng.normal(size=(52, 52)))[0]
    shapedirs = np.zeros((len(ids), 3, 400), np.float32)
    shapedirs[..., 300:352] = 1.05 * mixed
    shift, size = np.array([0.1, -0.3, 0.05]), 1.05
    template = size * arrays["v_template"][ids] + shift
    joints = size * (arrays["J_regressor"] @ arrays["v_template"])[PLACES] + shift
    system = np.concatenate([template.T, np.ones((1, len(ids)))])
    regressor = np.linalg.lstsq(system, np.concatenate([joints.T, np.ones((1, 5))]), rcond=None)[0].T
    path = tmp_path_factory.mktemp("flame") / "FLAME_NEUTRAL.npz"
    np.savez(
        path,
        v_template=template,
        f=faces[(faces >= 0).all(1)],
        shapedirs=shapedirs,
        posedirs=np.zeros((len(ids), 3, 36)),
        J_regressor=regressor,
        weights=weights / weights.sum(1, keepdims=True),
    )
    return load_body(path)


@pytest.fixture(scope="module")
def talk(body):
    """Turning head, jaw unit, smile, blink; a jaw joint in the last frame."""
    angles, expression = torch.zeros(FRAMES, 55, 3), torch.zeros(FRAMES, 52)
    angles[:, joint_index("head"), 1] = torch.linspace(-0.3, 0.3, FRAMES)
    angles[:, joint_index("spine3"), 0] = 0.1
    angles[3, joint_index("jaw"), 0] = 0.15
    for frame, units in enumerate(
        [{}, {"jawOpen": 0.5}, {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.6}, {"jawOpen": 0.2}]
    ):
        for name, value in units.items():
            expression[frame, body.expression_names.index(name)] = value
    place = torch.tensor([0.1, -0.3, -1.0]).repeat(FRAMES, 1)
    return Motion(axis_angle_to_matrix(angles), expression, place, 25.0)


@pytest.fixture(scope="module")
def there(body, flame, talk):
    return convert(talk, body, flame)


def test_points_correspond_after_moving_and_scaling(body, flame):
    pairs = correspond(body, flame)
    found = (body.v_template[body.faces[pairs.face]] * pairs.bary[..., None]).sum(1)
    wanted = (flame.v_template[pairs.vertices] - torch.tensor([0.1, -0.3, 0.05])) / 1.05
    assert len(pairs.vertices) > 800 and (found - wanted).norm(dim=-1).mean() < 2e-4


def test_flame_moves_as_the_open_body(there, talk, flame):
    assert there.error.max() < 1e-3  # metres; the jaw's opening is a centimetre
    assert there.motion.expression.shape == (FRAMES, flame.exprdirs.shape[-1]) and there.motion.fps == talk.fps
    assert there.motion.expression[1].abs().max() > 0.1


def test_there_and_back_gives_the_units_again(body, flame, talk, there):
    back = convert(there.motion, flame, body)
    assert back.error.max() < 1e-3
    for frame, name in ((1, "jawOpen"), (2, "mouthSmileLeft")):
        k = body.expression_names.index(name)
        assert back.motion.expression[frame, k] == pytest.approx(float(talk.expression[frame, k]), abs=0.2)
    chain = [joint_index(name) for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")]
    for a, b in zip(talk.rotations, back.motion.rotations):
        turns = [torch.linalg.multi_dot(list(r[chain])) for r in (a, b)]
        assert matrix_to_axis_angle(turns[0].T @ turns[1]).norm().rad2deg() < 1.5


def test_the_same_body_is_left_alone(body, talk):
    made = convert(talk, body, body)
    assert made.error.max() < 3e-4
    frames = (torch.zeros(30), talk.rotations, talk.expression, talk.translation)
    after = (torch.zeros(30), made.motion.rotations, made.motion.expression, made.motion.translation)
    head = body.weights[:, joint_index("head")] > 0.9
    moved = (pose(body, *frames).vertices - pose(body, *after).vertices)[:, head].norm(dim=-1)
    assert moved.mean() < 3e-4

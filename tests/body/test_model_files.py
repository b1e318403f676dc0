import os
import pickle
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
import smplx
import torch

from vlogger.body.model_files import FLAME_JOINTS
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import OPEN_BODY, load_body, pose, skin_turns
from vlogger.errors import UserError

COUNT, FRAMES = 120, 3
PLACES = [joint_index(name) for name in FLAME_JOINTS]


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def flame():
    """Arrays in FLAME's layout: five joints, 300 + 100 columns, pose correctives of four joints, made up."""
    rng = np.random.default_rng(0)
    weights = rng.random((COUNT, 5)) ** 4
    shapedirs = np.zeros((COUNT, 3, 400))
    shapedirs[..., [*range(6), *range(300, 304)]] = 0.1 * rng.normal(size=(COUNT, 3, 10))
    return {
        "v_template": rng.normal(size=(COUNT, 3)),
        "f": rng.integers(0, COUNT, (200, 3)).astype(np.uint32),
        "shapedirs": shapedirs,
        "posedirs": 0.01 * rng.normal(size=(COUNT, 3, 36)),
        "J_regressor": scipy.sparse.csc_matrix(rng.dirichlet(np.ones(COUNT), 5)),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    }


@pytest.fixture(scope="module")
def folder(flame, tmp_path_factory):
    """FLAME_NEUTRAL.pkl and the 51 landmarks beside it, as FLAME's authors name them."""
    path = tmp_path_factory.mktemp("models") / "flame"  # where `smplx` looks
    path.mkdir()
    rng = np.random.default_rng(1)
    points = {"lmk_face_idx": rng.integers(0, 200, 51), "lmk_b_coords": rng.dirichlet(np.ones(3), 51)}
    for name, content in (("FLAME_NEUTRAL.pkl", flame), ("flame_static_embedding.pkl", points)):
        (path / name).write_bytes(pickle.dumps(content, protocol=2))
    return path


def test_flame_equals_the_smplx_package(folder):
    dice = torch.Generator().manual_seed(2)
    betas, expression, turns, place = (
        torch.randn(*s, generator=dice) for s in ((6,), (FRAMES, 4), (FRAMES, 15), (FRAMES, 3))
    )
    turns = 0.4 * turns.unflatten(1, (5, 3))
    model = smplx.create(
        str(folder.parent), model_type="flame", ext="pkl", num_betas=6, num_expression_coeffs=4, batch_size=FRAMES
    )
    names = ("global_orient", "neck_pose", "jaw_pose", "leye_pose", "reye_pose")
    with torch.no_grad():
        poses = {name: turns[:, i] for i, name in enumerate(names)}
        theirs = model(betas=betas.expand(FRAMES, -1), expression=expression, transl=place, **poses)
    body, angles = load_body(folder / "FLAME_NEUTRAL.pkl"), torch.zeros(FRAMES, 55, 3)
    assert body.shapedirs.shape[-1] == 6 and body.exprdirs.shape[-1] == 4
    angles[:, PLACES] = turns
    ours = pose(body, betas, axis_angle_to_matrix(angles), expression, place)
    torch.testing.assert_close(ours.vertices, theirs.vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints[:, PLACES], theirs.joints[:, :5], atol=1e-5, rtol=0)
    assert (body.mp_faces >= 0).sum() == 51


def test_turning_flames_trunk_turns_its_root(folder):
    body, angles = load_body(folder / "FLAME_NEUTRAL.pkl"), torch.zeros(2, 55, 3)
    angles[0, joint_index("pelvis")] = angles[1, joint_index("neck")] = torch.tensor([0.2, -0.5, 0.1])
    rest = (torch.zeros(2, 4), torch.zeros(2, 3))
    by_pelvis, by_neck = pose(body, torch.zeros(6), axis_angle_to_matrix(angles), *rest).vertices
    torch.testing.assert_close(by_pelvis, by_neck, atol=1e-5, rtol=0)


def test_chumpy_is_read_without_chumpy(flame, folder, tmp_path):
    """Variables hold `x`, selections `a`, `idxs` and `preferred_shape`: as SMPL's files have them."""
    module = types.ModuleType("chumpy.ch")
    for name in ("Ch", "Select"):
        setattr(module, name, type(name, (), {"__module__": "chumpy.ch"}))

    def variable(kind: str, **parts: object) -> object:
        made = getattr(module, kind)()
        made.__dict__.update(parts)
        return made

    whole = variable("Ch", x=np.concatenate([flame["shapedirs"].ravel(), np.zeros(7)]))
    idxs, shape = np.arange(flame["shapedirs"].size), flame["shapedirs"].shape
    content = flame | {
        "v_template": variable("Ch", x=flame["v_template"]),
        "shapedirs": variable("Select", a=whole, idxs=idxs, preferred_shape=shape),
    }
    sys.modules |= {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": module}
    try:
        (tmp_path / "generic_model.pkl").write_bytes(pickle.dumps(content, protocol=2))
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]
    read, plain = load_body(tmp_path / "generic_model.pkl"), load_body(folder / "FLAME_NEUTRAL.pkl")
    assert torch.equal(read.v_template, plain.v_template) and torch.equal(read.exprdirs, plain.exprdirs)


def test_a_pickle_that_wants_more_than_arrays_is_refused(tmp_path):
    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "done"),)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"v_template": Evil()}))
    with pytest.raises(UserError, match=r"evil\.pkl is not a readable model .*mkdir"):
        load_body(tmp_path / "evil.pkl")
    assert not (tmp_path / "done").exists()


def test_npz_and_pkl_say_the_same(body, tmp_path):
    names = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "lmk_faces_idx", "lmk_bary_coords")
    with np.load(OPEN_BODY) as file:
        content = {name: file[name] for name in names}
    (tmp_path / "SMPLX_NEUTRAL.pkl").write_bytes(pickle.dumps(content))
    read = load_body(tmp_path / "SMPLX_NEUTRAL.pkl")
    assert torch.equal(read.v_template, body.v_template) and torch.equal(read.exprdirs, body.exprdirs)


def test_mediapipes_landmarks_beside_flame_are_used(folder, flame, tmp_path):
    (tmp_path / "FLAME.pkl").write_bytes((folder / "FLAME_NEUTRAL.pkl").read_bytes())
    ids = np.array([0, 4, 33, 468])
    points = {"landmark_indices": ids, "lmk_face_idx": np.array([3, 5, 7, 9]), "lmk_b_coords": np.full((4, 3), 1 / 3)}
    np.savez(tmp_path / "mediapipe_landmark_embedding.npz", **points)
    body = load_body(tmp_path / "FLAME.pkl")
    assert body.mp_faces[ids].tolist() == [3, 5, 7, 9] and (body.mp_faces >= 0).sum() == 4


def test_skin_turns_tell_how_the_template_is_followed(body):
    turns = axis_angle_to_matrix(0.3 * torch.randn(1, 55, 3, generator=torch.Generator().manual_seed(3)))
    shift = torch.tensor([0.01, -0.02, 0.03])
    frame = (torch.zeros(30), turns, torch.zeros(1, 52), torch.zeros(1, 3))
    moved = replace(body, v_template=body.v_template + shift)
    follow = (pose(moved, *frame).vertices - pose(body, *frame).vertices)[0]
    torch.testing.assert_close(skin_turns(body, turns)[0] @ shift, follow, atol=1e-5, rtol=0)

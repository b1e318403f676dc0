"""The body against the `smplx` package on the same file, and the laws of skinning."""

from dataclasses import replace

import numpy as np
import pytest
import smplx
import torch

from vlogger.body.landmarks import MEDIAPIPE_OF_IBUG, points_on_faces
from vlogger.body.parts import PARTS
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import OPEN_BODY, Body, load_body, personal, pose, subset
from vlogger.errors import UserError

FRAMES = 3


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


def random_motion(body: Body, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """betas (n), axis-angles (t, 55, 3), expression (t, e), translation (t, 3)."""
    chance = torch.Generator().manual_seed(seed)
    return (
        torch.randn(body.shapedirs.shape[-1], generator=chance),
        0.4 * torch.randn(FRAMES, 55, 3, generator=chance),
        torch.rand(FRAMES, body.exprdirs.shape[-1], generator=chance),
        torch.randn(FRAMES, 3, generator=chance),
    )


def at_rest(frames: int = 1) -> torch.Tensor:
    return torch.eye(3).expand(frames, 55, 3, 3)


def face(body: Body, **expression: float) -> np.ndarray:
    """(478, 3) MediaPipe's points of a face."""
    weights = torch.tensor([[expression.get(name, 0.0) for name in body.expression_names]])
    vertices = pose(body, torch.zeros(30), at_rest(), weights, torch.zeros(1, 3)).vertices[0]
    return points_on_faces(vertices.numpy(), body.faces.numpy(), body.mp_faces.numpy(), body.mp_bary.numpy())


def smplx_twin(path, betas, angles, expression, translation, **options):
    """The same by the `smplx` package; hands by absolute rotations."""
    model = smplx.create(
        str(path), model_type="smplx", ext="npz", use_pca=False, flat_hand_mean=True, num_betas=betas.shape[-1],
        num_expression_coeffs=expression.shape[-1], batch_size=len(angles), **options
    )  # fmt: skip
    names = {"global_orient": slice(0, 1), "body_pose": slice(1, 22), "jaw_pose": slice(22, 23)}
    names |= {"leye_pose": slice(23, 24), "reye_pose": slice(24, 25)}
    names |= {"left_hand_pose": slice(25, 40), "right_hand_pose": slice(40, 55)}
    rotations = {name: angles[:, joints].flatten(1) for name, joints in names.items()}
    with torch.no_grad():
        out = model(betas=betas.expand(len(angles), -1), expression=expression, transl=translation, **rotations)
    return out.vertices, out.joints[:, :55]


@pytest.fixture(scope="module")
def open_body_as_smplx(tmp_path_factory):
    """`smplx` takes the kind of model from the file's name."""
    path = tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz"
    path.symlink_to(OPEN_BODY)
    return path


def test_equals_the_smplx_package(body, open_body_as_smplx):
    betas, angles, expression, translation = random_motion(body)
    vertices, joints = smplx_twin(open_body_as_smplx, betas, angles, expression, translation)
    ours = pose(body, betas, axis_angle_to_matrix(angles), expression, translation)
    torch.testing.assert_close(ours.vertices, vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints, joints, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    """A body of 200 vertices with pose correctives and only 10 + 10 columns, made up."""
    rng, count = np.random.default_rng(0), 200
    path = tmp_path_factory.mktemp("small") / "SMPLX_SMALL.npz"
    arrays = dict(np.load(OPEN_BODY))
    weights = rng.random((count, 55)) ** 8
    arrays |= {
        "v_template": rng.normal(size=(count, 3)),
        "f": rng.integers(0, count, (300, 3)).astype(np.uint32),
        "shapedirs": rng.normal(size=(count, 3, 20)) * 0.1,
        "posedirs": rng.normal(size=(count, 3, 486)) * 0.01,
        "J_regressor": rng.dirichlet(np.ones(count), 55),
        "weights": weights / weights.sum(1, keepdims=True),
        "lmk_faces_idx": np.zeros(51, np.int64),
        "dynamic_lmk_faces_idx": np.zeros((79, 17), np.int64),
    }
    for name in ("face_part", "mouth_region", "mp_faces", "mp_bary", "expression_names"):
        del arrays[name]
    np.savez(path, **arrays)
    return path


def test_pose_correctives_and_few_columns_equal_the_smplx_package(small_file, monkeypatch):
    body = load_body(small_file)
    assert body.shapedirs.shape[-1] == body.exprdirs.shape[-1] == 10
    betas, angles, expression, translation = random_motion(body)
    few = {name: i for i, name in enumerate(smplx.vertex_ids.vertex_ids["smplx"])}  # its own need 9930 vertices
    monkeypatch.setitem(smplx.vertex_ids.vertex_ids, "smplx", few)
    vertices, joints = smplx_twin(small_file, betas, angles, expression, translation)
    ours = pose(body, betas, axis_angle_to_matrix(angles), expression, translation)
    torch.testing.assert_close(ours.vertices, vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints, joints, atol=1e-5, rtol=0)


def test_file_without_parts_and_mediapipe_points(body, tmp_path):
    path = tmp_path / "SMPLX_PLAIN.npz"
    arrays = dict(np.load(OPEN_BODY))
    np.savez(path, **{k: v for k, v in arrays.items() if k not in ("face_part", "mouth_region", "mp_faces", "mp_bary")})
    plain = load_body(path)
    assert not plain.face_part.any()
    eyes = [b.part_of_face == PARTS.index("eyes") for b in (body, plain)]
    assert torch.equal(*eyes)
    assert (plain.part_of_face == PARTS.index("lips")).any()
    known = plain.mp_faces >= 0
    assert known.sum() == 68
    inner = list(MEDIAPIPE_OF_IBUG[17:])
    assert torch.equal(plain.mp_faces[inner], body.mp_faces[inner])


def test_personal_offsets_move_the_skin_and_no_joint(body):
    offsets = 0.01 * torch.randn(body.v_template.shape, generator=torch.Generator().manual_seed(5))
    betas, angles, expression, translation = random_motion(body)
    own = personal(body, offsets)
    arguments = (betas, axis_angle_to_matrix(angles), expression, translation)
    before, after = pose(body, *arguments), pose(own, *arguments)
    torch.testing.assert_close(after.joints, before.joints, atol=1e-6, rtol=0)
    moved = (after.vertices - before.vertices).norm(dim=-1)
    assert (moved <= offsets.norm(dim=-1) + 1e-5).all() and moved.mean() > 0.5 * offsets.norm(dim=-1).mean()
    rest = pose(own, torch.zeros(30), at_rest(), torch.zeros(1, 52), torch.zeros(1, 3))
    torch.testing.assert_close(rest.vertices[0], body.v_template + offsets, atol=1e-6, rtol=0)
    assert personal(body, None) is body
    with pytest.raises(UserError, match="of 20 vertices"):
        personal(body, offsets[:20])


def test_rest_is_the_template(body):
    posed = pose(body, torch.zeros(30), at_rest(), torch.zeros(1, 52), torch.zeros(1, 3))
    torch.testing.assert_close(posed.vertices[0], body.v_template, atol=1e-6, rtol=0)
    torch.testing.assert_close(posed.joints[0], body.J_regressor @ body.v_template, atol=1e-5, rtol=0)


def test_batch_equals_loop_with_betas_shared_or_one_each(body):
    betas, angles, expression, translation = random_motion(body)
    rotations = axis_angle_to_matrix(angles)
    whole = pose(body, betas, rotations, expression, translation)
    each = pose(body, betas.expand(FRAMES, -1), rotations, expression, translation)
    for t in range(FRAMES):
        now = slice(t, t + 1)
        one = pose(body, betas, rotations[now], expression[now], translation[now])
        for many in (whole, each):
            torch.testing.assert_close(many.vertices[now], one.vertices, atol=2e-6, rtol=0)
            torch.testing.assert_close(many.joints[now], one.joints, atol=2e-6, rtol=0)


def test_pelvis_turns_about_its_own_joint(body):
    betas, angles, expression, translation = random_motion(body)
    rotations = axis_angle_to_matrix(angles)
    turn = axis_angle_to_matrix(torch.tensor([0.3, -1.2, 0.5]))
    turned = torch.cat([turn @ rotations[:, :1], rotations[:, 1:]], dim=1)
    before, after = (pose(body, betas, r, expression, translation) for r in (rotations, turned))
    pelvis = before.joints[:, :1]
    torch.testing.assert_close(after.joints[:, :1], pelvis, atol=1e-6, rtol=0)
    torch.testing.assert_close(after.vertices, (before.vertices - pelvis) @ turn.T + pelvis, atol=1e-5, rtol=0)


@pytest.mark.parametrize("correctives", [False, True])
def test_subset_equals_whole_at_those_vertices(body, small_file, correctives):
    whole = load_body(small_file) if correctives else body
    motion = random_motion(whole)
    args = motion[0], axis_angle_to_matrix(motion[1]), *motion[2:]
    ids = torch.randperm(len(whole.v_template), generator=torch.Generator().manual_seed(3))[:100]
    few, all_of_it = pose(subset(whole, ids), *args), pose(whole, *args)
    torch.testing.assert_close(few.vertices, all_of_it.vertices[:, ids], atol=2e-6, rtol=0)
    torch.testing.assert_close(few.joints, all_of_it.joints, atol=2e-6, rtol=0)


def test_subset_keeps_landmarks_whose_triangle_is_kept(body):
    ids = body.faces[body.mp_faces[:100]].unique()
    few = subset(body, ids)
    kept = few.mp_faces >= 0
    assert kept[:100].all() and not kept.all()
    here, there = (
        points_on_faces(b.v_template.numpy(), b.faces.numpy(), b.mp_faces[kept].numpy(), b.mp_bary[kept].numpy())
        for b in (few, body)
    )
    np.testing.assert_allclose(here, there)


def test_gradients_match_finite_differences(body):
    nose = body.faces[body.mp_faces[4]]
    small = subset(body, nose)
    names = ("v_template", "shapedirs", "exprdirs", "weights", "J_template", "J_shapedirs", "J_exprdirs")
    small = replace(small, **{name: getattr(small, name).double() for name in names})
    betas, _, expression, translation = (value.double() for value in random_motion(body))
    inputs = (betas, torch.zeros(1, 55, 3).double(), expression[:1], translation[:1])
    inputs = tuple(value.clone().requires_grad_() for value in inputs)
    assert torch.autograd.gradcheck(
        lambda b, r, e, t: pose(small, b, axis_angle_to_matrix(r), e, t).vertices, inputs, fast_mode=True
    )


def test_number_of_betas_can_be_chosen(body):
    assert load_body(num_betas=10).shapedirs.shape[-1] == 10
    assert body.shapedirs.shape[-1] == 30 and len(body.expression_names) == body.exprdirs.shape[-1] == 52


def test_jaw_opens_the_lips_and_lids_close(body):
    resting, opened, closed = face(body), face(body, jawOpen=1), face(body, eyeBlinkLeft=1, eyeBlinkRight=1)
    upper, lower, millimetre = [13, 82, 312, 81, 311], [14, 87, 317, 178, 402], 1e-3

    def gap(points: np.ndarray, above: list[int], below: list[int]) -> np.ndarray:
        return points[above, 1] - points[below, 1]

    assert (abs(gap(resting, upper, lower)) < 3 * millimetre).all()
    assert (gap(opened, upper, lower) - gap(resting, upper, lower) > 8 * millimetre).all()
    assert (gap(resting, [159, 386], [145, 374]) > 6 * millimetre).all()
    assert (gap(closed, [159, 386], [145, 374]) < 0.5 * millimetre).all()


def test_jaw_joint_opens_the_mouth_too(body):
    angles = torch.zeros(1, 55, 3)
    angles[0, joint_index("jaw"), 0] = 0.3
    posed = pose(body, torch.zeros(30), axis_angle_to_matrix(angles), torch.zeros(1, 52), torch.zeros(1, 3))
    at = points_on_faces(posed.vertices[0].numpy(), body.faces.numpy(), body.mp_faces.numpy(), body.mp_bary.numpy())
    assert at[13, 1] - at[14, 1] > 8e-3


def test_landmarks_lie_where_they_should(body):
    part = np.array(PARTS)[body.part_of_face[body.mp_faces].numpy()]
    assert set(part) <= {"head", "lips", "eyes", "teeth"}
    assert (part[468:] == "eyes").all() and (part[:468] != "eyes").all()
    points = face(body)
    assert (points[[33, 133, 159, 145, 61, 468], 0] < 0).all()  # the person's right is at the viewer's left
    mirrored = points[[263, 362, 386, 374, 291, 473]] * (-1, 1, 1)
    np.testing.assert_allclose(points[[33, 133, 159, 145, 61, 468]], mirrored, atol=5e-4)


def test_contour_runs_around_the_face(body):
    points = points_on_faces(
        body.v_template.numpy(), body.faces.numpy(), body.lmk68_faces.numpy(), body.lmk68_bary.numpy()
    )
    contour, inner = points[:17], points[17:]
    assert contour[:, 1].argmin() == 8 and abs(contour[8, 0]) < 3e-3
    assert (np.diff(contour[:, 0]) > -2e-3).all() and contour[0, 0] < -0.05 and contour[16, 0] > 0.05
    assert np.abs(inner[:, 0]).max() < np.abs(contour[:, 0]).max()
    oval = face(body)[[58, 93, 132, 172, 288, 323, 361, 397]]
    assert (np.abs(oval[:, 0]) > 0.045).all()


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.npz.*SMPLX_NEUTRAL"):
        load_body(tmp_path / "nowhere.npz")
    text, other, hands = tmp_path / "text.npz", tmp_path / "other.npz", tmp_path / "hands.npz"
    text.write_text("not an archive")
    np.savez(other, v_template=np.zeros((4, 3)))
    np.savez(hands, **(dict(np.load(OPEN_BODY)) | {"weights": np.zeros((13886, 52), np.float32)}))
    for path, hint in ((text, "not a readable"), (other, "lacks f, shapedirs"), (hands, "52 joints")):
        with pytest.raises(UserError, match=hint) as caught:
            load_body(path)
        assert str(path) in str(caught.value)

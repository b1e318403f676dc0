from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

from render.camera import project
from render.evidence import eye_distance, markers
from render.fit import (
    FitPortrait,
    Unknowns,
    fit_person,
    landmark_error,
    pack,
    procrustes,
    rest_angles,
    shortest_arc,
    shown_by,
    unpack,
)
from render.landmarks import Face, Hand, Person, bounds
from render.solve import least_squares
from render.targets import OVAL, landmark_weights
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import pose
from vlogger.errors import UserError
from vlogger.stages import PortraitToSubject
from vlogger.types import Portrait, Subject

INNER = torch.tensor([i for i in range(468) if i not in OVAL])


@pytest.fixture(scope="module")
def marks(body):
    return markers(body)


def shown(body, subject: Subject) -> Person:
    """The person whose face landmarks are exactly the body's own."""
    posed = pose(body, subject.betas, subject.rotations[None], subject.expression[None], subject.translation[None])
    points = torch.einsum("nkc,nk->nc", posed.vertices[0][body.faces[body.mp_faces]], body.mp_bary)
    seen = project(points, subject.intrinsics)
    seen[:, 2] = -points[:, 2] * subject.intrinsics[0, 0] / -points[:, 2].mean()
    return Person(Face(seen.numpy(), 1.0, bounds(seen.numpy())), None, None, None)


@pytest.fixture(scope="module")
def known(body):
    """A smiling head that looks to the side, 200 pixels of a 320 pixel picture."""
    angles = rest_angles().float()
    angles[joint_index("head")] = torch.tensor([0.15, -0.3, 0.1])
    expression = torch.zeros(len(body.expression_names))
    for name, value in {"jawOpen": 0.4, "mouthSmileLeft": 0.5, "mouthSmileRight": 0.5}.items():
        expression[body.expression_names.index(name)] = value
    return Subject(
        portrait=Portrait(torch.zeros(3, 320, 320, dtype=torch.uint8)),
        betas=torch.linspace(-0.7, 0.7, body.shapedirs.shape[-1]),
        rotations=axis_angle_to_matrix(angles),
        expression=expression,
        translation=torch.tensor([0.02, -0.4, -0.9]),
        intrinsics=torch.tensor([[720.0, 0, 160], [0, 720.0, 160], [0, 0, 1]]),
    )


def test_a_known_head_is_found_again(body, marks, known):
    person = shown(body, known)
    found = fit_person(body, marks, person, known.portrait, steps=8)
    points = torch.from_numpy(person.face.points)
    assert landmark_error(body, found, points, INNER).mean() < 0.01
    chain = [joint_index(name) for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")]
    turns = [torch.linalg.multi_dot(list(subject.rotations[chain])) for subject in (known, found)]
    assert matrix_to_axis_angle(turns[0].T @ turns[1]).norm().rad2deg() < 6
    jaw = body.expression_names.index("jawOpen")
    assert found.expression[jaw] > 0.2
    assert found.expression.min() > -0.2 and found.expression.max() < 1.2


def test_unseen_arms_hang(body, marks, known):
    found = fit_person(body, marks, shown(body, known), known.portrait, steps=2)
    posed = pose(body, found.betas, found.rotations[None], found.expression[None], found.translation[None])
    for side in ("left", "right"):
        shoulder, wrist = (posed.joints[0, joint_index(f"{side}_{name}")] for name in ("shoulder", "wrist"))
        assert shoulder[1] - wrist[1] > 0.35  # metres


@pytest.fixture(scope="module")
def astronaut(body):
    portrait = Portrait(torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1).contiguous())
    stage = FitPortrait(body, steps=6)
    assert isinstance(stage, PortraitToSubject)
    return stage(portrait)


def test_a_photo_is_matched(body, astronaut):
    from render.landmarks import detect

    points = torch.from_numpy(detect(skimage.data.astronaut())[0].points)
    assert landmark_error(body, astronaut, points, INNER).mean() < 0.03


def test_shoulders_lie_below_the_photos_chin(body, astronaut):
    posed = pose(
        body, astronaut.betas, astronaut.rotations[None], astronaut.expression[None], astronaut.translation[None]
    )
    ids = [joint_index(name) for name in ("left_shoulder", "right_shoulder")]
    left, right = project(posed.joints[0, ids], astronaut.intrinsics)
    assert left[0] > 260 and right[0] < 200 and 190 < min(left[1], right[1]) < 330


def test_a_picture_without_a_face_is_a_users_error(body):
    blank = Portrait(torch.full((3, 80, 60), 99, dtype=torch.uint8))
    with pytest.raises(UserError, match=r"No face was found in wall\.png"):
        FitPortrait(body, name="wall.png")(blank)


def test_two_people_are_a_users_error_unless_one_is_chosen(body):
    image = np.concatenate([skimage.data.astronaut()] * 2, axis=1)
    portrait = Portrait(torch.from_numpy(image).permute(2, 0, 1).contiguous())
    with pytest.raises(UserError, match="2 faces"):
        FitPortrait(body)(portrait)
    found = FitPortrait(body, face=1, steps=1)(portrait)
    assert project(found.translation, found.intrinsics)[0] > 512


def test_least_squares_finds_the_closed_form():
    matrix = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).double()
    target = torch.arange(20).double()
    found = least_squares(lambda x: matrix @ x - target, torch.zeros(5).double(), steps=30)
    assert torch.allclose(found, torch.linalg.lstsq(matrix, target[:, None]).solution[:, 0], atol=1e-3)


def test_least_squares_follows_a_curved_valley():
    def rosenbrock(x):
        return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])

    found = least_squares(rosenbrock, torch.tensor([-1.2, 1.0]).double(), steps=60)
    assert torch.allclose(found, torch.ones(2).double(), atol=1e-3)


def test_procrustes_undoes_a_rotation_and_a_scale():
    points = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    turn = axis_angle_to_matrix(torch.tensor([0.4, -1.0, 0.3]))
    found, scale = procrustes(points, 2.5 * points @ turn.T + 7)
    assert torch.allclose(found, turn, atol=1e-5) and scale == pytest.approx(2.5, abs=1e-4)


@pytest.mark.parametrize("target", [[0.0, 1.0, 0.0], [0.3, -0.5, 0.8], [1.0, 0.0, 0.0]])
def test_shortest_arc_arrives(target):
    source, target = torch.tensor([1.0, 0.0, 0.0]), torch.nn.functional.normalize(torch.tensor(target), dim=0)
    turn = shortest_arc(source, target)
    assert torch.allclose(turn @ source, target, atol=1e-5)
    angle = torch.acos((source @ target).clamp(-1, 1))
    assert matrix_to_axis_angle(turn).norm() == pytest.approx(float(angle), abs=1e-3)


def test_pack_and_unpack_are_inverse(body):
    shapes = (body.shapedirs.shape[-1],), (body.exprdirs.shape[-1],), (55, 3), (3,), (1,)
    unknowns = Unknowns(*(torch.randn(*shape) for shape in shapes))
    assert all(torch.equal(a, b) for a, b in zip(unknowns, unpack(pack(unknowns), body), strict=True))


def test_markers_pose_like_the_mesh(body, marks, known):
    frame = (known.betas, known.rotations[None], known.expression[None], known.translation[None])
    mesh, small = pose(body, *frame), pose(marks.body, *(value.double() for value in frame))
    points = torch.einsum("nkc,nk->nc", mesh.vertices[0][body.faces[body.mp_faces[marks.ids]]], body.mp_bary[marks.ids])
    assert (small.vertices[0, : len(marks.ids)] - points).norm(dim=-1).max() < 1e-3
    assert torch.allclose(small.joints[0].float(), mesh.joints[0], atol=1e-5)


def test_the_outline_does_not_count_where_it_turns_away(body, known):
    person = shown(body, known)
    weight = landmark_weights(torch.from_numpy(person.face.points), torch.arange(478))
    points = person.face.points
    nearer = 356 if points[263, 2] < points[33, 2] else 127  # temple of the left, of the right side
    farther = {356: 127, 127: 356}[nearer]
    assert weight[farther] < weight[nearer] < weight[4] < weight[13]


def test_a_head_without_arms_is_fitted_by_its_face(body, known):
    person = shown(body, known)
    armed = replace(person, left_hand=Hand(np.zeros((21, 2)), np.zeros((21, 3)), 1.0))
    flame = replace(body, J_template=body.J_template[:1].expand(55, 3))
    assert shown_by(flame, armed).left_hand is None and shown_by(body, armed) is armed


def test_eye_distance_in_pixels():
    points = torch.zeros(478, 3)
    from vlogger.body.landmarks import LEFT_LIDS

    points[list(LEFT_LIDS), 0] = 60.0
    assert eye_distance(points) == 60

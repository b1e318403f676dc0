import numpy as np
import pytest
import torch

from render.camera import project
from render.evidence import markers
from render.fit import fit_person, fit_personal, joint_errors, landmark_error, rest_angles
from render.landmarks import Face, Person, bounds
from render.personal import BOUND, Equations, closed_lips, field_of, offsets_of
from render.surface import cotangent_laplacian
from render.targets import INNER_LIP_PAIRS, OVAL
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import personal, pose
from vlogger.framing import pose_subject
from vlogger.types import Portrait, Subject

INNER = torch.tensor([i for i in range(468) if i not in OVAL])


@pytest.fixture(scope="module")
def marks(body):
    return markers(body)


@pytest.fixture(scope="module")
def field(body, marks):
    return field_of(body, marks)


def landmarks(body, vertices):
    return torch.einsum("nkc,nk->nc", vertices[body.faces[body.mp_faces]], body.mp_bary)


@pytest.fixture(scope="module")
def stranger(body):
    """A head whose nose is 6 mm longer and lower, 4 mm broader on one cheek than shape can tell, and its landmarks."""
    offsets = torch.zeros_like(body.v_template)
    for landmark, (x, y, z) in {4: (0.0, -6.0, 6.0), 50: (-4.0, 0.0, 0.0)}.items():
        far = (body.v_template - landmarks(body, body.v_template)[landmark]).norm(dim=-1)
        offsets += 1e-3 * torch.tensor([x, y, z]) * torch.exp(-((far / 0.02) ** 2))[:, None]
    angles = rest_angles().float()
    angles[joint_index("head")] = torch.tensor([0.1, -0.3, 0.1])
    expression = torch.zeros(len(body.expression_names))
    expression[body.expression_names.index("jawOpen")] = 0.3
    subject = Subject(
        portrait=Portrait(torch.zeros(3, 320, 320, dtype=torch.uint8)),
        betas=torch.zeros(body.shapedirs.shape[-1]),
        rotations=axis_angle_to_matrix(angles),
        expression=expression,
        translation=torch.tensor([0.02, -0.4, -0.9]),
        intrinsics=torch.tensor([[720.0, 0, 160], [0, 720.0, 160], [0, 0, 1]]),
        offsets=offsets,
    )
    points = landmarks(body, pose_subject(subject, body))
    seen = project(points, subject.intrinsics)
    seen[:, 2] = -points[:, 2] * subject.intrinsics[0, 0] / -points[:, 2].mean()
    return subject, Person(Face(seen.numpy(), 1.0, bounds(seen.numpy())), None, None, None)


@pytest.fixture(scope="module")
def found(body, marks, field, stranger):
    return fit_personal(body, marks, field, stranger[1], stranger[0].portrait, steps=6)


def test_offsets_explain_what_shape_cannot(body, marks, stranger, found):
    points = torch.from_numpy(stranger[1].face.points)
    shape = fit_person(body, marks, stranger[1], stranger[0].portrait, steps=6)
    before, after = (landmark_error(body, one, points, INNER).mean() for one in (shape, found))
    assert after < 0.004 and after < 0.6 * before


def test_offsets_are_small_and_on_the_head_alone(body, found):
    length = found.offsets.norm(dim=-1)
    assert 0 < length.max() <= BOUND + 1e-6
    head = body.weights[:, [joint_index(name) for name in ("head", "jaw", "left_eye", "right_eye")]].sum(1) > 0.5
    assert not length[~head].any()


def test_eyes_and_teeth_move_as_rigid_things(body, found):
    for part in (1, 2, 4, 5):
        offsets = found.offsets[body.faces[body.face_part == part].unique()]
        assert (offsets - offsets[0]).norm(dim=-1).max() < 1e-6


def gap(body, expression):
    frame = (torch.eye(3).repeat(1, 55, 1, 1), expression[None], torch.zeros(1, 3))
    points = landmarks(body, pose(body, torch.zeros(30), *frame).vertices[0])
    return torch.stack([points[a, 1] - points[b, 1] for a, b in INNER_LIP_PAIRS])


def test_lips_meet_at_rest_and_open_as_before(body, found):
    own, rest = personal(body, found.offsets), torch.zeros(len(body.expression_names))
    opened = rest.clone()
    opened[body.expression_names.index("jawOpen")] = 0.5
    assert gap(body, rest).mean() > 1e-3 and gap(own, rest).abs().max() < 4e-4
    torch.testing.assert_close(gap(own, opened) - gap(own, rest), gap(body, opened) - gap(body, rest))


def test_nothing_wanted_changes_nothing(marks, field):
    equations = closed_lips(marks)
    assert not offsets_of(field, equations._replace(wanted=0 * equations.wanted)).any()


def test_an_equation_that_is_sure_is_met_and_one_that_is_not_is_ignored(field, marks):
    slope = np.zeros((2, len(marks.ids), 3))
    slope[0, 4, 2] = slope[1, 200, 1] = 1
    offsets = offsets_of(field, Equations(slope, np.array([2e-3, 2e-3]), np.array([1e-6, 1.0])))
    assert offsets[:, 2].max() == pytest.approx(2e-3, rel=0.15) and offsets[:, 1].abs().max() < 1e-6


def test_the_laplacian_is_zero_on_planes_and_exact_on_a_parabola():
    """On a grid, x^2 + y^2 has the Laplacian 4 at every inner vertex."""
    n = 6
    y, x = (value.ravel() for value in np.mgrid[0:n, 0:n].astype(float))
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + n], 1), np.stack([corner + 1, corner + n + 1, corner + n], 1)]
    )
    laplacian, area = cotangent_laplacian(np.stack([x, y, 0 * x], 1), faces)
    inner = (x > 0) & (x < n - 1) & (y > 0) & (y < n - 1)
    assert np.abs((laplacian @ (2 * x - y))[inner]).max() < 0.1
    np.testing.assert_allclose((laplacian @ (x**2 + y**2) / area)[inner], 4, rtol=0.05)


def test_joint_errors_are_zero_for_a_person_seen_by_nobody(marks, stranger):
    assert all(len(error) == 0 for error in joint_errors(marks, stranger[0], stranger[1]).values())

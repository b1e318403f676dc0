import numpy as np
import pytest
import torch

from render.camera import project
from render.evidence import markers
from render.track import _banded, _clip_of, _linearise, _posed, _State, bridge, fit_clip, left_jacobian, track_clips
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import pose
from vlogger.errors import UserError

SIZE, FPS, FRAMES = (240, 320), 25.0, 16
GAP = slice(6, 9)


@pytest.fixture(scope="module")
def talk(body):
    """Landmarks (t, 478, 3) of a head that turns and opens its mouth, and the truth: rotations, expression, betas."""
    time = torch.linspace(0, 1, FRAMES)
    angles = torch.zeros(FRAMES, 55, 3)
    angles[:, joint_index("head")] = torch.stack([0.1 * time, 0.3 * time - 0.1, 0.05 * time], dim=-1)
    expression = torch.zeros(FRAMES, len(body.expression_names))
    expression[:, body.expression_names.index("jawOpen")] = 0.25 + 0.2 * torch.sin(6 * time)
    place = torch.tensor([0.0, -0.4, -1.1]).expand(FRAMES, 3)
    betas = torch.linspace(-0.5, 0.5, body.shapedirs.shape[-1])
    rotations = axis_angle_to_matrix(angles)
    posed = pose(body, betas, rotations, expression, place)
    points = torch.einsum("tnkc,nk->tnc", posed.vertices[:, body.faces[body.mp_faces]], body.mp_bary)
    focal = 1.5859 * 400.0
    camera = torch.tensor([[focal, 0, 160], [0, focal, 120], [0, 0, 1]])
    seen = project(points, camera)
    seen[..., 2] = -points[..., 2] * focal / 1.1
    return seen.numpy(), rotations, expression, betas


@pytest.fixture(scope="module")
def track(body, talk):
    landmarks = talk[0].copy()
    landmarks[GAP] = np.nan
    return fit_clip(landmarks, SIZE, body, FPS, betas=talk[3])


def head(rotations):
    chain = [joint_index(name) for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")]
    return torch.stack([torch.linalg.multi_dot(list(frame[chain])) for frame in rotations])


def test_a_known_motion_is_found_again(track, talk):
    _, rotations, expression, _ = talk
    assert track.error[~track.missing].max() < 0.01
    off = matrix_to_axis_angle(head(rotations).mT @ head(track.motion.rotations)).norm(dim=-1).rad2deg()
    assert off.max() < 3
    assert len(track.motion) == FRAMES and track.motion.fps == FPS
    assert torch.corrcoef(torch.stack([track.motion.expression[:, 0], expression[:, 0]]))[0, 1] > 0.98


def test_missing_frames_are_flagged_and_bridged(track):
    assert track.missing.nonzero()[:, 0].tolist() == list(range(GAP.start, GAP.stop))
    assert track.error.isnan().equal(track.missing)
    steps = matrix_to_axis_angle(head(track.motion.rotations)[:-1].mT @ head(track.motion.rotations)[1:]).norm(dim=-1)
    assert steps.max() < 0.05  # radians: no jump into or out of the gap; the truth turns 0.02 a frame


def test_a_clip_without_a_face_is_a_users_error(body):
    with pytest.raises(UserError, match="No face was found in any frame"):
        fit_clip(np.full((4, 478, 3), np.nan), SIZE, body, FPS)


def test_clips_of_one_speaker_share_the_shape(body, talk):
    clips = {"a": talk[0][:3], "nobody": np.full((2, 478, 3), np.nan), "b": talk[0][3:5]}
    tracks = dict(track_clips(clips, SIZE, body, FPS, betas=talk[3]))
    assert list(tracks) == ["a", "b"]
    assert all(torch.equal(track.betas, talk[3]) for track in tracks.values())


def test_jacobian_matches_autograd(body, talk):
    """Skin is taken as rigid with the head: a good direction, not an exact derivative (neck and lids blend)."""
    landmarks, _, expression, betas = talk
    clip = _clip_of(landmarks[:1], SIZE, markers(body), betas.double())
    count = expression.shape[1]
    values = torch.zeros(1, count + 11).double()
    values[0, count:] = torch.tensor([0.1, 0.2, 0.0, 0.0, 0.1, 0.1, 0.05, -0.1, 0.0, -0.4, -1.1])

    def seen(flat):
        points = _posed(clip, _State(flat[None], count))[0]
        return (project(points, clip.camera)[0, :, :2] * clip.weight[0, :, None]).flatten()

    exact = torch.func.jacfwd(seen)(values[0])
    written, _ = _linearise(clip, _State(values, count))
    alike = torch.nn.functional.cosine_similarity(written[0, : len(exact)], exact, dim=0)
    moves = exact.norm(dim=0) > 1e-2 * exact.norm(dim=0).median()
    assert alike[moves].min() > 0.9 and alike[moves].median() > 0.999


def test_banded_solve_is_the_dense_solve():
    dice = torch.Generator().manual_seed(0)
    root = torch.randn(5, 4, 4, generator=dice).double()
    normal, hold = root @ root.mT + torch.eye(4), torch.tensor([0.1, 2.0, 0.5, 1.0]).double()
    slope, values = (torch.randn(5, 4, generator=dice).double() for _ in range(2))
    dense = torch.block_diag(*normal)
    right = slope.flatten()
    for t in range(4):
        for k in range(4):
            row = torch.zeros(20).double()
            row[4 * t + k], row[4 * t + 4 + k] = -1, 1
            dense += hold[k] * torch.outer(row, row)
            right = right + hold[k] * row * (row @ values.flatten())
    assert torch.allclose(_banded(normal, slope, values, hold).flatten(), torch.linalg.solve(dense, right))


def test_left_jacobian_is_the_derivative_of_the_rotation():
    vector, change = torch.tensor([0.3, -0.5, 0.2]).double(), 1e-6 * torch.tensor([0.4, 0.1, -0.7]).double()
    turn = axis_angle_to_matrix(vector + change) @ axis_angle_to_matrix(vector).T
    assert torch.allclose(matrix_to_axis_angle(turn), left_jacobian(vector) @ change, atol=1e-10)


def test_bridge_is_a_straight_line_held_at_the_ends():
    rows = np.full((7, 2, 1), np.nan)
    rows[1], rows[4], rows[5] = 1.0, 4.0, 9.0
    assert np.allclose(bridge(rows)[:, 0, 0], [1, 1, 2, 3, 4, 9, 9])

import numpy as np
import pytest
import torch

from render.camera import project
from render.track import fit_clip, track_clips, track_stream
from render.window import State, banded, bridge, left_jacobian, linearise, posed, unknown_speaker, window_of
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
    mesh = pose(body, betas, rotations, expression, place)
    points = torch.einsum("tnkc,nk->tnc", mesh.vertices[:, body.faces[body.mp_faces]], body.mp_bary)
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


def test_a_stream_is_the_clip(body, talk):
    """Windows give what the whole gives, nearly: the last frames of a window wait for those to come."""
    speaker = unknown_speaker(body, talk[3], SIZE)
    whole = fit_clip(talk[0], SIZE, body, FPS, betas=talk[3])
    pieces = list(track_stream(iter(talk[0]), speaker, FPS, window=8, overlap=4))
    assert [len(piece.motion) for piece in pieces] == [4, 4, 8]
    rotations, expression = (
        torch.cat([getattr(p.motion, name) for p in pieces]) for name in ("rotations", "expression")
    )
    off = matrix_to_axis_angle(head(whole.motion.rotations).mT @ head(rotations)).norm(dim=-1).rad2deg()
    assert off.max() < 0.1 and (expression - whole.motion.expression).abs().max() < 0.02


def test_a_stream_bridges_and_flags_what_is_missing(body, talk):
    rows = talk[0].copy()
    rows[:3] = rows[7:15] = np.nan
    pieces = list(track_stream(iter(rows), unknown_speaker(body, talk[3], SIZE), FPS, window=3, overlap=1))
    missing = torch.cat([piece.missing for piece in pieces])
    assert len(missing) == FRAMES and missing.nonzero()[:, 0].tolist() == [0, 1, 2, *range(7, 15)]
    turns = head(torch.cat([piece.motion.rotations for piece in pieces]))
    assert torch.equal(turns[0], turns[1]) and (turns[0] - turns[3]).abs().max() < 5e-3 and torch.isfinite(turns).all()
    with pytest.raises(UserError, match="No face was found in any frame"):
        list(track_stream(iter(rows[:3]), unknown_speaker(body, talk[3], SIZE), FPS, window=2, overlap=1))


def test_noise_is_held_and_motion_is_not_delayed(body, talk):
    """Landmarks that tremble by a third of a pixel on a head that rests and then turns by 10 degrees in 4 frames."""
    rows = np.repeat(talk[0][:1], 24, axis=0)
    angle = np.zeros(24)
    angle[12:16], angle[16:] = [0.02, 0.08, 0.14, 0.17], 0.17
    middle = rows[0, :468].mean(0)
    for frame, value in enumerate(angle):
        turn = np.array([[np.cos(value), np.sin(value), 0], [-np.sin(value), np.cos(value), 0], [0, 0, 1]])
        rows[frame] = (rows[frame] - middle) @ turn.T + middle
    dice = np.random.default_rng(0)
    rows[..., :2] += 0.3 * dice.normal(size=(24, 478, 2)) + 0.15 * dice.normal(size=(24, 1, 2))
    turns = head(fit_clip(rows.astype(np.float32), SIZE, body, FPS, betas=talk[3]).motion.rotations)
    roll = matrix_to_axis_angle(turns[0].T @ turns)[:, 2]
    assert (roll[:12] - roll[:12].mean()).square().mean().sqrt().rad2deg() < 0.1
    np.testing.assert_allclose(roll.numpy(), angle, atol=0.015)


def test_clips_of_one_speaker_share_the_shape(body, talk):
    clips = {"a": talk[0][:3], "nobody": np.full((2, 478, 3), np.nan), "b": talk[0][3:5]}
    tracks = dict(track_clips(clips, SIZE, body, FPS, betas=talk[3]))
    assert list(tracks) == ["a", "b"]
    assert all(torch.equal(track.betas, talk[3]) for track in tracks.values())


def test_jacobian_matches_autograd(body, talk):
    """Skin is taken as rigid with the head: a good direction, not an exact derivative (neck and lids blend)."""
    landmarks, _, expression, betas = talk
    clip = window_of(landmarks[:1], unknown_speaker(body, betas, SIZE))
    count = expression.shape[1]
    values = torch.zeros(1, count + 11).double()
    values[0, count:] = torch.tensor([0.1, 0.2, 0.0, 0.0, 0.1, 0.1, 0.05, -0.1, 0.0, -0.4, -1.1])

    def seen(flat):
        points = posed(clip, State(flat[None], count))[0]
        return (project(points, clip.speaker.camera)[0, :, :2] * clip.weight[0, :, None]).flatten()

    exact = torch.func.jacfwd(seen)(values[0])
    written, _ = linearise(clip, State(values, count))
    alike = torch.nn.functional.cosine_similarity(written[0, : len(exact)], exact, dim=0)
    moves = exact.norm(dim=0) > 1e-2 * exact.norm(dim=0).median()
    assert alike[moves].min() > 0.9 and alike[moves].median() > 0.999


def test_banded_solve_is_the_dense_solve():
    dice = torch.Generator().manual_seed(0)
    root = torch.randn(5, 4, 4, generator=dice).double()
    normal, hold = root @ root.mT + torch.eye(4), torch.tensor([0.1, 2.0, 0.5, 1.0]).double()
    slope, values = (torch.randn(5, 4, generator=dice).double() for _ in range(2))
    hold = hold * torch.rand(4, 1, generator=dice).double()
    dense = torch.block_diag(*normal)
    right = slope.flatten()
    for t in range(4):
        for k in range(4):
            row = torch.zeros(20).double()
            row[4 * t + k], row[4 * t + 4 + k] = -1, 1
            dense += hold[t, k] * torch.outer(row, row)
            right = right + hold[t, k] * row * (row @ values.flatten())
    assert torch.allclose(banded(normal, slope, values, hold).flatten(), torch.linalg.solve(dense, right))


def test_left_jacobian_is_the_derivative_of_the_rotation():
    vector, change = torch.tensor([0.3, -0.5, 0.2]).double(), 1e-6 * torch.tensor([0.4, 0.1, -0.7]).double()
    turn = axis_angle_to_matrix(vector + change) @ axis_angle_to_matrix(vector).T
    assert torch.allclose(matrix_to_axis_angle(turn), left_jacobian(vector) @ change, atol=1e-10)


def test_bridge_is_a_straight_line_held_at_the_ends():
    rows = np.full((7, 2, 1), np.nan)
    rows[1], rows[4], rows[5] = 1.0, 4.0, 9.0
    assert np.allclose(bridge(rows)[:, 0, 0], [1, 1, 2, 3, 4, 9, 9])

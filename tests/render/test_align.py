"""Skin that is laid on skin: a picture carried by a known motion, told by landmarks that err."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from render.align import OPENINGS, ClipAligner, Skin, StreamAligner, flow_to, most_at_rest, picked, pixel_grid
from render.camera import project
from render.controls import MeshControls
from render.track import fit_clip, track_stream
from render.window import State, mean_of, unknown_speaker, window_of
from vlogger.body.parts import PARTS
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import pose
from vlogger.types import Controls, Motion, Portrait, Subject

SIDE, FRAMES = 160, 4
SKIN = [number for number in range(468) if number not in OPENINGS]


def speckled(side: int, seed: int = 0) -> torch.Tensor:
    """(3, side, side) uint8: blots of all sizes, as skin has them."""
    noise = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(noise.normal(size=(side, side, 3)), (0, 0), sigma) * sigma for sigma in (1.5, 4, 12)]
    picture = 128 + 60 * np.sum(layers, axis=0)
    return torch.from_numpy(picture.clip(0, 255).astype(np.uint8)).permute(2, 0, 1).contiguous()


def seen_points(body, motion: Motion, subject: Subject) -> np.ndarray:
    """Where all of MediaPipe's points are (t, 478, 3), pixels."""
    mesh = pose(body, subject.betas, motion.rotations, motion.expression, motion.translation)
    points = torch.einsum("tnkc,nk->tnc", mesh.vertices[:, body.faces[body.mp_faces]], body.mp_bary)
    seen = project(points, subject.intrinsics)
    seen[..., 2] = -points[..., 2] * subject.intrinsics[0, 0] / 1.1
    return seen.numpy()


@pytest.fixture(scope="module")
def film(body):
    """Frames (t, 3, h, w), where the face's points truly are (t, 478, 3), the shape."""
    angles = torch.zeros(FRAMES, 55, 3)
    angles[:, joint_index("head"), 1] = torch.linspace(0, 0.15, FRAMES)
    angles[:, joint_index("head"), 0] = torch.linspace(0, -0.08, FRAMES)
    expression = torch.zeros(FRAMES, len(body.expression_names))
    expression[:, body.expression_names.index("browInnerUp")] = torch.linspace(0, 0.8, FRAMES)
    focal = 1.5859 * SIDE * 2**0.5
    camera = torch.tensor([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1]])
    place = torch.tensor([0.0, -0.32, -0.9]).expand(FRAMES, 3)
    motion = Motion(axis_angle_to_matrix(angles), expression, place, 25.0)
    first = (motion.rotations[0], motion.expression[0], motion.translation[0])
    subject = Subject(Portrait(speckled(SIDE)), torch.zeros(10), *first, camera)
    drawn = MeshControls(body)(motion, subject, size=SIDE)[0:FRAMES]
    frames = torch.where(drawn.visible == 1, 255 * drawn.warped, 128).to(torch.uint8)
    return frames, seen_points(body, motion, subject), subject.betas


def mistaken(points: np.ndarray, noise: float = 1.2) -> np.ndarray:
    """Landmarks as they are found in single pictures: each but the first a little off, turned and stretched."""
    chance, wrong = np.random.default_rng(1), points.copy()
    for frame in wrong[1:]:
        middle = frame[:, :2].mean(0)
        turn = np.eye(2) + chance.normal(0, 0.02, (2, 2))
        frame[:, :2] = (frame[:, :2] - middle) @ turn + middle + chance.normal(0, noise, 2)
    return wrong


def misplaced(track, points, body) -> float:
    """Mean distance in pixels between where skin went, from the first frame on, and where it truly went."""
    subject = Subject(
        Portrait(torch.zeros(3, 1, 1, dtype=torch.uint8)),
        track.betas,
        track.motion.rotations[0],
        track.motion.expression[0],
        track.motion.translation[0],
        track.intrinsics,
    )
    went = seen_points(body, track.motion, subject)
    error = (went - went[:1]) - (points - points[:1])
    return float(np.linalg.norm(error[1:, SKIN, :2], axis=-1).mean())


def tracked(landmarks, body, betas, align=None):
    return fit_clip(landmarks, (SIDE, SIDE), body, 1e-3, betas, align)


def test_skin_tells_where_landmarks_err(film, body):
    frames, points, betas = film
    wrong = mistaken(points)
    before = misplaced(tracked(wrong, body, betas), points, body)
    align = ClipAligner(frames, body, MeshControls(body), reference=0)
    after = misplaced(tracked(wrong, body, betas, align), points, body)
    assert before > 0.7
    assert after < 0.3 * before


def test_skin_does_not_disturb_landmarks_that_are_right(film, body):
    frames, points, betas = film
    align = ClipAligner(frames, body, MeshControls(body), reference=0)
    assert misplaced(tracked(points, body, betas, align), points, body) < 0.06


def window(film, body, landmarks):
    betas = film[2]
    clip = window_of(landmarks, unknown_speaker(body, betas, (SIDE, SIDE)))
    return clip, State(mean_of(clip.speaker).repeat(len(landmarks), 1), body.exprdirs.shape[-1])


def test_without_a_face_in_the_reference_nothing_is_told(film, body):
    landmarks = film[1].copy()
    landmarks[0] = np.nan
    clip, state = window(film, body, landmarks)
    assert ClipAligner(film[0], body, MeshControls(body), reference=0)(clip, state) is clip


def test_the_reference_is_the_seen_frame_most_at_rest(film, body):
    landmarks = film[1].copy()
    landmarks[1] = np.nan
    clip, state = window(film, body, landmarks)
    state.values[:, 0] = torch.tensor([0.5, 0.0, 0.2, -0.3], dtype=torch.double)
    assert most_at_rest(clip, state) == 2


def test_what_opens_and_frames_without_a_face_stay_as_they_were(film, body):
    frames, points, betas = film
    landmarks = points.copy()
    landmarks[2] = np.nan
    seen = []
    align = ClipAligner(frames, body, MeshControls(body), reference=0)
    track = tracked(landmarks, body, betas, lambda clip, state: seen.append((clip, align(clip, state))) or seen[-1][1])
    clip, told = seen[0]
    opens = torch.isin(clip.speaker.marks.ids, torch.tensor(OPENINGS))
    count = len(opens)
    assert told.points[:, :count][:, opens].equal(clip.points[:, :count][:, opens])
    assert told.points[:, count:].equal(clip.points[:, count:])
    assert told.points[2].equal(clip.points[2]) and not told.weight[2].any()
    assert not told.points[3].equal(clip.points[3])
    assert track.missing.tolist() == [False, False, True, False]


def carried(picture: torch.Tensor, hole: slice) -> Controls:
    """All skin; the columns of a hole are not shown."""
    side = picture.shape[-1]
    parts = torch.zeros(1, len(PARTS), side, side)
    parts[:, PARTS.index("head")] = 1
    visible = torch.ones(1, 1, side, side)
    visible[..., hole] = 0
    nothing = torch.zeros(1, 3, side, side)
    return Controls(nothing, parts, picture[None] / 255, visible, visible, 25.0)


def test_flow_is_the_shift_where_skin_is_shown_and_unsure_elsewhere():
    picture = speckled(64)
    shifted = picture.roll(2, dims=2)
    flow, certain = flow_to(carried(picture, slice(40, 44)), shifted)
    assert np.abs(np.median(flow[10:54, 10:34], axis=(0, 1)) - [2, 0]).max() < 0.1
    assert certain[10:54, 10:34].mean() > 0.9
    assert certain[:, 38:46].max() == 0
    _, other = flow_to(carried(picture, slice(0, 0)), speckled(64, seed=9))
    assert other.mean() < 0.5


def test_picking_is_bilinear_and_nothing_beyond_the_square():
    values = np.random.default_rng(0).random((9, 9, 2)).astype(np.float32)
    assert np.allclose(picked(values, pixel_grid(9)), values)
    places = np.array([[2.5, 3.0], [20.0, 3.0]])
    assert np.allclose(picked(values, places), [values[3, 2:4].mean(0), [0, 0]], atol=1e-6)
    assert picked(values[..., 0], places).shape == (2,)


def test_a_stream_is_laid_as_the_clip_is(film, body):
    frames, points, betas = film
    wrong, speaker = mistaken(points), unknown_speaker(body, betas, (SIDE, SIDE))
    whole = tracked(wrong, body, betas, ClipAligner(frames, body, MeshControls(body), reference=0))
    first = whole.motion[0:1]
    subject = Subject(
        Portrait(frames[0]), betas, first.rotations[0], first.expression[0], first.translation[0], whole.intrinsics
    )
    pieces = []
    for window, overlap in ((8, 0), (3, 1)):
        align = StreamAligner(Skin.of(subject, body, MeshControls(body)), iter(frames))
        pieces.append(list(track_stream(iter(wrong), speaker, 1e-3, window, overlap, align)))
        assert not align.kept and next(align.pictures, None) is None
    together = torch.cat([piece.motion.rotations for piece in pieces[1]])
    assert len(pieces[1]) > 1 and len(together) == FRAMES
    assert (together - pieces[0][0].motion.rotations).abs().max() < 2e-3
    assert misplaced(pieces[0][0], points, body) < 0.3 * misplaced(tracked(wrong, body, betas), points, body)


def test_frames_before_the_first_face_are_passed_over(film, body):
    frames, points, betas = film
    rows = np.concatenate([np.full((3, 478, 3), np.nan), points])
    still = torch.full((3, 3, SIDE, SIDE), 99, dtype=torch.uint8)
    track = tracked(points, body, betas)
    pose = (track.motion.rotations[0], track.motion.expression[0], track.motion.translation[0])
    skin = Skin.of(Subject(Portrait(frames[0]), betas, *pose, track.intrinsics), body, MeshControls(body))
    align = StreamAligner(skin, iter(torch.cat([still, frames])))
    speaker = unknown_speaker(body, betas, (SIDE, SIDE))
    pieces = list(track_stream(iter(rows), speaker, 1e-3, 3, 0, align))
    values = zip(*((p.motion.rotations, p.motion.expression, p.motion.translation) for p in pieces), strict=True)
    motion = Motion(*map(torch.cat, values), fps=1e-3)
    assert len(motion) == 3 + FRAMES and not align.kept
    assert misplaced(replace(track, motion=motion[3:]), points, body) < 0.06

"""Follow a speaking face through a clip: one shape and one camera, a `Motion` of head, eyes and expression.

Every frame's landmarks are explained by expression, neck, head, gaze and translation; neighbouring frames are held
together by a penalty on differences, which also bridges the frames in which no face was found. All frames are solved at
once: Gauss-Newton whose normal matrix is banded (one block a frame, diagonal coupling between neighbours), with the
Jacobian written down: it costs less than two seconds for 75 frames.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from torch import Tensor

from render.camera import project, projection_slope
from render.evidence import FACE_SIGMA, GAP_SIGMA, IRIS_SIGMA, Markers, eye_distance, markers
from render.fit import (
    EXPRESSION_SIGMA,
    RANGE_SIGMA,
    focal_of_view,
    problem_of,
    procrustes,
    rest_angles,
    stages,
    start_of,
    told_by_landmarks,
)
from render.landmarks import Face, Person, bounds
from render.targets import LEFT_IRIS, LID_PAIRS, LIP_PAIRS, OVAL, RIGHT_IRIS, landmark_weights
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import JOINTS, joint_index
from vlogger.body.smplx import Body, pose
from vlogger.errors import UserError
from vlogger.types import Motion

NECK, HEAD, LEFT_EYE, RIGHT_EYE = (joint_index(name) for name in ("neck", "head", "left_eye", "right_eye"))
STEPS = 7
TURN_SIGMA = 0.3  # radians, of neck and head
GAZE_SIGMA = 0.25
# Believed change in a 25th of a second; translation in metres.
EXPRESSION_STEP, TURN_STEP, GAZE_STEP, TRANSLATION_STEP = 0.12, 0.02, 0.1, 0.001


@dataclass(frozen=True)
class Track:
    """One clip. `error` (t,): mean distance of the landmarks over that of the eyes, nan where `missing` (t,)."""

    motion: Motion
    betas: Tensor
    intrinsics: Tensor
    error: Tensor
    missing: Tensor


class _State:
    """Per frame: expression (t, e), axis-angle of neck and head (t, 3) each, gaze (t, 2) about x and y, translation."""

    def __init__(self, values: Tensor, expressions: int) -> None:
        self.values = values
        parts = values.split([expressions, 3, 3, 2, 3], dim=1)
        self.expression, self.neck, self.head, self.gaze, self.translation = parts

    def angles(self) -> Tensor:
        """(t, 55, 3) for frames that are otherwise at rest."""
        angles = torch.zeros(len(self.values), len(JOINTS), 3, dtype=self.values.dtype)
        angles[:, NECK], angles[:, HEAD] = self.neck, self.head
        angles[:, LEFT_EYE, :2] = angles[:, RIGHT_EYE, :2] = self.gaze
        return angles


@dataclass(frozen=True)
class _Clip:
    """What stays the same while one clip is solved."""

    marks: Markers
    betas: Tensor
    camera: Tensor
    points: Tensor  # (t, n + 2, 2) seen: known landmarks, irises; bridged where missing
    weight: Tensor  # (t, n + 2) one over the standard deviation, pixels; 0 where missing
    gaps: Tensor  # (g, 2) pairs of points whose distance is watched
    gap_weight: Tensor  # (t, 1)


def fit_clip(landmarks: NDArray, size: tuple[int, int], body: Body, fps: float, betas: Tensor | None = None) -> Track:
    """Landmarks (t, 478, 3) in pixels of frames (h, w), rows of nan where there is no face -> the track.

    `betas`: the speaker's shape where it is known (`shape_of`). The camera has the focal length that `render.fit`
    assumes where nothing else is known. UserError when there is no face in any frame.
    """
    if not np.isfinite(landmarks[:, 0, 0]).any():
        raise UserError("No face was found in any frame of the clip: use one in which the speaker's face is seen.")
    marks = markers(body)
    betas = shape_of([landmarks], size, marks) if betas is None else betas
    clip = _clip_of(landmarks, size, marks, betas.double())
    state = _solve(clip, _start(clip, landmarks), fps)
    error = _residual_length(clip, state)
    missing = torch.from_numpy(~np.isfinite(landmarks[:, 0, 0]))
    return Track(
        Motion(
            axis_angle_to_matrix(state.angles() + rest_angles()).float(),
            state.expression.float(),
            state.translation.float(),
            float(fps),
        ),
        betas.float(),
        clip.camera.float(),
        torch.where(missing, torch.nan, error).float(),
        missing,
    )


def track_clips(
    clips: Mapping[str, NDArray], size: tuple[int, int], body: Body, fps: float, betas: Tensor | None = None
) -> Iterator[tuple[str, Track]]:
    """Tracks of several clips of one speaker, with one shape. Clips without any face are left out."""
    seen = {name: rows for name, rows in clips.items() if np.isfinite(rows[:, 0, 0]).any()}
    if betas is None:
        betas = shape_of(list(seen.values()), size, markers(body))
    for name, rows in seen.items():
        yield name, fit_clip(rows, size, body, fps, betas)


def shape_of(clips: list[NDArray], size: tuple[int, int], marks: Markers, frames: int = 6) -> Tensor:
    """(n,) the mean of the shapes of `frames` frames, spread over the clips, each fitted like a portrait."""
    rows = np.concatenate([clip[np.isfinite(clip[:, 0, 0])] for clip in clips])
    chosen = rows[np.linspace(0, len(rows) - 1, min(frames, len(rows))).round().astype(int)]
    fits = []
    for points in chosen:
        person = Person(Face(points.astype(np.float32), 1.0, bounds(points)), None, None, None)
        problem = problem_of(marks, person, size, focal_sigma=0.0)
        fits.append(stages(problem, start_of(problem, person), steps=8).betas)
    return torch.stack(fits).mean(0).float()


# -------------------------------------------------------------------------------------------------------- one clip


def _clip_of(landmarks: NDArray, size: tuple[int, int], marks: Markers, betas: Tensor) -> _Clip:
    """Points, weights and camera of a clip."""
    height, width = size
    missing = torch.from_numpy(~np.isfinite(landmarks[:, 0, 0]))
    points = torch.from_numpy(bridge(landmarks)).double()
    unit = eye_distance(points)[:, None]
    counts = landmark_weights(points, marks.ids) * (100 / len(marks.ids)) ** 0.5 / FACE_SIGMA
    weight = torch.nn.functional.pad(counts, (0, 2), value=1 / IRIS_SIGMA) / unit
    points = points[..., :2]
    place = {int(number): i for i, number in enumerate(marks.ids)}
    gaps = [(place[a], place[b]) for a, b in (*LIP_PAIRS, *LID_PAIRS) if a in place and b in place]
    focal = focal_of_view() * (height**2 + width**2) ** 0.5
    return _Clip(
        marks,
        betas,
        torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.double),
        torch.cat([points[:, marks.ids], points[:, [RIGHT_IRIS, LEFT_IRIS]]], dim=1),
        torch.where(missing[:, None], 0.0, weight),
        torch.tensor(gaps, dtype=torch.long).reshape(-1, 2),
        torch.where(missing[:, None], 0.0, 1 / (GAP_SIGMA * unit)),
    )


def bridge(landmarks: NDArray) -> NDArray:
    """Rows of nan (t, ...) replaced by the straight line between their neighbours in time, held at the ends."""
    seen = np.flatnonzero(np.isfinite(landmarks[:, 0, 0]))
    times = np.clip(np.arange(len(landmarks)), seen[0], seen[-1])
    after = np.searchsorted(seen, times)
    before = np.where(seen[after] == times, after, after - 1)
    span = np.maximum(seen[after] - seen[before], 1)
    part = ((times - seen[before]) / span)[:, None, None]
    return landmarks[seen[before]] * (1 - part) + landmarks[seen[after]] * part


def _start(clip: _Clip, landmarks: NDArray) -> _State:
    """Each frame's head turned and placed as its landmarks' relative depth says, the face at rest."""
    marks, expressions = clip.marks, clip.marks.body.exprdirs.shape[-1]
    seen = torch.from_numpy(bridge(landmarks)).double()[:, marks.ids] * torch.tensor([1.0, -1.0, -1.0]).double()
    values = torch.zeros(len(seen), expressions + 11, dtype=torch.double)
    template = _posed(clip, _State(values[:1], expressions))[0][0, : len(marks.ids)]
    for frame, rows in enumerate(seen):
        turn, scale = procrustes(template, rows)
        depth = clip.camera[0, 0] / scale
        middle = (clip.points[frame, :-2].mean(0) - clip.camera[:2, 2]) * torch.tensor([1.0, -1.0]) / clip.camera[0, 0]
        whole = matrix_to_axis_angle(turn)
        values[frame, expressions:-3] = torch.cat([0.4 * whole, 0.6 * whole, torch.zeros(2).double()])
        values[frame, -3:] = torch.cat([middle * depth, -depth[None]])
    state = _State(values, expressions)
    values[:, -3:] -= _posed(clip, state)[0][:, : len(marks.ids)].mean(1) - state.translation
    return state


def _posed(clip: _Clip, state: _State) -> tuple[Tensor, Tensor, Tensor]:
    """Watched points (t, n + 2, 3), joints (t, 55, 3), local rotations (t, 55, 3, 3)."""
    turns = axis_angle_to_matrix(state.angles())
    body = clip.marks.body
    posed = pose(body, clip.betas, turns, state.expression, state.translation)
    return posed.vertices[:, : clip.points.shape[1]], posed.joints, turns


# ---------------------------------------------------------------------------------------------------- Gauss-Newton


def _solve(clip: _Clip, state: _State, fps: float) -> _State:
    """The state that fits best, after `STEPS` steps."""
    expressions = state.expression.shape[1]
    spread, step = _sigmas(clip.marks.body, fps)
    for _ in range(STEPS):
        jacobian, value = _linearise(clip, state)
        normal, slope = jacobian.mT @ jacobian, (jacobian.mT @ value[..., None])[..., 0]
        outside = state.expression - state.expression.clamp(0, 1)
        bound = torch.cat([(outside != 0) / RANGE_SIGMA**2, torch.zeros(len(outside), 11)], dim=1)
        push = torch.cat([outside / RANGE_SIGMA**2, torch.zeros(len(outside), 11)], dim=1)
        normal = normal + torch.diag_embed(spread**-2 + bound)
        slope = slope + state.values * spread**-2 + push
        state = _State(state.values - _banded(normal, slope, state.values, step**-2), expressions)
    return state


def _sigmas(body: Body, fps: float) -> tuple[Tensor, Tensor]:
    """(e + 11,) believed deviation of each unknown from 0, and of its change from frame to frame."""
    told = told_by_landmarks(body)
    counts = torch.tensor([len(told), 6, 2, 3])
    spread = torch.tensor([EXPRESSION_SIGMA, TURN_SIGMA, GAZE_SIGMA, 1e3]).double().repeat_interleave(counts)
    spread[: len(told)] *= torch.where(told > 0, 1.0, 1e-3)
    step = torch.tensor([EXPRESSION_STEP, TURN_STEP, GAZE_STEP, TRANSLATION_STEP]).double() * 25 / fps
    return spread, step.repeat_interleave(counts)


def _banded(normal: Tensor, slope: Tensor, values: Tensor, hold: Tensor) -> Tensor:
    """Solve for the change (t, p) of all frames: blocks (t, p, p), slopes (t, p), neighbours held together by (p,)."""
    frames, size = slope.shape
    change = values[1:] - values[:-1]
    slope = slope.clone()
    slope[1:] += hold * change
    slope[:-1] -= hold * change
    neighbours = torch.full((frames, 1), 2.0, dtype=slope.dtype)
    neighbours[0] -= 1
    neighbours[-1] -= 1
    normal = normal + torch.diag_embed(neighbours * hold)
    bands = torch.zeros(size + 1, frames, size, dtype=slope.dtype)  # lower form: bands[k, j] = matrix[j + k, j]
    for k in range(size):
        bands[k, :, : size - k] = torch.diagonal(normal, offset=-k, dim1=1, dim2=2)
    bands[size, :-1] = -hold
    solved = solveh_banded(bands.flatten(1).numpy(), slope.flatten().numpy(), lower=True, check_finite=False)
    return torch.from_numpy(solved).unflatten(0, (frames, size))


def _linearise(clip: _Clip, state: _State) -> tuple[Tensor, Tensor]:
    """Jacobian (t, r, e + 11) and residuals (t, r) of points, then gaps, in standard deviations."""
    points, joints, turns = _posed(clip, state)
    pixels = project(points, clip.camera)[..., :2]
    inward = projection_slope(points, clip.camera)  # (t, n, 2, 3) pixels per metre
    jacobian = inward @ _derivatives(clip, state, points, joints, turns)
    offset = pixels - clip.points
    gap_rows = jacobian[:, clip.gaps[:, 1]] - jacobian[:, clip.gaps[:, 0]]
    gap_values = offset[:, clip.gaps[:, 1]] - offset[:, clip.gaps[:, 0]]
    rows = [jacobian * clip.weight[..., None, None], gap_rows * clip.gap_weight[..., None, None]]
    values = [offset * clip.weight[..., None], gap_values * clip.gap_weight[..., None]]
    return torch.cat(rows, dim=1).flatten(1, 2), torch.cat(values, dim=1).flatten(1, 2)


def _derivatives(clip: _Clip, state: _State, points: Tensor, joints: Tensor, turns: Tensor) -> Tensor:
    """d point / d unknown (t, n, 3, e + 11), skin taken as rigid with the head, irises with their eyes."""
    body = clip.marks.body
    count = points.shape[1]
    before = turns[:, [joint_index(name) for name in ("pelvis", "spine1", "spine2", "spine3")]]
    trunk = before[:, 0] @ before[:, 1] @ before[:, 2] @ before[:, 3]
    head = trunk @ turns[:, NECK] @ turns[:, HEAD]
    columns = [torch.einsum("tij,nje->tnie", head, body.exprdirs[:count])]
    for joint, parent, vector in ((NECK, trunk, state.neck), (HEAD, trunk @ turns[:, NECK], state.head)):
        columns.append(_turning(parent @ left_jacobian(vector), points - joints[:, joint, None]))
    gaze = torch.zeros(*points.shape, 2, dtype=points.dtype)
    axes = head @ left_jacobian(torch.nn.functional.pad(state.gaze, (0, 1)))
    for iris, joint in ((count - 2, RIGHT_EYE), (count - 1, LEFT_EYE)):
        gaze[:, iris] = _turning(axes, points[:, [iris]] - joints[:, joint, None])[:, 0, :, :2]
    still = torch.eye(3, dtype=points.dtype).expand(*points.shape, 3)
    return torch.cat([*columns, gaze, still], dim=-1)


def _turning(axes: Tensor, arms: Tensor) -> Tensor:
    """(t, 3, 3) axes as columns, (t, n, 3) arms -> (t, n, 3, 3): how a point moves when turned about each axis."""
    crossed = torch.linalg.cross(
        axes.mT[:, None].expand(-1, arms.shape[1], -1, -1), arms[:, :, None].expand(-1, -1, 3, -1)
    )
    return crossed.mT


def left_jacobian(vector: Tensor) -> Tensor:
    """(..., 3, 3): exp([v + dv]) = exp([J dv]) exp([v]) to first order."""
    angle = vector.norm(dim=-1).clamp(min=1e-6)[..., None, None]
    zero = torch.zeros_like(vector[..., 0])
    x, y, z = vector.unbind(-1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    first, second = (1 - angle.cos()) / angle**2, (angle - angle.sin()) / angle**3
    return torch.eye(3, dtype=vector.dtype) + first * cross + second * cross @ cross


def _residual_length(clip: _Clip, state: _State) -> Tensor:
    """(t,) mean distance of the points but the outline's in the picture, over the distance of the irises."""
    points, _, _ = _posed(clip, state)
    length = (project(points, clip.camera)[..., :2] - clip.points).norm(dim=-1)
    fixed = torch.tensor([number not in OVAL for number in (*clip.marks.ids.tolist(), RIGHT_IRIS, LEFT_IRIS)])
    unit = (clip.points[:, -1] - clip.points[:, -2]).norm(dim=-1)
    return length[:, fixed].mean(1) / unit

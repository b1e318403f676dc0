"""The frames of a window, solved at once: the unknowns, what is seen, and Gauss-Newton (see `render.track`).

The normal matrix is banded (one block a frame, diagonal coupling between neighbours), the Jacobian is written down.
Differences between neighbours that noise explains are held firmly, larger ones loosely (Cauchy weights): what is still
stays still, what moves is not delayed.
"""

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
    procrustes,
    rest_angles,
    told_by_landmarks,
)
from render.targets import LEFT_IRIS, LID_PAIRS, LIP_PAIRS, OVAL, RIGHT_IRIS, landmark_weights
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body, personal, pose
from vlogger.types import Motion, Portrait, Subject

NECK, HEAD, LEFT_EYE, RIGHT_EYE = (joint_index(name) for name in ("neck", "head", "left_eye", "right_eye"))
SPINE = ("pelvis", "spine1", "spine2", "spine3")
STEPS = 7
TURN_SIGMA = 0.3  # radians, of neck and head
GAZE_SIGMA = 0.25
# Believed change in a 25th of a second; translation in metres.
EXPRESSION_STEP, TURN_STEP, GAZE_STEP, TRANSLATION_STEP = 0.12, 0.02, 0.1, 0.001
# How firmly changes are held that are smaller than noise, and how large noise is.
CALM = (0.05, 1e-3, 0.03, 3e-4)
NOISE = (0.04, 1.5e-3, 0.03, 3e-4)


@dataclass(frozen=True)
class Speaker:
    """What does not change in a clip."""

    marks: Markers  # of the personal body
    betas: Tensor  # (n,)
    camera: Tensor  # (3, 3)
    rest: Tensor  # (55, 3) axis-angle of all joints; neck and head stray from it, trunk and arms stay


def unknown_speaker(body: Body, betas: Tensor, size: tuple[int, int]) -> Speaker:
    """Standing upright, seen by the camera that is assumed where nothing is known of a picture of size (h, w)."""
    height, width = size
    focal = focal_of_view() * (height**2 + width**2) ** 0.5
    camera = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.double)
    return Speaker(markers(body), betas.double(), camera, rest_angles())


def speaker_of(subject: Subject, body: Body) -> Speaker:
    """The speaker as a photo, or one frame of the clip, shows him or her."""
    marks, rest = markers(personal(body, subject.offsets)), matrix_to_axis_angle(subject.rotations.double())
    return Speaker(marks, subject.betas.double(), subject.intrinsics.double(), rest)


class State:
    """Per frame: expression (t, e), axis-angle of neck and head (t, 3) each, gaze (t, 2) about x and y, translation."""

    def __init__(self, values: Tensor, expressions: int) -> None:
        self.values = values
        parts = values.split([expressions, 3, 3, 2, 3], dim=1)
        self.expression, self.neck, self.head, self.gaze, self.translation = parts

    def angles(self, rest: Tensor) -> Tensor:
        """(t, 55, 3) for frames whose other joints rest as (55, 3)."""
        angles = rest.to(self.values.dtype).repeat(len(self.values), 1, 1)
        angles[:, NECK], angles[:, HEAD] = self.neck, self.head
        angles[:, [LEFT_EYE, RIGHT_EYE]] = 0
        angles[:, LEFT_EYE, :2] = angles[:, RIGHT_EYE, :2] = self.gaze
        return angles


@dataclass(frozen=True)
class Window:
    """What stays the same while one clip is solved."""

    speaker: Speaker
    points: Tensor  # (t, n + 2, 2) seen: known landmarks, irises; bridged where missing
    missing: Tensor  # (t,)
    weight: Tensor  # (t, n + 2) one over the standard deviation, pixels; 0 where missing
    gaps: Tensor  # (g, 2) pairs of points whose distance is watched
    gap_weight: Tensor  # (t, 1)


# -------------------------------------------------------------------------------------------------------- one clip


def window_of(landmarks: NDArray, speaker: Speaker) -> Window:
    """Points and weights of a clip."""
    marks, missing = speaker.marks, torch.from_numpy(~np.isfinite(landmarks[:, 0, 0]))
    points = torch.from_numpy(np.nan_to_num(landmarks) if missing.all() else bridge(landmarks)).double()
    unit = eye_distance(points).clamp(min=1e-3)[:, None]
    counts = landmark_weights(points, marks.ids) * (100 / len(marks.ids)) ** 0.5 / FACE_SIGMA
    weight = torch.nn.functional.pad(counts, (0, 2), value=1 / IRIS_SIGMA) / unit
    points = points[..., :2]
    place = {int(number): i for i, number in enumerate(marks.ids)}
    gaps = [(place[a], place[b]) for a, b in (*LIP_PAIRS, *LID_PAIRS) if a in place and b in place]
    return Window(
        speaker,
        torch.cat([points[:, marks.ids], points[:, [RIGHT_IRIS, LEFT_IRIS]]], dim=1),
        missing,
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


def mean_of(speaker: Speaker) -> Tensor:
    """(e + 11,) the unknowns of a frame about which nothing is known."""
    expressions = speaker.marks.body.exprdirs.shape[-1]
    return torch.cat([torch.zeros(expressions), speaker.rest[NECK], speaker.rest[HEAD], torch.zeros(5)]).double()


def start_of_window(clip: Window, landmarks: NDArray, anchor: Tensor | None = None) -> State:
    """Each frame's head turned and placed as its landmarks' relative depth says, the face at rest.

    A clip without any face is as its `anchor` (e + 11,) throughout.
    """
    marks, mean = clip.speaker.marks, mean_of(clip.speaker)
    expressions = marks.body.exprdirs.shape[-1]
    if clip.missing.all():
        assert anchor is not None
        return State(anchor.repeat(len(landmarks), 1), expressions)
    seen = torch.from_numpy(bridge(landmarks)).double()[:, marks.ids] * torch.tensor([1.0, -1.0, -1.0]).double()
    values, camera = mean.repeat(len(seen), 1), clip.speaker.camera
    points, _, turns = posed(clip, State(values[:1], expressions))
    neck, head = chain_to(turns[0], (*SPINE, "neck")), turns[0, HEAD]
    for frame, rows in enumerate(seen):
        turn, scale = procrustes(points[0, : len(marks.ids)], rows)
        depth = camera[0, 0] / scale
        middle = (clip.points[frame, :-2].mean(0) - camera[:2, 2]) * torch.tensor([1.0, -1.0]) / camera[0, 0]
        values[frame, expressions + 3 : expressions + 6] = matrix_to_axis_angle(neck.T @ turn @ neck @ head)
        values[frame, -3:] = torch.cat([middle * depth, -depth[None]])
    state = State(values, expressions)
    values[:, -3:] -= posed(clip, state)[0][:, : len(marks.ids)].mean(1) - state.translation
    return state


def chain_to(turns: Tensor, names: tuple[str, ...]) -> Tensor:
    """The rotation (..., 3, 3) in camera space of the last of these joints; turns (..., 55, 3, 3)."""
    whole = turns[..., joint_index(names[0]), :, :]
    for name in names[1:]:
        whole = whole @ turns[..., joint_index(name), :, :]
    return whole


def posed(clip: Window, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """Watched points (t, n + 2, 3), joints (t, 55, 3), local rotations (t, 55, 3, 3)."""
    speaker = clip.speaker
    turns = axis_angle_to_matrix(state.angles(speaker.rest))
    posed = pose(speaker.marks.body, speaker.betas, turns, state.expression, state.translation)
    return posed.vertices[:, : clip.points.shape[1]], posed.joints, turns


# ---------------------------------------------------------------------------------------------------- Gauss-Newton


def solve_window(clip: Window, state: State, fps: float, anchor: Tensor | None = None) -> State:
    """The state that fits best, after `STEPS` steps; `anchor` (e + 11,) is the frame before the first."""
    expressions, mean = state.expression.shape[1], mean_of(clip.speaker)
    spread = spread_of(clip.speaker.marks.body)
    for _ in range(STEPS):
        jacobian, value = linearise(clip, state)
        normal, slope = jacobian.mT @ jacobian, (jacobian.mT @ value[..., None])[..., 0]
        outside = state.expression - state.expression.clamp(0, 1)
        bound = torch.cat([(outside != 0) / RANGE_SIGMA**2, torch.zeros(len(outside), 11)], dim=1)
        push = torch.cat([outside / RANGE_SIGMA**2, torch.zeros(len(outside), 11)], dim=1)
        normal = normal + torch.diag_embed(spread**-2 + bound)
        slope = slope + (state.values - mean) * spread**-2 + push
        if anchor is not None:
            held = hold_of(state.values[:1] - anchor, clip.missing[:1], expressions, fps)
            normal[0] += torch.diag(held[0])
            slope[0] += held[0] * (state.values[0] - anchor)
        hold = hold_of(state.values.diff(dim=0), clip.missing[1:] | clip.missing[:-1], expressions, fps)
        state = State(state.values - banded(normal, slope, state.values, hold), expressions)
    return state


def spread_of(body: Body) -> Tensor:
    """(e + 11,) believed deviation of each unknown from its mean."""
    told = told_by_landmarks(body)
    counts = torch.tensor([len(told), 6, 2, 3])
    spread = torch.tensor([EXPRESSION_SIGMA, TURN_SIGMA, GAZE_SIGMA, 1e3]).double().repeat_interleave(counts)
    spread[: len(told)] *= torch.where(told > 0, 1.0, 1e-3)
    return spread


def hold_of(change: Tensor, unseen: Tensor, expressions: int, fps: float) -> Tensor:
    """(d, e + 11) how firmly differences between neighbours (d, e + 11) are held, one over their variance.

    Where one of the two is `unseen` (d,) there is no noise to be told from motion.
    """
    counts = torch.tensor([expressions, 6, 2, 3])
    steps = torch.tensor([(EXPRESSION_STEP, TURN_STEP, GAZE_STEP, TRANSLATION_STEP), CALM, NOISE]).double() * 25 / fps
    step, calm, noise = steps.repeat_interleave(counts, dim=1)
    parts = change.square().split(counts.tolist(), dim=1)
    size = torch.cat([parts[0], *(part.mean(1, keepdim=True).expand_as(part) for part in parts[1:])], dim=1)
    firm = torch.where(unseen[:, None], 0.0, calm**-2 / (1 + size / noise**2))
    return step**-2 + firm


def banded(normal: Tensor, slope: Tensor, values: Tensor, hold: Tensor) -> Tensor:
    """Solve for the change (t, p) of all frames: blocks (t, p, p), slopes (t, p), neighbours held by (t - 1, p)."""
    frames, size = slope.shape
    pull = hold * (values[1:] - values[:-1])
    before, after = torch.nn.functional.pad(hold, (0, 0, 1, 0)), torch.nn.functional.pad(hold, (0, 0, 0, 1))
    slope = slope + torch.nn.functional.pad(pull, (0, 0, 1, 0)) - torch.nn.functional.pad(pull, (0, 0, 0, 1))
    normal = normal + torch.diag_embed(before + after)
    bands = torch.zeros(size + 1, frames, size, dtype=slope.dtype)  # lower form: bands[k, j] = matrix[j + k, j]
    for k in range(size):
        bands[k, :, : size - k] = torch.diagonal(normal, offset=-k, dim1=1, dim2=2)
    bands[size, :-1] = -hold
    solved = solveh_banded(bands.flatten(1).numpy(), slope.flatten().numpy(), lower=True, check_finite=False)
    return torch.from_numpy(solved).unflatten(0, (frames, size))


def linearise(clip: Window, state: State) -> tuple[Tensor, Tensor]:
    """Jacobian (t, r, e + 11) and residuals (t, r) of points, then gaps, in standard deviations."""
    points, joints, turns = posed(clip, state)
    camera = clip.speaker.camera
    pixels = project(points, camera)[..., :2]
    inward = projection_slope(points, camera)  # (t, n, 2, 3) pixels per metre
    jacobian = inward @ derivatives(clip, state, points, joints, turns)
    offset = pixels - clip.points
    gap_rows = jacobian[:, clip.gaps[:, 1]] - jacobian[:, clip.gaps[:, 0]]
    gap_values = offset[:, clip.gaps[:, 1]] - offset[:, clip.gaps[:, 0]]
    rows = [jacobian * clip.weight[..., None, None], gap_rows * clip.gap_weight[..., None, None]]
    values = [offset * clip.weight[..., None], gap_values * clip.gap_weight[..., None]]
    return torch.cat(rows, dim=1).flatten(1, 2), torch.cat(values, dim=1).flatten(1, 2)


def derivatives(clip: Window, state: State, points: Tensor, joints: Tensor, turns: Tensor) -> Tensor:
    """d point / d unknown (t, n, 3, e + 11), skin taken as rigid with the head, irises with their eyes."""
    body = clip.speaker.marks.body
    count = points.shape[1]
    trunk = chain_to(turns, SPINE)
    head = trunk @ turns[:, NECK] @ turns[:, HEAD]
    columns = [torch.einsum("tij,nje->tnie", head, body.exprdirs[:count])]
    for joint, parent, vector in ((NECK, trunk, state.neck), (HEAD, trunk @ turns[:, NECK], state.head)):
        columns.append(turning(parent @ left_jacobian(vector), points - joints[:, joint, None]))
    gaze = torch.zeros(*points.shape, 2, dtype=points.dtype)
    axes = head @ left_jacobian(torch.nn.functional.pad(state.gaze, (0, 1)))
    for iris, joint in ((count - 2, RIGHT_EYE), (count - 1, LEFT_EYE)):
        gaze[:, iris] = turning(axes, points[:, [iris]] - joints[:, joint, None])[:, 0, :, :2]
    still = torch.eye(3, dtype=points.dtype).expand(*points.shape, 3)
    return torch.cat([*columns, gaze, still], dim=-1)


def turning(axes: Tensor, arms: Tensor) -> Tensor:
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


def subject_of(image: Tensor, betas: Tensor, motion: Motion, frame: int, intrinsics: Tensor) -> Subject:
    """The person as one picture (3, h, w uint8) shows him or her: the shape, and a frame of the tracked motion."""
    pose = (motion.rotations[frame], motion.expression[frame], motion.translation[frame])
    return Subject(Portrait(image), betas, *pose, intrinsics)


def motion_of(clip: Window, state: State, fps: float) -> Motion:
    """The states as the motion of a body."""
    rotations = axis_angle_to_matrix(state.angles(clip.speaker.rest)).float()
    return Motion(rotations, state.expression.float(), state.translation.float(), float(fps))


def residual_length(clip: Window, state: State) -> Tensor:
    """(t,) mean distance of the points but the outline's in the picture, over the distance of the irises."""
    points, _, _ = posed(clip, state)
    length = (project(points, clip.speaker.camera)[..., :2] - clip.points).norm(dim=-1)
    fixed = torch.tensor([number not in OVAL for number in (*clip.speaker.marks.ids.tolist(), RIGHT_IRIS, LEFT_IRIS)])
    return length[:, fixed].mean(1) / eyes_apart(clip)


def eyes_apart(clip: Window) -> Tensor:
    """(t,) distance of the irises, pixels."""
    return (clip.points[:, -1] - clip.points[:, -2]).norm(dim=-1).clamp(min=1e-3)

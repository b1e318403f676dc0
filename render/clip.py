"""Who speaks in a clip: one shape, camera and personal offsets from a few of its frames, before it is tracked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.camera import project
from render.evidence import Markers, eye_distance, markers
from render.fit import (
    Problem,
    Unknowns,
    pack,
    posture_of,
    problem_of,
    shown_by,
    solve,
    stages,
    start_of,
    subject_of,
    unpack,
)
from render.follow import nearest
from render.landmarks import Box, Face, FaceChoice, Person, bounds, choose, detect, person_of
from render.matte import with_matte
from render.personal import Posture, closed_lips, field_of, joined, offsets_of, seen_landmarks
from render.surface import HeadField
from render.window import Speaker, solve_window, speaker_of, start_of_window, window_of
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.smplx import Body, personal
from vlogger.errors import UserError
from vlogger.framing import pose_subject
from vlogger.types import Portrait, Subject

SHARED_STEPS = 6
LEARNED, ROUNDS = 16, 2  # frames that tell the offsets of a clip that is followed; how often
UNRELATED = 1e-3  # frames a second: neighbours that tell nothing about each other
KEYFRAMES = 5  # of those given: the ones that show the face largest and straightest


@dataclass(frozen=True)
class Shot:
    """One frame and the person in it."""

    portrait: Portrait
    person: Person

    @property
    def points(self) -> Tensor:
        """The face's landmarks (478, 3), pixels."""
        return torch.from_numpy(self.person.face.points).double()


class SeeClip:
    """Frames of a clip -> the subject as one of them shows it, shape and camera told by several."""

    def __init__(self, body: Body, face: FaceChoice = "largest", steps: int = 8, name: str = "clip") -> None:
        self.body, self.face, self.steps, self.name = body, face, steps, name
        self.marks = markers(body)
        self.field = field_of(body, self.marks)

    def __call__(self, frames: Sequence[Portrait]) -> Subject:
        """UserError when no frame shows a face."""
        found = [(frame, detect(pixels(frame))) for frame in frames]
        chosen = [(frame, choose(faces, self.face, self.name)) for frame, faces in found if faces]
        if not chosen:
            raise UserError(f"No face was found in {self.name}: use a clip in which one face is seen from the front.")
        best = sorted(chosen, key=lambda pair: straightness(pair[1]), reverse=True)[:KEYFRAMES]
        shots = [Shot(frame, shown_by(self.body, person_of(pixels(frame), face))) for frame, face in best]
        shots[1:] = [Shot(s.portrait, replace(s.person, left_hand=None, right_hand=None)) for s in shots[1:]]
        return with_matte(shared_fit(self.body, self.marks, self.field, shots, self.steps), self.body)


def pixels(frame: Portrait) -> NDArray:
    """(h, w, 3) uint8."""
    return frame.image.permute(1, 2, 0).contiguous().numpy()


def straightness(face: Face) -> float:
    """Of a face that looks at the viewer: the distance of its eyes in pixels; less when it turns away."""
    across = face.points[263] - face.points[33]
    return float(eye_distance(torch.from_numpy(face.points)) * np.hypot(*across[:2]) / np.linalg.norm(across))


def shared_fit(body: Body, marks: Markers, field: HeadField, shots: list[Shot], steps: int) -> Subject:
    """The subject as the first shot shows it; betas, focal length and offsets explain all shots."""
    closed = markers(personal(body, offsets_of(field, closed_lips(marks))))
    problems = [problem_of(closed, shot.person, _size(shot)) for shot in shots]
    fits = [stages(problems[0], start_of(problems[0], shots[0].person), steps)]
    for problem, shot in zip(problems[1:], shots[1:]):
        start = start_of(problem, shot.person)
        known = start._replace(betas=fits[0].betas, focal=fits[0].focal)
        fits.append(stages(problem, known, steps // 2))
    betas, focal = (torch.stack([getattr(fit, name) for fit in fits]).mean(0) for name in ("betas", "focal"))
    fits = [fit._replace(betas=betas, focal=focal) for fit in fits]
    free = unpack(torch.ones_like(pack(fits[0])), body)._replace(betas=0 * betas, focal=0 * focal)
    offsets = offsets_of(field, closed_lips(marks))
    for _ in range(2):
        fits = [solve(problem, fit, free, SHARED_STEPS) for problem, fit in zip(problems, fits)]
        offsets = _offsets(marks, field, problems, fits, shots)
        problems = [replace(problem, marks=markers(personal(body, offsets))) for problem in problems]
    return replace(subject_of(problems[0], fits[0], shots[0].portrait), offsets=offsets)


def _size(shot: Shot) -> tuple[int, int]:
    return shot.portrait.image.shape[1], shot.portrait.image.shape[2]


def _offsets(
    marks: Markers, field: HeadField, problems: list[Problem], fits: list[Unknowns], shots: list[Shot]
) -> Tensor:
    """The offsets that explain what is left in all shots."""
    seen = [
        seen_landmarks(marks, shot.points, posture_of(problem, fit))
        for problem, fit, shot in zip(problems, fits, shots)
    ]
    return offsets_of(field, joined(closed_lips(marks), *seen))


def refined(subject: Subject, body: Body, landmarks: NDArray) -> Subject:
    """The subject with the personal offsets that explain landmarks (t, 478, 3) of many frames, nan where none are seen.

    They are what the clip is followed by, so that whatever differs in them from landmarks of single pictures is told
    too. The subject's own picture is explained anew. Without any face the subject stays.
    """
    seen = landmarks[np.isfinite(landmarks[:, 0, 0])]
    marks, rows = markers(body), seen[np.linspace(0, len(seen) - 1, min(len(seen), LEARNED)).round().astype(int)]
    faces = detect(pixels(subject.portrait))
    if not len(rows) or not faces:
        return subject
    field, frames = field_of(body, marks), torch.from_numpy(rows).double()
    for _ in range(ROUNDS):
        told = [
            seen_landmarks(marks, points, posture)
            for points, posture in zip(frames, postures(rows, speaker_of(subject, body)))
        ]
        subject = replace(subject, offsets=offsets_of(field, joined(closed_lips(marks), *told)))
    own = nearest(faces, place_of(subject, body)).points[None]
    _, rotations, expression, translation, _ = next(postures(own, speaker_of(subject, body)))
    return replace(
        subject,
        rotations=rotations[0].float(),
        expression=expression[0].float(),
        translation=translation[0].float(),
    )


def postures(rows: NDArray, speaker: Speaker) -> Iterator[Posture]:
    """Each row of landmarks (t, 478, 3) explained by itself."""
    clip = window_of(rows, speaker)
    state = solve_window(clip, start_of_window(clip, rows), UNRELATED)
    turns = axis_angle_to_matrix(state.angles(speaker.rest))
    for i in range(len(rows)):
        frame = (turns[i, None], state.expression[i, None], state.translation[i, None])
        yield Posture(speaker.betas, *frame, speaker.camera)


def place_of(subject: Subject, body: Body) -> Box:
    """The box around the fitted face, pixels."""
    points = pose_subject(subject, body)[body.faces[body.mp_faces[:468].clamp(min=0)][:, 0]]
    return bounds(project(points, subject.intrinsics).numpy())

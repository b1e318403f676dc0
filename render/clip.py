"""Who speaks in a clip: one shape, camera and personal offsets from a few of its frames, before it is tracked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
from render.landmarks import Face, FaceChoice, Person, choose, detect, person_of
from render.personal import closed_lips, field_of, joined, offsets_of, seen_landmarks
from render.surface import HeadField
from vlogger.body.smplx import Body, personal
from vlogger.errors import UserError
from vlogger.types import Portrait, Subject

SHARED_STEPS = 6
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
        return shared_fit(self.body, self.marks, self.field, shots, self.steps)


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
    fits = [stages(p, start_of(p, shot.person), steps) for p, shot in zip(problems, shots)]
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

"""Follow a speaking face through a clip: one shape and one camera, a `Motion` of head, eyes and expression.

Every frame's landmarks are explained by expression, neck, head, gaze and translation; neighbouring frames are held
together by a penalty on differences, which also bridges the frames in which no face was found (the paper's fit: section
3, reprojection error and differences between frames). A clip is solved whole or, as a stream, a window at a time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.align import ClipAligner, StreamAligner
from render.evidence import Markers, markers
from render.fit import (
    problem_of,
    stages,
    start_of,
)
from render.landmarks import Face, Person, bounds
from render.window import (
    Speaker,
    State,
    Window,
    eyes_apart,
    motion_of,
    residual_length,
    solve_window,
    start_of_window,
    unknown_speaker,
    window_of,
)
from vlogger.body.smplx import Body
from vlogger.errors import UserError
from vlogger.types import Motion

ROUNDS = 2  # how often the skin of a whole clip is laid anew; streams do with one, a tenth of a decibel less
WINDOW, OVERLAP = 48, 12  # frames that are solved together, of which the last are solved again with those to come


@dataclass(frozen=True)
class Track:
    """One clip. `error` (t,): mean distance of the landmarks over that of the eyes, nan where `missing` (t,).

    `eyes` (t,): that distance of the eyes, pixels; None where a track does not come from a clip.
    """

    motion: Motion
    betas: Tensor
    intrinsics: Tensor
    error: Tensor
    missing: Tensor
    eyes: Tensor | None = None


def fit_clip(
    landmarks: NDArray,
    size: tuple[int, int],
    body: Body,
    fps: float,
    betas: Tensor | None = None,
    align: ClipAligner | None = None,
) -> Track:
    """Landmarks (t, 478, 3) in pixels of frames (h, w), rows of nan where there is no face -> the track.

    `betas`: the speaker's shape where it is known (`shape_of`). `align`: lays the face onto the pictures by its skin.
    The camera has the focal length that `render.fit` assumes where nothing else is known. UserError when there is no
    face in any frame.
    """
    if not np.isfinite(landmarks[:, 0, 0]).any():
        raise UserError("No face was found in any frame of the clip: use one in which the speaker's face is seen.")
    betas = shape_of([landmarks], size, markers(body)) if betas is None else betas
    clip = window_of(landmarks, unknown_speaker(body, betas, size))
    state = solve_window(clip, start_of_window(clip, landmarks), fps)
    for aligner in ROUNDS * [align] if align else []:
        state = solve_window(aligner(clip, state), state, fps)
    return _track_of(clip, state, fps)


def track_stream(
    rows: Iterable[NDArray],
    speaker: Speaker,
    fps: float,
    window: int = WINDOW,
    overlap: int = OVERLAP,
    align: StreamAligner | None = None,
) -> Iterator[Track]:
    """Landmarks (478, 3) of one frame after the other, nan where there is no face -> tracks that follow each other.

    `window` frames are solved together; the last `overlap` of them only help those before and are solved again, held to
    the last frame that was handed out. Frames before the first face are as that one. `align`: has the pictures of these
    rows, and lays the face onto them by its skin. UserError when there is no face.
    """
    kept, early, anchor = [], 0, None
    for row, is_last in _and_whether_last(rows):
        kept.append(row)
        if len(kept) < window and not is_last:
            continue
        done = len(kept) if is_last else window - overlap
        landmarks = np.stack(kept)
        kept = kept[done:]
        if anchor is None and not np.isfinite(landmarks[:, 0, 0]).any():
            early += done
            if align is not None:
                align.handed_out(done)
            continue
        clip = window_of(landmarks, speaker)
        state = solve_window(clip, start_of_window(clip, landmarks, anchor), fps, anchor)
        if align is not None:
            state = solve_window(align(clip, state), state, fps, anchor)
            align.handed_out(done)
        anchor = state.values[done - 1]
        yield _headed(_picked(_track_of(clip, state, fps), torch.arange(done)), early)
        early = 0
    if anchor is None:
        raise UserError("No face was found in any frame of the clip: use one in which the speaker's face is seen.")


def _and_whether_last(rows: Iterable[NDArray]) -> Iterator[tuple[NDArray, bool]]:
    """Each row, and whether no other comes."""
    iterator = iter(rows)
    row = next(iterator, None)
    while row is not None:
        after = next(iterator, None)
        yield row, after is None
        row = after


def _picked(track: Track, frames: Tensor) -> Track:
    """These frames (k,) of a track, by number."""
    motion = track.motion
    moved = Motion(motion.rotations[frames], motion.expression[frames], motion.translation[frames], motion.fps)
    eyes = None if track.eyes is None else track.eyes[frames]
    return replace(track, motion=moved, error=track.error[frames], missing=track.missing[frames], eyes=eyes)


def _headed(track: Track, early: int) -> Track:
    """The track after `early` missing frames that are as its first."""
    frames = torch.cat([torch.zeros(early, dtype=torch.long), torch.arange(len(track.motion))])
    longer, unseen = _picked(track, frames), torch.arange(len(frames)) < early
    error = torch.where(unseen, torch.nan, longer.error)
    return replace(longer, error=error, missing=longer.missing | unseen)


def _track_of(clip: Window, state: State, fps: float) -> Track:
    """The values that others read."""
    return Track(
        motion_of(clip, state, fps),
        clip.speaker.betas.float(),
        clip.speaker.camera.float(),
        torch.where(clip.missing, torch.nan, residual_length(clip, state)).float(),
        clip.missing,
        eyes_apart(clip).float(),
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

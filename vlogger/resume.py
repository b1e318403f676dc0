"""A video in segments: what is finished outlasts an interruption, and the same command goes on from there.

Every video is encoded in segments of `SEGMENT` frames, each by a fresh encoder, interrupted or not: so a resumed video
has the bytes of one that was made in one go. Beside the segments lies the `Point` from which the painter goes on.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from shutil import rmtree
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from vlogger.errors import UserError
from vlogger.io import disk_errors
from vlogger.io_video import write_video
from vlogger.pipeline import Vlogger
from vlogger.stages import ControlSequence, ControlsToVideo, Upscale
from vlogger.types import Video

SEGMENT = 240  # frames; of its own accord x264 would begin anew after 250
TAIL = 32  # frames of the painter that are kept: more than a window of it, or a group of the sharpener, looks back
POINT = "point.npz"
log = logging.getLogger(__name__)


@runtime_checkable
class PaintsOn(Protocol):
    """A painter that can begin at frame `start`, the end of one of its clips, after the frames `painted`."""

    def going_on(self, start: int, painted: Tensor) -> ControlsToVideo: ...


@runtime_checkable
class SharpensOn(Protocol):
    """A sharpener for a video whose first clip begins with frame `start`, after the small frames `painted`."""

    def going_on(self, start: int, painted: Tensor) -> Upscale: ...


@dataclass(frozen=True)
class Point:
    """Finished segments; the painter goes on at frame `start`, not after them; `painted` (n 3 h w uint8): the frames
    before `start`."""

    segments: int = 0
    start: int = 0
    painted: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))

    @property
    def finished(self) -> int:
        """Frames in the segments."""
        return self.segments * SEGMENT


def key_of(facts: Mapping[str, object]) -> str:
    """SHA-256 of everything that decides about the bytes of a video."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@contextmanager
def work_folder(out: Path, key: str | None) -> Iterator[Path]:
    """A hidden folder beside `out`. It keeps what an earlier run with the same key has left there.

    Interrupted with at least one segment finished, it stays for the next run; else it is removed: at the end, after an
    error of the user's (`UserError`), and always if `key` is None.
    """
    folder = out.with_name(f".{out.name}.part")
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    with alone(folder, out):
        sweep(out)
        if key is None or not (folder / "key").exists() or (folder / "key").read_text() != key:
            cleared(folder, key or "")
        try:
            yield folder
        except UserError:
            rmtree(folder)
            raise
        except BaseException:
            if key is None or not (folder / POINT).exists():
                rmtree(folder)
            else:
                log.warning("What is finished of %s is kept in %s; the same command goes on from there.", out, folder)
            raise
        rmtree(folder)


@contextmanager
def alone(folder: Path, out: Path) -> Iterator[None]:
    """No two runs write the same video; the lock ends with the process, however that ends."""
    with disk_errors(folder):
        lock = (folder / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another run is making {out}; wait for it, or choose another out=") from error
        yield


def sweep(out: Path) -> None:
    """Remove what killed runs of the same video have left of `vlogger.io.whole`."""
    for file in out.parent.iterdir():
        match = re.fullmatch(rf"\.{re.escape(out.stem)}\.(\d+)\.part\.(mp4|json)", file.name)
        if match and int(match[1]) != os.getpid():
            file.unlink(missing_ok=True)


def cleared(folder: Path, key: str) -> None:
    """Nothing but the lock and a new key."""
    for file in folder.iterdir():
        if file.name != "lock":
            file.unlink()
    with disk_errors(folder):
        (folder / "key").write_text(key)


def read_point(folder: Path) -> Point:
    """Where an earlier run has come to."""
    if not (folder / POINT).exists():
        return Point()
    with np.load(folder / POINT) as file:
        return Point(int(file["segments"]), int(file["start"]), torch.from_numpy(file["painted"]))


def going_on(vlogger: Vlogger, point: Point) -> tuple[Vlogger, Point]:
    """The pipeline from the point on. Stages that cannot begin midway begin anew: slower, the same bytes."""
    video, superres = vlogger.video, vlogger.superres
    if not (point.start and isinstance(video, PaintsOn) and isinstance(superres, SharpensOn)):
        return vlogger, Point(point.segments)
    before = (point.start, point.painted)
    stages = {"video": video.going_on(*before), "superres": superres.going_on(*before)}
    return replace(vlogger, **stages), point


class Remembering:
    """A painter whose last clips' ends are remembered, and the frames before them."""

    def __init__(self, stage: ControlsToVideo, point: Point):
        self.stage, self.ends = stage, [(point.start, point.painted)]

    def __call__(self, controls: ControlSequence, *, generator: torch.Generator) -> Iterator[Video]:
        for clip in self.stage(controls, generator=generator):
            start, painted = self.ends[-1]
            tail = torch.cat([painted, clip.frames])[-TAIL:]
            self.ends = [self.ends[-1], (start + len(clip), tail)]
            yield clip

    def point(self, segments: int) -> Point:
        """The last end that is not after the finished segments; the beginning, if the stages read farther ahead."""
        ends = [end for end in self.ends if end[0] <= segments * SEGMENT]
        return Point(segments, *ends[-1]) if ends else Point(segments)


def write_segments(folder: Path, clips: Iterable[Video], begin: Point, painter: Remembering) -> list[Path]:
    """Encode clips, the first of which begins at frame `begin.start`; returns the files of all segments, in order."""
    number = begin.segments - 1
    for number, parts in groupby(cut(clips, begin), itemgetter(0)):
        write_video(folder / "segment.part", (part for _, part in parts), None)
        settle(folder / "segment.part", folder / segment_name(number))
        save_point(folder, painter.point(number + 1))
    return [folder / segment_name(index) for index in range(number + 1)]


def segment_name(number: int) -> str:
    return f"{number:06}.mp4"


def cut(clips: Iterable[Video], begin: Point) -> Iterator[tuple[int, Video]]:
    """Clips cut where segments end, each with its segment's number; without the frames of finished segments."""
    first = begin.start
    for clip in clips:
        place = max(begin.finished, first)
        while place < first + len(clip):
            end = min(first + len(clip), (place // SEGMENT + 1) * SEGMENT)
            yield place // SEGMENT, Video(clip.frames[place - first : end - first], clip.fps)
            place = end
        first += len(clip)


def save_point(folder: Path, point: Point) -> None:
    """Whole or not at all."""
    with disk_errors(folder):
        with (folder / "point.part").open("wb") as file:
            np.savez(file, segments=point.segments, start=point.start, painted=point.painted.numpy())
        settle(folder / "point.part", folder / POINT)


def settle(part: Path, path: Path) -> None:
    """Give a finished file its name, and make sure that it is on the disk."""
    with disk_errors(path):
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)

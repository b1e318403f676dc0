"""Stages that are files: what another run saved, or what a person or another program wrote."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vlogger.body.skeleton import JOINTS
from vlogger.body.smplx import Body
from vlogger.errors import UserError
from vlogger.io_values import StoredControls, load_motion, load_subject, save_controls, save_motion, save_subject
from vlogger.io_video import load_video, saved
from vlogger.stages import AudioToMotion, ControlSequence, ControlsToVideo, MotionToControls, PortraitToSubject, Upscale
from vlogger.types import Audio, Motion, Portrait, Subject, Video, frame_count


class FileSubject:
    """See, from a file: the saved body. The portrait may be another picture of the same size (a retouched one)."""

    def __init__(self, path: str | Path):
        self.path, self.subject = path, load_subject(path)

    @property
    def portrait(self) -> Portrait:
        """The photo in the file."""
        return self.subject.portrait

    def __call__(self, portrait: Portrait) -> Subject:
        if portrait.image.shape != self.portrait.image.shape:
            (height, width), (h, w) = self.portrait.image.shape[1:], portrait.image.shape[1:]
            raise UserError(
                f"{self.path} was fitted to a photo of {width} x {height} pixels, image= has {w} x {h}; "
                f"leave image= out"
            )
        return replace(self.subject, portrait=Portrait(portrait.image, self.portrait.matte))


class FileMotion:
    """Hear, from a file: the saved motion; the sound only has to last as long. Empty sound means a silent video."""

    def __init__(self, path: str | Path, body: Body):
        self.path = path
        self.motion, names = load_motion(path)
        known = tuple(body.expression_names)
        if self.motion.expression.shape[1] != len(known) or (names and names != known):
            raise UserError(f"{path} moves other expressions than this body has; use the body= that it was made with")

    def __call__(self, audio: Audio, subject: Subject, *, generator: torch.Generator) -> Motion:
        wanted = frame_count(audio.duration, self.motion.fps)
        if len(audio.samples) and wanted != len(self.motion):
            raise UserError(
                f"{self.path} has {len(self.motion)} frames at {self.motion.fps:g} per second, the sound lasts "
                f"{wanted}; give sound of {len(self.motion) / self.motion.fps:.2f} s or none"
            )
        return self.motion


class FileControls:
    """Draw, from a file: saved controls, read a window at a time."""

    def __init__(self, path: str | Path):
        self.path = path

    def __call__(self, motion: Motion, subject: Subject, *, size: int) -> ControlSequence:
        controls = StoredControls(self.path, size)
        if len(controls) != len(motion):
            raise UserError(f"{self.path} has {len(controls)} frames, the motion {len(motion)}; they must be the same")
        return controls


class FileVideo:
    """Paint, from a file: any video of the right size and number of frames."""

    def __init__(self, path: str | Path):
        self.path = path

    def __call__(self, controls: ControlSequence, *, generator: torch.Generator) -> Iterator[Video]:
        return fitting(self.path, controls)


class FileUpscale:
    """Sharpen, from a file: any video of the right size and number of frames; the small video is not even painted."""

    reads_maps = False

    def __init__(self, path: str | Path):
        self.path = path

    def __call__(
        self, video: Iterable[Video], controls: ControlSequence, *, generator: torch.Generator
    ) -> Iterator[Video]:
        return fitting(self.path, controls)


def fitting(path: str | Path, controls: ControlSequence) -> Iterator[Video]:
    """The clips of a video file that has the size and the number of frames of the controls."""
    count = 0
    for clip in load_video(path):
        height, width = clip.frames.shape[-2:]
        if (height, width) != (controls.size, controls.size):
            raise UserError(f"{path} is {width} x {height} pixels; this stage needs {controls.size} x {controls.size}")
        count += len(clip)
        if count > len(controls):
            break
        yield Video(clip.frames, controls.fps)
    if count != len(controls):
        found = f"more than {len(controls)}" if count > len(controls) else str(count)
        raise UserError(f"{path} has {found} frames; this stage needs {len(controls)}")


@dataclass(frozen=True)
class SaveSubject:
    """A See stage whose result is also written to a file."""

    stage: PortraitToSubject
    path: Path

    def __call__(self, portrait: Portrait) -> Subject:
        subject = self.stage(portrait)
        save_subject(self.path, subject)
        return subject


@dataclass(frozen=True)
class SaveMotion:
    """A Hear stage whose result is also written to a file."""

    stage: AudioToMotion
    path: Path
    expression_names: tuple[str, ...]

    def __call__(self, audio: Audio, subject: Subject, *, generator: torch.Generator) -> Motion:
        motion = self.stage(audio, subject, generator=generator)
        save_motion(self.path, motion, JOINTS, self.expression_names)
        return motion


@dataclass(frozen=True)
class SaveControls:
    """A Draw stage whose results, one for each size, are written to a file and read back from there."""

    stage: MotionToControls
    path: Path

    def __call__(self, motion: Motion, subject: Subject, *, size: int) -> ControlSequence:
        save_controls(self.path, self.stage(motion, subject, size=size))
        return StoredControls(self.path, size)


@dataclass(frozen=True)
class SaveVideo:
    """A Paint stage whose clips are also written to a lossless file."""

    stage: ControlsToVideo
    path: Path

    def __call__(self, controls: ControlSequence, *, generator: torch.Generator) -> Iterator[Video]:
        return saved(self.path, self.stage(controls, generator=generator))


@dataclass(frozen=True)
class SaveUpscale:
    """A Sharpen stage whose clips are also written to a lossless file."""

    stage: Upscale
    path: Path

    def __call__(
        self, video: Iterable[Video], controls: ControlSequence, *, generator: torch.Generator
    ) -> Iterator[Video]:
        return saved(self.path, self.stage(video, controls, generator=generator))

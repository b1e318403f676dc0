"""What the person who waits sees: a bar for each stage, and where the time went."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

import torch
from tqdm import tqdm

from vlogger.stages import (
    AudioToMotion,
    ControlSequence,
    ControlsToVideo,
    MotionToControls,
    PortraitToSubject,
    Upscale,
    without_maps,
)
from vlogger.types import Audio, Controls, Motion, Portrait, Subject, Video


class Clock:
    """Seconds spent in each named activity, told by `now`; what runs inside another counts for itself only."""

    def __init__(self, now: Callable[[], float] = perf_counter):
        self.seconds: dict[str, float] = {}
        self.running: list[str] = []
        self.now = now
        self.since = now()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.charge()
        self.running.append(name)
        try:
            yield
        finally:
            self.charge()
            self.running.pop()

    def charge(self) -> None:
        """Book the time since the last change on what was running."""
        now = self.now()
        if self.running:
            name = self.running[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self.since
        self.since = now


class Progress:
    """Stages with a clock and a bar around them; otherwise they do what they did."""

    def __init__(self):
        self.clock = Clock()
        self.start = 0
        """Frames that an earlier run has finished."""

    def bar(self, name: str, total: int, unit: str = "frame") -> tqdm:
        return tqdm(total=total, desc=f"{name:>8}", unit=unit, file=sys.stderr, mininterval=0.5, dynamic_ncols=True)

    def follow(self, name: str, total: int, clips: Iterator[Video]) -> Iterator[Video]:
        """The same clips, timed and counted."""
        with self.bar(name, total) as bar:
            bar.update(self.start)
            while True:
                with self.clock(name):
                    clip = next(clips, None)
                if clip is None:
                    return
                bar.update(len(clip))
                yield clip

    def see(self, stage: PortraitToSubject) -> PortraitToSubject:
        def watched(portrait: Portrait) -> Subject:
            with self.clock("see"), self.bar("see", 1, "photo") as bar:
                subject = stage(portrait)
                bar.update(1)
            return subject

        return watched

    def hear(self, stage: AudioToMotion) -> AudioToMotion:
        def watched(audio: Audio, subject: Subject, *, generator: torch.Generator) -> Motion:
            with self.clock("hear"), self.bar("hear", 1, "motion") as bar:
                motion = stage(audio, subject, generator=generator)
                bar.update(1)
            return motion

        return watched

    def draw(self, stage: MotionToControls) -> MotionToControls:
        def watched(motion: Motion, subject: Subject, *, size: int) -> ControlSequence:
            with self.clock("draw"):
                return TimedControls(stage(motion, subject, size=size), self.clock)

        return watched

    def paint(self, stage: ControlsToVideo) -> ControlsToVideo:
        def watched(controls: ControlSequence, *, generator: torch.Generator) -> Iterator[Video]:
            return self.follow("paint", len(controls), stage(controls, generator=generator))

        return watched

    def sharpen(self, stage: Upscale) -> Upscale:
        def watched(
            video: Iterable[Video], controls: ControlSequence, *, generator: torch.Generator
        ) -> Iterator[Video]:
            return self.follow("sharpen", len(controls), stage(video, controls, generator=generator))

        return watched


class TimedControls:
    """A sequence of controls whose rendering is booked as "draw"."""

    def __init__(self, controls: ControlSequence, clock: Clock):
        self.controls, self.clock, self.fps, self.size = controls, clock, controls.fps, controls.size
        self.photo, self.reference = controls.photo, controls.reference

    def __len__(self) -> int:
        return len(self.controls)

    def __getitem__(self, frames: slice) -> Controls:
        with self.clock("draw"):
            return self.controls[frames]

    def without_maps(self) -> "TimedControls":
        return TimedControls(without_maps(self.controls), self.clock)

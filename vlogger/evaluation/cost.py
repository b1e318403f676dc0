"""What a video costs: CPU seconds by stage, and until the first frames are there."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import process_time
from typing import Any

import torch
from tqdm import tqdm

from vlogger.pipeline import Vlogger
from vlogger.progress import Clock, Progress
from vlogger.types import Audio, Motion, Portrait, Subject, Video


class Quiet(Progress):
    """The stages' clock without bars, in CPU seconds: other work on the machine does not count."""

    def __init__(self):
        super().__init__()
        self.clock = Clock(process_time)

    def bar(self, name: str, total: int, unit: str = "frame") -> tqdm:
        return tqdm(total=total, disable=True)


@dataclass
class Kept:
    """A stage that remembers what it made last."""

    stage: Any
    value: Any = None

    def __call__(self, *inputs: Any, **more: Any) -> Any:
        self.value = self.stage(*inputs, **more)
        return self.value


@dataclass(frozen=True)
class Made:
    """A made video, what passed on its way, and its cost in CPU seconds."""

    frames: torch.Tensor
    subject: Subject
    motion: Motion
    seconds: dict[str, float] = field(default_factory=dict)
    first_frame: float = float("nan")

    @property
    def seconds_per_second(self) -> float:
        """All stages, over the length of the video."""
        return sum(self.seconds.values()) / (len(self.frames) / self.motion.fps)


def made(vlogger: Vlogger, portrait: Portrait, audio: Audio, size: int, seed: int) -> Made:
    """The whole road, watched."""
    progress, begin = Quiet(), process_time()
    subject, motion = Kept(vlogger.subject), Kept(vlogger.motion)
    watched = replace(
        vlogger,
        subject=progress.see(subject),
        motion=progress.hear(motion),
        render=progress.draw(vlogger.render),
        video=progress.paint(vlogger.video),
        superres=progress.sharpen(vlogger.superres),
    )
    clips = watched(portrait, audio, size=size, seed=seed)
    first = next(clips)
    waited = process_time() - begin
    frames = torch.cat([first.frames, *(clip.frames for clip in clips)])
    return Made(frames, subject.value, motion.value, dict(progress.clock.seconds), waited)


def counted(clips: Iterator[Video]) -> int:
    """The number of frames; nothing is kept."""
    return sum(len(clip) for clip in clips)


def repeated(audio: Audio, seconds: float) -> Audio:
    """The sound over and over until it lasts so long."""
    count = round(seconds * audio.sample_rate)
    times = -(-count // max(1, len(audio.samples)))
    return Audio(audio.samples.repeat(times)[:count], audio.sample_rate)

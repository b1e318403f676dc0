"""Small, honest stages for tests of the road: `--config-dir tests/tiny` with this folder on PYTHONPATH."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from vlogger.body.skeleton import JOINTS, joint_index
from vlogger.body.smplx import Body, pose
from vlogger.pixels import resize
from vlogger.stages import ControlSequence
from vlogger.types import Audio, Controls, Motion, Portrait, Subject, Video, frame_count


@dataclass(frozen=True)
class Standing:
    """See: the template body, its head in the middle of the picture, `distance` metres away."""

    body: Body
    distance: float = 0.95

    def __call__(self, portrait: Portrait) -> Subject:
        height, width = portrait.image.shape[1:]
        focal = 2.0 * min(height, width)
        rotations = torch.eye(3).expand(len(JOINTS), 3, 3)
        betas, expression = torch.zeros(self.body.shapedirs.shape[-1]), torch.zeros(self.body.exprdirs.shape[-1])
        joints = pose(self.body, betas, rotations[None], expression[None], torch.zeros(1, 3)).joints[0]
        translation = -joints[joint_index("head")] + torch.tensor([0.0, 0.0, -self.distance])
        intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
        return Subject(portrait, betas, rotations, expression, translation, intrinsics)


@dataclass(frozen=True)
class LoudJaw:
    """Hear: the louder, the wider the jaw; with a little chance in it."""

    body: Body
    fps: float

    def __call__(self, audio: Audio, subject: Subject, *, generator: torch.Generator) -> Motion:
        frames = frame_count(audio.duration, self.fps)
        loud = torch.stack([block.square().mean().sqrt() for block in audio.samples.tensor_split(frames)])
        expression = subject.expression.repeat(frames, 1)
        expression[:, self.body.expression_names.index("jawOpen")] = loud / loud.max()
        expression += 0.01 * torch.randn(frames, 1, generator=generator)
        rotations = subject.rotations.repeat(frames, 1, 1, 1)
        return Motion(rotations, expression, subject.translation.repeat(frames, 1), self.fps)


@dataclass(frozen=True)
class Flat:
    """Draw: the photo as it is, to be repainted in the middle square."""

    def __call__(self, motion: Motion, subject: Subject, *, size: int) -> ControlSequence:
        return FlatControls(len(motion), motion.fps, resize(subject.portrait.image, size, size).float() / 255)


class FlatControls:
    """The photo in every frame; `moved` is 1 in the middle half of the square."""

    def __init__(self, frames: int, fps: float, photo: torch.Tensor):
        self.frames, self.fps, self.photo, self.size = frames, fps, photo, photo.shape[-1]
        self.reference = self.draw(1)
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, frames: slice) -> Controls:
        start, stop, _ = frames.indices(self.frames)
        self.asked.append((start, stop))
        return self.draw(stop - start)

    def draw(self, t: int) -> Controls:
        s = self.size
        one = torch.zeros(t, 1, s, s)
        one[..., s // 4 : 3 * s // 4, s // 4 : 3 * s // 4] = 1
        surface, parts = torch.zeros(t, 3, s, s), torch.zeros(t, 12, s, s)
        return Controls(surface, parts, self.photo.repeat(t, 1, 1, 1), one, one, self.fps)


@dataclass(frozen=True)
class PaintWarped:
    """Paint: the warped photo, with a little noise, `clip` frames at a time."""

    clip: int = 5

    def __call__(self, controls: ControlSequence, *, generator: torch.Generator) -> Iterator[Video]:
        for start in range(0, len(controls), self.clip):
            warped = controls[start : start + self.clip].warped
            noisy = warped + 0.02 * torch.randn(warped.shape, generator=generator)
            yield Video((noisy * 255).round().clamp(0, 255).to(torch.uint8), controls.fps)


@dataclass(frozen=True)
class Enlarge:
    """Sharpen: bicubic."""

    def __call__(
        self, video: Iterable[Video], controls: ControlSequence, *, generator: torch.Generator
    ) -> Iterator[Video]:
        for clip in video:
            yield Video(resize(clip.frames, controls.size, controls.size), clip.fps)

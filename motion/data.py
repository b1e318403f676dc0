"""Batches of speech and motion: random stretches of random recordings, at random speed, rate and acoustics."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import COLUMNS_PER_SECOND, frame_times, mel_power, normalise, opening_level, resample, windows
from motion.augment import augment, mask_bins, uniform
from motion.clips import Clip, load_clips
from motion.features import MOUTH, FeatureSpace, mirror
from vlogger.diffusion.batch import Batch

LEAD = 3.0  # seconds of sound before a stretch, from which the level is known
OUTSIDE = 0.6  # seconds by which a stretch may begin before its recording or end after it
PAST_NOISE = 0.1  # of the known frames, scaled: what is continued is never perfect


@dataclass(frozen=True)
class Recording:
    """A clip with its mel power at one speed: `speed` 1.1 is a tenth faster and higher."""

    clip: Clip
    speed: float
    power: Tensor  # (c, 80)

    @property
    def duration(self) -> float:
        return self.clip.duration / self.speed

    def covers(self, times: Tensor) -> Tensor:
        """(t, 1) 1.0 at the moments at which the recording lasts."""
        return ((times >= 0) & (times <= self.duration)).float()[:, None]

    def stretch(self, space: FeatureSpace, reference: int, times: Tensor) -> Tensor:
        """Features (t, d) at moments (t,); before the first and after the last frame they stand still."""
        return interpolate(self.clip.features(space, reference), times * self.speed * self.clip.motion.fps)


@dataclass(frozen=True)
class Stretch:
    """One row of a batch: sound around each frame, features, and how much each counts."""

    audio: Tensor  # (t, 25 * 80)
    features: Tensor  # (t, d)
    weight: Tensor  # (t, d)


def interpolate(values: Tensor, place: Tensor) -> Tensor:
    """(n, d) samples taken at 0.5, 1.5, … -> (t, d) at the places (t,), linearly, constant beyond the ends."""
    place = (place - 0.5).clamp(0, len(values) - 1)
    left = place.floor().long().clamp(max=max(0, len(values) - 2))
    right = (left + 1).clamp(max=len(values) - 1)
    return torch.lerp(values[left], values[right], (place - left).float()[:, None])


def record(clip: Clip, speed: float) -> Recording:
    """The clip played at another speed, like a tape."""
    return Recording(clip, speed, mel_power(resample(clip.samples, round(clip.sample_rate * speed))))


def pick(count: int, generator: torch.Generator) -> int:
    """One of 0 … count - 1."""
    return int(torch.randint(count, (), generator=generator))


def split(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """To train on, and every 20th of each kind to validate on; all of them when there are too few."""
    kinds = ([clip for clip in clips if clip.spoken == spoken] for spoken in (False, True))
    numbered = [(number, clip) for kind in kinds for number, clip in enumerate(kind)]
    held = [clip for number, clip in numbered if number % 20 == 19]
    return [clip for number, clip in numbered if number % 20 != 19], held or clips


def cut(power: Tensor, start: float, seconds: float) -> Tensor:
    """Mel power from `start` on for `seconds`, nothing (0) outside the recording."""
    first, last = round(start * COLUMNS_PER_SECOND), round((start + seconds) * COLUMNS_PER_SECOND)
    before, after = max(0, -first), max(0, last - len(power))
    return F.pad(power[max(0, first) : max(0, last)], (0, 0, before, after))[: last - first]


class SpeechMotion:
    """The task of the motion network: batches of `size` stretches of `shortest` to `longest` frames.

    Tracked and spoken recordings are drawn with equal chance when there are both (`spoken` sets the share). Every
    20th clip of each is kept for validation. What spoken recordings do not tell, pose and upper face, is borrowed from
    a random tracked one: heads move and eyes blink for every voice, if not because of what it says, and nothing but the
    sound tells the two kinds apart.
    """

    def __init__(
        self,
        data: str,
        space: FeatureSpace,
        size: int = 16,
        shortest: int = 40,
        longest: int = 110,
        spoken: float = 0.5,
        speeds: Sequence[float] = (0.9, 1.0, 1.1),
        fps: tuple[float, float] = (20.0, 30.0),
    ):
        self.space, self.size, self.lengths, self.spoken, self.fps = space, size, (shortest, longest), spoken, fps
        trained, held = split(load_clips(data))
        self.recordings = [record(clip, speed) for clip in trained for speed in speeds]
        self.held = [record(clip, 1.0) for clip in held]

    def batch(self, generator: torch.Generator) -> Batch:
        """A training batch: one length and one frame rate for all of its rows."""
        frames = self.lengths[0] + pick(self.lengths[1] - self.lengths[0] + 1, generator)
        fps = uniform(*self.fps, generator)
        chosen = [self.choose(self.recordings, generator) for _ in range(self.size)]
        return self.collate(
            [self.row(r, self.recordings, frames, fps, True, generator) for r in chosen], fps, generator
        )

    def validation(self) -> list[Batch]:
        """Held-out clips as they are, in batches of the same size."""
        generator, batches = torch.Generator().manual_seed(0), []
        for first in range(0, len(self.held), self.size):
            rows = [self.row(r, self.held, 75, 25.0, False, generator) for r in self.held[first : first + self.size]]
            batches.append(self.collate(rows, 25.0, generator))
        return batches

    def choose(self, recordings: list[Recording], generator: torch.Generator) -> Recording:
        """A recording of the kind whose turn it is."""
        spoken = uniform(0, 1, generator) < self.spoken
        kind = [r for r in recordings if r.clip.spoken == spoken] or recordings
        return kind[pick(len(kind), generator)]

    def row(
        self,
        recording: Recording,
        all_: list[Recording],
        frames: int,
        fps: float,
        change: bool,
        generator: torch.Generator,
    ) -> Stretch:
        """`frames` frames at `fps` of a recording from a random moment; `change`: with other acoustics."""
        slack = recording.duration - frames / fps
        start = uniform(-OUTSIDE, max(slack, 0) + OUTSIDE, generator)
        times = frame_times(frames, fps)
        features = recording.stretch(self.space, self.reference(recording, generator), times + start)
        weight = recording.clip.known(self.space) * torch.maximum(
            recording.covers(times + start), self.space.only(MOUTH)
        )
        if recording.clip.spoken:
            features, weight = self.borrow(features, weight, all_, times, generator)
        if change and uniform(0, 1, generator) < 0.5:
            features = mirror(self.space, features)
        return Stretch(self.sound(recording, start, frames / fps, times, change, generator), features, weight)

    def reference(self, recording: Recording, generator: torch.Generator) -> int:
        """The frame that plays the photo: the first or any."""
        return 0 if uniform(0, 1, generator) < 0.5 else pick(len(recording.clip.motion), generator)

    def borrow(
        self, features: Tensor, weight: Tensor, recordings: list[Recording], times: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The same mouth with the pose and the upper face of a random tracked recording, and what counts now."""
        tracked = [recording for recording in recordings if not recording.clip.spoken]
        if not tracked:
            return features, weight
        lender, mouth = tracked[pick(len(tracked), generator)], self.space.only(MOUTH) > 0
        times = times + uniform(0, max(lender.duration - float(times[-1]), 0), generator)
        lent = lender.stretch(self.space, self.reference(lender, generator), times)
        return torch.where(mouth, features, lent), torch.where(mouth, weight, lender.covers(times))

    def sound(
        self,
        recording: Recording,
        start: float,
        seconds: float,
        times: Tensor,
        change: bool,
        generator: torch.Generator,
    ) -> Tensor:
        """What is heard around each frame (t, 25 * 80)."""
        power = cut(recording.power, start - LEAD, LEAD + seconds + 1)
        power = augment(power, generator) if change else power
        mel = normalise(power, opening_level(power))
        return windows(mask_bins(mel, generator) if change else mel, times + LEAD)

    def collate(self, rows: list[Stretch], fps: float, generator: torch.Generator) -> Batch:
        """Rows to a batch; the first frames of each row, one to half of them, are given."""
        clean = torch.stack([row.features for row in rows])
        batch, frames, _ = clean.shape
        longest = torch.where(torch.rand(batch, generator=generator) < 0.5, 12, frames // 2)
        known = 1 + (torch.rand(batch, generator=generator) * longest).long()
        given = (torch.arange(frames) < known[:, None]).float()[..., None]
        noise = PAST_NOISE * torch.randn(clean.shape, generator=generator)
        condition = {
            "audio": torch.stack([row.audio for row in rows]),
            "time": (torch.arange(frames) / fps).expand(batch, frames),
            "past": (clean + noise) * given,
            "given": given,
        }
        return Batch(clean, condition, torch.stack([row.weight for row in rows]) * (1 - given))


def measured_scales(clips: list[Clip], space: FeatureSpace) -> dict[str, float]:
    """Root mean square of each feature of tracked clips around their first frame, for `FeatureSpace.scale`."""
    plain = FeatureSpace(space.joints, space.keep, {}, space.expressions)
    features = torch.cat([clip.features(plain, len(clip.motion) // 2) for clip in clips if not clip.spoken])
    return {name: round(float(value), 4) for name, value in zip(space.names, features.square().mean(0).sqrt())}

"""Batches of speech and motion: random stretches of random recordings, at random speed, rate and acoustics.

The mouth comes from the clips; pose, gaze, lids, brows and gestures come from chance processes tied to the speech
(`motion.habits`), because no recording here shows them well. When nobody speaks the mouth is at rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import COLUMNS_PER_SECOND, SAMPLE_RATE, around, frame_times, resample
from motion.augment import uniform
from motion.clips import SPOKEN_FPS, Clip, load_clips
from motion.ears import Ear
from motion.features import MOUTH, FeatureSpace, mirror
from motion.habits import RATE, habits, scene
from motion.prosody import Prosody, prosody
from vlogger.diffusion.batch import Batch
from vlogger.types import Motion

OUTSIDE = 0.6  # seconds by which a stretch may begin before its recording or end after it
AROUND = 0.8  # seconds of nothing that are heard before and after each recording
PAST_NOISE = 0.1  # of the known frames, scaled: what is continued is never perfect
BEFORE, AFTER = 0.25, 0.4  # seconds by which lips begin before the sound and end after it
CLOSING = 0.2  # seconds in which they do
HUSH_SECONDS = 6.0
FROM_REST, ARRIVAL = 0.3, 0.6  # share of rows that begin as a portrait, and seconds until they move as any other


@dataclass(frozen=True)
class Recording:
    """A clip as it is heard at one speed (1.1: a tenth faster and higher), in some acoustics; the first are its own."""

    clip: Clip
    speed: float
    said: Prosody
    heard: list[Tensor]  # (c, size) float16 each, from AROUND seconds before the sound on

    @property
    def duration(self) -> float:
        return self.clip.duration / self.speed

    def covers(self, times: Tensor) -> Tensor:
        """(t, 1) 1.0 at the moments at which the recording lasts."""
        return ((times >= 0) & (times <= self.duration)).float()[:, None]

    def speaks(self, times: Tensor) -> Tensor:
        """(t, 1) 1 from shortly before somebody speaks to shortly after, else 0, with soft edges."""
        reach = round((BEFORE + AFTER) * COLUMNS_PER_SECOND)
        late = round(BEFORE * COLUMNS_PER_SECOND)
        speech = F.pad(self.said.speech, (reach, reach))[None, None]
        wide = F.max_pool1d(F.pad(speech, (reach - late, late)), reach + 1, 1)
        half = round(CLOSING / 2 * COLUMNS_PER_SECOND)
        soft = F.avg_pool1d(wide, 2 * half + 1, 1, half)[0, 0]
        column = ((times * COLUMNS_PER_SECOND).round().long() + reach).clamp(0, len(soft) - 1)
        return soft[column][:, None]

    def stretch(self, space: FeatureSpace, reference: int, times: Tensor) -> Tensor:
        """Features (t, d) at moments (t,); before the first and after the last frame they stand still."""
        return interpolate(self.clip.features(space, reference), times * self.speed * self.clip.motion.fps)


@dataclass(frozen=True)
class Stretch:
    """One row of a batch: sound around each frame, features, and how much each counts."""

    audio: Tensor  # (t, n * size)
    features: Tensor  # (t, d)
    weight: Tensor  # (t, d)


def interpolate(values: Tensor, place: Tensor) -> Tensor:
    """(n, d) samples taken at 0.5, 1.5, … -> (t, d) at the places (t,), linearly, constant beyond the ends."""
    place = (place - 0.5).clamp(0, len(values) - 1)
    left = place.floor().long().clamp(max=max(0, len(values) - 2))
    right = (left + 1).clamp(max=len(values) - 1)
    return torch.lerp(values[left], values[right], (place - left).float()[:, None])


def record(clip: Clip, speed: float, ear: Ear, variants: int, generator: torch.Generator) -> Recording:
    """The clip played at another speed, like a tape, heard as it is and in `variants` - 1 other acoustics."""
    samples = resample(clip.samples, round(clip.sample_rate * speed))
    silence = round(AROUND * SAMPLE_RATE)
    padded = F.pad(samples, (silence, silence))
    heard = [ear.learn(padded, generator if number else None).half() for number in range(variants)]
    said = Prosody(torch.zeros(1 + len(samples) // 160), torch.zeros(0), torch.zeros(0))
    return Recording(clip, speed, prosody(samples) if clip.name != HUSH else said, heard)


def arriving(times: Tensor, generator: torch.Generator) -> Tensor:
    """(t, 1) 0 for up to half a second, then up to 1: how everything that is made begins."""
    return ((times - uniform(0.02, 0.5, generator)) / ARRIVAL).clamp(0, 1).float()[:, None]


HUSH = "(nobody speaks)"


def hush(generator: torch.Generator) -> Clip:
    """Noise, hum and clicks, and a mouth at rest."""
    count = round(HUSH_SECONDS * SAMPLE_RATE)
    noise = torch.randn(count, generator=generator)
    dull = F.avg_pool1d(noise[None, None], 9, 1, 4)[0, 0] * 3
    hum = torch.sin(2 * torch.pi * uniform(50, 400, generator) * torch.arange(count) / SAMPLE_RATE)
    clicks = (torch.rand(count, generator=generator) < 2e-4).float() * 20
    parts = [uniform(0, 1, generator) ** 2 * part for part in (noise, dull, hum, clicks)]
    samples = 10 ** (uniform(-80, -30, generator) / 20) * sum(parts, start=torch.zeros(count))
    frames = round(HUSH_SECONDS * SPOKEN_FPS)
    still = Motion(torch.eye(3).repeat(frames, 55, 1, 1), torch.zeros(frames, 52), torch.zeros(frames, 3), SPOKEN_FPS)
    return Clip(HUSH, samples.clamp(-1, 1), SAMPLE_RATE, still, torch.zeros(52), spoken=True)


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

    A row is tracked or spoken (chance `spoken`), or, with chance `hush`, nobody speaks in it. `drawn` is the chance
    that what is not mouth comes from the processes of `motion.habits`; else a tracked clip shows its own. Where nobody
    speaks the mouth is at rest, and that counts `quiet` times. Every 20th clip of each kind is kept for validation.
    `cache`: a file for what the ear heard.
    """

    def __init__(
        self,
        data: str,
        space: FeatureSpace,
        ear: Ear,
        offsets: Sequence[float],
        size: int = 16,
        shortest: int = 40,
        longest: int = 110,
        spoken: float = 0.5,
        hush: float = 0.06,
        drawn: float = 1.0,
        quiet: float = 2.0,
        variants: int = 3,
        speeds: Sequence[float] = (0.9, 1.0, 1.1),
        fps: tuple[float, float] = (20.0, 30.0),
        cache: str | None = None,
    ):
        self.space, self.ear, self.offsets, self.size, self.lengths = space, ear, offsets, size, (shortest, longest)
        self.spoken, self.hush, self.drawn, self.quiet, self.fps = spoken, hush, drawn, quiet, fps
        self.silence, self.mouth = ear.silence, space.only(MOUTH)
        trained, held = split(load_clips(data))
        plan = [(clip, speed, variants) for clip in trained for speed in speeds]
        recordings = recorded(plan + [(clip, 1.0, 1) for clip in held], ear, cache)
        self.recordings, self.held = recordings[: len(plan)], recordings[len(plan) :]
        self.hushes = hushes(12, ear, variants, torch.Generator().manual_seed(1)) if hush else []

    def batch(self, generator: torch.Generator) -> Batch:
        """A training batch: one length and one frame rate for all of its rows."""
        frames = self.lengths[0] + pick(self.lengths[1] - self.lengths[0] + 1, generator)
        fps = uniform(*self.fps, generator)
        rows = [self.row(self.choose(generator), frames, fps, True, generator) for _ in range(self.size)]
        return self.collate(rows, fps, generator)

    def validation(self) -> list[Batch]:
        """Held-out clips as they are, in batches of the same size."""
        generator, batches = torch.Generator().manual_seed(0), []
        for first in range(0, len(self.held), self.size):
            rows = [self.row(r, 75, 25.0, False, generator) for r in self.held[first : first + self.size]]
            batches.append(self.collate(rows, 25.0, generator))
        return batches

    def choose(self, generator: torch.Generator) -> Recording:
        """A recording of the kind whose turn it is."""
        if self.hushes and uniform(0, 1, generator) < self.hush:
            return self.hushes[pick(len(self.hushes), generator)]
        spoken = uniform(0, 1, generator) < self.spoken
        kind = [r for r in self.recordings if r.clip.spoken == spoken] or self.recordings
        return kind[pick(len(kind), generator)]

    def row(self, recording: Recording, frames: int, fps: float, change: bool, generator: torch.Generator) -> Stretch:
        """`frames` frames at `fps` of a recording from a random moment; `change`: in any acoustics, mirrored or not."""
        slack = recording.duration - frames / fps
        start = uniform(-OUTSIDE, max(slack, 0) + OUTSIDE, generator)
        times = frame_times(frames, fps) + start
        features = recording.stretch(self.space, self.reference(recording, generator), times)
        weight = recording.clip.known(self.space) * torch.maximum(recording.covers(times), self.mouth)
        if recording.clip.spoken or uniform(0, 1, generator) < self.drawn:
            features = torch.where(self.mouth > 0, features, self.draw(recording, times, generator))
            weight = torch.ones_like(features)
        features, weight = self.close(recording, times, features, weight)
        if change and uniform(0, 1, generator) < FROM_REST:
            features = torch.where(self.mouth > 0, features, features * arriving(times - start, generator))
        if change and uniform(0, 1, generator) < 0.5:
            features = mirror(self.space, features)
        return Stretch(self.sound(recording, times, change, generator), features, weight)

    def reference(self, recording: Recording, generator: torch.Generator) -> int:
        """The frame that plays the photo: the first or any."""
        return 0 if uniform(0, 1, generator) < 0.5 else pick(len(recording.clip.motion), generator)

    def draw(self, recording: Recording, times: Tensor, generator: torch.Generator) -> Tensor:
        """(t, d) of the chance processes for this recording at moments (t,), scaled."""
        first, last = float(times[0]), float(times[-1])
        curves = habits(self.space, scene(recording.said, first - 1, last - first + 2), generator)
        return interpolate(curves / self.space.scales, (times - first + 1) * RATE + 0.5)

    def close(self, recording: Recording, times: Tensor, features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The same with the mouth at rest where nobody speaks, which counts more there."""
        speaks = recording.speaks(times)
        closed = torch.where(self.mouth > 0, features * speaks, features)
        return closed, weight * (1 + (self.quiet - 1) * self.mouth * (speaks < 0.5))

    def sound(self, recording: Recording, times: Tensor, change: bool, generator: torch.Generator) -> Tensor:
        """What is heard around each frame (t, n * size)."""
        heard = recording.heard[pick(len(recording.heard), generator) if change else 0].float()
        return around(heard, self.ear.rate, times + AROUND, self.offsets, self.silence)

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


def recorded(plan: list[tuple[Clip, float, int]], ear: Ear, cache: str | None) -> list[Recording]:
    """A recording for each (clip, speed, variants). Hearing them takes minutes, so a `cache` file can keep them; one
    that was made for another plan or ear is made anew."""
    key = [(clip.name, clip.duration, speed, variants, ear.size) for clip, speed, variants in plan]
    if cache and Path(cache).exists():
        kept = torch.load(cache, weights_only=True)
        if kept["key"] == key:
            said = [Prosody(*one) for one in kept["said"]]
            return [Recording(*p[:2], s, h) for p, s, h in zip(plan, said, kept["heard"], strict=True)]
    chance = torch.Generator().manual_seed(0)
    made = [record(clip, speed, ear, variants, chance) for clip, speed, variants in plan]
    if cache:
        said = [(one.said.speech, one.said.accents, one.said.strength) for one in made]
        torch.save({"key": key, "said": said, "heard": [one.heard for one in made]}, cache)
    return made


def hushes(count: int, ear: Ear, variants: int, generator: torch.Generator) -> list[Recording]:
    """Recordings in which nobody speaks."""
    return [record(hush(generator), 1.0, ear, variants, generator) for _ in range(count)]


def measured_scales(task: SpeechMotion) -> dict[str, float]:
    """Root mean square of each feature as the task makes them, for `FeatureSpace.scale`."""
    chance = torch.Generator().manual_seed(0)
    clean = torch.cat([task.batch(chance).clean.flatten(0, 1) for _ in range(8)]) * task.space.scales
    return {name: round(float(value), 4) for name, value in zip(task.space.names, clean.square().mean(0).sqrt())}

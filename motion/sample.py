"""Hear: speech becomes motion, by diffusion in chunks that continue each other (VLOGGER 3.1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from zlib import crc32

import torch
from torch import Tensor

from motion.audio import HOP, SAMPLE_RATE, around, decibels, frame_times, mel_power, resample
from motion.drawn import Drawing
from motion.ears import Ear
from motion.features import FeatureSpace, longest, to_motion
from motion.judge import Judge
from motion.network import Memory, MotionTransformer
from motion.steering import AS_LEARNED, Blink, Emotion, Expression, Gaze, Gesture, Head, View
from vlogger.body.rotation import matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.diffusion.guidance import Guided, without
from vlogger.diffusion.sampling import sample
from vlogger.errors import UserError
from vlogger.types import Audio, Motion, Subject, frame_count, joined

REST_SECONDS = 0.4  # the motion starts from this long a rest before the first frame
SPEECH_DB = 30.0  # below the loudest moment so far there is no speech any more


class DiffusionMotion:
    """The stage AudioToMotion. `scheduler`: any of diffusers' with prediction_type="sample".

    `chunk` frames are made at a time; the network remembers as many before them as it reaches back. So memory does not
    grow with the recording, and time grows with it linearly. Before the first frame the subject rests as in the photo,
    so the motion starts there. Of the noise's variance, the part `shared` is the same in all frames of a chunk
    (arXiv 2305.10474), as it was in training; `temperature`: how much larger than in training the noise is, by the
    beginning of a feature's name, as a network settles too often for nothing where something happens rarely (a blink).
    Of each chunk `best_of` are made, and the one that `judge` likes best is continued. The other arguments steer
    (`motion.steering`); `drawn`: all but the mouth comes from chance processes (`motion.drawn`), for weights that have
    not learned them.
    """

    def __init__(
        self,
        network: MotionTransformer,
        ear: Ear,
        scheduler,
        steps: int = 8,
        guidance: float = 2.0,
        fps: float = 24,
        chunk: int = 80,
        shared: float = 0.0,
        temperature: Mapping[str, float] | None = None,
        best_of: int = 1,
        judge: Judge | None = None,
        expression: Expression = AS_LEARNED.expression,
        head: Head = AS_LEARNED.head,
        gesture: Gesture = AS_LEARNED.gesture,
        blink: Blink = AS_LEARNED.blink,
        gaze: Gaze = AS_LEARNED.gaze,
        emotion: Emotion = AS_LEARNED.emotion,
        drawn: bool = False,
    ):
        check_ear(network, ear)
        if best_of > 1 and judge is None:
            raise UserError("motion.best_of is more than 1, but there is no motion.judge to choose.")
        self.network, self.ear, self.scheduler, self.steps, self.guidance = network, ear, scheduler, steps, guidance
        self.fps, self.chunk, self.shared, self.best_of, self.judge = fps, chunk, shared, best_of, judge
        self.temperature = torch.tensor([longest(temperature or {}, name, 1.0) for name in network.space.names])
        self.edits, self.blink, self.drawn = (expression, head, gesture, gaze, emotion), blink, drawn

    def __call__(self, audio: Audio, subject: Subject, *, generator: torch.Generator) -> Motion:
        return joined(list(self.stream(audio, subject, generator=generator)))

    def stream(self, audio: Audio, subject: Subject, *, generator: torch.Generator) -> Iterator[Motion]:
        """The motion in pieces of `chunk` frames, as they are made."""
        space = self.network.space
        check_expression(subject, space)
        samples = resample(audio.samples, audio.sample_rate, SAMPLE_RATE)
        frames, heard = frame_count(audio.duration, self.fps), Listener(self.ear, samples)
        edits, loudness = (self.blink.begin(), *self.edits), Loudness(samples)
        drawing = Drawing(space, samples, chance(generator, samples)) if self.drawn else None
        wide = drawing.wide if drawing else replace(space, scale={})
        past = self.rest(space, subject)
        memories = self.remember(past, heard, -len(past), None)
        for first in range(0, frames, self.chunk):
            size = min(self.chunk, frames - first)
            made = self.next_chunk(heard, memories, first, size, generator)
            memories = self.remember(made, heard, first, memories)
            times = frame_times(size, self.fps, first)
            view, shown = View(wide, times, loudness.speech(times), generator), made * space.scales
            shown = drawing(shown, times) if drawing else shown
            for edit in edits:
                shown = edit(shown, view)
            yield to_motion(wide, shown, subject, self.fps)

    def rest(self, space: FeatureSpace, subject: Subject) -> Tensor:
        """(r, d) still frames before the first: the subject's pose, lips at rest."""
        frame = torch.zeros(space.size)
        if not space.residual:
            turns = matrix_to_axis_angle(subject.rotations[[joint_index(name) for name in space.joints]])
            frame[len(space.expressions) : -3] = turns.flatten()
        return (frame / space.scales).expand(max(1, round(REST_SECONDS * self.fps)), -1)

    def condition(self, heard: "Listener", first: int, size: int, past: Tensor | None) -> dict[str, Tensor]:
        """What the network is told of `size` frames from number `first` on (negative: before the sound)."""
        times = frame_times(size, self.fps, first)
        audio = heard.around(times, self.network.config["offsets"])
        unknown = torch.zeros(size, self.network.space.size)
        rows = {
            "audio": audio,
            "time": times,
            "past": unknown if past is None else past,
            "given": torch.full((size, 1), float(past is not None)),
        }
        return {name: value[None] for name, value in rows.items()}

    @torch.inference_mode()
    def remember(self, made: Tensor, heard: "Listener", first: int, memories: list[Memory] | None) -> list[Memory]:
        """The network's memory after these frames (t, d); with guidance a row without and a row with the sound."""
        condition = self.condition(heard, first, len(made), made)
        if self.guidance != 1:
            deaf = without(condition, ("audio",))
            condition = {name: torch.cat([deaf[name], condition[name]]) for name in condition}
        _, memories = self.network.remember(condition["past"], 0, condition, memories)
        return [memory.last(self.network.config["reach"] - 1) for memory in memories]

    def next_chunk(
        self, heard: "Listener", memories: list[Memory], first: int, size: int, generator: torch.Generator
    ) -> Tensor:
        """(size, d) frames that follow what is remembered: the best of `best_of`."""
        count, features = self.best_of, self.network.space.size
        drawn = [window_noise(size, features, self.shared, generator) for _ in range(count)]
        noise = torch.cat(drawn) * self.temperature
        one = self.condition(heard, first, size, None)
        condition = {name: value.expand(count, *value.shape[1:]) for name, value in one.items()}
        denoiser = Guided(Continuing(self.network, memories), self.guidance, ("audio",))
        made = sample(denoiser, self.scheduler, noise, condition, self.steps)
        if self.judge is None or count == 1:
            return made[0]
        space = self.network.space
        return made[int(self.judge(space, one["audio"][0], made * space.scales).argmax())]


@dataclass(frozen=True)
class Continuing:
    """The network as a denoiser of frames that follow what it remembers; rows of the memories serve as many rows."""

    network: MotionTransformer
    memories: list[Memory]

    def __call__(self, noisy: Tensor, timestep: Tensor, condition) -> Tensor:
        times = len(noisy) // len(self.memories[0].keys)
        rows = [Memory(*(part.repeat_interleave(times, dim=0) for part in memory)) for memory in self.memories]
        return self.network.remember(noisy, timestep, condition, rows)[0]


class Listener:
    """A recording heard in order: features are made when they are needed, and forgotten after `KEPT` seconds."""

    KEPT = 4.0

    def __init__(self, ear: Ear, samples: Tensor):
        self.rate, self.silence, self.coming = ear.rate, ear.silence, ear.blocks(samples)
        self.features, self.first, self.ended = torch.zeros(0, ear.size), 0, False

    def around(self, times: Tensor, offsets: tuple[float, ...]) -> Tensor:
        """(t, n * size) what is heard `offsets` from the moments (t,), which never go back further than KEPT."""
        last = (float(times[-1]) + max(offsets)) * self.rate + 1
        while not self.ended and self.first + len(self.features) <= last:
            block = next(self.coming, None)
            self.ended = block is None
            self.features = self.features if block is None else torch.cat([self.features, block])
        drop = max(0, min(int((float(times[0]) - self.KEPT) * self.rate) - self.first, len(self.features)))
        self.features, self.first = self.features[drop:], self.first + drop
        return around(self.features, self.rate, times - self.first / self.rate, offsets, self.silence)


class Loudness:
    """Whether somebody speaks, by loudness against the loudest moment so far, which fades."""

    def __init__(self, samples: Tensor):
        self.samples, self.loudest = samples, -50.0

    def speech(self, times: Tensor) -> Tensor:
        """(t,) 0 or 1 at moments that never go back."""
        begin, end = (max(0, int(float(moment) * SAMPLE_RATE)) for moment in (times[0], times[-1]))
        loud = decibels(mel_power(self.samples[begin : end + HOP]).mean(1))
        self.loudest = max(self.loudest - 3.0, float(loud.max()))
        column = ((times - times[0]) * SAMPLE_RATE / HOP).long().clamp(max=len(loud) - 1)
        return (loud[column] > self.loudest - SPEECH_DB).float()


def window_noise(frames: int, size: int, shared: float, generator: torch.Generator) -> Tensor:
    """(1, t, d) of variance 1, whose part `shared` is constant in time.

    White noise hides slow sways too little: they are settled in the first sampling steps, near their mean. A network
    must have been trained with the same part: sampled otherwise, its lips follow the sound much less.
    """
    white, same = (torch.randn(1, count, size, generator=generator) for count in (frames, 1))
    return (1 - shared) ** 0.5 * white + shared**0.5 * same


def chance(generator: torch.Generator, samples: Tensor) -> torch.Generator:
    """A generator of its own, told by the other's next number and by the sound: with the same seed two recordings do
    not blink and nod alike."""
    told = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator().manual_seed(told ^ crc32(samples.numpy().data))


def check_ear(network: MotionTransformer, ear: Ear) -> None:
    """The weights were trained on what one ear hears."""
    if ear.size != network.config["hears"]:
        raise UserError(
            f"The motion weights hear {network.config['hears']} numbers at a time, but motion.ear gives {ear.size}: "
            "use the ear that they were trained with, or train weights for this one (experiment=motion)."
        )


def check_expression(subject: Subject, space: FeatureSpace) -> None:
    """The weights speak of the units that they were trained on."""
    if len(subject.expression) != len(space.expressions):
        raise UserError(
            f"The motion weights move {len(space.expressions)} face units, but the body has {len(subject.expression)}: "
            "use the open body (body=open), or motion weights trained for your body (motion.network.path=FOLDER)."
        )

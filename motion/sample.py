"""Hear: speech becomes motion, by diffusion in windows that continue each other (VLOGGER 3.1)."""

import torch
from torch import Tensor

from motion.audio import SAMPLE_RATE, frame_times, mel_power, normalise, opening_level, resample, windows
from motion.features import FeatureSpace, to_motion
from motion.network import MotionTransformer
from vlogger.diffusion.guidance import Guided
from vlogger.diffusion.sampling import sample
from vlogger.errors import UserError
from vlogger.types import Audio, Motion, Subject, frame_count

REST_SECONDS = 0.4  # the motion starts from this long a rest before the first frame


class DiffusionMotion:
    """The stage AudioToMotion. `scheduler`: any of diffusers' with prediction_type="sample".

    `window` frames are made at a time, of which the first `overlap` are already known; so memory does not grow with
    the recording, and time grows with it linearly. Before the first frame the subject rests as in the photo, so the
    motion starts there. Of the noise's variance, the part `shared` is the same in all frames of a window
    (arXiv 2305.10474), as it was in training.
    """

    def __init__(
        self,
        network: MotionTransformer,
        scheduler,
        steps: int = 8,
        guidance: float = 2.0,
        fps: float = 24,
        window: int = 120,
        overlap: int = 40,
        shared: float = 0.0,
    ):
        if not 0 < overlap < window:
            raise UserError(f"motion.overlap={overlap} must be at least 1 and less than motion.window={window}.")
        self.network, self.scheduler, self.steps, self.guidance = network, scheduler, steps, guidance
        self.fps, self.window, self.overlap, self.shared = fps, window, overlap, shared

    def __call__(self, audio: Audio, subject: Subject, *, generator: torch.Generator) -> Motion:
        space = self.network.space
        check_expression(subject, space)
        frames = frame_count(audio.duration, self.fps)
        power = mel_power(resample(audio.samples, audio.sample_rate, SAMPLE_RATE))
        mel = normalise(power, opening_level(power))
        made = self.rest(space)
        rest = len(made)
        while len(made) < rest + frames:
            made = torch.cat([made, self.next_window(mel, made, rest + frames, generator)])
        return to_motion(space, made[rest:], subject, self.fps)

    def rest(self, space: FeatureSpace) -> Tensor:
        """(r, d) still frames before the first: no residual, lips at rest."""
        return torch.zeros(max(1, min(self.overlap, round(REST_SECONDS * self.fps))), space.size)

    def next_window(self, mel: Tensor, made: Tensor, total: int, generator: torch.Generator) -> Tensor:
        """The frames that follow `made` (m, d), at most a window with the overlap and not beyond `total`."""
        known = min(self.overlap, len(made))
        size = min(self.window, total - len(made) + known)
        noise = window_noise(size, made.shape[1], self.shared, generator)
        condition = self.condition(mel, made[len(made) - known :], size, first=len(made) - known - self.resting)
        denoiser = Guided(self.network, self.guidance, ("audio",))
        return sample(denoiser, self.scheduler, noise, condition, self.steps)[0, known:]

    @property
    def resting(self) -> int:
        """Frames of rest before the first frame."""
        return len(self.rest(self.network.space))

    def condition(self, mel: Tensor, past: Tensor, size: int, first: int) -> dict[str, Tensor]:
        """What the network is told of `size` frames from number `first` on (negative: before the sound)."""
        times = frame_times(size, self.fps, first)
        known = torch.zeros(size, past.shape[1])
        known[: len(past)] = past
        given = (torch.arange(size) < len(past)).float()
        rows = {
            "audio": windows(mel, times),
            "time": (times - times[0]).float(),  # relative: an hour in, nothing is lost to rounding
            "past": known,
            "given": given[:, None],
        }
        return {name: value[None] for name, value in rows.items()}


def window_noise(frames: int, size: int, shared: float, generator: torch.Generator) -> Tensor:
    """(1, t, d) of variance 1, whose part `shared` is constant in time.

    White noise hides slow sways too little: they are settled in the first sampling steps, near their mean. A network
    must have been trained with the same part: sampled otherwise, its lips follow the sound much less.
    """
    white, same = (torch.randn(1, count, size, generator=generator) for count in (frames, 1))
    return (1 - shared) ** 0.5 * white + shared**0.5 * same


def check_expression(subject: Subject, space: FeatureSpace) -> None:
    """The weights speak of the units that they were trained on."""
    if len(subject.expression) != len(space.expressions):
        raise UserError(
            f"The motion weights move {len(space.expressions)} face units, but the body has {len(subject.expression)}: "
            "use the open body (body=open), or motion weights trained for your body (motion.network.path=FOLDER)."
        )

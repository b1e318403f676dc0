"""Recordings whose motion is known: the files that the motion network is trained on.

A training folder holds .npz files at any depth, each one recording. All have `samples` (s int16) and `sample_rate`.
*Tracked* clips also have `rotations` (t, 55, 3, 3), `expression` (t, 52), `translation` (t, 3) float32 and `fps`, and
teach everything. *Spoken* clips teach the mouth alone: they have `phones` and `ends` (`motion.speech_data`), or
`expression` and `fps` without the others.
"""

from dataclasses import dataclass, replace
from glob import glob
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motion.audio import COLUMNS_PER_SECOND, frame_times, loudness, mel_power, resample
from motion.features import EXPRESSIONS, MOUTH, FeatureSpace, Reference, mirrored, to_features
from motion.lips import Lips, lips_on
from motion.visemes import curves
from vlogger.body.smplx import load_body
from vlogger.errors import UserError
from vlogger.types import Audio, Motion

SPOKEN_FPS = 100.0  # at which computed mouth curves are stored
BLINKS = [EXPRESSIONS.index("eyeBlinkLeft"), EXPRESSIONS.index("eyeBlinkRight")]
FULL_BLINK, LEAST_BLINK = 0.95, 0.15
SPEAKING = torch.tensor([name in MOUTH for name in EXPRESSIONS])
MIRRORED = [EXPRESSIONS.index(mirrored(name)) for name in EXPRESSIONS]
SIDEWAYS = torch.tensor([name in ("mouthLeft", "mouthRight", "jawLeft", "jawRight") for name in EXPRESSIONS])
ROUNDED, ROUNDING = EXPRESSIONS.index("mouthPucker"), 0.06  # the unit, and the deviation that is believed possible
SHUT = 0.05  # share of a clip's frames in which its lips are shut
PHONES_LATE = 0.05  # seconds by which the synthesiser's phones lie behind its sound: 0.04 for s z ʃ, 0.05 for vowels


@dataclass(frozen=True)
class Clip:
    """A recording and its motion. `spoken`: only the mouth is known."""

    name: str
    samples: Tensor  # (s,) in [-1, 1]
    sample_rate: int
    motion: Motion
    rest: Tensor  # (e,) the expression of the silent speaker
    spoken: bool

    @property
    def duration(self) -> float:
        """Seconds of motion."""
        return len(self.motion) / self.motion.fps

    def known(self, space: FeatureSpace) -> Tensor:
        """(d,) 1.0 for the features that the clip can teach."""
        return space.only(MOUTH) if self.spoken else torch.ones(space.size)

    def features(self, space: FeatureSpace, reference: int) -> Tensor:
        """(t, d) relative to the pose of frame `reference`; expressions as what speech adds to the speaker's rest.

        What a face shows in silence (thin lips, a frown) is the person, not the speech, and is not to be taught.
        """
        motion = replace(self.motion, expression=self.motion.expression - self.rest)
        return to_features(space, motion, self.reference(reference)._replace(expression=torch.zeros_like(self.rest)))

    def reference(self, frame: int) -> Reference:
        """The pose of one frame with the face at rest: what a portrait would show."""
        return Reference(self.motion.rotations[frame], self.rest, self.motion.translation[frame])


def rest_of(samples: Tensor, rate: int, motion: Motion) -> Tensor:
    """(e,) the median expression of the quietest fifth of the frames."""
    loud = loudness(mel_power(resample(samples, rate)))
    column = (frame_times(len(motion), motion.fps) * COLUMNS_PER_SECOND).long().clamp(max=len(loud) - 1)
    quiet = loud[column].argsort()[: max(1, len(motion) // 5)]
    return motion.expression[quiet].median(0).values


def save_clip(path: Path, audio: Audio, motion: Motion) -> None:
    """A tracked clip as one file."""
    np.savez(
        path,
        samples=(audio.samples.clamp(-1, 1) * 32767).round().numpy().astype(np.int16),
        sample_rate=audio.sample_rate,
        rotations=motion.rotations.numpy(),
        expression=motion.expression.numpy(),
        translation=motion.translation.numpy(),
        fps=motion.fps,
    )


def load_clip(path: Path) -> Clip:
    """Either kind of clip; UserError for another file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    if "samples" not in arrays or not ("phones" in arrays or "expression" in arrays):
        raise UserError(
            f"{path} is not a training clip: it needs samples and either phones or expression (motion/clips.py)."
        )
    spoken = "rotations" not in arrays
    motion = spoken_motion(arrays) if spoken else tracked_motion(arrays)
    samples, rate = torch.from_numpy(arrays["samples"].astype(np.float32) / 32768), int(arrays["sample_rate"])
    rest = torch.zeros(motion.expression.shape[1]) if spoken else rest_of(samples, rate, motion)
    return Clip(path.stem, samples, rate, motion, rest, spoken)


def load_clips(folder: str | Path, closed: bool = True) -> list[Clip]:
    """All clips below a folder, in the order of their paths; UserError when there are none.

    Tracked clips that lie in one folder are of one speaker. `closed`: with mouths that begin at closed lips.
    """
    paths = sorted(map(Path, glob(f"{folder}/**/*.npz", recursive=True)))  # links are followed
    if not paths:
        raise UserError(
            f"There are no motion clips (*.npz) in {folder}: make some with vlogger.curate, or set data=FOLDER."
        )
    clips, lips = [], lips_on(load_body())
    for _, same_speaker in groupby(paths, key=lambda path: path.parent):
        loaded = [load_clip(path) for path in same_speaker]
        tracked = full_blinks([clip for clip in loaded if not clip.spoken])
        told = iter(from_closed(tracked, lips) if closed else tracked)
        clips += [clip if clip.spoken else next(told) for clip in loaded]
    return clips


def from_closed(clips: list[Clip], lips: Lips) -> list[Clip]:
    """Tracked clips of one speaker, with mouths that begin at closed lips, as everybody's who is to be animated.

    A speaker may rest with lips apart, and then some units close them: counted from the rest they are negative, and
    nobody can show that. Here the units are the likeliest within [0, 1] whose lips do what the speaker's do: open from
    where theirs are shut, widen from where theirs are at rest.
    """
    if not clips:
        return []
    varied = covariance(torch.cat([clip.motion.expression - clip.rest for clip in clips]) * SPEAKING)
    return [replace(clip, motion=shown_from_closed(clip, lips, varied), rest=clip.rest * ~SPEAKING) for clip in clips]


def covariance(mouths: Tensor) -> Tensor:
    """(t, e) -> (e, e) how units of symmetric mouths vary together, and that lips may be rounded, which not every
    speaker does."""
    together = torch.cov(symmetric(mouths).T)
    together[ROUNDED, ROUNDED] += ROUNDING**2
    return together


def symmetric(mouths: Tensor) -> Tensor:
    """(t, e) without what one side does more than the other: that is the speaker, not the speech."""
    return (mouths + mouths[:, MIRRORED]) / 2 * ~SIDEWAYS


def shown_from_closed(clip: Clip, lips: Lips, varied: Tensor) -> Motion:
    """One clip's motion with such a mouth."""
    expression, closed = clip.motion.expression, lips(torch.zeros(len(EXPRESSIONS)))
    lips_shown = lips(expression * SPEAKING)
    opening = (lips_shown[:, 0] - lips_shown[:, 0].quantile(SHUT)).clamp(min=0)
    width = lips_shown[:, 1] - lips(clip.rest * SPEAKING)[1]
    units = symmetric((expression - clip.rest) * SPEAKING)
    mouth = lips.showing(closed + torch.stack([opening, width], dim=1), units, varied)
    return replace(clip.motion, expression=torch.where(SPEAKING, mouth, expression))


def full_blinks(clips: list[Clip]) -> list[Clip]:
    """The same tracked clips of one speaker with blinks that close an eye: narrow eyes shut with less of the unit.

    The strongest blinks (99th percentile) become 0.95 above the rest; not where nobody blinks, or only in doubt.
    """
    if not clips:
        return []
    above = torch.cat([clip.motion.expression[:, BLINKS] - clip.rest[BLINKS] for clip in clips])
    strongest = above.quantile(0.99, dim=0)
    factor = torch.where(strongest > LEAST_BLINK, FULL_BLINK / strongest.clamp(min=LEAST_BLINK), 1.0)
    return [replace(clip, motion=scaled_blinks(clip.motion, clip.rest, factor)) for clip in clips]


def scaled_blinks(motion: Motion, rest: Tensor, factor: Tensor) -> Motion:
    """Both eyes' blinks (2,) times stronger, counted from the rest."""
    expression = motion.expression.clone()
    expression[:, BLINKS] = rest[BLINKS] + factor * (expression[:, BLINKS] - rest[BLINKS])
    return replace(motion, expression=expression)


def tracked_motion(arrays: dict[str, np.ndarray]) -> Motion:
    """The motion as it was tracked."""
    values = (torch.from_numpy(arrays[name].astype(np.float32)) for name in ("rotations", "expression", "translation"))
    return Motion(*values, fps=float(arrays["fps"]))


def spoken_motion(arrays: dict[str, np.ndarray]) -> Motion:
    """The mouth of a clip, or the one that belongs to its phones, at 100 Hz; everything else at rest."""
    if "expression" in arrays:
        frames = len(arrays["expression"])
        still = torch.eye(3).repeat(frames, 55, 1, 1)
        expression = torch.from_numpy(arrays["expression"].astype(np.float32))
        return Motion(still, expression, torch.zeros(frames, 3), float(arrays["fps"]))
    times = (np.arange(max(1, round(float(arrays["ends"][-1]) * SPOKEN_FPS))) + 0.5) / SPOKEN_FPS
    expression = curves(arrays["phones"].tolist(), arrays["ends"].tolist(), times + PHONES_LATE)
    still = torch.eye(3).expand(len(times), 55, 3, 3)
    return Motion(still, torch.from_numpy(expression).float(), torch.zeros(len(times), 3), SPOKEN_FPS)

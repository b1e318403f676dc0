"""Mouths for voices without a face: `python -m motion.label ENCODER CLIPS LESSONS OUT`

Ridge regressions from a big speech encoder's features to the mouth, fitted on tracked clips (motion/clips.py), read the
mouth off recordings of other voices (the ones of `motion.teacher`, which have the features already). They hear the
strongest directions alone: the weaker ones tell voices apart, and mouths of other people suffer from them. Mouths
computed from phones (`motion.visemes`) are left out of it: they make it worse for people (docs/motion.md).

Units are read one by one and held within [0, 1]; of what the lips do together a third is lost by that. So their opening
and width are read too, and the units corrected until the lips show them (`motion.lips`). The opening is fitted within
each clip, its features and itself counted from the clip's mean: how a microphone sounds on one day says nothing of
lips. So what is read has no level, and a recording's lips are shut where they are the least open. A regression's errors
shrink what it says: it is stretched back, units to the spread of the clips, lips by `STRETCH`.

OUT gets one spoken clip a recording, and LESSONS gets `mouth.npz`, the regressions as a kernel, by which
`motion.distil` knows what matters to a mouth.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import SAMPLE_RATE, around, frame_times, resample
from motion.clips import SPEAKING, Clip, covariance, load_clips, symmetric
from motion.data import interpolate
from motion.features import EXPRESSIONS
from motion.judge import correlation, ridge
from motion.lips import Lips, lips_on
from motion.pretrained import PretrainedEncoder
from motion.teacher import LAYERS, projected
from vlogger.body.smplx import load_body
from vlogger.errors import UserError

FPS = 50.0
MOST_STRETCH = 1.5
STRETCH = (2.7, 5.0)  # of the lips' opening, and of their width
SHUT = 0.1  # share of a recording in which lips are shut
SOFT = 0.002  # face heights around shut within which lips close gradually
LEAST_SPREAD = 0.01  # of a unit that moves at all


@dataclass(frozen=True)
class Hearing:
    """What a regression hears: the first `directions` of the lessons, `reach` frames to either side; `strength` of the
    ridge, for features of variance about 1. `within`: counted from the mean of each clip."""

    reach: int
    strength: float
    within: bool = False
    directions: int = 96

    def __call__(self, features: Tensor, frames: int) -> Tensor:
        """(c, 192) -> (t, n * directions)"""
        offsets = [step / FPS for step in range(-self.reach, self.reach + 1)]
        heard = features[:, : self.directions]
        return around(heard, 50.0, frame_times(frames, FPS), offsets, torch.zeros(self.directions))


# By what lips of other people are read best (docs/motion.md)
UNITS, OPENING, WIDTH = Hearing(5, 0.3), Hearing(3, 0.1, within=True), Hearing(8, 0.3)


class Regression:
    """Features of clips, and numbers (t, k) that go with them, as one linear map."""

    def __init__(self, hearing: Hearing, features: list[Tensor], wanted: list[Tensor]):
        self.hearing = hearing
        heard = [hearing(one, len(numbers)) for one, numbers in zip(features, wanted, strict=True)]
        x, y = torch.cat(heard), torch.cat(wanted)
        self.middle, self.mean, self.spread = x.mean(0), y.mean(0), y.std(0)
        if hearing.within:
            x, y = (torch.cat([one - one.mean(0) for one in rows]) for rows in (heard, wanted))
        self.weight = ridge(x, y, hearing.strength * float(x.var()))
        self.r = correlation(((x - x.mean(0)) @ self.weight).T, y.T)

    def __call__(self, features: Tensor) -> Tensor:
        """(c, d) -> (c, k)"""
        return (self.hearing(features, len(features)) - self.middle) @ self.weight + self.mean

    def taps(self, size: int, reach: int) -> Tensor:
        """(k, size, 2 reach + 1) the same as a convolution, to numbers in their own deviation."""
        offsets = 2 * self.hearing.reach + 1
        taps = (self.weight / self.spread.clamp(min=LEAST_SPREAD**2)).unflatten(0, (offsets, -1)).permute(2, 1, 0)
        beyond = reach - self.hearing.reach
        return F.pad(taps, (beyond, beyond, 0, size - taps.shape[1]))


class Reader:
    """Encoder features (c, 192), 50 a second -> mouth units (c, 52) at 50 frames a second."""

    def __init__(self, lips: Lips, features: list[Tensor], mouths: list[Tensor], shown: list[Tensor]):
        """Fitted on clips: features (c, 192), units (t, 52), zero but for the mouth, and what lips do (t, 2)."""
        self.lips = lips
        self.units = Regression(UNITS, features, mouths)
        self.opening = Regression(OPENING, features, [one[:, :1] for one in shown])
        self.width = Regression(WIDTH, features, [one[:, 1:] for one in shown])
        self.covariance = covariance(torch.cat(mouths))
        self.stretch = (1 / self.units.r.nan_to_num(1.0).clamp(min=0.1)).clamp(max=MOST_STRETCH)

    def __call__(self, features: Tensor) -> Tensor:
        units = self.units
        mouth = ((units(features) - units.mean) * self.stretch + units.mean).clamp(0, 1)
        wanted = torch.cat([self.opened(self.opening(features)), self.widened(self.width(features))], dim=1)
        return self.lips.showing(wanted, symmetric(mouth), self.covariance)

    def opened(self, read: Tensor) -> Tensor:
        """(t, 1) grown from where it is the least, below which it fades; as shut as the body's lips there."""
        beyond = SOFT * F.softplus((read - read.quantile(SHUT)) / SOFT)
        return self.lips(torch.zeros(len(EXPRESSIONS)))[0] + STRETCH[0] * beyond

    def widened(self, read: Tensor) -> Tensor:
        """(t, 1) grown about its mean."""
        return self.width.mean + STRETCH[1] * (read - self.width.mean)

    def kernel(self, size: int) -> Tensor:
        """(k, size, 17) all regressions as a convolution; units together count as much as opening and width."""
        reach = max(hearing.reach for hearing in (UNITS, OPENING, WIDTH))
        units = self.units.taps(size, reach)[self.units.spread > LEAST_SPREAD]
        lips = [one.taps(size, reach) for one in (self.opening, self.width)]
        return torch.cat([units, (len(units) / 2) ** 0.5 * torch.cat(lips)])


def at_rate(clip: Clip, values: Tensor) -> Tensor:
    """(t, k) of a clip's frames at FPS."""
    return interpolate(values, frame_times(int(clip.duration * FPS), FPS) * clip.motion.fps)


def lips_of_speaker(lips: Lips, clip: Clip) -> Tensor:
    """(t, 2) at FPS: what the lips of a clip as it was tracked do, counted from its rest; silence included, in which
    lips need not be shut: told that they are, a regression hears who speaks when instead of lips."""
    return at_rate(clip, lips((clip.motion.expression - clip.rest) * SPEAKING))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("clips")
    parser.add_argument("lessons", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    clips = [clip for clip in load_clips(given.clips, closed=False) if not clip.spoken]
    if not clips:
        raise UserError(f"There is no tracked clip in {given.clips}: make some with vlogger.curate dataset=speech.")
    basis = {name: torch.from_numpy(value) for name, value in np.load(given.lessons / "basis.npz").items()}
    encoder = PretrainedEncoder(given.encoder, LAYERS, bfloat16=True)
    lips = lips_on(load_body())
    features = [projected(encoder(resample(clip.samples, clip.sample_rate)), basis) for clip in clips]
    told = [clip for clip in load_clips(given.clips) if not clip.spoken]
    mouths = [at_rate(clip, clip.motion.expression * SPEAKING) for clip in told]
    reader = Reader(lips, features, mouths, [lips_of_speaker(lips, clip) for clip in clips])
    kernel = reader.kernel(basis["projection"].shape[1])
    np.savez(given.lessons / "mouth.npz", kernel=kernel.numpy().astype(np.float32))
    label(reader, given.lessons, given.out, {clip.name for clip in clips})
    for name in ("units", "opening", "width"):
        print(name, "correlation on the clips it was fitted on:", getattr(reader, name).r.nanmean())


def label(reader: Reader, lessons: Path, out: Path, known: set[str]) -> None:
    """A spoken clip for each recording but those of the `known` clips."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(lessons.glob("*.rec.npz")):
        name = path.name.removesuffix(".rec.npz")
        if name.split("-", 1)[1] in known:
            continue
        with np.load(path) as file:
            samples, features = file["samples"], torch.from_numpy(file["features"].astype(np.float32))
        mouth = reader(features).numpy().astype(np.float32)
        np.savez(out / f"{name}.npz", samples=samples, sample_rate=SAMPLE_RATE, expression=mouth, fps=FPS)


if __name__ == "__main__":
    main()

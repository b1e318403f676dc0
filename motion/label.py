"""Mouths for voices without a face: `python -m motion.label ENCODER CLIPS LESSONS OUT`

A ridge regression from a big speech encoder's features to the mouth, fitted on tracked clips (motion/clips.py), reads
the mouth off recordings of other voices (the ones of `motion.teacher`, which have the features already). It hears the
strongest directions alone: the weaker ones tell voices apart, and mouths of other people suffer from them. Mouths
computed from phones (`motion.visemes`) are left out of it: they make it worse for people (docs/motion.md).

Units are read one by one and held within [0, 1]; of what the lips do together a third is lost by that. So their opening
and width are read too, and the units corrected until the lips show them (`motion.lips`). A regression's errors shrink
what it says: it is stretched back, units to the spread of the clips, lips by `STRETCH`.

OUT gets one spoken clip a recording, and LESSONS gets `mouth.npz`, the regression as a kernel, by which
`motion.distil` knows what matters to a mouth.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import SAMPLE_RATE, around, frame_times, resample
from motion.clips import Clip, load_clips
from motion.data import Recording, interpolate
from motion.features import EXPRESSIONS, MOUTH
from motion.judge import correlation, ridge
from motion.lips import Lips, lips_on
from motion.pretrained import PretrainedEncoder
from motion.prosody import prosody
from motion.teacher import LAYERS, projected
from vlogger.body.smplx import load_body
from vlogger.errors import UserError

OFFSETS = tuple(step / 50 for step in range(-5, 6))
FPS = 50.0
STRENGTH = 0.3  # of the ridge, for features of variance about 1
MOST_STRETCH = 1.5
STRETCH = (2.5, 3.0)  # of the lips' opening beyond rest, and of their width
SOFT = 0.005  # face heights around rest within which lips close gradually
LEAST_SPREAD = 0.01  # of a unit that moves at all
HEARD = 96  # directions of the lessons that it hears


class Reader:
    """Encoder features (c, 192), 50 a second -> mouth units (t, 52) at 50 frames a second."""

    def __init__(self, basis: dict[str, Tensor], lips: Lips):
        self.basis, self.lips = basis, lips
        self.mouth = torch.tensor([name in MOUTH for name in EXPRESSIONS])

    def heard(self, features: Tensor, frames: int) -> Tensor:
        outside = torch.zeros(features.shape[1])
        return around(features[:, :HEARD], 50.0, frame_times(frames, FPS), OFFSETS, outside[:HEARD])

    def fit(self, encoder: PretrainedEncoder, clips: list[Clip]) -> None:
        rows = [self.example(encoder, clip) for clip in clips]
        heard, mouth = (torch.cat(part) for part in zip(*rows, strict=True))
        self.mean, self.middle = mouth.mean(0), heard.mean(0)
        strength = STRENGTH * float(heard.var())
        self.weight, self.covariance = ridge(heard, mouth, strength), torch.cov(mouth.T)
        shown = self.lips(mouth)
        self.lips_weight, self.lips_mean = ridge(heard, shown, strength), shown.mean(0)
        r = correlation(((heard - self.middle) @ self.weight).T, mouth.T)
        self.stretch = (1 / r.clamp(min=0.1)).clamp(max=MOST_STRETCH)
        self.spread = mouth.std(0)

    def kernel(self) -> Tensor:
        """(m, 192, 11) the regression as a convolution, to the mouth's units in their own deviations over the clips."""
        moving = self.mouth & (self.spread > LEAST_SPREAD)
        taps = (self.weight[:, moving] / self.spread[moving]).unflatten(0, (len(OFFSETS), -1)).permute(2, 1, 0)
        unheard = self.basis["projection"].shape[1] - taps.shape[1]
        return F.pad(taps, (0, 0, 0, unheard))

    def example(self, encoder: PretrainedEncoder, clip: Clip) -> tuple[Tensor, Tensor]:
        """What is heard in a clip, and its mouth."""
        samples = resample(clip.samples, clip.sample_rate)
        frames = int(clip.duration * FPS)
        features = projected(encoder(samples), self.basis)
        recording = Recording(clip, 1.0, prosody(samples), [])
        times = frame_times(frames, FPS)
        mouth = interpolate(clip.motion.expression - clip.rest, times * clip.motion.fps) * recording.speaks(times)
        return self.heard(features, frames), mouth * self.mouth

    def __call__(self, features: Tensor) -> Tensor:
        heard = self.heard(features, len(features)) - self.middle
        mouth = (heard @ self.weight * self.stretch + self.mean).clamp(0, 1) * self.mouth
        wanted = self.stretched(heard @ self.lips_weight + self.lips_mean)
        return self.lips.showing(wanted, mouth, self.covariance)

    def stretched(self, shown: Tensor) -> Tensor:
        """(t, 2) the opening grown from that at rest, below which it fades; the width grown about its mean."""
        rest = self.lips(torch.zeros(len(EXPRESSIONS)))[0]
        beyond = SOFT * F.softplus((shown[:, 0] - rest) / SOFT)
        width = self.lips_mean[1] + STRETCH[1] * (shown[:, 1] - self.lips_mean[1])
        return torch.stack([rest + STRETCH[0] * beyond, width], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("clips")
    parser.add_argument("lessons", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    clips = [clip for clip in load_clips(given.clips) if not clip.spoken]
    if not clips:
        raise UserError(f"There is no tracked clip in {given.clips}: make some with vlogger.curate dataset=speech.")
    basis = {name: torch.from_numpy(value) for name, value in np.load(given.lessons / "basis.npz").items()}
    reader = Reader(basis, lips_on(load_body()))
    reader.fit(PretrainedEncoder(given.encoder, LAYERS, bfloat16=True), clips)
    np.savez(given.lessons / "mouth.npz", kernel=reader.kernel().numpy().astype(np.float32))
    given.out.mkdir(parents=True, exist_ok=True)
    known = {clip.name for clip in clips}
    for path in sorted(given.lessons.glob("*.rec.npz")):
        name = path.name.removesuffix(".rec.npz")
        if name.split("-", 1)[1] in known:
            continue
        with np.load(path) as file:
            samples, features = file["samples"], torch.from_numpy(file["features"].astype(np.float32))
        mouth = reader(features).numpy().astype(np.float32)
        np.savez(given.out / f"{name}.npz", samples=samples, sample_rate=SAMPLE_RATE, expression=mouth, fps=FPS)
    print("units, correlation on the clips it was fitted on:", reader.stretch)


if __name__ == "__main__":
    main()

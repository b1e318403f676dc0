"""Mouths for voices without a face: `python -m motion.label ENCODER CLIPS LESSONS OUT`

A ridge regression from a big speech encoder's features to the mouth, fitted on training clips (motion/clips.py), reads
the mouth off recordings of other voices (the ones of `motion.teacher`, which have the features already). Its errors
shrink what it says; each unit is stretched back to its spread, at most 1.5 times. OUT gets one spoken clip a recording,
and LESSONS gets `mouth.npz`, the regression as a kernel, by which `motion.distil` knows what matters to a mouth.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motion.audio import SAMPLE_RATE, around, frame_times, resample
from motion.clips import Clip, load_clips
from motion.data import Recording, interpolate
from motion.features import EXPRESSIONS, MOUTH
from motion.judge import correlation, ridge
from motion.pretrained import PretrainedEncoder
from motion.prosody import prosody
from motion.teacher import projected

OFFSETS = tuple(step / 50 for step in range(-5, 6))
FPS = 50.0
STRENGTH = 0.3  # of the ridge, for features of variance about 1
MOST_STRETCH = 1.5
LEAST_SPREAD = 0.01  # of a unit that moves at all
EACH = 120  # clips of each kind that the regression is fitted on


class Reader:
    """Encoder features (c, 192), 50 a second -> mouth units (t, 52) at 50 frames a second."""

    def __init__(self, basis: dict[str, Tensor]):
        self.basis, self.mouth = basis, torch.tensor([name in MOUTH for name in EXPRESSIONS])

    def heard(self, features: Tensor, frames: int) -> Tensor:
        outside = torch.zeros(features.shape[1])
        return around(features, 50.0, frame_times(frames, FPS), OFFSETS, outside)

    def fit(self, encoder: PretrainedEncoder, clips: list[Clip]) -> None:
        rows = [self.example(encoder, clip) for clip in clips]
        heard, mouth = (torch.cat(part) for part in zip(*rows, strict=True))
        self.mean, self.middle = mouth.mean(0), heard.mean(0)
        self.weight = ridge(heard, mouth, STRENGTH * float(heard.var()))
        r = correlation(((heard - self.middle) @ self.weight).T, mouth.T)
        self.stretch = (1 / r.clamp(min=0.1)).clamp(max=MOST_STRETCH)
        self.spread = mouth.std(0)

    def kernel(self) -> Tensor:
        """(m, 192, 11) the regression as a convolution, to the mouth's units in their own deviations over the clips."""
        moving = self.mouth & (self.spread > LEAST_SPREAD)
        taps = self.weight[:, moving] / self.spread[moving]
        return taps.unflatten(0, (len(OFFSETS), -1)).permute(2, 1, 0)

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
        mouth = (self.heard(features, len(features)) - self.middle) @ self.weight * self.stretch + self.mean
        return mouth.clamp(0, 1) * self.mouth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("clips")
    parser.add_argument("lessons", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    clips = load_clips(given.clips)
    kinds = ([clip for clip in clips if clip.spoken == spoken] for spoken in (False, True))
    chosen = [clip for kind in kinds for clip in kind[:: max(1, len(kind) // EACH)]]
    basis = {name: torch.from_numpy(value) for name, value in np.load(given.lessons / "basis.npz").items()}
    reader = Reader(basis)
    reader.fit(PretrainedEncoder(given.encoder, bfloat16=True), chosen)
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

"""How a training is going: agreement of predicted and true lips, and curves to look at."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motion.features import FeatureSpace
from motion.judge import correlation, lips
from motion.sample import window_noise
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.sampling import sample

WATCHED = ("jawOpen", "mouthPucker", "mouthPressLeft", "eyeBlinkLeft")
_HEIGHT, _STEP = 48, 4  # pixels of one curve, and between two frames


@dataclass(frozen=True)
class Agreement:
    """Mean correlation over time of the prediction with the truth, for the lips' opening and width (`motion.judge`)."""

    space: FeatureSpace

    def __call__(self, prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
        known = batch.weight[..., :1] > 0
        curves = (lips(self.space, torch.where(known, v, 0) * self.space.scales) for v in (prediction, batch.clean))
        r = correlation(*(curve.transpose(1, 2) for curve in curves)).mean(0)
        return {"r_open": r[0], "r_wide": r[1]}


@dataclass(frozen=True)
class Preview:
    """Curves of the first validation batch as a picture (3 h w in [0, 1]): truth green, sampled red, a row a clip."""

    scheduler: object
    steps: int = 8
    shared: float = 0.0
    clips: int = 4

    def __call__(self, denoiser: nn.Module, task) -> Tensor:
        batch = task.validation()[0]
        condition = head(batch.condition, self.clips)
        clean = batch.clean[: self.clips]
        generator = torch.Generator().manual_seed(0)
        frames, size = clean.shape[1:]
        noise = torch.cat([window_noise(frames, size, self.shared, generator) for _ in clean])
        made = sample(denoiser, self.scheduler, noise, condition, self.steps)
        units = [task.space.names.index(name) for name in WATCHED]
        rows = [
            torch.cat([plot(clean[clip, :, unit], made[clip, :, unit]) for unit in units], dim=2)
            for clip in range(len(clean))
        ]
        return torch.cat(rows, dim=1)


def head(condition: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """The first rows of a condition."""
    return {name: value[:count] for name, value in condition.items()}


def plot(truth: Tensor, made: Tensor) -> Tensor:
    """Two scaled curves (t,) as dots in a picture (3, 48, 4 t), 0 at the bottom, 5 at the top."""
    picture = torch.ones(3, _HEIGHT, _STEP * len(truth))
    column = torch.arange(len(truth)) * _STEP
    for values, hidden in ((truth, [0, 2]), (made, [1, 2])):
        row = ((1 - values / 5) * (_HEIGHT - 1)).round().long().clamp(0, _HEIGHT - 1)
        for channel in hidden:
            picture[channel, row, column] = 0
            picture[channel, row, column + 1] = 0
    return picture

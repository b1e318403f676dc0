"""How the small speech encoder learns from the big one: `python -m vlogger.train experiment=motion_encoder`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.audio import BINS, QUIET, mel_power, normalise, opening_level
from motion.augment import augment, mask_bins, uniform
from motion.data import cut, pick
from motion.encoder import SpeechEncoder
from motion.judge import correlation
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.loss import squared
from vlogger.errors import UserError
from vlogger.training import DiffusionTraining

MOST = 3.0  # a few features of the teacher are far out now and then, which is not to be learned


@dataclass(frozen=True)
class Lesson:
    """Sound as mel power (c, 80) and what the teacher says of it (n, d), 50 a second."""

    power: Tensor
    features: Tensor


def lesson(path: Path) -> Lesson:
    """One recording of `motion.teacher`."""
    with np.load(path) as file:
        samples = torch.from_numpy(file["samples"].astype(np.float32) / 32768)
        features = torch.from_numpy(file["features"]).clamp(-MOST, MOST)
        return Lesson(mel_power(samples), features)


class Lessons:
    """The task: stretches of `seconds` of what the teacher heard, in other acoustics, every 30th recording held out."""

    def __init__(self, data: str, encoder: SpeechEncoder, size: int = 16, seconds: float = 6.0, clean: float = 0.2):
        paths = sorted(Path(data).glob("*.rec.npz"))
        if not paths:
            raise UserError(f"There are no lessons in {data}: make some with motion.teacher, or set data=FOLDER.")
        self.before, self.after, self.size, self.clean = encoder.before, encoder.after, size, clean
        self.frames = round(seconds * 50)
        lessons = [lesson(path) for path in paths]
        self.held = lessons[29::30] or lessons
        self.lessons = [one for number, one in enumerate(lessons) if number % 30 != 29] or lessons
        self.weights = torch.tensor([float(len(one.features)) for one in self.lessons])

    def batch(self, generator: torch.Generator) -> Batch:
        chosen = torch.multinomial(self.weights, self.size, replacement=True, generator=generator)
        return self.collate([self.row(self.lessons[int(index)], generator) for index in chosen])

    def validation(self) -> list[Batch]:
        """Clean, then in the acoustics of the training."""
        generator = torch.Generator().manual_seed(0)
        return [
            self.collate([self.row(one, generator, clean) for one in self.held[: 2 * self.size]]) for clean in (1, 0)
        ]

    def row(self, one: Lesson, generator: torch.Generator, clean: float | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Mel with context, features, and 1 where the recording lasts."""
        start = pick(max(1, len(one.features) - self.frames + 50), generator) - 25
        columns = 2 * self.frames - 1 + self.before + self.after
        power = cut(one.power, (2 * start - self.before - 200) / 100, (columns + 200) / 100)
        if uniform(0, 1, generator) >= (self.clean if clean is None else clean):
            mel = mask_bins(heard(augment(power, generator)), generator)
        else:
            mel = heard(power)
        first, last = max(0, start), min(len(one.features), start + self.frames)
        pad = (0, 0, first - start, start + self.frames - last)
        features = F.pad(one.features[first:last].float(), pad)
        known = F.pad(torch.ones(last - first, 1), pad)
        return mel[200:], features, known

    @staticmethod
    def collate(rows: list[tuple[Tensor, Tensor, Tensor]]) -> Batch:
        mel, features, known = (torch.stack(list(part)) for part in zip(*rows, strict=True))
        return Batch(features, {"mel": mel}, known)


def heard(power: Tensor) -> Tensor:
    """Normalised log-mel; what is exactly nothing is silence."""
    return torch.where(power.sum(1, keepdim=True) > 0, normalise(power, opening_level(power)), QUIET)


class MouthMatters:
    """The squared error of the features, and that of the mouth that a regression reads off them, `strength` times.

    `kernel`: `mouth.npz` of `motion.label`; the regression is linear, so it reads the error itself. Of the 192
    directions that the teacher's features have, lips need a few.
    """

    def __init__(self, kernel: str, strength: float = 0.1):
        if not Path(kernel).exists():
            raise UserError(f"There is no regression of the mouth in {kernel}: make it with motion.label.")
        with np.load(kernel) as file:
            self.kernel = torch.from_numpy(file["kernel"])
        self.strength = strength

    def __call__(self, prediction: Tensor, target: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """(b, n, d) features, weight (b, n, 1)."""
        wrong = ((prediction - target) * weight).transpose(1, 2).float()
        mouth = F.conv1d(wrong, self.kernel.to(wrong), padding=self.kernel.shape[2] // 2).square().mean()
        features = squared(prediction, target, weight)
        return {"loss": features + self.strength * mouth, "features": features, "mouth": mouth}


class Distillation(DiffusionTraining):
    """The same training loop without noise: the encoder's features against the teacher's."""

    def compare(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        prediction = self.denoiser(batch.condition["mel"])
        return prediction, self.losses(prediction, batch)


def agreement(prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
    """Share of the teacher's variance that is explained, and mean correlation of the features."""
    known = batch.weight
    mean = (batch.clean * known).sum((0, 1)) / known.sum((0, 1))
    spread = squared(mean.expand_as(batch.clean), batch.clean, known)
    explained = 1 - squared(prediction, batch.clean, known) / spread
    r = correlation(*(torch.where(known > 0, v, 0).flatten(0, 1).T for v in (prediction, batch.clean)))
    return {"explained": explained, "r": r.mean()}


def picture(denoiser: nn.Module, task: Lessons) -> Tensor:
    """(3, h, w) the teacher's features above the encoder's."""
    batch = task.validation()[0]
    made = denoiser(batch.condition["mel"][:1])[0]
    rows = torch.cat([batch.clean[0].T[:BINS], made.T[:BINS]])
    return ((rows + 1) / 2).clamp(0, 1).expand(3, -1, -1)

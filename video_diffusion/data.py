"""What the painter learns from: random clips of the pools, flipped, tinted, with more holes than they had."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from video_diffusion.loss import Emphasis
from video_diffusion.network import known_where
from vlogger.body.parts import PARTS
from vlogger.diffusion.batch import Batch
from vlogger.errors import UserError
from vlogger.pools import Pool, pools_in

Sample = dict[str, Tensor]  # a batch of clips: "clean" and what `network.Painter` is told


def _other_side(name: str) -> str:
    """The part that a mirror shows in its place."""
    if name.startswith("left"):
        return name.replace("left", "right")
    return name.replace("right", "left")


_MIRRORED = [PARTS.index(_other_side(name)) for name in PARTS]


@dataclass(frozen=True)
class Augmentation:
    """Chances and strengths: mirror; brightness, contrast and colour of the whole sample (standard deviations); up to
    `holes` squares of at most `hole_size` pixels that the warp is made to forget, in this share of samples."""

    flip: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.1
    colour: float = 0.05
    holes: float = 0.5
    hole_count: int = 3
    hole_size: int = 20

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        if self.flip:
            chosen = torch.rand(len(sample["clean"]), generator=generator) < self.flip
            sample = flipped(sample, chosen)
        return punched(self.tinted(sample, generator), self.random_holes(sample["visible"], generator))

    def tinted(self, sample: Sample, generator: torch.Generator) -> Sample:
        """The same linear change of colours for target, warp and photo; what is unknown stays 0."""
        count = len(sample["clean"])
        scale = 1 + self.contrast * torch.randn(count, 1, 1, 1, 1, generator=generator)
        scale = scale + self.colour * torch.randn(count, 1, 3, 1, 1, generator=generator)
        shift = self.brightness * torch.randn(count, 1, 1, 1, 1, generator=generator)
        tinted = {name: (sample[name] * scale + shift).clamp(-1, 1) for name in ("clean", "warped")}
        photo = (sample["photo"] * scale[:, 0] + shift[:, 0]).clamp(-1, 1)
        warped = tinted["warped"] * known_where(sample["visible"])
        return {**sample, "clean": tinted["clean"], "warped": warped, "photo": photo}

    def random_holes(self, visible: Tensor, generator: torch.Generator) -> Tensor:
        """visible (b t 1 h w) -> kept (b 1 1 h w): 0 in the squares to forget, the same in all frames of a clip."""
        count, (height, width) = len(visible), visible.shape[-2:]
        kept = torch.ones(count, 1, 1, height, width)
        for index in range(count):
            if torch.rand((), generator=generator) >= self.holes:
                continue
            for _ in range(self.hole_count):
                y, x, h, w = torch.rand(4, generator=generator).tolist()
                top, left = int(y * height), int(x * width)
                kept[index, ..., top : top + 1 + int(h * self.hole_size), left : left + 1 + int(w * self.hole_size)] = 0
        return kept


def flipped(sample: Sample, chosen: Tensor) -> Sample:
    """The chosen clips (b,) as a mirror shows them: pixels, the sign of the surface's x, left and right parts."""
    mirrored = {name: value.flip(-1) for name, value in sample.items()}
    for name in ("surface", "photo_surface"):
        mirrored[name] = mirrored[name] * torch.tensor([-1.0, 1.0, 1.0]).view(3, 1, 1)
    for name in ("parts", "photo_parts"):
        mirrored[name] = mirrored[name].index_select(-3, torch.tensor(_MIRRORED))
    return {
        name: torch.where(chosen.view(-1, *[1] * (value.ndim - 1)), mirrored[name], value)
        for name, value in sample.items()
    }


def punched(sample: Sample, kept: Tensor) -> Sample:
    """The warp forgotten where `kept` is 0."""
    return {**sample, "visible": sample["visible"] * kept, "warped": sample["warped"] * kept}


def clips(pool: Pool, samples: np.ndarray, starts: np.ndarray, frames: int) -> Sample:
    """`frames` frames of some samples of a pool, each from its own start, as the painter wants them."""
    rows, columns = np.asarray(samples)[:, None], np.asarray(starts)[:, None] + np.arange(frames)
    visible = (torch.from_numpy(pool.visible[rows, columns]) / 127.5).round() / 2
    return {
        "clean": _colours(pool.target[rows, columns]),
        "warped": _colours(pool.warped[rows, columns]) * known_where(visible),
        "visible": visible,
        "surface": torch.from_numpy(pool.surface[rows, columns]) / 127,
        "parts": one_hot(torch.from_numpy(pool.parts[rows, columns])),
        "photo": _colours(pool.photo[samples]),
        "photo_surface": torch.from_numpy(pool.photo_surface[samples]) / 127,
        "photo_parts": one_hot(torch.from_numpy(pool.photo_parts[samples])),
    }


def one_hot(index: Tensor) -> Tensor:
    """Part of each pixel (… h w) -> (… k h w), all 0 where there is no body."""
    return (index.unsqueeze(-3) == torch.arange(len(PARTS)).view(-1, 1, 1)).float()


def _colours(pixels: np.ndarray) -> Tensor:
    """0…255 -> [-1, 1]."""
    return torch.from_numpy(pixels) / 127.5 - 1


class PoolTask:
    """Batches of random clips from the pools in a folder; some of each pool's persons are kept for validation.

    `frames` of each sample are used (pools of fewer are left out), `share` gives the pools' chances by name (without a
    name: the square root of its size), `validation` is the number of validation batches.
    """

    def __init__(
        self,
        folder: str,
        batch_size: int,
        augmentation: Augmentation,
        emphasis: Emphasis,
        frames: int = 1,
        share: Mapping[str, float] | None = None,
        validation: int = 4,
        held_out: float = 0.05,
    ):
        self.pools = {name: pool for name, pool in pools_in(folder).items() if pool.frames >= frames}
        if not self.pools:
            raise UserError(f"No pool in {folder} has samples of {frames} frames: write clips with vlogger.curate.")
        self.batch_size, self.frames, self.validation_batches = batch_size, frames, validation
        self.augmentation, self.emphasis = augmentation, emphasis
        masks = {name: pool.held_out(held_out) for name, pool in self.pools.items()}
        self.training_rows = {name: np.flatnonzero(~mask) for name, mask in masks.items()}
        self.validation_rows = {name: np.flatnonzero(mask) for name, mask in masks.items()}
        self.chances = self._chances(share or {})

    def _chances(self, share: Mapping[str, float]) -> Tensor:
        unknown = set(share) - set(self.pools)
        if unknown:
            raise UserError(f"There is no pool named {sorted(unknown)[0]}; there are {', '.join(self.pools)}.")
        sizes = {name: len(rows) for name, rows in self.training_rows.items()}
        return torch.tensor([float(share.get(name, size**0.5)) * (size > 0) for name, size in sizes.items()])

    def batch(self, generator: torch.Generator) -> Batch:
        names = list(self.pools)
        picks = torch.multinomial(self.chances, self.batch_size, replacement=True, generator=generator)
        samples = []
        for pick in picks.tolist():
            pool, rows = self.pools[names[pick]], self.training_rows[names[pick]]
            row = rows[_below(len(rows), generator)]
            start = _below(pool.frames - self.frames + 1, generator)
            samples.append(clips(pool, np.array([row]), np.array([start]), self.frames))
        return self.weighed(self.augmentation(joined(samples), generator))

    def validation(self) -> list[Batch]:
        """Always the same: rows spread evenly over what is held out of each pool, their first frames, untouched."""
        wanted = self.validation_batches * self.batch_size
        rows = [(name, row) for name, rows in self.validation_rows.items() for row in _spread(rows, wanted)]
        mixed = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        rows = [rows[index] for index in mixed[:wanted].tolist()]
        samples = [clips(self.pools[name], np.array([row]), np.array([0]), self.frames) for name, row in rows]
        starts = range(0, len(samples), self.batch_size)
        return [self.weighed(joined(samples[start : start + self.batch_size])) for start in starts]

    def weighed(self, sample: Sample) -> Batch:
        condition = {name: value for name, value in sample.items() if name != "clean"}
        condition["controls"] = torch.ones(len(sample["clean"]))  # all are told; `NoiseSettings.drop` may drop some
        return Batch(sample["clean"], condition, self.emphasis(sample["clean"], condition))


def joined(samples: list[Sample]) -> Sample:
    """Clips of different pools as one batch."""
    return {name: torch.cat([sample[name] for sample in samples]) for name in samples[0]}


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


def _spread(things, count: int) -> list:
    """At most `count` of them, evenly."""
    places = np.unique(np.linspace(0, len(things) - 1, min(count, len(things))).round().astype(int))
    return [things[place] for place in places]

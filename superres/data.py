"""What a batch is: crops of pool samples, the truth made small by a painter's faults, the warp, what is visible."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from superres.blend import MOST, PICTURES, SCALE, blend, calmed, enlarge, factor_of, has_colour, repeated
from superres.degrade import Degradation
from superres.moving import Wandering
from superres.stray import Straying
from vlogger.body.parts import PARTS
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.sampling import sample
from vlogger.errors import UserError
from vlogger.pixels import shrink
from vlogger.pools import Pool, pools_in

AS_PAINTED = Degradation()
DELICATE = tuple(PARTS.index(name) for name in ("lips", "eyes", "teeth", "tongue"))
"""Where painters err and people look."""

Crop = Mapping[str, Tensor]
"""target, warped (b t 3 H W), visible, guessed, delicate (b t 1 H W), maybe painted (b t 3 h w), in [0, 1]."""


@dataclass(frozen=True)
class Source:
    """A pool seen at `size` pixels: it is that large, or a whole number of times (`shrink`) larger."""

    pool: Pool
    size: int
    shrink: int
    held_out: np.ndarray

    def samples(self, held_out: bool) -> np.ndarray:
        return np.flatnonzero(self.held_out == held_out)


class SharpenTask:
    """Batches for `vlogger.training`: residual of the truth to the blend, for every factor that the pools can teach.

    `folder` is a pool or holds pools; one of 512 pixels also teaches 256. `small`: the painter's size; `crop`: the side
    of a crop at the large size, a multiple of 8 small pixels. A share `held_out` of the persons is only validated on.
    `frames` of a clip; a pool of stills gives so many by `wander`, or single ones without. `straying`: how far the warp
    may be from the truth, besides what it is in the pool. `painted`: chance that a sample is shown as the painter made
    it, its warp where it is, if its pool has that (`vlogger.curation.painted`); `calm`: and `superres.blend.calmed`.
    A size that is named twice is taught twice as often. `halved`: chance that the largest size's warp is half as fine,
    which is what the stage has when it makes an exact video of half that size (`superres.sample`).
    """

    def __init__(
        self,
        folder: str,
        small: int = 128,
        sizes: tuple[int, ...] = (256, 512),
        crop: int = 128,
        batch_size: int = 16,
        frames: int = 1,
        held_out: float = 0.05,
        degradation: Degradation = AS_PAINTED,
        wander: Wandering | None = None,
        straying: Straying | None = None,
        painted: float = 0.0,
        calm: bool = False,
        halved: float = 0.0,
    ):
        self.small, self.crop, self.batch_size, self.frames = small, crop, batch_size, frames
        self.degradation, self.wander, self.straying = degradation, wander, straying
        self.painted, self.calm, self.halved = painted, calm, halved
        found = {size: sources(folder, size, held_out) for size in sizes}
        self.sources = {size: of_size for size, of_size in found.items() if of_size}
        self.sizes = [size for size in sizes if size in self.sources]
        if not self.sources:
            raise UserError(
                f"No pool in {folder} has pictures of {min(sizes)} pixels or more: make one with vlogger.curate."
            )
        check_painted([source.pool for of_size in self.sources.values() for source in of_size], small, painted)

    def batch(self, generator: Generator) -> Batch:
        source = self.choose(generator)
        crops = self.clips(
            source, self.places(source, self.batch_size, self.crop, generator, held_out=False), generator
        )
        return self.teach(jittered(flipped(crops, generator), generator), source.size // self.small, generator)

    def validation(self) -> list[Batch]:
        """Always the same larger crops of the people held out: three batches of four for each source."""
        generator, side = torch.Generator().manual_seed(0), 2 * self.crop
        chosen = [source for of_size in self.sources.values() for source in of_size for _ in range(3)]
        places = [self.places(s, 4, min(side, s.size), generator, held_out=True) for s in chosen]
        cut = [self.clips(s, where, generator) for s, where in zip(chosen, places, strict=True)]
        return [self.teach(crops, s.size // self.small, generator) for s, crops in zip(chosen, cut, strict=True)]

    def clips(self, source: Source, places: list["Place"], generator: Generator) -> Crop:
        """The crops; those of stills are set in motion, if clips are wanted."""
        crops = read(source, places)
        if self.wander is None or crops["target"].shape[1] == self.frames:
            return crops | (painted_crops(source, places) if self.painted else {})
        return self.wander(crops, self.frames, generator)

    def choose(self, generator: Generator) -> Source:
        """A size, then a pool that has it."""
        return pick(self.sources[pick(self.sizes, generator)], generator)

    def places(self, source: Source, count: int, side: int, generator: Generator, held_out: bool) -> list["Place"]:
        """Where to look: samples at random, squares around pixels that favour the face."""
        samples, grain = source.samples(held_out), source.size // self.small
        frames = min(self.frames, source.pool.frames)
        places = []
        for _ in range(count):
            index = int(pick(samples, generator))
            start = int(torch.randint(source.pool.frames - frames + 1, (), generator=generator))
            centre = likely_pixel(source.pool.parts[index, start], generator)
            top, left = (corner(c // source.shrink, side, source.size, grain) for c in centre)
            places.append(Place(index, start, frames, top, left, side))
        return places

    def teach(self, crops: Crop, factor: int, generator: Generator) -> Batch:
        """A painter's version of the small truth, and what the blend of it lacks."""
        delicate = shrink(crops["delicate"], factor)
        small = self.degradation(shrink(crops["target"], factor), delicate, generator)
        warped, visible = crops["warped"], crops["visible"]
        if self.straying is not None:
            warped, visible = self.straying(warped, visible, factor, generator)
        if self.halved and factor == MOST:
            warped, visible = half_as_fine(warped, visible, self.halved, generator)
        condition = {"small": small, "warped": warped, "visible": visible}
        if "painted" in crops:
            condition = self.some_painted(condition, crops, generator)
        weight = 1 + 2 * (1 - condition["visible"]) + 3 * enlarge(delicate, factor, "linear")
        residual = (crops["target"] - blend(**condition)) / SCALE
        return Batch(residual, condition | {"exact": is_mean(condition["small"], crops["target"])}, weight)

    def some_painted(self, condition: Crop, crops: Crop, generator: Generator) -> dict[str, Tensor]:
        """Some samples as the painter made them, with their own warp."""
        chosen = torch.rand(len(crops["target"]), 1, 1, 1, 1, generator=generator) < self.painted
        own = {"small": crops["painted"], "warped": crops["warped"], "visible": crops["visible"]}
        if self.calm:
            own["small"] = calmed(own["small"], own["warped"], own["visible"], crops["guessed"])
        return {name: torch.where(chosen, own[name], value) for name, value in condition.items()}


@dataclass(frozen=True)
class Place:
    """A square of a sample, `side` pixels at the size of its source, over some frames."""

    index: int
    start: int
    frames: int
    top: int
    left: int
    side: int


def sources(folder: str, size: int, held_out: float) -> list[Source]:
    """The pools in the folder that can teach this size."""
    pools = [(pool, pool.target.shape[-1]) for pool in pools_in(folder).values()]
    fitting = [(pool, side // size) for pool, side in pools if side >= size and side % size == 0]
    return [Source(pool, size, times, pool.held_out(held_out)) for pool, times in fitting]


def read(source: Source, places: list[Place]) -> dict[str, Tensor]:
    """The crops, as tensors (b t c H W) in [0, 1]; colours of the warp count only where they are known."""

    def cut(name: str, place: Place) -> Tensor:
        rows, columns = (slice(a * source.shrink, (a + place.side) * source.shrink) for a in (place.top, place.left))
        array = getattr(source.pool, name)[place.index, place.start : place.start + place.frames, ..., rows, columns]
        return torch.from_numpy(np.array(array))

    target, warped, visible = (
        torch.stack([cut(name, place) for place in places]).float() / 255 for name in ("target", "warped", "visible")
    )
    guessed = has_colour(visible) * (visible < 0.75)
    visible = has_colour(visible)
    parts = torch.stack([cut("parts", place) for place in places]).unsqueeze(2)
    delicate = torch.isin(parts, torch.tensor(DELICATE, dtype=torch.uint8)).float()
    warped, visible = coarser(warped, visible, source.shrink)
    target, guessed, delicate = (shrink(x, source.shrink) for x in (target, guessed, delicate))
    return {"target": target, "warped": warped, "visible": visible, "guessed": guessed, "delicate": delicate}


def coarser(warped: Tensor, visible: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Means of factor x factor pixels: of the colours that are known, and of how much is known."""
    known = shrink(visible, factor)
    return shrink(warped * visible, factor) / known.clamp(min=1e-3), known


def half_as_fine(warped: Tensor, visible: Tensor, share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """A share of the samples' warps (b t 3 H W; visible 0 or 1) as those of half the size, enlarged."""
    chosen = torch.rand(len(warped), 1, 1, 1, 1, generator=generator) < share
    colour, known = coarser(warped, visible, 2)
    seen = repeated(has_colour(known), 2)
    return torch.where(chosen, enlarge(colour, 2), warped), torch.where(chosen, seen, visible)


def is_mean(small: Tensor, target: Tensor) -> Tensor:
    """1 for samples whose small picture (b t 3 h w) is the shrunken truth (b t 3 H W), else 0: (b 1 1 1 1)."""
    same = (small == shrink(target, factor_of(small, target))).flatten(1).all(1)
    return same.float().view(-1, 1, 1, 1, 1)


def painted_crops(source: Source, places: list[Place]) -> dict[str, Tensor]:
    """What the painter made of the crops, "painted" (b t 3 h w) in [0, 1], if the pool has it."""
    made = source.pool.painted
    if made is None:
        return {}
    factor = source.size // made.shape[-1]

    def cut(place: Place) -> Tensor:
        rows, columns = (slice(a // factor, (a + place.side) // factor) for a in (place.top, place.left))
        return torch.from_numpy(made[place.index, place.start : place.start + place.frames, :, rows, columns].copy())

    return {"painted": torch.stack([cut(place) for place in places]).float() / 255}


def check_painted(pools: list[Pool], small: int, share: float) -> None:
    """Pictures of the painter are wanted (`share` above 0): one of the pools has them, and they have the small size."""
    made = [pool.painted.shape[-1] for pool in pools if pool.painted is not None]
    if share and (not made or set(made) != {small}):
        raise UserError(
            f"No pool has pictures of the painter of {small} pixels: python -m vlogger.curate dataset=painted data=POOL"
            f" dataset.size={small}, or leave them out (experiment.module.task.painted=0)."
        )


def likely_pixel(parts: np.ndarray, generator: Generator) -> tuple[int, int]:
    """A pixel (row, column) of parts (h w): the body 4 times, its delicate parts 30 times as likely as the rest."""
    coarse = torch.from_numpy(np.array(parts[4::8, 4::8]))
    weight = 1.0 + 3 * (coarse < len(PARTS)) + 26 * torch.isin(coarse, torch.tensor(DELICATE, dtype=torch.uint8))
    row, column = divmod(int(torch.multinomial(weight.flatten(), 1, generator=generator)), coarse.shape[1])
    return 8 * row + 4, 8 * column + 4


def corner(centre: int, side: int, size: int, grain: int) -> int:
    """First pixel of a crop around `centre` that stays inside and begins on a small pixel's border."""
    return max(0, min(size - side, centre - side // 2)) // grain * grain


def flipped(crops: Crop, generator: Generator) -> dict[str, Tensor]:
    """Half of the samples as in a mirror."""
    mirrored = torch.rand(len(crops["target"]), 1, 1, 1, 1, generator=generator) < 0.5
    return {name: torch.where(mirrored, x.flip(-1), x) for name, x in crops.items()}


def jittered(crops: Crop, generator: Generator, most: float = 0.15) -> dict[str, Tensor]:
    """Other colours, the same for truth and warp: gain, gamma and saturation of each sample."""
    b = len(crops["target"])
    gain, gamma = (torch.exp(most * (2 * torch.rand(b, 1, 3, 1, 1, generator=generator) - 1)) for _ in range(2))
    saturation = 1 + 2 * most * (2 * torch.rand(b, 1, 1, 1, 1, generator=generator) - 1)

    def coloured(x: Tensor) -> Tensor:
        y = gain * x.clamp(1e-4, 1) ** gamma
        return (y.mean(2, keepdim=True) * (1 - saturation) + saturation * y).clamp(0, 1)

    return {name: coloured(x) if x.shape[2] == 3 else x for name, x in crops.items()}


def pick(choices, generator: Generator):
    """One of them, at random."""
    return choices[int(torch.randint(len(choices), (), generator=generator))]


@dataclass(frozen=True)
class Preview:
    """Progress as a picture (3 h w in [0, 1]), crop by crop: bicubic, blend, what is sampled now, the truth."""

    scheduler: object
    steps: int = 1

    def __call__(self, denoiser: nn.Module, task: SharpenTask) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        rows = [self.row(denoiser, batch, generator) for batch in task.validation()[::3]]
        width = max(row.shape[-1] for row in rows)
        return torch.cat([F.pad(row, (0, width - row.shape[-1])) for row in rows], dim=-2).clamp(0, 1)

    def row(self, denoiser: nn.Module, batch: Batch, generator: Generator) -> Tensor:
        """The first two crops of the batch, one below the other."""
        clean, condition = batch.clean[:2], {name: value[:2] for name, value in batch.condition.items()}
        noise = torch.randn(clean.shape, generator=generator)
        residual = sample(denoiser, self.scheduler, noise, condition, self.steps)
        mixed = blend(*(condition[name] for name in PICTURES))
        plain = enlarge(condition["small"], clean.shape[-1] // condition["small"].shape[-1])
        pictures = torch.cat([plain, mixed, mixed + SCALE * residual, mixed + SCALE * clean], dim=-1)
        return torch.cat(list(pictures[:, 0]), dim=-2)

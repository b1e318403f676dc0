"""Sharpen: the small video at the size of its controls, with the detail that the photo has (VLOGGER 3.2, cascade)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from superres.blend import MOST, SCALE, calmed, doubted, enlarge, factor_of, has_colour, repeated, unsure
from superres.boxes import boxes_around
from superres.groups import in_groups
from superres.network import Sharpener
from vlogger.diffusion.precision import autocast
from vlogger.diffusion.sampling import Condition, sample
from vlogger.errors import UserError
from vlogger.pixels import shrink, to_uint8
from vlogger.stages import ControlSequence
from vlogger.types import Video

NEAR = 6  # small pixels: how far from a doubt guesses are doubted too


@dataclass(frozen=True)
class DiffusionUpscale:
    """The stage: blend, diffuse the residual, add.

    `steps` calls of the network for each frame; frame by frame, or, if the network has temporal convolutions, in groups
    of `group` frames with `context` frames before them (`in_groups`). `shared` is the share of the noise's variance
    that all frames have in common (PYoCo, arXiv 2305.10474, mixed noise): at 1 what is invented does not flicker.
    `precision`: see `vlogger.diffusion.precision`. `reach`: pixels of the small video around guesses and holes; farther
    away the picture is the warped photo (None: nowhere), as far as the small video shows the same: `tolerance` grey
    levels apart in the mean of a few pixels (None: however far). `detail`: how much of what this adds to bicubic
    enlargement is shown; 1 is as sharp as the photo, 0.3 nearest to the truth by squared error where photo and truth
    are far apart (docs/paint.md). `calm`: with `superres.blend.calmed`, for a painter that was shown small drawings.
    `exact`: the small video is no painter's but a true one, each of its pixels the mean of so many true ones, and is
    believed everywhere; `reach`, `tolerance` and `calm` say nothing then. `start`, `painted`: see `going_on`.
    """

    reads_maps: ClassVar[bool] = False

    network: Sharpener
    scheduler: object
    steps: int = 1
    shared: float = 1.0
    precision: str = "float32"
    reach: int | None = None
    tolerance: float | None = None
    detail: float = 1.0
    calm: bool = False
    exact: bool = False
    group: int = 8
    context: int = 2
    start: int = 0
    painted: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))

    def __post_init__(self):
        if self.reach is not None and (not isinstance(self.reach, int) or self.reach < 0):
            raise UserError(
                f"superres.reach={self.reach}: give a whole number of pixels, 0 or more, or null for everywhere."
            )
        if self.tolerance is not None and (not isinstance(self.tolerance, int | float) or not self.tolerance > 0):
            raise UserError(f"superres.tolerance={self.tolerance}: give grey levels, more than 0, or null for any.")
        if self.exact and self.network.exact is None:
            raise UserError(
                "superres.exact=true: these weights were not trained for that (network.exactness); set it to false."
            )
        if not isinstance(self.detail, int | float) or not 0 <= self.detail <= 1:
            raise UserError(f"superres.detail={self.detail}: give a share from 0 (soft) to 1 (as sharp as the photo).")

    def going_on(self, start: int, painted: Tensor) -> "DiffusionUpscale":
        """The same stage for a video whose first clip begins with frame `start`; `painted` (n 3 h w uint8): the small
        frames before it, as many as a group and its context have."""
        return replace(self, start=start, painted=painted)

    @torch.inference_mode()
    def __call__(self, video: Iterable[Video], controls: ControlSequence, *, generator: Generator) -> Iterator[Video]:
        noise = FrameNoise.drawn(controls.size, self.shared, generator)
        group, context = (self.group, self.context) if self.network.temporal else (1, 0)
        for piece in in_groups(
            self.checked(video, controls.size), controls, (group, context), self.start, self.painted
        ):
            windows = [
                self.sharpen(*frames, noise(first, len(frames[0])))[new:] for first, new, frames in piece.windows
            ]
            yield Video(torch.cat(windows)[piece.skipped :], piece.fps)

    def checked(self, video: Iterable[Video], size: int) -> Iterator[Video]:
        """The clips, if they can be brought to that size."""
        for clip in video:
            check_size(clip, size, self.network.grain)
            yield clip

    def sharpen(self, frames: Tensor, warped: Tensor, visible: Tensor, noise: Tensor) -> Tensor:
        """frames (t 3 h w uint8); warped, visible and noise (t c H W) -> (t 3 H W uint8): `composed`, with so much of
        its `detail`."""
        sharp = self.composed(frames, warped, visible, noise)
        if self.detail == 1:
            return sharp
        soft = enlarge(frames.float(), warped.shape[-1] // frames.shape[-1]).clamp(0, 255)
        return to_uint8(soft + self.detail * (sharp - soft))

    def composed(self, frames: Tensor, warped: Tensor, visible: Tensor, noise: Tensor) -> Tensor:
        """The same in full detail: the warped photo, and what the network makes of everything else."""
        if self.exact:
            return to_uint8(255 * self.exact_picture(frames, warped, visible, noise))
        doubt = self.doubt(frames, warped, visible)
        if self.calm:
            frames = calm_frames(frames, warped, visible, doubt)
        if self.reach is None:
            return to_uint8(255 * self.picture(frames, warped, visible, noise))
        cell, factor = self.network.grain, warped.shape[-1] // frames.shape[-1]
        free, result = unsure(visible, self.reach, factor, doubt), to_uint8(255 * warped)
        wanted = F.max_pool2d(free.amax(0), cell // factor)[0] > 0
        for box in boxes_around(wanted):
            small, mask = (box.cut(values, cell // factor) for values in (frames, free))
            photo, seen, chance = (box.cut(values, cell) for values in (warped, visible, noise))
            change = enlarge(mask, factor, "linear") * (self.picture(small, photo, seen, chance) - photo)
            box.cut(result, cell).copy_(to_uint8(255 * (photo + change)))
        return result

    def doubt(self, frames: Tensor, warped: Tensor, visible: Tensor) -> Tensor | None:
        """Where the small video is farther than `tolerance` from the photo (t 1 h w, from 0 to 1)."""
        if self.tolerance is None:
            return None
        return doubted(frames.float() / 255, warped, visible, self.tolerance / 255)

    def picture(self, frames: Tensor, warped: Tensor, visible: Tensor, noise: Tensor) -> Tensor:
        """frames (t 3 h w uint8), the others (t c H W), a box of all of them -> the network's (t 3 H W)."""
        condition = {"small": frames.float() / 255, "warped": warped, "visible": has_colour(visible)}
        condition |= {"exact": torch.ones(1, 1, 1, 1)} if self.exact else {}
        told = self.network.prepare({name: value[None] for name, value in condition.items()})
        residual = sample(self.denoise, self.scheduler, noise[None], told, self.steps)
        return (told["blend"] + SCALE * residual)[0]

    def exact_picture(self, frames: Tensor, warped: Tensor, visible: Tensor, noise: Tensor) -> Tensor:
        """`picture` of an exact video, made at `MOST` times its size and then shrunk: a network that works on squares
        of `patch` pixels has more to work with there (0.8 dB at twice the size, docs/paint.md)."""
        times = max(1, MOST // factor_of(frames, warped))
        photo, seen, chance = enlarge(warped, times), repeated(visible, times), noise.repeat(1, 1, times, times)
        return shrink(self.picture(frames, photo, seen, chance), times)

    def denoise(self, noisy: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        with autocast(self.precision):
            return self.network(noisy, timestep, condition).float()


def calm_frames(frames: Tensor, warped: Tensor, visible: Tensor, doubt: Tensor | None) -> Tensor:
    """frames (t 3 h w uint8), `calmed` except within `NEAR` pixels of a doubt (t 1 h w): then a guess is no better."""
    small, coloured = frames.float() / 255, has_colour(visible)
    calm = calmed(*(x[None] for x in (small, warped, coloured, coloured * (visible < 1))))[0]
    if doubt is not None:
        calm = calm.lerp(small, F.max_pool2d(doubt, 2 * NEAR + 1, 1, NEAR))
    return to_uint8(255 * calm)


@dataclass(frozen=True)
class Bicubic:
    """The plain yardstick: bicubic enlargement, which adds no detail and knows no photo."""

    reads_maps: ClassVar[bool] = False

    def going_on(self, start: int, painted: Tensor) -> "Bicubic":
        return self

    def __call__(self, video: Iterable[Video], controls: ControlSequence, *, generator: Generator) -> Iterator[Video]:
        for clip in video:
            check_size(clip, controls.size, 1)
            yield Video(enlarge(clip.frames, controls.size // clip.frames.shape[-1]), clip.fps)


@dataclass(frozen=True)
class FrameNoise:
    """White noise of any frame, by its number alone: however the video is cut, a frame has the same noise."""

    common: Tensor
    seed: int
    shared: float

    @classmethod
    def drawn(cls, size: int, shared: float, generator: Generator) -> "FrameNoise":
        seed = int(torch.randint(2**62, (), generator=generator))
        return cls(torch.randn(3, size, size, generator=generator), seed, shared)

    def __call__(self, start: int, count: int) -> Tensor:
        """Frames start, ... start + count - 1: (count, 3, size, size)."""
        return torch.stack([self.frame(index) for index in range(start, start + count)])

    def frame(self, index: int) -> Tensor:
        if self.shared == 1:
            return self.common
        own = torch.randn(self.common.shape, generator=Generator().manual_seed(self.seed + index))
        return self.shared**0.5 * self.common + (1 - self.shared) ** 0.5 * own


def check_size(clip: Video, size: int, grain: int) -> None:
    """The large size is a whole multiple of the clip's, and the network can work on it."""
    height, width = clip.frames.shape[-2:]
    if height != width or size % width or size % grain:
        raise UserError(
            f"A video of {width}x{height} cannot be sharpened to {size}x{size}: "
            f"ask for a size that is a multiple of {width} (256 or 512 for a video of 128)."
        )

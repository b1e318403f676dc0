"""The values that pass between the stages.

Frozen, one clip each, no batch axis, time first, on the CPU. Shapes are checked when a value is made.
Axes: t frames, s samples, h w pixels, n shape, e expression, k parts. Units: metres, rotation matrices, Hz, frames per
second. Images: RGB, origin top-left. Body space: x right (the viewer's), y up, z towards the viewer; the camera sits at
the origin and looks along -z, so that a point (x, y, z) is seen at pixel (fx * x / -z + cx, fy * -y / -z + cy), pixel
centres at +0.5. Each value is saved to and loaded from one file (`vlogger.io`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from beartype import beartype
from jaxtyping import Float, UInt8, jaxtyped
from torch import Tensor

value = jaxtyped(typechecker=beartype)


@value
@dataclass(frozen=True)
class Audio:
    """Mono sound in [-1, 1]."""

    samples: Float[Tensor, " s"]
    sample_rate: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


@value
@dataclass(frozen=True)
class Portrait:
    """One sRGB picture, upright, of any size. `matte`: 255 where it shows the person (hair, hat and clothes too), 0
    where it shows what stands still behind; None where nobody has told them apart."""

    image: UInt8[Tensor, "3 h w"]
    matte: UInt8[Tensor, "1 h w"] | None = None

    def seen(self, through: Callable[[Tensor], Tensor]) -> "Portrait":
        """The same cut out or at another size: `through` is done to the picture and to the matte."""
        return Portrait(through(self.image), None if self.matte is None else through(self.matte))


@value
@dataclass(frozen=True)
class Subject:
    """The body fitted to a photo, in the space of the camera that took it.

    `rotations` are local (joint relative to its parent; the pelvis relative to the camera), `translation` moves the
    pelvis-rooted body in camera space (metres, z < 0), `intrinsics` are in pixels of `portrait`. `offsets`: metres
    added to the body's template (`vlogger.body.smplx.personal`), what betas cannot tell; None for none.
    """

    portrait: Portrait
    betas: Float[Tensor, " n"]
    rotations: Float[Tensor, "55 3 3"]
    expression: Float[Tensor, " e"]
    translation: Float[Tensor, " 3"]
    intrinsics: Float[Tensor, "3 3"]
    offsets: Float[Tensor, "v 3"] | None = None


@value
@dataclass(frozen=True)
class Motion:
    """A moving body: local joint rotations, expression weights, translation (metres, camera space), fps."""

    rotations: Float[Tensor, "t 55 3 3"]
    expression: Float[Tensor, "t e"]
    translation: Float[Tensor, "t 3"]
    fps: float

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, frames: slice) -> "Motion":
        return Motion(self.rotations[frames], self.expression[frames], self.translation[frames], self.fps)


def joined(pieces: Sequence[Motion]) -> Motion:
    """One after the other; frames per second are those of the first, and there must be one."""
    parts = (torch.cat([getattr(one, name) for one in pieces]) for name in ("rotations", "expression", "translation"))
    return Motion(*parts, fps=pieces[0].fps)


@value
@dataclass(frozen=True)
class Controls:
    """What the painter is told about each frame (VLOGGER 3.2), and what the compositor needs.

    `surface`: squashed template position seen at each pixel, in [-1, 1], 0 where there is no body (C^d).
    `parts`: one-hot body part, channel order `vlogger.body.parts.PARTS`, all 0 where there is no body (C^m).
    `warped`: the photo's colours in [0, 1] carried along the mesh and its halo (C^w), 0 where unknown.
    `visible`: 1 where `warped` is the photo's own colour or continues the room beside it, 0.5 where it is a guess drawn
    from the body model (inside of the mouth, turned eyeballs, closing lids), 0 where it must be invented.
    `moved`: 0 where the picture stays as the photo shows it, 1 where it must be repainted, soft between.
    """

    surface: Float[Tensor, "t 3 h w"]
    parts: Float[Tensor, "t k h w"]
    warped: Float[Tensor, "t 3 h w"]
    visible: Float[Tensor, "t 1 h w"]
    moved: Float[Tensor, "t 1 h w"]
    fps: float

    def __len__(self) -> int:
        return len(self.surface)

    def __getitem__(self, frames: slice) -> "Controls":
        parts = (getattr(self, name)[frames] for name in ("surface", "parts", "warped", "visible", "moved"))
        return Controls(*parts, fps=self.fps)


@value
@dataclass(frozen=True)
class Video:
    """A clip of RGB frames."""

    frames: UInt8[Tensor, "t 3 h w"]
    fps: float

    def __len__(self) -> int:
        return len(self.frames)


def frame_count(duration: float, fps: float) -> int:
    """Frames of a video that lasts as long as its sound: round(duration * fps), at least one."""
    return max(1, round(duration * fps))


def seeded(seed: int) -> torch.Generator:
    """The one source of chance: a CPU generator."""
    return torch.Generator().manual_seed(seed)

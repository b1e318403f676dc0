"""The warped photo as it is when photo and video do not quite agree: carried to a wrong place, in another light.

What the painter makes lies where the warp does. But a clip of a true person, or of another painter, does not: the body
is tracked to a pixel at best, faces move as no mesh does, and light changes. A sharpener that has only seen perfect
warps shows the photo wherever there is one; this teaches it to believe the small video, and the photo as far as they
agree. Pictures are "b t c h w" in [0, 1].
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from superres.blend import uncovered
from superres.degrade import displaced
from vlogger.pixels import resize


@dataclass(frozen=True)
class Straying:
    """The most of each: smooth shift (small pixels), light (log of a smooth gain), tint (log of each colour's gain);
    `other`: chance that a sample has someone else's photo; `spared`: chance that it stays as it is.
    """

    shift: float = 1.5
    light: float = 0.2
    tint: float = 0.05
    other: float = 0.08
    spared: float = 0.35

    def __call__(self, warped: Tensor, visible: Tensor, factor: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """warped (b t 3 H W), visible (b t 1 H W, 0 or 1) -> both, led astray; the same in all frames of a clip."""
        b = len(warped)

        def chance(share: float) -> Tensor:
            return torch.rand(b, 1, 1, 1, 1, generator=generator) < share

        wrong = chance(self.other)
        photo, known = (torch.where(wrong, x.roll(1, 0), x) for x in (warped * visible, visible))
        photo, known = self.shifted(torch.cat([photo, known], dim=2), factor, generator).split([3, 1], dim=2)
        colour = uncovered(photo, known) * self.gain(warped, generator)
        spared = chance(self.spared)
        return torch.where(spared, warped, colour.clamp(0, 1)), torch.where(spared, visible, (known > 0.5).float())

    def shifted(self, x: Tensor, factor: int, generator: Generator) -> Tensor:
        """Carried by a smooth field, of each sample's own size."""
        b, t = x.shape[:2]
        most = factor * self.shift * torch.rand(b, 1, 1, 1, 1, generator=generator)
        field = most * torch.randn(b, 1, 2, 4, 4, generator=generator) / 2
        return displaced(x, field.expand(-1, t, -1, -1, -1))

    def gain(self, x: Tensor, generator: Generator) -> Tensor:
        """Of each pixel and colour (b 1 3 H W), smooth."""
        b, (h, w) = len(x), x.shape[-2:]
        most = self.light * torch.rand(b, 1, 1, 1, 1, generator=generator)
        light = resize(most * torch.randn(b, 1, 1, 3, 3, generator=generator) / 2, h, w, "linear")
        return torch.exp(light + self.tint * (2 * torch.rand(b, 1, 3, 1, 1, generator=generator) - 1))

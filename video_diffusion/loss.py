"""Where the painter has work to do, and how well it did it.

The warp carries the person; what is wrong in it is a few per cent of the pixels (holes, the opened mouth, eyes), and
these get most of the weight. VLOGGER itself states a plain squared error.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from video_diffusion.network import filled, known_where
from video_diffusion.regions import DETAILS, FACE, MOUTH, dilated, region
from vlogger.body.parts import PARTS
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.loss import absolute


@dataclass(frozen=True)
class Emphasis:
    """How much more than 1 a pixel weighs: body that the warp does not show (`hole`; half of
    it where the warp has a guess), mouth and eyes with a margin of
    `margin` pixels (`details`), and where the filled warp is wrong (`wrong` at a difference of `large` or more, in
    units of [-1, 1])."""

    hole: float = 2.0
    details: float = 3.0
    wrong: float = 6.0
    large: float = 0.5
    margin: int = 3

    def __call__(self, clean: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """clean (b t 3 h w) and the painter's condition -> weight (b t 1 h w)."""
        hole = region(condition["parts"], PARTS) * (1 - condition["visible"])
        details = dilated(region(condition["parts"], DETAILS), self.margin)
        wrong = (base_of(condition) - clean).abs().amax(dim=2, keepdim=True) / self.large
        return 1 + self.hole * hole + self.details * details + self.wrong * wrong.clamp(max=1)


def base_of(condition: Mapping[str, Tensor]) -> Tensor:
    """The warp with its holes filled smoothly: what an untrained painter paints."""
    batch = condition["warped"].shape[:2]
    known = known_where(condition["visible"])
    return filled(condition["warped"].flatten(0, 1), known.flatten(0, 1)).unflatten(0, batch)


def psnr(prediction: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1] (b t 3 h w) where mask (b t 1 h w) is 1, over all."""
    error = ((prediction.clamp(-1, 1) - clean) / 2) ** 2 * mask
    return -10 * torch.log10(error.sum() / (3 * mask.sum()).clamp(min=1) + 1e-9)


def repairs(prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
    """For validation: PSNR of the face and of the mouth, and how much it gains over the filled warp (dB)."""
    base, report = base_of(batch.condition), {}
    for name, parts in (("face", FACE), ("mouth", MOUTH)):
        mask = region(batch.condition["parts"], parts)
        report[f"psnr_{name}"] = psnr(prediction, batch.clean, mask)
        report[f"gain_{name}"] = report[f"psnr_{name}"] - psnr(base, batch.clean, mask)
    return report


def pixels(prediction: Tensor, clean: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """Weighted |x0 - x0_hat|, and the plain one beside it to compare runs of different weights."""
    return {
        "loss": absolute(prediction, clean, weight),
        "plain": (prediction.detach() - clean).abs().mean(),
    }

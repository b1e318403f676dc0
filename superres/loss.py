"""What the sharpener is trained on: the residual itself and its edges; and how far it is ahead, in decibels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from superres.blend import PICTURES, SCALE, detail, factor_of
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.loss import absolute, weighted_mean
from vlogger.pixels import shrink


@dataclass(frozen=True)
class SharpLoss:
    """|x0 - x0_hat| + gradient * |grad x0 - grad x0_hat|, weighted; residuals (b, t, 3, H, W) in units of `SCALE`.

    `coarse` times the same of means of 2 x 2 pixels is added: what is finer can hardly be foretold, and would else be
    most of the error (losses of several scales, LapSRN, arXiv 1710.01992, 3.3).
    """

    gradient: float = 1.0
    coarse: float = 0.0

    def __call__(self, prediction: Tensor, clean: Tensor, weight: Tensor) -> dict[str, Tensor]:
        error = prediction - clean
        losses = self.of(error, weight)
        if self.coarse:
            coarse = self.of(shrink(error, 2), shrink(weight, 2))["loss"]
            losses |= {"loss": losses["loss"] + self.coarse * coarse, "coarse": coarse}
        return losses

    def of(self, error: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Of one scale."""
        value, edges = weighted_mean(error.abs(), weight), edge_error(error, weight)
        return {"loss": value + self.gradient * edges, "value": value, "edges": edges}


def edge_error(error: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference of the error between neighbours: 0 if the edges are right, whatever the level."""
    weight = weight.expand_as(error)
    down = absolute(error[..., 1:, :], error[..., :-1, :], weight[..., 1:, :])
    right = absolute(error[..., 1:], error[..., :-1], weight[..., 1:])
    return down + right


def decibels(error: Tensor) -> Tensor:
    """PSNR of an error in pictures of [0, 1]."""
    return -10 * torch.log10((error**2).mean().clamp(min=1e-10))


def report(prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
    """PSNR in dB for this batch's factor: of the prediction, of the blend that it corrects, and of plain bicubic.

    The prediction is made at the noise levels of training; `benchmarks/superres.py` samples from pure noise.
    """
    name = f"psnr_{factor_of(batch.condition['small'], batch.clean)}x"
    return {
        name: decibels(SCALE * (prediction - batch.clean)),
        f"{name}_blend": decibels(SCALE * batch.clean),
        f"{name}_bicubic": decibels(SCALE * batch.clean + detail(*(batch.condition[name] for name in PICTURES))),
    }

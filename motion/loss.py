"""What the motion network is trained on: the clean motion, and how it changes (VLOGGER Eq. 1 and the temporal loss)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from motion.features import FeatureSpace, longest
from vlogger.diffusion.loss import squared

Temporal = Callable[[Tensor, Tensor, Tensor], Tensor]


def both_known(weight: Tensor) -> Tensor:
    """(b, t, d) -> (b, t - 1, d): how much a step from one frame to the next counts."""
    return weight[:, 1:] * weight[:, :-1]


def smoothness(prediction: Tensor, clean: Tensor, weight: Tensor) -> Tensor:
    """||x^{i+1} - x^i||^2 of the prediction, the paper's temporal loss: it calms, and it also shrinks."""
    steps = prediction.diff(dim=1)
    return squared(steps, torch.zeros_like(steps), both_known(weight))


def velocity(prediction: Tensor, clean: Tensor, weight: Tensor) -> Tensor:
    """||(x^{i+1} - x^i) - (truth's)||^2: calms what should be calm and leaves fast lips fast."""
    return squared(prediction.diff(dim=1), clean.diff(dim=1), both_known(weight))


class MotionLoss:
    """L_diff + lambda_face * L_temp(expression) + lambda_body * L_temp(pose), with separate weights as in VLOGGER 3.1.

    `emphasis` multiplies the weight of the features whose name begins so (the longest wins): lips count more than
    brows. Weights are 0 where the truth is not known.
    """

    def __init__(
        self,
        space: FeatureSpace,
        lambda_face: float,
        lambda_body: float,
        temporal_face: Temporal = velocity,
        temporal_body: Temporal = velocity,
        emphasis: Mapping[str, float] | None = None,
    ):
        self.face = space.face
        self.lambdas = (lambda_face, lambda_body)
        self.temporal = (temporal_face, temporal_body)
        self.emphasis = torch.tensor([longest(emphasis or {}, name, 1.0) for name in space.names])

    def __call__(self, prediction: Tensor, clean: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """All (b, t, d) -> the named parts and their sum."""
        weight = weight.expand_as(clean) * self.emphasis.to(clean)
        face = self.face.to(clean)
        parts = {"diff": squared(prediction, clean, weight)}
        for name, chosen, term in (("face", face, self.temporal[0]), ("body", 1 - face, self.temporal[1])):
            parts[f"temporal_{name}"] = term(prediction, clean, weight * chosen)
        total = parts["diff"] + self.lambdas[0] * parts["temporal_face"] + self.lambdas[1] * parts["temporal_body"]
        return {"loss": total, **parts}

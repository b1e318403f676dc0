"""What the motion network is trained on: the clean motion, and how it changes (VLOGGER Eq. 1 and the temporal loss)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from motion.features import FeatureSpace, longest
from motion.lips import Lips
from vlogger.diffusion.loss import squared

LIPS_SPREAD = torch.tensor([0.03, 0.015])  # of opening and width in speech, face heights
GAZE_SPREAD = torch.tensor(
    [0.034, 0.058]
)  # of the gaze in space, down and sideways, radians (`motion.habits.fixations`)

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
    brows. Weights are 0 where the truth is not known. What features show together counts too: with `lips`, opening and
    width of the lips, which are what sound tells, `lambda_lips` times; `lambda_gaze` times where the eyes look in
    space. Eyes turn against the head all the time, and what is left, the gaze, is small beside that.
    """

    def __init__(
        self,
        space: FeatureSpace,
        lambda_face: float,
        lambda_body: float,
        temporal_face: Temporal = velocity,
        temporal_body: Temporal = velocity,
        emphasis: Mapping[str, float] | None = None,
        lips: Lips | None = None,
        lambda_lips: float = 0.0,
        lambda_gaze: float = 0.0,
    ):
        self.face, self.lips, self.lambda_lips = space.face, lips, lambda_lips
        self.scales, self.names = space.scales[self.face], space.names
        self.lambdas = (lambda_face, lambda_body)
        self.temporal = (temporal_face, temporal_body)
        self.emphasis = torch.tensor([longest(emphasis or {}, name, 1.0) for name in space.names])
        self.lambda_gaze, self.gaze = lambda_gaze, gaze_of(space) if lambda_gaze else None

    def __call__(self, prediction: Tensor, clean: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """All (b, t, d) -> the named parts and their sum."""
        weight = weight.expand_as(clean) * self.emphasis.to(clean)
        face = self.face.to(clean)
        parts = {"diff": squared(prediction, clean, weight)}
        for name, chosen, term in (("face", face, self.temporal[0]), ("body", 1 - face, self.temporal[1])):
            parts[f"temporal_{name}"] = term(prediction, clean, weight * chosen)
        total = parts["diff"] + self.lambdas[0] * parts["temporal_face"] + self.lambdas[1] * parts["temporal_body"]
        if self.lips is not None:
            made, true = (self.shown(self.lips, values) for values in (prediction, clean))
            parts["lips"] = squared(made, true, weight[..., self.names.index("jawOpen"), None])
            total = total + self.lambda_lips * parts["lips"]
        if self.gaze is not None:
            made, true = (values @ self.gaze.to(values) for values in (prediction, clean))
            parts["gaze"] = squared(made, true, weight[..., self.names.index("left_eye.x"), None])
            total = total + self.lambda_gaze * parts["gaze"]
        return {"loss": total, **parts}

    def shown(self, lips: Lips, features: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, 2) opening and width, in their own deviation."""
        units = features[..., self.face].float()
        return lips.to(units)(units * self.scales.to(units)) / LIPS_SPREAD.to(units)


def gaze_of(space: FeatureSpace) -> Tensor:
    """(d, 4) scaled features -> where each eye looks in space, down and sideways, in its own deviation: the turns of
    neck, head and eye together."""
    chain = [
        [f"{joint}.{axis}" for joint in ("neck", "head", f"{side}_eye")] for side in ("left", "right") for axis in "xy"
    ]
    turns = torch.stack([space.only(names) for names in chain], dim=1) * space.scales[:, None]
    return turns / GAZE_SPREAD.repeat(2)

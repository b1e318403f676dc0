"""Motion as vectors and back: what the diffusion model speaks about (VLOGGER 3.1).

One frame is [expression | rotations of some joints | translation]. Rotations and translation are residuals to a
reference pose, as in the paper (theta = theta_ref + delta): the axis-angle vector of R_ref^T R, and the difference in
metres. Expression is absolute, except for the share `keep` of the reference's own expression that stays on the face
whatever is said: raised brows, narrow eyes, half of a smile. Joints that are not listed stay at the reference.
`residual=False` (the ablation of the paper's Table 2) speaks about the rotations themselves instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.types import Motion

_BOTH = ("Left", "Right")
# The 52 ARKit units in the order of the open body.
EXPRESSIONS: tuple[str, ...] = (
    *("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight"),
    *("mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper"),
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthDimpleLeft", "mouthDimpleRight", "mouthLeft", "mouthRight", "jawForward", "jawLeft", "jawRight"),
    *("tongueOut", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp", "browDownLeft", "browDownRight"),
    *("browOuterUpLeft", "browOuterUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight"),
    *(f"eyeLook{way}{side}" for way in ("Up", "Down", "In", "Out") for side in _BOTH),
)
MOUTH: tuple[str, ...] = tuple(name for name in EXPRESSIONS if name.startswith(("jaw", "mouth", "tongue")))


class Pose(Protocol):
    """One pose of a body, e.g. a Subject: rotations (55, 3, 3), expression (e,), translation (3,)."""

    @property
    def rotations(self) -> Tensor: ...

    @property
    def expression(self) -> Tensor: ...

    @property
    def translation(self) -> Tensor: ...


class Reference(NamedTuple):
    """A pose without a photo."""

    rotations: Tensor
    expression: Tensor
    translation: Tensor


@dataclass(frozen=True)
class FeatureSpace:
    """Which numbers describe a frame. `keep` and `scale` map the beginning of a feature's name to a number.

    `scale` is the size of the feature in real speech (root mean square), by which it is divided, 1 where nothing fits;
    of several beginnings that fit the longest counts. Names: the expression's, then `<joint>.x|y|z`,
    `translation.x|y|z`.
    """

    joints: tuple[str, ...] = ("neck", "head")
    keep: Mapping[str, float] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    expressions: tuple[str, ...] = EXPRESSIONS
    residual: bool = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        axes = (f"{name}.{axis}" for name in (*self.joints, "translation") for axis in "xyz")
        return (*self.expressions, *axes)

    @cached_property
    def size(self) -> int:
        return len(self.names)

    @cached_property
    def face(self) -> Tensor:
        """(d,) bool: which features are expression, the others are body."""
        return torch.arange(self.size) < len(self.expressions)

    @cached_property
    def scales(self) -> Tensor:
        """(d,)"""
        return torch.tensor([longest(self.scale, name, 1.0) for name in self.names])

    @cached_property
    def kept(self) -> Tensor:
        """(e,) the share of the reference's expression that is added."""
        return torch.tensor([longest(self.keep, name, 0.0) for name in self.expressions])

    def only(self, names: Sequence[str]) -> Tensor:
        """(d,) 1.0 for the named features."""
        return torch.tensor([float(name in set(names)) for name in self.names])


def mirror(space: FeatureSpace, features: Tensor) -> Tensor:
    """(..., d) -> the same motion seen in a mirror: left and right change places, turns about y and z their sign.

    `scale` must be the same for left and right.
    """
    place = [space.names.index(mirrored(name)) for name in space.names]
    turned = [name.endswith((".y", ".z")) and not name.startswith("translation") for name in space.names]
    flipped = torch.tensor(turned) | (torch.arange(space.size) == space.names.index("translation.x"))
    return features[..., place] * torch.where(flipped, -1.0, 1.0)


def mirrored(name: str) -> str:
    """The other side's name: Left and Right swapped, left_ and right_ too."""
    for left, right in (("Left", "Right"), ("left_", "right_")):
        if left in name or right in name:
            return name.replace(left, right) if left in name else name.replace(right, left)
    return name


def longest(table: Mapping[str, float], name: str, otherwise: float) -> float:
    """The number of the longest key that `name` begins with."""
    fitting = [key for key in table if name.startswith(key)]
    return float(table[max(fitting, key=len)]) if fitting else otherwise


def start_of(space: FeatureSpace, reference: Pose) -> Tensor:
    """(j, 3, 3) the rotations of the space's joints that turns of zero stand for."""
    if not space.residual:
        return torch.eye(3).expand(len(space.joints), 3, 3)
    return reference.rotations[[joint_index(name) for name in space.joints]]


def to_features(space: FeatureSpace, motion: Motion, reference: Pose) -> Tensor:
    """(t, d), scaled. The reference itself has zero residuals."""
    joints = [joint_index(name) for name in space.joints]
    residual = start_of(space, reference).transpose(-1, -2) @ motion.rotations[:, joints]
    parts = [
        motion.expression - space.kept * reference.expression,
        matrix_to_axis_angle(residual).flatten(1),
        motion.translation - reference.translation,
    ]
    return torch.cat(parts, dim=1) / space.scales


def to_motion(space: FeatureSpace, features: Tensor, reference: Pose, fps: float) -> Motion:
    """(t, d) -> the motion. Expressions are held within [0, 1], which is what ARKit units mean."""
    t, units = len(features), len(space.expressions)
    expression, turns, shift = (features * space.scales).split([units, 3 * len(space.joints), 3], dim=1)
    joints = [joint_index(name) for name in space.joints]
    rotations = reference.rotations.repeat(t, 1, 1, 1)
    rotations[:, joints] = start_of(space, reference) @ axis_angle_to_matrix(turns.unflatten(1, (-1, 3)))
    absolute = (expression + space.kept * reference.expression).clamp(0, 1)
    return Motion(rotations, absolute, reference.translation + shift, float(fps))

"""What a person can steer without training: edits of the made motion, in the network's features.

Each is called with the features of some frames (t, d), not divided by the scales, and a `View` of them, and gives them
back changed. `Blink` also keeps count from one piece to the next, so it is `begin`-ed for each motion.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from motion.features import MOUTH, FeatureSpace
from motion.habits import REFRACTORY, blink
from vlogger.errors import UserError

EYES_TURN_AGAINST = 0.9  # share of the head's turn that the eyes undo (motion.habits)
WANDERING_AT_CAMERA = 0.15  # share of the saccades that is left when somebody looks at the camera
BODY = ("spine", "left_collar", "right_collar", "left_sh", "right_sh", "left_el", "right_el", "left_wr", "right_wr")
RAMP = 0.6  # seconds in which a feeling comes
# what a feeling does to the face at strength 1, ARKit units (after Ekman's action units)
EMOTIONS: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.55, "cheekSquint": 0.45, "eyeSquint": 0.2, "mouthDimple": 0.1, "browOuterUp": 0.08},
    "sad": {"browInnerUp": 0.6, "mouthFrown": 0.5, "mouthShrugLower": 0.25, "eyeSquint": 0.12, "mouthSmile": -0.3},
    "angry": {"browDown": 0.7, "noseSneer": 0.3, "eyeSquint": 0.3, "mouthPress": 0.15, "mouthFrown": 0.2},
    "surprised": {"browInnerUp": 0.6, "browOuterUp": 0.6, "eyeWide": 0.55, "jawOpen": 0.06},
}


class View(NamedTuple):
    """Which frames: features' meaning, moments (t,) in seconds, 1 where somebody speaks (t,), and chance."""

    space: FeatureSpace
    times: Tensor
    speech: Tensor
    generator: torch.Generator


def scaled(features: Tensor, chosen: Tensor, scale: float) -> Tensor:
    """The chosen features (d,) times `scale`."""
    return features * torch.where(chosen > 0, scale, 1.0)


def begins(space: FeatureSpace, *beginnings: str) -> Tensor:
    """(d,) 1.0 for the features whose name begins so."""
    return torch.tensor([float(name.startswith(beginnings)) for name in space.names])


@dataclass(frozen=True)
class Expression:
    """How far the mouth and the brows go."""

    scale: float = 1.0

    def __call__(self, features: Tensor, view: View) -> Tensor:
        return scaled(features, view.space.only(MOUTH) + begins(view.space, "brow", "cheek", "nose"), self.scale)


@dataclass(frozen=True)
class Head:
    """How much the head moves; the eyes go on looking where they looked."""

    scale: float = 1.0

    def __call__(self, features: Tensor, view: View) -> Tensor:
        if self.scale == 1:
            return features
        moved = scaled(features, begins(view.space, "neck", "head", "translation"), self.scale)
        turn, names = head_turn(moved - features, view.space), view.space.names
        for side in ("left", "right"):
            for axis in (0, 1):
                if (name := f"{side}_eye.{'xy'[axis]}") in names:
                    moved[:, names.index(name)] -= EYES_TURN_AGAINST * turn[:, axis]
        return moved


def head_turn(features: Tensor, space: FeatureSpace) -> Tensor:
    """(t, 2) radians down and to the viewer's right, of neck and head together."""
    return torch.stack(
        [
            sum((features[:, space.names.index(f"{j}.{axis}")] for j in ("neck", "head") if j in space.joints), start=0)
            * torch.ones(len(features))
            for axis in "xy"
        ],
        dim=1,
    )


@dataclass(frozen=True)
class Gesture:
    """How much torso, arms and hands move."""

    scale: float = 1.0

    def __call__(self, features: Tensor, view: View) -> Tensor:
        return scaled(features, begins(view.space, *BODY), self.scale)


@dataclass(frozen=True)
class Gaze:
    """camera: the eyes stay on the viewer while the head moves; wander: as learned; fixed: still in the head."""

    target: str = "wander"

    def __post_init__(self) -> None:
        if self.target not in ("camera", "wander", "fixed"):
            raise UserError(f"motion.gaze.target={self.target} is none of camera, wander, fixed.")

    def __call__(self, features: Tensor, view: View) -> Tensor:
        if self.target == "wander":
            return features
        if self.target == "fixed":
            return scaled(features, begins(view.space, "left_eye", "right_eye", "eyeLook"), 0.0)
        features = features.clone()
        turn, names = head_turn(features, view.space), view.space.names
        for side in ("left", "right"):
            for axis in (0, 1):
                if (name := f"{side}_eye.{'xy'[axis]}") in names:
                    against = -EYES_TURN_AGAINST * turn[:, axis]
                    wandering = features[:, names.index(name)] - against
                    features[:, names.index(name)] = against + WANDERING_AT_CAMERA * wandering
        return scaled(features, begins(view.space, "eyeLook"), 0.4)


@dataclass(frozen=True)
class Emotion:
    """A feeling on the face for the whole motion: neutral, happy, sad, angry or surprised, strength about 0 to 1."""

    name: str = "neutral"
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in EMOTIONS:
            raise UserError(f"motion.emotion.name={self.name} is none of {', '.join(EMOTIONS)}.")

    def __call__(self, features: Tensor, view: View) -> Tensor:
        amounts = EMOTIONS[self.name]
        added = torch.tensor(
            [sum(value for unit, value in amounts.items() if name.startswith(unit)) for name in view.space.names]
        )
        come = (view.times / RAMP).clamp(0, 1)[:, None].float()
        return features + self.strength * come * added


@dataclass(frozen=True)
class Blink:
    """How often the lids close, a minute; null: as learned. A number replaces the learned blinks by a chance process
    of that rate, twice as fast in pauses."""

    rate: float | None = None

    def begin(self) -> "Blinking":
        """For one motion."""
        return Blinking(self.rate)


@dataclass
class Blinking:
    """The blinks of one motion."""

    rate: float | None
    running: list[tuple[float, float]] = field(default_factory=list)  # start and length, seconds

    def __call__(self, features: Tensor, view: View) -> Tensor:
        if self.rate is None:
            return features
        self.running = [one for one in self.running if sum(one) > float(view.times[0])] + list(self.new(view))
        shut = torch.zeros(len(features))
        for start, seconds in self.running:
            shut = torch.maximum(shut, blink(view.times, start, seconds).float())
        features = features.clone()
        for side in ("Left", "Right"):
            features[:, view.space.names.index(f"eyeBlink{side}")] = shut
        return features

    def new(self, view: View) -> Iterator[tuple[float, float]]:
        """Blinks that begin in these frames."""
        assert self.rate is not None
        step = float(view.times[1] - view.times[0]) if len(view.times) > 1 else 0.04
        hazard = self.rate / 60 / max(0.1, 1 - REFRACTORY * self.rate / 60)
        chance = hazard * step * torch.where(view.speech > 0.5, 0.8, 2.0)
        last = self.running[-1][0] if self.running else -1.0
        for moment in view.times[torch.rand(len(chance), generator=view.generator) < chance].tolist():
            if moment - last > REFRACTORY:
                last = moment
                yield moment, 0.17 + 0.15 * float(torch.rand((), generator=view.generator))


class Edits(NamedTuple):
    """One of each."""

    expression: Expression
    head: Head
    gesture: Gesture
    blink: Blink
    gaze: Gaze
    emotion: Emotion


AS_LEARNED = Edits(Expression(), Head(), Gesture(), Blink(), Gaze(), Emotion())

"""Random but plausible poses and expressions around a fitted one: what a pseudo-photo shows instead of the real one."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.types import Motion, Subject

PAIRS = ("Left", "Right")
GAZE = "eyeLook"  # the eyeballs turn by their joints, not by these


@dataclass(frozen=True)
class Wander:
    """How far poses wander: degrees of yaw, pitch, roll (standard deviations of the whole head turn), and shares."""

    yaw: float = 13.0
    pitch: float = 6.0
    roll: float = 5.0
    gaze: float = 7.0
    open_mouth: float = 0.45
    blink: float = 0.3
    keep_expression: float = 0.5
    shift: float = 0.01


def normal(generator: Generator, *scales: float) -> Tensor:
    """One normal number for each scale, cut at two standard deviations."""
    return torch.randn(len(scales), generator=generator).clamp(-2, 2) * torch.tensor(scales)


def chance(generator: Generator, probability: float) -> bool:
    return bool(torch.rand((), generator=generator) < probability)


def turned(rotations: Tensor, name: str, degrees: Tensor) -> None:
    """Turn one joint by (pitch, yaw, roll) degrees, in place."""
    joint = joint_index(name)
    rotations[joint] = axis_angle_to_matrix(torch.deg2rad(degrees)) @ rotations[joint]


def random_expression(names: tuple[str, ...], wander: Wander, generator: Generator) -> Tensor:
    """A few face units at random strengths, mostly alike on both sides; jaw and lids by their own chances."""
    strength = dict.fromkeys(sorted({name.removesuffix("Left").removesuffix("Right") for name in names}), 0.0)
    units = [unit for unit in strength if not unit.startswith((GAZE, "jaw", "eyeBlink", "tongue"))]
    for pick in torch.randperm(len(units), generator=generator)[:4].tolist():
        strength[units[pick]] = float(torch.rand((), generator=generator) ** 1.5) * 0.8
    if chance(generator, wander.open_mouth):
        strength["jawOpen"] = float(torch.rand((), generator=generator)) * 0.7
    if chance(generator, wander.blink):
        strength["eyeBlink"] = float(torch.rand((), generator=generator))
    sided = 1 + 0.3 * torch.randn(len(names), generator=generator)
    values = [strength[name.removesuffix("Left").removesuffix("Right")] for name in names]
    return (torch.tensor(values) * sided).clamp(0, 1)


def wandered(subject: Subject, names: tuple[str, ...], wander: Wander, generator: Generator) -> Motion:
    """One frame: the subject's own pose, with head, neck, eyes, place and expression moved at random.

    The head's turn is shared between neck and head. `names` are the body's expression names.
    """
    rotations = subject.rotations.clone()
    turn = normal(generator, wander.pitch, wander.yaw, wander.roll)
    turned(rotations, "neck", turn * 0.4)
    turned(rotations, "head", turn * 0.6)
    look = torch.cat([normal(generator, wander.gaze * 0.6, wander.gaze), torch.zeros(1)])
    for eye in ("left_eye", "right_eye"):
        turned(rotations, eye, look)
    drawn = random_expression(names, wander, generator)
    kept = float(chance(generator, wander.keep_expression)) * torch.rand((), generator=generator)
    expression = kept * subject.expression + (1 - kept) * drawn
    translation = subject.translation + normal(generator, wander.shift, wander.shift, 2 * wander.shift)
    return Motion(rotations[None], expression[None], translation[None], 25.0)

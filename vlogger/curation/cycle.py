"""Cycle warp: a photo is carried to a random pose along the fitted mesh, and from there back.

The picture in the random pose plays the reference; what comes back, with its holes and smears, is what the painter or
sharpener gets; the photo itself, untouched, is the truth that it must restore. So every target is a real picture.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from vlogger.body.smplx import Body
from vlogger.curation.wander import Wander, wandered
from vlogger.framing import Region, crop, detail, region_of
from vlogger.pixels import to_uint8 as rounded
from vlogger.stages import ControlSequence, MotionToControls
from vlogger.types import Controls, Motion, Portrait, Subject


@dataclass(frozen=True)
class Framing:
    """How the square around the person varies: side in head heights (from, to), `shift` as a share of the side."""

    scale: tuple[float, float] = (1.7, 2.6)
    shift: float = 0.06


def uniform(generator: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def square_of(subject: Subject, body: Body, framing: Framing, generator: Generator) -> Region:
    """The square around the person, varied a little in size and place."""
    region = region_of(subject, body, scale=uniform(generator, *framing.scale))
    reach = framing.shift * region.side
    return Region(
        region.left + uniform(generator, -reach, reach), region.top + uniform(generator, -reach, reach), region.side
    )


def framed(subject: Subject, body: Body, framing: Framing, side: int, generator: Generator) -> Subject:
    """The subject through such a square, `side` pixels."""
    return crop(subject, square_of(subject, body, framing, generator), side)


def own_pose(subject: Subject, fps: float = 25.0) -> Motion:
    """One frame: the pose of the photo."""
    return Motion(subject.rotations[None], subject.expression[None], subject.translation[None], fps)


def in_pose(subject: Subject, image: Tensor, motion: Motion) -> Subject:
    """The subject as if `image` (3 h w uint8) had been taken of it in the one pose of `motion`."""
    scale = image.shape[-1] / subject.portrait.image.shape[-1]
    intrinsics = subject.intrinsics * torch.tensor([[scale], [scale], [1.0]])
    return replace(
        subject,
        portrait=Portrait(image),
        rotations=motion.rotations[0],
        expression=motion.expression[0],
        translation=motion.translation[0],
        intrinsics=intrinsics,
    )


def filled(image: Tensor, known: Tensor) -> Tensor:
    """Holes of a picture (3 h w uint8, known 1 h w) closed from their rims (Telea), so that it can play a photo."""
    holes = (known[0] < 0.5).to(torch.uint8).numpy()
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return torch.from_numpy(cv2.inpaint(pixels, holes, 3, cv2.INPAINT_TELEA)).permute(2, 0, 1).contiguous()


def pseudo_photo(square: Subject, motion: Motion, draw: MotionToControls, size: int) -> tuple[Subject, Subject]:
    """The subject photographed in another pose, and the same with the pixels that are not real in other colours:
    guesses changed by a quarter, what was invented by half of the range."""
    warped = draw(motion, square, size=size)[0:1]
    image = filled(to_uint8(warped.warped[0]), warped.visible[0])
    shift = (128 * (1 - warped.visible[0])).to(torch.int16)
    marked = torch.where(image < 128, image + shift, image - shift).to(torch.uint8)
    return in_pose(square, image, motion), in_pose(square, marked.contiguous(), motion)


def cycle(
    subject: Subject, names: tuple[str, ...], draw: MotionToControls, wander: Wander, size: int, generator: Generator
) -> dict[str, np.ndarray]:
    """One pool sample of one frame: the square's own picture from itself in a random pose.

    `subject.portrait` is square. What the pseudo-photo had to invent is not counted as visible.
    """
    motion = wandered(subject, names, wander, generator)
    other, marked = pseudo_photo(subject, motion, draw, size=min(detail(size), 640))
    controls = draw(own_pose(subject), other, size=size)
    told = draw(own_pose(subject), marked, size=size)[0:1].warped
    frame = controls[0:1]
    frame = replace(frame, visible=really_visible(frame, (told - frame.warped).abs().amax(1, keepdim=True)))
    target = crop(subject, Region(0.0, 0.0, float(subject.portrait.image.shape[-1])), size).portrait.image
    return sample(target[None], frame, controls)


def really_visible(controls: Controls, change: Tensor) -> Tensor:
    """`visible` (1 1 h w) of what the pseudo-photo showed: a colour that came from one of its own guesses stays a guess
    and one that it invented is unknown; `change` (1 1 h w): by how much marking those changes the warp."""
    photo = torch.where(change < 0.025, 1.0, torch.where(change < 0.3, 0.5, 0.0))
    return torch.where(controls.visible == 1, photo, controls.visible)


def sample(target: Tensor, controls: Controls, sequence: ControlSequence) -> dict[str, np.ndarray]:
    """A pool sample (docs/architecture.md): target t 3 h w uint8, its controls, the reference and its own controls."""
    reference = sequence.reference
    return {
        "target": target.numpy(),
        "warped": to_uint8(controls.warped * (controls.visible > 0)).numpy(),
        "visible": to_uint8(controls.visible).numpy(),
        "surface": signed_bytes(controls.surface),
        "parts": part_index(controls.parts),
        "photo": to_uint8(sequence.photo).numpy(),
        "photo_surface": signed_bytes(reference.surface[0]),
        "photo_parts": part_index(reference.parts)[0],
    }


def to_uint8(values: Tensor) -> Tensor:
    """[0, 1] -> 0..255."""
    return rounded(values * 255)


def signed_bytes(values: Tensor) -> np.ndarray:
    """[-1, 1] -> int8."""
    return (values * 127).round().clamp(-127, 127).to(torch.int8).numpy()


def part_index(parts: Tensor) -> np.ndarray:
    """One-hot "t k h w" -> index "t h w" uint8, 255 where there is no body."""
    return torch.where(parts.amax(1) > 0.5, parts.argmax(1), 255).to(torch.uint8).numpy()

"""Rendered bodies: made-up people on film, with exact truth of what no photo shows (`curate dataset=bodies`).

The open body with made-up colours (`person`), hair (`hair`) and light (`light`) moves; where it is, is known to the
vertex. Its first picture plays the photo. So the truth has what cycle-warped stills lack: mouths that open, lids that
close, eyes and hands that turn, hair that uncovers skin, and shadows that stay where the light puts them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator
from tqdm import tqdm

from render.controls import resize_subject
from render.fit import rest_angles
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body, pose
from vlogger.curation.cycle import Framing, in_pose, sample, square_of, uniform
from vlogger.curation.person import Person
from vlogger.curation.scene import picture, random_scene
from vlogger.curation.wander import Wander, chance, normal, turned, wandered
from vlogger.framing import crop, detail
from vlogger.pixels import resize
from vlogger.pools import PoolWriter
from vlogger.stages import MotionToControls
from vlogger.types import Motion, Portrait, Subject

FPS = 25.0
PAUSE = 6  # frames from one pose to the next
FOV = (14.0, 32.0)  # degrees that a head of 25 cm would need, seen from so far: tele lenses to webcams
HEAD = 0.25  # metres


@dataclass(frozen=True)
class Misfit:
    """How far the body that is told differs from the one on film, as fits do: radians, metres, expression weights."""

    turn: float = 0.008
    shift: float = 0.001
    expression: float = 0.03


@dataclass(frozen=True)
class RenderedBodies:
    """`curate dataset=bodies`: `count` people of `size` pixels, `frames` pictures each and one more that is the photo.

    `hands`: chance of each arm to be raised.
    """

    out: str
    draw: MotionToControls
    body: Body
    count: int
    frames: int
    size: int
    seed: int
    wander: Wander = field(default_factory=lambda: Wander(keep_expression=0.0))
    framing: Framing = field(default_factory=Framing)
    misfit: Misfit = field(default_factory=Misfit)
    hands: float = 0.4
    see: object = None

    def __call__(self) -> None:
        meta = {"source": "rendered bodies", "licence": "CC0-1.0", "size": self.size}
        with PoolWriter(Path(self.out), meta) as writer:
            for index, arrays in enumerate(tqdm(self.samples(), total=self.count, desc="render")):
                writer.add(person=f"made-up {index}", **arrays)

    def samples(self) -> Iterator[dict[str, NDArray]]:
        for index in range(self.count):
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
            yield self.sample(generator)

    def sample(self, generator: Generator) -> dict[str, NDArray]:
        """One pool sample: somebody new, photographed, then filmed."""
        scene = random_scene(self.body, 2 * self.size, generator)
        start = standing(scene.person, 2 * self.size, self.hands, generator)
        square = square_of(start, scene.person.body, self.framing, generator)
        start = replace(crop(start, square, 2 * self.size), offsets=None)
        motion = filmed(start, self.body.expression_names, self.wander, self.frames, generator)
        shots = [picture(scene, motion[t : t + 1], start.intrinsics) for t in range(len(motion))]
        film = torch.stack([shot.image for shot in shots])
        told = misfitted(motion, self.misfit, generator)
        photo = replace(in_pose(start, shots[0].image, told), portrait=shots[0])
        sequence = self.draw(told[1:], resize_subject(photo, detail(self.size)), size=self.size)
        return sample(resize(film[1:], self.size, self.size), sequence[0 : self.frames], sequence)


def standing(person: Person, size: int, hands: float, generator: Generator) -> Subject:
    """Before the camera, looking at it, arms hanging or raised; a portrait that nobody has taken yet."""
    angles = rest_angles().float()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        if chance(generator, hands):
            angles[joint_index(f"{side}_elbow"), 1] = -sign * uniform(generator, 1.6, 2.3)
            angles[joint_index(f"{side}_shoulder"), 1] = -sign * uniform(generator, 0.1, 0.5)
    rotations = axis_angle_to_matrix(angles)
    distance = HEAD / 2 / np.tan(np.deg2rad(uniform(generator, *FOV)) / 2)
    expression = torch.zeros(len(person.body.expression_names))
    frame = (rotations[None], expression[None], torch.zeros(1, 3))
    head = pose(person.body, person.betas, *frame).joints[0, joint_index("head")]
    focal = size * distance / (2 * HEAD)
    camera = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]], dtype=torch.float32)
    place = torch.tensor([0.0, 0.0, -distance], dtype=torch.float32) - head
    nothing = Portrait(torch.zeros(3, size, size, dtype=torch.uint8))
    return Subject(nothing, person.betas, rotations, expression, place, camera)


def filmed(start: Subject, names: tuple[str, ...], wander: Wander, frames: int, generator: Generator) -> Motion:
    """The photo's pose and `frames` others, on a smooth way from one random pose to the next."""
    calm = replace(wander, yaw=0.4 * wander.yaw, open_mouth=0.3, blink=0.0)
    keys = [wandered(start, names, calm, generator)]
    keys += [gesturing(wandered(start, names, wander, generator), generator) for _ in range(2 + frames // PAUSE)]
    times = torch.cat([torch.zeros(1), 1 + torch.rand((), generator=generator) + torch.arange(frames) / PAUSE])
    before = times.floor().long().clamp(max=len(keys) - 2)
    share = times - before
    share = (share * share * (3 - 2 * share)).clamp(0, 1)
    turns = matrix_to_axis_angle(torch.cat([key.rotations for key in keys]))
    expressions, places = (torch.cat([getattr(key, name) for key in keys]) for name in ("expression", "translation"))
    turns, expressions, places = (
        torch.lerp(values[before], values[before + 1], share.view(-1, *[1] * (values.ndim - 1)))
        for values in (turns, expressions, places)
    )
    return Motion(axis_angle_to_matrix(turns), expressions, places, FPS)


def gesturing(motion: Motion, generator: Generator) -> Motion:
    """The same with arms, hands and fingers moved a little."""
    rotations = motion.rotations[0].clone()
    for side in ("left", "right"):
        turned(rotations, f"{side}_elbow", normal(generator, 3.0, 12.0, 3.0))
        turned(rotations, f"{side}_shoulder", normal(generator, 3.0, 5.0, 5.0))
        turned(rotations, f"{side}_wrist", normal(generator, 12.0, 12.0, 15.0))
        for finger in ("index", "middle", "ring", "pinky"):
            turned(rotations, f"{side}_{finger}1", normal(generator, 0.0, 4.0, 15.0))
    return replace(motion, rotations=rotations[None])


def misfitted(motion: Motion, misfit: Misfit, generator: Generator) -> Motion:
    """The motion as a fit would tell it: the same error in all frames, and as much again in each."""
    shared, own = (torch.randn(count, 110, generator=generator) for count in (1, len(motion)))
    error = (shared + own) / 2**0.5
    angles = matrix_to_axis_angle(motion.rotations)
    for column, name in ((0, "neck"), (3, "head")):
        angles[:, joint_index(name)] += misfit.turn * error[:, column : column + 3]
    wrong = motion.expression + misfit.expression * error[:, 10 : 10 + motion.expression.shape[1]] * (
        motion.expression > 0
    )
    place = motion.translation + misfit.shift * error[:, 6:9] * torch.tensor([1.0, 1.0, 3.0])
    return Motion(axis_angle_to_matrix(angles), wrong, place, motion.fps)

"""A made-up person: a random shape of the body, and the colours of its skin, face, mouth, eyes and clothes.

Colours are albedos, linear, (n,3), of places on the template, so that they follow the skin. No photo is behind them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from render.anatomy import CAVITY, EYE, LID, LIPS, MOUTH, SKIN, TONGUE, kinds, lid_rims, local_places, set_teeth
from render.eyes import draw_eyes
from render.mouth import Inside, Tones, draw_mouth
from render.posing import Puppet, puppet_of
from vlogger.body.landmarks import points_on_faces
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body

SHAPE = 0.8  # standard deviation of betas
LIGHT_SKIN, DARK_SKIN = np.array([0.72, 0.45, 0.34]), np.array([0.10, 0.045, 0.03])
LIP = np.array([0.95, 0.62, 0.62])  # of the skin's colour
TOOTH = np.array([0.90, 0.86, 0.78])  # sRGB
LOWEST_TEETH = 0.002  # metres that upper teeth are lowered by at least
HAIRS = np.array([[0.02, 0.015, 0.012], [0.08, 0.04, 0.02], [0.30, 0.18, 0.08], [0.25, 0.08, 0.03], [0.4, 0.38, 0.36]])
IRISES = np.array([[0.05, 0.025, 0.015], [0.12, 0.06, 0.03], [0.09, 0.13, 0.17], [0.09, 0.12, 0.07]])
BROWS = ((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))  # MediaPipe's points along the upper edges of the brows
BROW, CHEEK = 0.0042, 0.022  # metres: half the width of each
CHEEKS, NOSE = (50, 280), (4,)
BEARD = (  # MediaPipe's points along jaw, chin, moustache and what joins them; metres that hair reaches around them
    ((132, 58, 172, 136, 150, 149, 148, 152, 377, 378, 379, 365, 397, 288, 361), 0.020),
    ((57, 202, 204, 194, 201, 200, 421, 418, 424, 422, 287), 0.014),
    ((57, 186, 92, 165, 167, 164, 393, 391, 322, 410, 287), 0.007),
)
BEARDED, SHAVEN = 0.6, 0.4  # of the dice: above which there is a full beard, below which none
CLOTHED = [PARTS.index(name) for name in ("neck", "torso", "left_arm", "right_arm", "legs")]
WAVES, FREQUENCIES = 32, (40, 900)  # of the noise on skin and cloth; radians per metre
EYE_WHITE = np.array([0.55, 0.51, 0.48])  # in the half shadow of their lids, which is too narrow for the shadow maps
PIXEL = 0.0005  # metres: how finely teeth are drawn


@dataclass(frozen=True)
class Marks:
    """Points (n,3) of the template along a line, how far around them it reaches (metres), its colour and strength."""

    points: NDArray
    reach: float
    colour: NDArray
    strength: float


@dataclass(frozen=True)
class Person:
    """body: with teeth, and its puppet; kind (F,), local (V,3) as in `render.anatomy`; lips, lashes (V,) in [0,1];
    marks on the skin; waves (WAVES,3) per metre, their phases (WAVES,); the rest are colours (3,), and where the collar
    ends (metres)."""

    body: Body
    betas: Tensor
    puppet: Puppet
    kind: NDArray
    local: NDArray
    lips: NDArray
    lashes: NDArray
    marks: tuple[Marks, ...]
    waves: NDArray
    phases: NDArray
    skin: NDArray
    lip: NDArray
    hair: NDArray
    iris: NDArray
    tooth: NDArray
    cloth: NDArray
    collar: float


def random_person(body: Body, generator: Generator) -> Person:
    """Anybody."""
    dice = torch.rand(24, generator=generator).numpy()
    own = set_teeth(body, LOWEST_TEETH * (1 + 2 * float(dice[0])))
    kind, dark = kinds(own), dice[1] ** 1.5
    skin = LIGHT_SKIN * (DARK_SKIN / LIGHT_SKIN) ** dark * (0.9 + 0.2 * dice[2:5])
    paint = max(dice[8] - 0.6, 0) * np.array([0.25, 0.0, 0.025])
    hair = HAIRS[int(dice[5] * len(HAIRS)) if dark < 0.25 else 0] * (0.7 + 0.6 * dice[6])
    neck = own.v_template[own.faces[own.part_of_face == PARTS.index("neck")].unique(), 1]
    frequency = torch.randn(WAVES, 3, generator=generator).numpy() * np.geomspace(*FREQUENCIES, WAVES)[:, None]
    betas = SHAPE * torch.randn(own.shapedirs.shape[-1], generator=generator)
    return Person(
        body=own,
        betas=betas,
        puppet=puppet_of(own, betas),
        kind=kind,
        local=local_places(own),
        lips=share_of(own, kind == LIPS),
        lashes=lid_rims(own),
        marks=marks_of(own, skin, hair, dice),
        waves=frequency.astype(np.float32),
        phases=(2 * np.pi * torch.rand(WAVES, generator=generator)).numpy(),
        skin=skin,
        lip=skin * LIP * (0.75 + 0.35 * dice[7]) + paint,
        hair=hair,
        iris=IRISES[int(dice[16] * len(IRISES)) if dark < 0.35 else 0] * (0.7 + 0.6 * dice[17]),
        tooth=TOOTH * (0.85 + 0.2 * dice[18]),
        cloth=(0.4 * dice[19:22] + 0.6 * dice[19]) ** 2 * 0.7 + 0.02,
        collar=float(neck.quantile(float(0.1 + 0.5 * dice[22]))),
    )


def marks_of(body: Body, skin: NDArray, hair: NDArray, dice: NDArray) -> tuple[Marks, ...]:
    """Brows, red cheeks and nose, stubble or a beard."""
    places = points_on_faces(body.v_template.numpy(), body.faces.numpy(), body.mp_faces.numpy(), body.mp_bary.numpy())
    red, width = skin * np.array([1.05, 0.72, 0.72]), BROW * (0.7 + 0.6 * dice[9])
    brows = [Marks(along(places[list(brow)]), width, hair, 0.5 + 0.45 * dice[10]) for brow in BROWS]
    warm = [Marks(places[[point]], CHEEK, red, 0.7 * dice[11]) for point in CHEEKS]
    lines = [Marks(along(places[list(line)]), reach, hair, beard_of(dice[13])) for line, reach in BEARD]
    return (*warm, Marks(places[list(NOSE)], 0.5 * CHEEK, red, 0.6 * dice[12]), *lines, *brows)


def beard_of(dice: float) -> float:
    """How much of the skin a beard covers: none, stubble or nearly all of it."""
    return 0.0 if dice < SHAVEN else 2 * (dice - SHAVEN) if dice < BEARDED else 0.85 + 0.3 * (dice - BEARDED)


def along(corners: NDArray) -> NDArray:
    """Points (n,3) along the line through corners (m,3)."""
    steps = np.linspace(0, len(corners) - 1, 8 * (len(corners) - 1) + 1)
    return np.stack([np.interp(steps, np.arange(len(corners)), axis) for axis in corners.T], 1)


def share_of(body: Body, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(V,) the share of each vertex's faces that are chosen (F,)."""
    counts = np.zeros((2, len(body.v_template)))
    for corner in body.faces.numpy().T:
        np.add.at(counts[0], corner, chosen)
        np.add.at(counts[1], corner, 1)
    return (counts[0] / np.maximum(counts[1], 1)).astype(np.float32)


@dataclass(frozen=True)
class Spots:
    """n pixels of a body: the triangles face_id (n,) they show, where on them bary (n,3), and the template's places
    there (n,3)."""

    face_id: NDArray
    bary: NDArray
    template: NDArray

    def of(self, values: NDArray, faces: NDArray) -> NDArray:
        """Values (V,c) or (V,) of the vertices at the pixels."""
        corners = values[faces[self.face_id]]
        return np.einsum("nk,nk...->n...", self.bary, corners)


def albedo_of(person: Person, spots: Spots) -> tuple[NDArray, NDArray]:
    """Colours (n,3) and gloss (n,)."""
    faces, kind = person.body.faces.numpy(), person.kind[spots.face_id]
    grain = noise(person, spots.template)
    colour = skin_of(person, spots, grain)
    gloss = np.full(len(kind), 0.03)
    lips = spots.of(person.lips, faces)[:, None] * np.isin(kind, (SKIN, LIPS))[:, None]
    colour = colour + lips * (person.lip * (1 + 0.1 * grain[:, None]) - colour)
    lashes = np.isin(kind, (LID, SKIN)) * spots.of(person.lashes, faces)
    colour = colour * (1 - 0.85 * lashes[:, None])
    part = person.body.part_of_face.numpy()[spots.face_id]
    clothed = np.isin(part, CLOTHED) & (spots.template[:, 1] < person.collar)
    colour[clothed], gloss[clothed] = person.cloth * (1 + 0.25 * grain[clothed, None]), 0.0
    for names, draw in (((EYE,), eye_colours), (MOUTH, mouth_colours)):
        chosen = np.isin(kind, names)
        if chosen.any():
            own = Spots(spots.face_id[chosen], spots.bary[chosen], spots.template[chosen])
            colour[chosen], gloss[chosen] = draw(person, own, kind[chosen]), 0.12
    gloss[np.isin(kind, (LIPS,))] = 0.06
    return np.clip(colour, 0.003, 0.95), gloss


def skin_of(person: Person, spots: Spots, grain: NDArray) -> NDArray:
    """Colours (n,3) of bare skin with its marks."""
    colour = person.skin * (1 + 0.08 * grain[:, None])
    for mark in person.marks:
        if mark.strength > 0:
            near = np.exp(-squared_distance(spots.template, mark.points) / mark.reach**2)
            share = mark.strength * near * np.clip(1 + 0.3 * grain, 0, 1.2)
            colour = colour + share[:, None] * (mark.colour - colour)
    return colour


def squared_distance(places: NDArray, points: NDArray) -> NDArray:
    """(n,) from each place (n,3) to the nearest of the points (m,3)."""
    squares = (places**2).sum(1)[:, None] + (points**2).sum(1) - 2 * places @ points.T
    return np.maximum(squares.min(1), 0)


def noise(person: Person, places: NDArray) -> NDArray:
    """(n,) of mean 0 and deviation 1, smooth in the template's places (n,3)."""
    waves = np.sin(places.astype(np.float32) @ person.waves.T + person.phases.astype(np.float32))
    return waves.mean(1) * np.sqrt(2 * WAVES)


def eye_colours(person: Person, spots: Spots, kind: NDArray) -> NDArray:
    """Balls without lids: the shadow of those is light's."""
    local = spots.of(person.local, person.body.faces.numpy())
    return draw_eyes(local, np.ones(len(kind)), EYE_WHITE, person.iris)


def mouth_colours(person: Person, spots: Spots, kind: NDArray) -> NDArray:
    """As `render.mouth` draws them, in full light: what is deep is dark because no light comes there."""
    ones = np.ones(len(kind))
    inside = Inside(kind, spots.of(person.local, person.body.faces.numpy()), 0 * ones, ones)
    colour = draw_mouth(inside, Tones(np.ones(3), person.tooth, np.ones(3)), PIXEL) ** 2.2
    colour[np.isin(kind, (CAVITY, TONGUE))] = person.lip * np.array([0.9, 0.6, 0.6]) + np.array([0.08, 0.0, 0.0])
    return colour

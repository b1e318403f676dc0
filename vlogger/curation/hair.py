"""Hair of rendered bodies: shells, copies of the scalp ever farther out, with ever fewer strands (Lengyel 2001)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from vlogger.body.landmarks import points_on_faces
from vlogger.body.parts import PARTS
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body

SHELLS = 12
HAIRLINE = (10, 234, 454)  # MediaPipe's top of the forehead and the skin before the ears: the plane of the hairline
STRANDS = 48  # waves of the noise that strands are cut from
FREQUENCY = np.array([1400.0, 220.0, 1400.0])  # per metre: strands run down
EAR = 0.035  # metres around the outermost point of a head that are its ear
FRINGE = 0.006  # metres over which the hairline thins out
FOREHEAD = 0.09  # metres before the middle of the head: no hair hangs over the eyes
LENGTH, DROOP = (0.004, 0.035), 0.16  # metres: away from the scalp, and down, at most
ROOTS = 0.35  # how much of its colour hair shows at the roots, where little light comes


@dataclass(frozen=True)
class Hair:
    """faces (m,3) of the scalp, cover (V,) metres inside the hairline; waves (STRANDS,3) and phases (STRANDS,) of
    the strands; length and droop (V,), metres; thin in [0,1]: how many strands are missing at the ends."""

    faces: NDArray
    cover: NDArray
    waves: NDArray
    phases: NDArray
    length: float
    droop: NDArray
    thin: float


def random_hair(body: Body, generator: Generator) -> Hair | None:
    """Short or long; None for a bald head."""
    dice = torch.rand(6, generator=generator).numpy()
    waves = torch.randn(STRANDS, 3, generator=generator).numpy() * FREQUENCY
    phases = 2 * np.pi * torch.rand(STRANDS, generator=generator).numpy()
    if dice[0] < 0.12:
        return None
    cover = scalp(body) + 0.02 * (dice[1] - 0.7)
    faces = body.faces.numpy()
    covered = faces[(cover[faces] > -FRINGE).all(1)]
    length = LENGTH[0] + (LENGTH[1] - LENGTH[0]) * dice[2] ** 1.5
    front = (body.v_template[:, 2] - body.J_template[joint_index("head"), 2]).numpy() / FOREHEAD
    droop = (DROOP * dice[4] if dice[3] < 0.5 else 0.0) * np.clip(1 - front, 0, 1)
    return Hair(covered, cover, waves.astype(np.float32), phases.astype(np.float32), length, droop, 0.3 + 0.6 * dice[5])


def scalp(body: Body) -> NDArray[np.float32]:
    """(V,) metres above the plane of the hairline; far below it what does not belong to the head."""
    template, faces = body.v_template.numpy(), body.faces.numpy()
    points = points_on_faces(
        template, faces, body.mp_faces.numpy()[list(HAIRLINE)], body.mp_bary.numpy()[list(HAIRLINE)]
    )
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    normal *= np.sign(normal[1]) / np.linalg.norm(normal)
    skull = np.zeros(len(template), bool)
    skull[faces[body.part_of_face.numpy() == PARTS.index("head")]] = True
    skull &= body.weights[:, joint_index("jaw")].numpy() < 0.5
    width = np.where(skull, template[:, 0], 0)
    for outermost in template[[width.argmin(), width.argmax()]]:
        skull &= np.linalg.norm(template - outermost, axis=1) > EAR
    return np.where(skull, (template - points[0]) @ normal, -1.0).astype(np.float32)


def shell(hair: Hair, share: float, vertices: NDArray, normals: NDArray) -> NDArray[np.float32]:
    """The vertices (V,3) of the shell at this share of the length: away from the skin, and down along it."""
    inner = np.clip(hair.cover / (2 * FRINGE) + 0.3, 0, 1)[:, None]
    down = np.array([[0.0, -1.0, 0.0]]) + np.maximum(normals[:, 1:2], 0) * normals
    return (vertices + inner * (hair.length * share * normals + hair.droop[:, None] * share**1.5 * down)).astype(
        np.float32
    )


def strands(hair: Hair, share: float, template: NDArray, cover: NDArray) -> NDArray[np.bool_]:
    """(n,) where a shell has hair: template (n,3) places, cover (n,) as in `Hair`."""
    waves = np.sin(template.astype(np.float32) @ hair.waves.T + hair.phases).mean(1) * np.sqrt(2 * STRANDS)
    return (waves > hair.thin * 2 * share - 1.2) & (cover + 0.5 * FRINGE * waves > 0)

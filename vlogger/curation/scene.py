"""A picture of a made-up person: the body, its hair and the wall behind, rendered in linear colours.

Arrays are numpy, (h,w,...), float32; camera space and lengths as in `vlogger.types`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from render.anatomy import sunk
from render.camera import project, scale_intrinsics, unproject
from render.posing import points_of
from render.rasterize import rasterize
from vlogger.body.normals import vertex_normals
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body
from vlogger.curation.cycle import uniform
from vlogger.curation.hair import ROOTS, SHELLS, Hair, random_hair, shell, strands
from vlogger.curation.light import Environment, Shadows, random_environment, shaded, shadows_of
from vlogger.curation.person import Person, Spots, albedo_of, random_person
from vlogger.types import Motion, Portrait

FINE = 2  # samples to a pixel's side
GAMMA = 2.2
KNEE = 0.8  # from which on what is bright comes off gently
PALE = 0.7  # of a wall's colours
SHADOWING = 0.7, 0.004  # the shell that throws the hair's shadow; metres inside the hairline from which on it does


@dataclass(frozen=True)
class Scene:
    """Somebody in some light before some wall (h w 3, linear)."""

    person: Person
    hair: Hair | None
    light: Environment
    wall: NDArray


def random_scene(body: Body, size: int, generator: Generator) -> Scene:
    person = random_person(body, generator)
    return Scene(
        person, random_hair(person.body, generator), random_environment(generator), random_wall(size, generator)
    )


def random_wall(size: int, generator: Generator) -> NDArray:
    """(size,size,3): soft colours, and some things with edges, out of focus."""
    colours = torch.rand(9, 3, generator=generator).numpy() ** 2
    colours += PALE * (colours.mean(1, keepdims=True) - colours)
    wall = cv2.resize(
        colours[:4].reshape(2, 2, 3) * 0.3 + colours[4] * 0.5, (size, size), interpolation=cv2.INTER_CUBIC
    )
    for colour, box in zip(colours[5:], torch.rand(4, 4, generator=generator).numpy(), strict=True):
        left, top = (box[:2] * 1.4 - 0.4) * size
        right, bottom = left + box[2] * size * 0.7, top + box[3] * size
        cv2.rectangle(wall, (int(left), int(top)), (int(right), int(bottom)), colour.tolist(), -1)
    blur = size * uniform(generator, 0.002, 0.04)
    return cv2.GaussianBlur(np.clip(wall, 0.01, 0.9).astype(np.float32), (0, 0), blur)


def picture(scene: Scene, motion: Motion, intrinsics: Tensor) -> Portrait:
    """One frame of motion, as wide as the wall, with its matte."""
    person, size = scene.person, scene.wall.shape[0]
    camera = scale_intrinsics(intrinsics, FINE, FINE)
    points = points_of(person.puppet, motion, camera)[0]
    vertices, faces = unproject(torch.from_numpy(points), camera).numpy(), person.body.faces.numpy()
    normals = vertex_normals(vertices, faces)
    points[:, 2] += sunk(person.body).numpy()
    shadows = shadows_of(*casters(scene, vertices, normals), vertices[scalp_middle(person)].mean(0), scene.light)
    image = cv2.resize(scene.wall, (FINE * size, FINE * size), interpolation=cv2.INTER_LINEAR)
    depth = np.full(image.shape[:2], np.inf, np.float32)
    paint(scene, shadows, vertices, normals, points, image, depth)
    if scene.hair is not None:
        for number in range(1, SHELLS + 1):
            paint_shell(scene, shadows, number / SHELLS, vertices, normals, camera, image, depth)
    small, matte = (
        cv2.resize(x, (size, size), interpolation=cv2.INTER_AREA) for x in (image, np.isfinite(depth) * 1.0)
    )
    pixels, matte = ((255 * values).round().astype(np.uint8) for values in (developed(small), matte))
    return Portrait(torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), torch.from_numpy(matte)[None])


def developed(linear: NDArray) -> NDArray:
    """sRGB-like colours in [0,1] of linear ones; what is too bright comes off gently."""
    rolled = np.where(linear < KNEE, linear, 1 - (1 - KNEE) * np.exp((KNEE - linear) / (1 - KNEE)))
    return np.clip(rolled, 0, 1) ** (1 / GAMMA)


def scalp_middle(person: Person) -> NDArray:
    """Numbers of the vertices around whose middle shadows are cast: the head's."""
    return np.flatnonzero(person.body.weights[:, joint_index("head")].numpy() > 0.9)


def casters(scene: Scene, vertices: NDArray, normals: NDArray) -> tuple[NDArray, NDArray]:
    """Vertices and faces of what throws shadows: the body, and its hair as one shell."""
    faces = scene.person.body.faces.numpy()
    if scene.hair is None:
        return vertices, faces
    outer = shell(scene.hair, SHADOWING[0], vertices, normals)
    inner = scene.hair.faces[(scene.hair.cover[scene.hair.faces] > SHADOWING[1]).all(1)]
    return np.concatenate([vertices, outer]), np.concatenate([faces, inner + len(vertices)])


def seen(points: NDArray, faces: NDArray, side: int) -> tuple[NDArray, NDArray, NDArray]:
    """face_id (h,w), bary (h,w,3), depth (h,w)."""
    found = rasterize(torch.from_numpy(points)[None], torch.from_numpy(faces), side, side)
    return found.face_id[0].numpy(), found.bary[0].numpy(), found.depth[0].numpy()


def paint(
    scene: Scene, shadows: Shadows, vertices: NDArray, normals: NDArray, points: NDArray, image: NDArray, depth: NDArray
) -> None:
    """The body into image (h,w,3) and depth (h,w)."""
    person, faces = scene.person, scene.person.body.faces.numpy()
    face_id, bary, near = seen(points, faces, len(image))
    on = face_id >= 0
    spots = spots_of(person, face_id[on], bary[on], faces)
    albedo, gloss = albedo_of(person, spots)
    image[on] = shaded(albedo, gloss, spots.of(vertices, faces), unit(spots.of(normals, faces)), scene.light, shadows)
    depth[on] = near[on]


def paint_shell(
    scene: Scene,
    shadows: Shadows,
    share: float,
    vertices: NDArray,
    normals: NDArray,
    camera: Tensor,
    image: NDArray,
    depth: NDArray,
) -> None:
    """One shell of hair into image (h,w,3) and depth (h,w), where it is nearer."""
    hair = scene.hair
    assert hair is not None
    outer = shell(hair, share, vertices, normals)
    face_id, bary, near = seen(project(torch.from_numpy(outer), camera).numpy(), hair.faces, len(image))
    on = (face_id >= 0) & (near < depth)
    spots = spots_of(scene.person, face_id[on], bary[on], hair.faces)
    kept = strands(hair, share, spots.template, spots.of(hair.cover, hair.faces))
    on[on] = kept
    spots = Spots(spots.face_id[kept], spots.bary[kept], spots.template[kept])
    albedo = np.tile(scene.person.hair * (ROOTS + (1 - ROOTS) * share), (len(spots.face_id), 1))
    gloss = np.full(len(albedo), 0.04)
    place, normal_ = spots.of(outer, hair.faces), unit(spots.of(normals, hair.faces))
    image[on] = shaded(albedo, gloss, place + 0.004 * normal_, normal_, scene.light, shadows)
    depth[on] = near[on]


def spots_of(person: Person, face_id: NDArray, bary: NDArray, faces: NDArray) -> Spots:
    template = np.einsum("nk,nkc->nc", bary, person.body.v_template.numpy()[faces[face_id]])
    return Spots(face_id, bary, template)


def unit(vectors: NDArray) -> NDArray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

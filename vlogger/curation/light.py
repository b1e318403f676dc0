"""Light for rendered bodies: distant lights all around, each with its shadow.

An environment is a sphere of directional lights (Debevec 1998): a sky, a ground and a few bright places. Every light
has a depth map of the body as it sees it (Williams 1978), so that lids, chins, hair, hands and the inside of a mouth
lie in the shadow they really have. Lengths in metres, camera space of `vlogger.types`, colours linear.
"""

from dataclasses import dataclass

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from render.rasterize import rasterize

LIGHTS = 40
CELLS, REACH = 192, 0.42  # a shadow map's cells to a side, and the half of its side, around the head
AWAY = 10.0  # metres: how far lights are, so that the rasteriser's perspective bends nothing
LIFT = 0.005  # metres from the surface at which light is asked for: nothing shadows itself
EXPOSURE = 0.85  # radiance of a white wall that looks at the camera
WRAP = np.array([0.22, 0.08, 0.05], np.float32)  # how far round a shadow's edge skin scatters red, green and blue
SHINE = 18.0  # exponent of Blinn's highlights


@dataclass(frozen=True)
class Environment:
    """directions (n,3) towards the lights, unit length; radiance (n,3)."""

    directions: NDArray[np.float32]
    radiance: NDArray[np.float32]


def random_environment(generator: Generator) -> Environment:
    """A sky of one colour, a ground of another, and one to three windows or lamps, mostly above and in front."""
    directions = sphere(LIGHTS, float(torch.rand((), generator=generator)) * 2 * np.pi)
    dice = torch.rand(8, generator=generator).numpy()
    tint = np.array([1 + 0.25 * (dice[0] - 0.5), 1.0, 1 - 0.25 * (dice[0] - 0.5)])
    up = 0.5 + 0.5 * directions[:, 1:2]
    radiance = (0.3 + 0.7 * dice[1]) * up * tint[::-1] + (0.1 + 0.4 * dice[2]) * (1 - up) * tint
    for _ in range(1 + int(3 * dice[3])):
        angle, height, size, power = torch.rand(4, generator=generator).numpy()
        turn, rise = np.pi * 1.3 * (angle - 0.5), np.pi * (0.45 * height - 0.05)
        towards = np.array([np.sin(turn) * np.cos(rise), np.sin(rise), np.cos(turn) * np.cos(rise)])
        near = np.exp((2 + 30 * size**2) * (directions @ towards - 1))
        radiance = radiance + (0.5 + 4 * power) * LIGHTS / near.sum() * 0.25 * near[:, None] * tint
    wall = (radiance * np.maximum(directions[:, 2:], 0)).sum(0).mean()
    return Environment(directions, (radiance * EXPOSURE * (0.7 + 0.5 * dice[4]) / wall).astype(np.float32))


def sphere(count: int, turn: float) -> NDArray[np.float32]:
    """(n,3) directions spread evenly (a golden spiral), turned about the upright axis."""
    steps = np.arange(count) + 0.5
    y, around = 1 - 2 * steps / count, steps * np.pi * (3 - np.sqrt(5)) + turn
    across = np.sqrt(1 - y * y)
    return np.stack([across * np.cos(around), y, across * np.sin(around)], 1).astype(np.float32)


def frames_of(directions: NDArray) -> NDArray[np.float32]:
    """(n,3,3) for each direction two axes across it, and the direction."""
    helper = np.where(np.abs(directions[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    right = np.cross(helper, directions)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(directions, right), directions], 1).astype(np.float32)


@dataclass(frozen=True)
class Shadows:
    """axes (n,3,3) as `frames_of`, centre (3,), depth (n,CELLS,CELLS): how far along each light's axis the nearest
    surface lies, -inf where there is none."""

    axes: NDArray[np.float32]
    centre: NDArray[np.float32]
    depth: NDArray[np.float32]


def shadows_of(vertices: NDArray, faces: NDArray, centre: NDArray, environment: Environment) -> Shadows:
    """What each light sees of vertices (V,3) and faces (F,3) around a centre (3,)."""
    axes = frames_of(environment.directions)
    depth, corners = np.empty((len(axes), CELLS, CELLS), np.float32), torch.from_numpy(faces)
    for one, own in zip(depth, axes):
        place = (vertices - centre) @ own.T
        seen = np.empty_like(place)
        seen[:, :2] = (place[:, :2] / REACH + 1) * CELLS / 2
        seen[:, 2] = AWAY - place[:, 2]
        found = rasterize(torch.from_numpy(seen.astype(np.float32))[None], corners, CELLS, CELLS)
        one[:] = np.where(found.mask[0].numpy(), AWAY - found.depth[0].numpy(), -np.inf)
    return Shadows(axes, centre.astype(np.float32), depth)


def shaded(
    albedo: NDArray, gloss: NDArray, places: NDArray, normals: NDArray, environment: Environment, shadows: Shadows
) -> NDArray[np.float32]:
    """Linear colours (n,3) of places (n,3) with normals (n,3), albedo (n,3) and gloss (n,), seen from the origin."""
    albedo, gloss, places, normals = (values.astype(np.float32) for values in (albedo, gloss, places, normals))
    result, cast = np.zeros((len(places), 3), np.float32), (shadows.axes, shadows.centre, shadows.depth)
    _shade(albedo, gloss, places, normals, *cast, environment.radiance, WRAP, result)
    return result


@numba.njit(cache=True, nogil=True)
def _shade(albedo, gloss, places, normals, axes, centre, depth, radiance, wrap, result):
    cells = depth.shape[1]
    for i in range(len(places)):
        n, p = normals[i], places[i]
        away = np.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
        x, y, z = p[0] + LIFT * n[0] - centre[0], p[1] + LIFT * n[1] - centre[1], p[2] + LIFT * n[2] - centre[2]
        for light in range(len(axes)):
            own = axes[light]
            cosine = n[0] * own[2, 0] + n[1] * own[2, 1] + n[2] * own[2, 2]
            if cosine <= -wrap[0]:
                continue
            u = ((own[0, 0] * x + own[0, 1] * y + own[0, 2] * z) / REACH + 1) * cells / 2 - 0.5
            v = ((own[1, 0] * x + own[1, 1] * y + own[1, 2] * z) / REACH + 1) * cells / 2 - 0.5
            lit = _open(depth[light], u, v, own[2, 0] * x + own[2, 1] * y + own[2, 2] * z)
            if lit == 0:
                continue
            hx, hy, hz = own[2, 0] - p[0] / away, own[2, 1] - p[1] / away, own[2, 2] - p[2] / away
            half = (n[0] * hx + n[1] * hy + n[2] * hz) / np.sqrt(hx * hx + hy * hy + hz * hz)
            shine = gloss[i] * max(half, 0.0) ** SHINE if cosine > 0 else 0.0
            for c in range(3):
                round_it = max(cosine + wrap[c], 0.0) / (1 + wrap[c])
                result[i, c] += lit * radiance[light, c] * (albedo[i, c] * round_it + shine)


@numba.njit(cache=True, nogil=True)
def _open(depth, u, v, along):
    """The share of the four cells around (u, v) that see what lies `along` their light's axis; 1 beyond the map."""
    column, row = int(np.floor(u)), int(np.floor(v))
    if row < 0 or column < 0 or row + 1 >= depth.shape[0] or column + 1 >= depth.shape[1]:
        return 1.0
    right, down, lit = u - column, v - row, 0.0
    for j in range(2):
        for i in range(2):
            if depth[row + j, column + i] <= along:
                lit += (right if i else 1 - right) * (down if j else 1 - down)
    return lit

"""The dense controls of VLOGGER 3.2: which template point and which body part each pixel sees (C^d, C^m)."""

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.rasterize import Fragments
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body
from vlogger.body.surface import surface_code


def surface_map(body: Body, fragments: Fragments) -> Tensor:
    """C^d (B,3,H,W): tanh((template position - head joint) / 0.3 m), 0 where there is no body.

    The template's place, not the posed one: a pixel that follows a skin point keeps its value. Distances are finest
    around the head, where a pixel covers the least skin. Interpolated between the codes of the vertices: triangles are
    small enough.
    """
    face_id, bary = fragments.face_id.numpy(), fragments.bary.numpy()
    batch, height, width = face_id.shape
    surface = np.zeros((batch, 3, height, width), np.float32)
    code = surface_code(body)
    for frame in range(batch):
        fill_surface(code, body.faces.numpy(), face_id[frame], bary[frame], surface[frame])
    return torch.from_numpy(surface)


@numba.njit(cache=True, nogil=True)
def fill_surface(code, faces, face_id, bary, surface):
    """code (V,3) interpolated at each pixel that shows a face into surface (3,h,w)."""
    for y in range(face_id.shape[0]):
        for x in range(face_id.shape[1]):
            f = face_id[y, x]
            if f < 0:
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            a, b, c = bary[y, x, 0], bary[y, x, 1], bary[y, x, 2]
            for axis in range(3):
                surface[axis, y, x] = a * code[i, axis] + b * code[j, axis] + c * code[k, axis]


def parts_map(body: Body, fragments: Fragments) -> Tensor:
    """C^m (B,K,H,W): one-hot body part in the order of `PARTS`, all 0 where there is no body."""
    face_id, part = fragments.face_id.numpy(), body.part_of_face.numpy()
    batch, height, width = face_id.shape
    parts = np.zeros((batch, len(PARTS), height, width), np.float32)
    for frame in range(batch):
        fill_parts(part, face_id[frame], parts[frame])
    return torch.from_numpy(parts)


@numba.njit(cache=True, nogil=True)
def fill_parts(part: NDArray, face_id: NDArray, parts: NDArray) -> None:
    """1 into parts (k,h,w), which is 0, at the part of each pixel that shows a face."""
    for y in range(face_id.shape[0]):
        for x in range(face_id.shape[1]):
            if face_id[y, x] >= 0:
                parts[part[face_id[y, x]], y, x] = 1.0

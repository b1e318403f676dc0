"""The CPU rasterizer: a z-buffer compiled by numba, one thread (frames are the natural unit of parallel work)."""

import numba
import numpy as np
import torch
from torch import Tensor

TILE = 8  # pixels: side of the squares whose greatest depth hides whole triangles


def rasterize_numba(projected: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B,V,3) and (F,3) -> face_id (B,H,W), bary (B,H,W,3), depth (B,H,W), as `render.rasterize.rasterize` says."""
    batch = len(projected)
    points = np.ascontiguousarray(projected.detach().cpu().numpy(), dtype=np.float32)
    triangles = np.ascontiguousarray(faces.cpu().numpy())
    face_id = np.full((batch, height, width), -1, np.int64)
    depth = np.zeros((batch, height, width), np.float32)
    bary = np.zeros((batch, height, width, 3), np.float32)
    for b in range(batch):
        _nearest(points[b], triangles, face_id[b], depth[b])
        _weights(points[b], triangles, face_id[b], bary[b])
    device = projected.device
    ids, weights, distance = (torch.from_numpy(a).to(device) for a in (face_id, bary, depth))
    return ids, weights, distance


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nearest(points, faces, face_id, depth):
    """Fill face_id (H,W) and depth (H,W): the nearest triangle over each pixel centre.

    Triangles that turn one side to the camera are drawn first. Of a closed body all others lie behind those, and are
    refused as a whole.
    """
    height, width = face_id.shape
    later, count = np.empty(len(faces), np.int32), 0
    for f in range(len(faces)):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        y0, y1, y2 = points[i, 1], points[j, 1], points[k, 1]
        low, high = min(y0, y1, y2) - np.float32(0.5), max(y0, y1, y2) - np.float32(0.5)
        if not (low <= height - 1 and high >= 0.0 and np.ceil(low) <= high):
            continue
        x0, x1, x2 = points[i, 0], points[j, 0], points[k, 0]
        near, far = min(x0, x1, x2) - np.float32(0.5), max(x0, x1, x2) - np.float32(0.5)
        if not (near <= width - 1 and far >= 0.0 and np.ceil(near) <= far):
            continue
        if (x1 - x0) * (y2 - y0) > (x2 - x0) * (y1 - y0):
            later[count] = f
            count += 1
        else:
            _draw(f, points, faces, face_id, depth)
    hiding = _farthest_in_tiles(face_id, depth)
    for n in range(count):
        if not _hidden(points, faces[later[n]], hiding, height, width):
            _draw(later[n], points, faces, face_id, depth)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw(f, points, faces, face_id, depth):
    """Write one triangle, whose box meets the picture, wherever it is the nearest.

    Unsigned indices: that one might count from the end is not asked at every pixel.
    """
    height, width = face_id.shape
    i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
    x0, x1, x2, y0, y1, y2 = points[i, 0], points[j, 0], points[k, 0], points[i, 1], points[j, 1], points[k, 1]
    z0, z1, z2 = points[i, 2], points[j, 2], points[k, 2]
    one_x, one_y = np.float64(x1) - x0, np.float64(y1) - y0
    two_x, two_y = np.float64(x2) - x0, np.float64(y2) - y0
    area = one_x * two_y - two_x * one_y
    if area == 0.0 or not min(z0, z1, z2) > 1e-6:
        return
    inverse = 1.0 / area
    one_x, one_y, two_x, two_y = one_x * inverse, one_y * inverse, two_x * inverse, two_y * inverse
    w0, w1, w2 = 1.0 / z0, 1.0 / z1, 1.0 / z2
    left = np.uint32(max(np.ceil(min(x0, x1, x2) - np.float32(0.5)), 0.0))
    right = np.uint32(min(np.floor(max(x0, x1, x2) - np.float32(0.5)), width - 1.0))
    top = np.uint32(max(np.ceil(min(y0, y1, y2) - np.float32(0.5)), 0.0))
    bottom = np.uint32(min(np.floor(max(y0, y1, y2) - np.float32(0.5)), height - 1.0))
    one, py = np.uint32(1), np.float64(top) + 0.5 - y0
    for y in range(top, bottom + one):
        px, entered = np.float64(left) + 0.5 - x0, False
        row_b, row_c = py * two_x, py * one_x
        for x in range(left, right + one):
            b = px * two_y - row_b
            c = row_c - px * one_y
            a = 1.0 - b - c
            px += 1.0
            if a >= 0.0 and b >= 0.0 and c >= 0.0:
                entered = True
                nearness = a * w0 + b * w1 + c * w2
                if face_id[y, x] >= 0 and nearness * depth[y, x] < 0.999999:
                    continue
                z = np.float32(1.0 / nearness)
                if face_id[y, x] < 0 or z < depth[y, x] or (z == depth[y, x] and f < face_id[y, x]):
                    depth[y, x] = z
                    face_id[y, x] = f
            elif entered:
                break
        py += 1.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _farthest_in_tiles(face_id, depth):
    """The greatest depth in each square of `TILE` pixels, infinite where one of its pixels shows nothing."""
    height, width = face_id.shape
    farthest = np.zeros((-(-height // TILE), -(-width // TILE)), np.float32)
    for y in range(height):
        for x in range(width):
            here = depth[y, x] if face_id[y, x] >= 0 else np.float32(np.inf)
            farthest[y // TILE, x // TILE] = max(farthest[y // TILE, x // TILE], here)
    return farthest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hidden(points, face, farthest, height, width):
    """Whether a triangle lies behind everything in the tiles that its box, which meets the picture, touches."""
    i, j, k = face[0], face[1], face[2]
    nearest = min(points[i, 2], points[j, 2], points[k, 2])
    left = int(max(min(points[i, 0], points[j, 0], points[k, 0]), 0.0)) // TILE
    right = int(min(max(points[i, 0], points[j, 0], points[k, 0]), width - 1.0)) // TILE
    top = int(max(min(points[i, 1], points[j, 1], points[k, 1]), 0.0)) // TILE
    bottom = int(min(max(points[i, 1], points[j, 1], points[k, 1]), height - 1.0)) // TILE
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            if nearest <= farthest[y, x]:
                return False
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weights(points, faces, face_id, bary):
    """Fill bary (H,W,3) with the perspective-correct weights of the winners."""
    height, width = face_id.shape
    for y in range(height):
        for x in range(width):
            if face_id[y, x] < 0:
                continue
            i, j, k = faces[face_id[y, x], 0], faces[face_id[y, x], 1], faces[face_id[y, x], 2]
            x0, y0 = points[i, 0] - (x + 0.5), points[i, 1] - (y + 0.5)
            x1, y1 = points[j, 0] - (x + 0.5), points[j, 1] - (y + 0.5)
            x2, y2 = points[k, 0] - (x + 0.5), points[k, 1] - (y + 0.5)
            a = (x1 * y2 - x2 * y1) / points[i, 2]
            b = (x2 * y0 - x0 * y2) / points[j, 2]
            c = (x0 * y1 - x1 * y0) / points[k, 2]
            total = 1.0 / (a + b + c)
            bary[y, x, 0], bary[y, x, 1], bary[y, x, 2] = a * total, b * total, c * total

"""The CPU rasterizer: a z-buffer compiled by numba, one thread (frames are the natural unit of parallel work)."""

import numba
import numpy as np
import torch
from torch import Tensor


def rasterize_numba(projected: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B,V,3) and (F,3) -> face_id (B,H,W), bary (B,H,W,3), depth (B,H,W), as `render.rasterize.rasterize` says."""
    batch = len(projected)
    points = np.ascontiguousarray(projected.detach().cpu().numpy(), dtype=np.float32)
    triangles = np.ascontiguousarray(faces.cpu().numpy(), dtype=np.int32)
    face_id = np.full((batch, height, width), -1, np.int64)
    depth = np.zeros((batch, height, width), np.float32)
    bary = np.zeros((batch, height, width, 3), np.float32)
    for b in range(batch):
        _nearest(points[b], triangles, face_id[b], depth[b])
        _weights(points[b], triangles, face_id[b], bary[b])
    device = projected.device
    ids, weights, distance = (torch.from_numpy(a).to(device) for a in (face_id, bary, depth))
    return ids, weights, distance


@numba.njit(cache=True, nogil=True)
def _nearest(points, faces, face_id, depth):
    """Fill face_id (H,W) and depth (H,W): the nearest triangle over each pixel centre."""
    height, width = face_id.shape
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
        z0, z1, z2 = points[i, 2], points[j, 2], points[k, 2]
        one_x, one_y = np.float64(x1) - x0, np.float64(y1) - y0
        two_x, two_y = np.float64(x2) - x0, np.float64(y2) - y0
        area = one_x * two_y - two_x * one_y
        if area == 0.0 or not min(z0, z1, z2) > 1e-6:
            continue
        inverse = 1.0 / area
        w0, w1, w2 = 1.0 / z0, 1.0 / z1, 1.0 / z2
        left, right = int(max(np.ceil(near), 0.0)), int(min(np.floor(far), width - 1.0))
        for y in range(int(max(np.ceil(low), 0.0)), int(min(np.floor(high), height - 1.0)) + 1):
            py = y + 0.5 - y0
            for x in range(left, right + 1):
                px = x + 0.5 - x0
                b = (px * two_y - py * two_x) * inverse
                c = (py * one_x - px * one_y) * inverse
                a = 1.0 - b - c
                if a >= 0.0 and b >= 0.0 and c >= 0.0:
                    z = np.float32(1.0 / (a * w0 + b * w1 + c * w2))
                    if face_id[y, x] < 0 or z < depth[y, x]:
                        depth[y, x] = z
                        face_id[y, x] = f


@numba.njit(cache=True, nogil=True)
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
            total = a + b + c
            bary[y, x, 0], bary[y, x, 1], bary[y, x, 2] = a / total, b / total, c / total

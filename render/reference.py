"""The slow twin of the rasterizers: two loops that can be checked by hand. For tests only."""

from math import ceil, floor

import torch
from torch import Tensor

NEAR = 1e-6


def rasterize_reference(projected: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B,V,3) and (F,3) -> face_id (B,H,W), bary (B,H,W,3), depth (B,H,W), as `render.rasterize.rasterize` says."""
    batch = len(projected)
    face_id = torch.full((batch, height, width), -1)
    bary = torch.zeros(batch, height, width, 3)
    depth = torch.zeros(batch, height, width)
    for b in range(batch):
        points = projected[b].double().tolist()
        for f, face in enumerate(faces.tolist()):
            for y, x, weights, z in covered_pixels([points[i] for i in face], height, width):
                if face_id[b, y, x] < 0 or z < depth[b, y, x]:
                    face_id[b, y, x], depth[b, y, x] = f, z
                    bary[b, y, x] = torch.tensor(weights)
    return face_id, bary, depth


def covered_pixels(corners: list[list[float]], height: int, width: int):
    """Yield (row, column, perspective-correct weights, depth) of each pixel centre inside one projected triangle."""
    (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = corners
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if area == 0 or min(z0, z1, z2) <= NEAR:
        return
    xs, ys = (x0, x1, x2), (y0, y1, y2)
    for y in range(max(0, ceil(min(ys) - 0.5)), min(height - 1, floor(max(ys) - 0.5)) + 1):
        for x in range(max(0, ceil(min(xs) - 0.5)), min(width - 1, floor(max(xs) - 0.5)) + 1):
            px, py = x + 0.5, y + 0.5
            a = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
            b = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
            c = 1 - a - b
            if min(a, b, c) >= 0:
                inverse = a / z0 + b / z1 + c / z2
                yield y, x, (a / z0 / inverse, b / z1 / inverse, c / z2 / inverse), 1 / inverse

"""The differentiable rasterizer: plain torch operations, batched, any device.

Every triangle enumerates the pixel centres of its bounding box; one scatter-min over packed (depth, face) keys resolves
visibility; the winners' weights are then computed once more, with gradients.
"""

import torch
from torch import Tensor

NEAR = 1e-6
EMPTY = torch.iinfo(torch.int64).max


def rasterize_torch(projected: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B,V,3) and (F,3) -> face_id (B,H,W), bary (B,H,W,3), depth (B,H,W), as `render.rasterize.rasterize` says.

    Gradients of bary and depth flow to `projected`; face_id is held fixed.
    """
    batch = len(projected)
    shape = (batch, height, width)
    keys = projected.new_full((batch * height * width,), EMPTY, dtype=torch.int64)
    with torch.no_grad():
        pixel, key = _candidates(projected.double(), faces, height, width)
        keys = keys.scatter_reduce_(0, pixel, key, "amin")
    hit = (keys != EMPTY).nonzero()[:, 0]
    face = keys[hit] & 0xFFFFFFFF
    weights, z = _winners(projected, faces, face, hit, (height, width))
    face_id = torch.full_like(keys, -1).index_put((hit,), face)
    bary = projected.new_zeros(len(keys), 3).index_put((hit,), weights)
    depth = projected.new_zeros(len(keys)).index_put((hit,), z)
    return face_id.view(shape), bary.view(*shape, 3), depth.view(shape)


def _candidates(points: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """All covered pixels of all triangles: flat pixel index (n,) and key (n,) = depth bits << 32 | face."""
    corners = points[:, faces].flatten(0, 1)
    low, size = _boxes(corners, height, width)
    usable = (corners[..., 2] > NEAR).all(1) & (_area(corners) != 0) & (size > 0).all(1)
    chosen = usable.nonzero()[:, 0]
    corners, low, size = corners[chosen], low[chosen], size[chosen]
    triangle, row, column = _enumerate(size)
    row, column = row + low[triangle, 1], column + low[triangle, 0]
    a, b, c = _edge_weights(corners, triangle, row, column)
    inside = ((a >= 0) & (b >= 0) & (c >= 0)).nonzero()[:, 0]
    triangle = triangle[inside]
    inverse = sum(w[inside] / corners[triangle, k, 2] for k, w in enumerate((a, b, c)))
    frame, face = chosen[triangle] // len(faces), chosen[triangle] % len(faces)
    bits = torch.as_tensor(1 / inverse).float().view(torch.int32).long()  # positive floats are ordered like their bits
    return (frame * height + row[inside]) * width + column[inside], bits << 32 | face


def _boxes(corners: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """First pixel (n,2) [column, row] and extent (n,2) of the pixel centres in each triangle's bounding box."""
    limit = corners.new_tensor([width - 1, height - 1])
    xy = corners[..., :2].nan_to_num(nan=-1e9).clamp(-1e9, 1e9)
    low = (xy.amin(1) - 0.5).ceil().clamp(min=0)
    high = torch.minimum((xy.amax(1) - 0.5).floor(), limit)
    return low.long(), (high - low + 1).clamp(min=0).long()


def _area(corners: Tensor) -> Tensor:
    """Twice the signed area (n,) of projected triangles (n,3,3)."""
    one, two = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    return one[:, 0] * two[:, 1] - two[:, 0] * one[:, 1]


def _enumerate(size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every cell of every box of extent (n,2): its box, row and column."""
    count = size.prod(1)
    box = torch.repeat_interleave(torch.arange(len(size), device=size.device), count)
    cell = torch.arange(len(box), device=size.device) - (count.cumsum(0) - count)[box]
    row = torch.div(cell, size[box, 0], rounding_mode="floor")
    return box, row, cell - row * size[box, 0]


def _edge_weights(corners: Tensor, triangle: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Screen-space barycentric weights of the pixel centres: affine functions a = p x + q y + r per triangle."""
    (x0, x1, x2), (y0, y1, y2) = corners[..., 0].unbind(1), corners[..., 1].unbind(1)
    area = _area(corners)
    first = torch.stack([y1 - y2, x2 - x1, x1 * y2 - x2 * y1]) / area
    second = torch.stack([y2 - y0, x0 - x2, x2 * y0 - x0 * y2]) / area
    x, y = column + 0.5, row + 0.5
    a = first[0][triangle] * x + first[1][triangle] * y + first[2][triangle]
    b = second[0][triangle] * x + second[1][triangle] * y + second[2][triangle]
    return a, b, 1 - a - b


def _winners(projected: Tensor, faces: Tensor, face: Tensor, hit: Tensor, size: tuple[int, int]):
    """Differentiable perspective-correct weights (n,3) and depth (n,) of the winning faces at the flat pixels `hit`."""
    height, width = size
    frame = torch.div(hit, height * width, rounding_mode="floor")
    corners = projected[frame[:, None], faces[face]]
    x = corners[..., 0] - (hit % width + 0.5)[:, None]
    y = corners[..., 1] - (torch.div(hit, width, rounding_mode="floor") % height + 0.5)[:, None]
    edges = torch.stack(
        [x[:, (k + 1) % 3] * y[:, (k + 2) % 3] - x[:, (k + 2) % 3] * y[:, (k + 1) % 3] for k in range(3)], 1
    )
    shares = edges / edges.sum(1, keepdim=True) / corners[..., 2]
    inverse = shares.sum(1, keepdim=True)
    return shares / inverse, 1 / inverse[:, 0]

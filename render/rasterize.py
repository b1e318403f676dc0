"""Which triangle does each pixel see, and where on it: one function, several backends.

All backends agree: a pixel belongs to a triangle when its centre (+0.5) lies inside or on the edge of the projected
triangle; the nearest one wins, at equal depth the one with the lower index; both sides of a triangle are seen.
Triangles with a vertex at or behind the camera (depth <= 1e-6 m) and degenerate ones are dropped, not clipped.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from render.reference import rasterize_reference
from render.zbuffer_numba import rasterize_numba
from render.zbuffer_torch import rasterize_torch
from vlogger.errors import UserError


@dataclass(frozen=True)
class Fragments:
    """What each pixel sees.

    face_id (B,H,W) int64, -1 where there is nothing; bary (B,H,W,3) perspective-correct barycentric weights of the
    face's vertices, depth (B,H,W) metres along the view axis: both 0 where there is nothing.
    """

    face_id: Tensor
    bary: Tensor
    depth: Tensor

    @property
    def mask(self) -> Tensor:
        """(B,H,W) bool: something is seen."""
        return self.face_id >= 0


def rasterize(projected: Tensor, faces: Tensor, height: int, width: int, backend: str = "auto") -> Fragments:
    """Projected vertices (B,V,3) [u px, v px, depth m] and faces (F,3) int64 -> Fragments.

    backend: "numba" (CPU, fastest, no gradients), "torch" (any device, bary and depth differentiable with visibility
    held fixed), "pytorch3d" (optional package), "reference" (slow pure Python), "auto": numba for CPU tensors that
    need no gradient, else torch. Raises UserError for an unknown backend or one that is not installed.
    """
    name = _choose(projected) if backend == "auto" else backend
    if name == "numba":
        return Fragments(*rasterize_numba(projected, faces, height, width))
    if name == "torch":
        return Fragments(*rasterize_torch(projected, faces, height, width))
    if name == "reference":
        return Fragments(*rasterize_reference(projected, faces, height, width))
    if name == "pytorch3d":
        from render.pytorch3d_backend import rasterize_pytorch3d

        return Fragments(*rasterize_pytorch3d(projected, faces, height, width))
    raise UserError(f"Unknown rasterizer '{backend}'; choose auto, numba, torch, pytorch3d or reference.")


def _choose(projected: Tensor) -> str:
    """Numba where nothing speaks against it."""
    return "numba" if projected.device.type == "cpu" and not projected.requires_grad else "torch"


def interpolate(attributes: Tensor, faces: Tensor, fragments: Fragments) -> Tensor:
    """Vertex attributes (V,C) or (B,V,C) at each pixel: (B,H,W,C), 0 where nothing is seen. Differentiable."""
    batch = fragments.face_id.shape[0]
    attributes = attributes.expand(batch, *attributes.shape[-2:])
    where = fragments.mask.nonzero()
    frame, seen = where[:, 0], tuple(where.unbind(1))
    corners = attributes[frame[:, None], faces[fragments.face_id[seen]]]
    values = (corners * fragments.bary[seen][..., None].to(attributes)).sum(1)
    empty = attributes.new_zeros(*fragments.face_id.shape, attributes.shape[-1])
    return torch.index_put(empty, seen, values)

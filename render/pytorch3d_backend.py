"""pytorch3d's rasterizer behind our function (https://github.com/facebookresearch/pytorch3d). An optional package that
must be built from source; worth it on CUDA only (on a CPU it visits every face at every pixel)."""

import torch
from torch import Tensor

from vlogger.errors import UserError

NEAR = 1e-6


def rasterize_pytorch3d(projected: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B,V,3) and (F,3) -> face_id (B,H,W), bary (B,H,W,3), depth (B,H,W), as `render.rasterize.rasterize` says.

    Raises UserError when pytorch3d cannot be imported.
    """
    try:
        import pytorch3d.renderer.mesh  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "render.backend=pytorch3d needs the pytorch3d package, which could not be imported; "
            "build it from source (see its INSTALL.md) or choose render.backend=auto."
        ) from error
    frames = [_frame(points, faces, height, width) for points in projected]
    face_id, bary, depth = (torch.stack(parts) for parts in zip(*frames))
    return face_id, bary, depth


def _frame(points: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """One frame: points (V,3). Faces behind the camera are taken out first, their places remembered."""
    from pytorch3d.renderer.mesh import rasterize_meshes  # pyright: ignore[reportMissingImports]
    from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]

    kept = (points[faces, 2] > NEAR).all(1).nonzero()[:, 0]
    meshes = Meshes([to_ndc(points, height, width)], [faces[kept]])
    found, depth, bary, _ = rasterize_meshes(
        meshes, (height, width), blur_radius=0.0, faces_per_pixel=1, perspective_correct=True, bin_size=None
    )
    found, depth, bary = found[0, ..., 0], depth[0, ..., 0], bary[0, ..., 0, :]
    seen = found >= 0
    face_id = torch.where(seen, kept[found.clamp(min=0)], -torch.ones_like(found))
    return face_id, torch.where(seen[..., None], bary, 0.0), torch.where(seen, depth, 0.0)


def to_ndc(points: Tensor, height: int, width: int) -> Tensor:
    """Pixels and depth (V,3) -> pytorch3d's normalised coordinates: x left, y up, the shorter side spans [-1, 1]."""
    half = min(height, width) / 2
    return torch.stack([(width / 2 - points[:, 0]) / half, (height / 2 - points[:, 1]) / half, points[:, 2]], 1)

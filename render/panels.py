"""Pictures for people of what is drawn: the mesh over the photo, the surface, the parts, the warp, side by side."""

import torch
from torch import Tensor

from render.rasterize import rasterize
from vlogger.body.smplx import Body, personal, pose
from vlogger.framing import project
from vlogger.pixels import to_uint8
from vlogger.types import Controls, Motion, Subject

CLAY, OPACITY = (0.62, 0.72, 0.85), 0.75  # of the mesh over the photo
UNKNOWN = (1.0, 0.0, 1.0)  # of the warp where it knows nothing
PART_COLOURS = (
    *((0.93, 0.79, 0.69), (0.86, 0.32, 0.36), (0.80, 0.62, 0.49), (0.35, 0.51, 0.72), (0.36, 0.68, 0.55)),
    *((0.56, 0.75, 0.36), (0.95, 0.77, 0.28), (0.93, 0.58, 0.23), (0.50, 0.43, 0.66), (0.20, 0.25, 0.45)),
    *((0.98, 0.98, 0.95), (0.93, 0.50, 0.62)),
)


def panels(body: Body, subject: Subject, motion: Motion, controls: Controls) -> Tensor:
    """Frames (t 3 h 4w) uint8; `subject.portrait` has the size of the controls."""
    photo = subject.portrait.image.float() / 255
    pictures = (mesh_over(photo, body, subject, motion), surface_picture(controls), parts_picture(controls))
    return to_uint8(255 * torch.cat([*pictures, warp_picture(controls)], dim=-1).clamp(0, 1))


def mesh_over(photo: Tensor, body: Body, subject: Subject, motion: Motion) -> Tensor:
    """The moving body as grey clay, lit from the camera, over the photo (3 h w): (t 3 h w)."""
    own = personal(body, subject.offsets)
    posed = pose(own, subject.betas, motion.rotations, motion.expression, motion.translation).vertices
    height, width = photo.shape[1:]
    seen = rasterize(project(posed, subject.intrinsics), body.faces, height, width)
    a, b, c = (posed[:, body.faces[:, k]] for k in range(3))
    normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    towards = torch.nn.functional.normalize(-(a + b + c), dim=-1)
    facing = (normal * towards).sum(-1).abs()  # (t F)
    light = 0.25 + 0.75 * facing.gather(1, seen.face_id.clamp(min=0).flatten(1)).view(seen.face_id.shape)
    clay = light[:, None] * photo.new_tensor(CLAY)[:, None, None]
    return photo + OPACITY * seen.mask[:, None] * (clay - photo)


def surface_picture(controls: Controls) -> Tensor:
    """C^d as colours (t 3 h w), black where there is no body."""
    return (controls.surface / 2 + 0.5) * controls.parts.amax(1, keepdim=True)


def parts_picture(controls: Controls) -> Tensor:
    """C^m, a colour for each part (t 3 h w)."""
    return torch.einsum("tkhw,kc->tchw", controls.parts, controls.parts.new_tensor(PART_COLOURS))


def warp_picture(controls: Controls) -> Tensor:
    """C^w (t 3 h w), magenta where it is unknown."""
    unknown = controls.warped.new_tensor(UNKNOWN)[:, None, None]
    return torch.where(controls.visible > 0, controls.warped, unknown)

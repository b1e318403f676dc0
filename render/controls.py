"""Draw: the motion of a body becomes the painter's controls, a window of frames at a time (VLOGGER 3.2)."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from render.camera import project, scale_intrinsics
from render.halo import depth_inside
from render.maps import parts_map, surface_map
from render.rasterize import rasterize
from render.warp import FINE, PhotoView, Warp, facing, farthest_around, warp_photo
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body, personal, pose
from vlogger.errors import UserError
from vlogger.framing import head_height, pose_subject
from vlogger.pixels import resize
from vlogger.types import Controls, Motion, Portrait, Subject

HEAD_HALO, BODY_HALO = 0.5, 0.2  # width of the halo around the head (hair) and elsewhere (clothes), in heads
MOUTH_AND_EYES = [PARTS.index(name) for name in ("lips", "eyes", "teeth", "tongue")]
HEAD_PARTS = [PARTS.index(name) for name in ("head", "lips", "eyes", "teeth", "tongue")]


class MeshControls:
    """The stage MotionToControls on a triangle mesh."""

    def __init__(self, body: Body, backend: str = "auto"):
        self.body = body
        self.backend = backend

    def __call__(self, motion: Motion, subject: Subject, *, size: int) -> "MeshControlSequence":
        """Controls of `len(motion)` frames, `size` pixels square; `subject.portrait` must be square (UserError)."""
        height, width = subject.portrait.image.shape[1:]
        if height != width:
            raise UserError(f"Controls are drawn in a square, this portrait is {width} x {height}: crop it first.")
        return MeshControlSequence(self.body, motion, resize_subject(subject, size), self.backend)


class MeshControlSequence:
    """`controls[i:j]` draws those frames; only the photo's own view is kept."""

    def __init__(self, body: Body, motion: Motion, subject: Subject, backend: str):
        self.body, self.motion, self.subject, self.backend = body, motion, subject, backend
        self.fps = motion.fps
        self.size = subject.portrait.image.shape[-1]
        self.photo = subject.portrait.image.float() / 255
        self.view = photo_view(body, subject, backend)
        still = Motion(subject.rotations[None], subject.expression[None], subject.translation[None], motion.fps)
        self.reference = self.draw(still)

    def __len__(self) -> int:
        return len(self.motion)

    def __getitem__(self, frames: slice) -> Controls:
        return self.draw(self.motion[frames])

    def draw(self, motion: Motion) -> Controls:
        """The controls of every frame of a motion."""
        if not len(motion):
            return no_controls(self.size, motion.fps)
        body = personal(self.body, self.subject.offsets)
        posed = pose(body, self.subject.betas, motion.rotations, motion.expression, motion.translation)
        projected = project(posed.vertices, self.subject.intrinsics)
        frames = [draw_frame(self.body, self.view, points, self.size, self.backend) for points in projected]
        return Controls(*(torch.cat(channel) for channel in zip(*frames)), fps=motion.fps)


def resize_subject(subject: Subject, size: int) -> Subject:
    """The same square subject at another size: photo and camera."""
    zoom = size / subject.portrait.image.shape[-1]
    image = resize(subject.portrait.image, size, size)
    return replace(subject, portrait=Portrait(image), intrinsics=scale_intrinsics(subject.intrinsics, zoom, zoom))


def photo_view(body: Body, subject: Subject, backend: str) -> PhotoView:
    """The photo and the body as the photo shows it; computed once per subject."""
    size = subject.portrait.image.shape[-1]
    vertices = pose_subject(subject, body)
    projected = project(vertices, subject.intrinsics)
    fine = projected * projected.new_tensor([FINE, FINE, 1])
    depth = rasterize(fine[None], body.faces, FINE * size, FINE * size, backend).depth[0]
    head = head_height(vertices, subject.intrinsics, body)
    reach = torch.where(torch.isin(body.part_of_face, torch.tensor(HEAD_PARTS)), HEAD_HALO, BODY_HALO) * head
    image = subject.portrait.image.movedim(0, -1).float() / 255
    return PhotoView(
        image=np.ascontiguousarray(image.numpy()),
        projected=projected.numpy(),
        faces=body.faces.numpy(),
        front=facing(projected.numpy(), body.faces.numpy()),
        farthest=farthest_around(depth.numpy()),
        inside=depth_inside(depth[FINE // 2 :: FINE, FINE // 2 :: FINE].numpy() > 0),
        reach=reach.numpy().astype(np.float32),
        folds=~torch.isin(body.part_of_face, torch.tensor(MOUTH_AND_EYES)).numpy(),
    )


def draw_frame(body: Body, view: PhotoView, projected: Tensor, size: int, backend: str) -> tuple[Tensor, ...]:
    """One frame, in the order of `Controls`: surface, parts, warped, visible, moved, each (1, c, h, w)."""
    seen = rasterize(projected[None], body.faces, size, size, backend)
    warp = warp_photo(view, projected.numpy(), seen.face_id[0].numpy(), seen.bary[0].numpy())
    return surface_map(body, seen), parts_map(body, seen), *warp_tensors(warp)


def warp_tensors(warp: Warp) -> tuple[Tensor, Tensor, Tensor]:
    """warped (1,3,h,w), visible (1,1,h,w), moved (1,1,h,w)."""
    warped = torch.from_numpy(warp.warped).movedim(-1, 0)[None].contiguous()
    return warped, torch.from_numpy(warp.visible)[None, None], torch.from_numpy(warp.moved)[None, None]


def no_controls(size: int, fps: float) -> Controls:
    """Controls of no frame."""
    channels = (3, len(PARTS), 3, 1, 1)
    return Controls(*(torch.zeros(0, c, size, size) for c in channels), fps=fps)

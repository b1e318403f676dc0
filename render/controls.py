"""Draw: the motion of a body becomes the painter's controls, a window of frames at a time (VLOGGER 3.2)."""

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.anatomy import BITE, LID, LIPS, SKIN, UPPER, kinds, set_teeth, sunk
from render.camera import project, scale_intrinsics
from render.guess import FEWEST, kinds_seen, looks_of
from render.halo import depth_inside
from render.maps import parts_map, surface_map
from render.mouth import upper_teeth
from render.rasterize import Fragments, rasterize
from render.warp import FINE, PhotoView, coarse_grid, facing, farthest_around, warp_photo
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body, personal, pose
from vlogger.errors import UserError
from vlogger.framing import head_height, pose_subject
from vlogger.pixels import resize
from vlogger.types import Controls, Motion, Portrait, Subject

DROPS = np.arange(BITE, 0.0101, 0.0011)  # metres that the upper teeth may be lowered by
MOST = 0.93  # share of a photo's teeth that the model's upper teeth should cover
HEAD_HALO, BODY_HALO = 0.5, 0.2  # width of the halo around the head (hair) and elsewhere (clothes), in heads
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
        self.template, self.motion, self.backend = body, motion, backend
        self.subject, own = replace(subject, offsets=None), personal(body, subject.offsets)
        self.body = settled(own, self.subject, backend)
        self.fps = motion.fps
        self.size = subject.portrait.image.shape[-1]
        self.photo = subject.portrait.image.float() / 255
        self.sunk = sunk(body)
        self.view = photo_view(self.body, self.subject, backend)
        still = Motion(subject.rotations[None], subject.expression[None], subject.translation[None], motion.fps)
        self.reference = self.draw(still)

    def __len__(self) -> int:
        return len(self.motion)

    def __getitem__(self, frames: slice) -> Controls:
        return self.draw(self.motion[frames])

    def draw(self, motion: Motion) -> Controls:
        """The controls of every frame of a motion."""
        if not len(motion):
            return no_controls(0, self.size, motion.fps)
        posed = pose(self.body, self.subject.betas, motion.rotations, motion.expression, motion.translation)
        projected = project(posed.vertices, self.subject.intrinsics)
        projected[..., 2] += self.sunk
        controls = no_controls(len(motion), self.size, motion.fps)
        for frame, points in enumerate(projected):
            self.draw_frame(points, controls[frame : frame + 1])
        return controls

    def draw_frame(self, projected: Tensor, controls: Controls) -> None:
        """Fill the controls of one frame; projected (V,3)."""
        seen = rasterize(projected[None], self.body.faces, self.size, self.size, self.backend)
        warp = warp_photo(self.view, projected.numpy(), seen.face_id[0].numpy(), seen.bary[0].numpy())
        controls.surface[:] = surface_map(self.template, seen)
        controls.parts[:] = parts_map(self.template, seen)
        controls.warped[0] = torch.from_numpy(warp.warped).movedim(-1, 0)
        controls.visible[0, 0], controls.moved[0, 0] = torch.from_numpy(warp.visible), torch.from_numpy(warp.moved)


def resize_subject(subject: Subject, size: int) -> Subject:
    """The same square subject at another size: photo and camera."""
    zoom = size / subject.portrait.image.shape[-1]
    image = resize(subject.portrait.image, size, size)
    return replace(subject, portrait=Portrait(image), intrinsics=scale_intrinsics(subject.intrinsics, zoom, zoom))


def photo_view(body: Body, subject: Subject, backend: str) -> PhotoView:
    """The photo and the body as the photo shows it; computed once per subject."""
    seen, projected = seen_in_photo(body, subject, backend, FINE)
    depth, centres = seen.depth[0].numpy(), slice(FINE // 2, None, FINE)
    face_id, bary = (values[0, centres, centres].numpy() for values in (seen.face_id, seen.bary))
    head = head_height(pose_subject(subject, body), subject.intrinsics, body)
    reach = torch.where(torch.isin(body.part_of_face, torch.tensor(HEAD_PARTS)), HEAD_HALO, BODY_HALO) * head
    image, kind, faces = image_of(subject), kinds(body), body.faces.numpy()
    scale = float(subject.intrinsics[1, 1] / projected[np.unique(faces[kind == LIPS]), 2].mean())
    return PhotoView(
        image=image,
        projected=projected,
        faces=faces,
        front=facing(projected, faces),
        farthest=farthest_around(depth),
        inside=depth_inside(face_id >= 0),
        coarse_inside=depth_inside(coarsely(face_id >= 0)),
        reach=reach.numpy().astype(np.float32),
        folds=np.isin(kind, (SKIN, LID)),
        looks=looks_of(image, body, projected, scale, face_id, bary),
    )


def seen_in_photo(body: Body, subject: Subject, backend: str, zoom: int = 1) -> tuple[Fragments, NDArray]:
    """What of the body the photo shows, `zoom` samples to a pixel's side, and the projected vertices (V,3)."""
    size = zoom * subject.portrait.image.shape[-1]
    projected = project(pose_subject(subject, body), subject.intrinsics)
    projected[:, 2] += sunk(body)
    fine = projected * projected.new_tensor([zoom, zoom, 1])
    return rasterize(fine[None], body.faces, size, size, backend), projected.numpy()


def image_of(subject: Subject) -> NDArray:
    """The photo (h,w,3) in [0,1]."""
    return np.ascontiguousarray((subject.portrait.image.movedim(0, -1).float() / 255).numpy())


def settled(body: Body, subject: Subject, backend: str) -> Body:
    """The body with its upper teeth as low as the teeth that the photo shows, else where people have them."""
    image, kind = image_of(subject), kinds(body)
    for drop in DROPS:
        lowered = set_teeth(body, drop)
        shown = kinds_seen(kind, seen_in_photo(lowered, subject, backend)[0].face_id[0].numpy())
        teeth = upper_teeth(image, shown)
        if teeth.sum() < FEWEST:
            return set_teeth(body)
        if (shown[teeth] == UPPER).mean() > MOST:
            return lowered
    return lowered


def coarsely(mask: NDArray) -> NDArray[np.bool_]:
    """A mask (h,w) on the halo's grid: most of a cell."""
    cells = coarse_grid(len(mask))
    return cv2.resize(mask.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA) >= 0.5


def no_controls(frames: int, size: int, fps: float) -> Controls:
    """Controls that are all 0."""
    channels = (3, len(PARTS), 3, 1, 1)
    return Controls(*(torch.zeros(frames, c, size, size) for c in channels), fps=fps)

"""Draw: the motion of a body becomes the painter's controls, a window of frames at a time (VLOGGER 3.2)."""

from copy import copy
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from render.anatomy import BITE, LID, LIPS, SKIN, UPPER, kinds, set_teeth, sunk
from render.backdrop import backdrop_of
from render.camera import scale_intrinsics
from render.guess import FEWEST, kinds_seen, looks_of
from render.halo import depth_inside
from render.maps import fill_parts, fill_surface
from render.mouth import upper_teeth
from render.posing import points_of, puppet_of
from render.rasterize import Fragments, rasterize
from render.warp import FINE, SLIP, PhotoView, coarse_grid, facing, farthest_around, warp_photo
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body, personal
from vlogger.body.surface import surface_code
from vlogger.errors import UserError
from vlogger.framing import head_height, pose_subject
from vlogger.pixels import resize
from vlogger.types import Controls, Motion, Subject

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

    maps = True  # whether surface and parts are drawn

    def __init__(self, body: Body, motion: Motion, subject: Subject, backend: str):
        self.template, self.motion, self.backend = body, motion, backend
        self.subject, own = replace(subject, offsets=None), personal(body, subject.offsets)
        self.body = settled(own, self.subject, backend)
        self.fps = motion.fps
        self.size = subject.portrait.image.shape[-1]
        self.photo = subject.portrait.image.float() / 255
        self.sunk, self.code = sunk(body).numpy(), surface_code(body)
        self.faces, self.part = body.faces.numpy(), body.part_of_face.numpy()
        self.puppet = puppet_of(self.body, subject.betas)
        self.view = photo_view(self.body, self.subject, backend)
        self.reference = self.draw(posture(subject, motion.fps))

    def __len__(self) -> int:
        return len(self.motion)

    def __getitem__(self, frames: slice) -> Controls:
        return self.draw(self.motion[frames])

    def without_maps(self) -> "MeshControlSequence":
        """The same, but surface and parts of its windows are 0."""
        other = copy(self)
        other.maps = False
        return other

    def draw(self, motion: Motion) -> Controls:
        """The controls of every frame of a motion."""
        maps = no_maps(len(motion), self.size)
        points = points_of(self.puppet, motion, self.subject.intrinsics)
        points[..., 2] += self.sunk
        for frame, one in enumerate(points):
            self.draw_frame(one, [values[frame] for values in maps])
        return Controls(*(torch.from_numpy(values) for values in maps), fps=motion.fps)

    def draw_frame(self, points: NDArray, maps: list[NDArray]) -> None:
        """Fill the maps of one frame, those of `Controls` in their order, which are 0; points (V,3) projected."""
        seen = rasterize(torch.from_numpy(points)[None], self.body.faces, self.size, self.size, self.backend)
        face_id, bary = seen.face_id[0].numpy(), seen.bary[0].numpy()
        surface, parts, warped, visible, moved = maps
        if self.maps:
            fill_surface(self.code, self.faces, face_id, bary, surface)
            fill_parts(self.part, face_id, parts)
        moved[0] = warp_photo(self.view, points, face_id, bary, (warped, visible[0])).moved


def resize_subject(subject: Subject, size: int) -> Subject:
    """The same square subject at another size: photo and camera."""
    zoom = size / subject.portrait.image.shape[-1]
    portrait = subject.portrait.seen(lambda image: resize(image, size, size))
    return replace(subject, portrait=portrait, intrinsics=scale_intrinsics(subject.intrinsics, zoom, zoom))


def photo_view(body: Body, subject: Subject, backend: str) -> PhotoView:
    """The photo and the body as the photo shows it; computed once per subject."""
    seen, projected = seen_in_photo(body, subject, backend, FINE)
    depth, centres = seen.depth[0].numpy(), slice(FINE // 2, None, FINE)
    face_id, bary = (values[0, centres, centres].numpy() for values in (seen.face_id, seen.bary))
    head = head_height(pose_subject(subject, body), subject.intrinsics, body)
    reach = torch.where(torch.isin(body.part_of_face, torch.tensor(HEAD_PARTS)), HEAD_HALO, BODY_HALO) * head
    image, kind, faces = image_of(subject), kinds(body), body.faces.numpy()
    scale = float(subject.intrinsics[1, 1] / projected[np.unique(faces[kind == LIPS]), 2].mean())
    inside, backdrop = depth_inside(face_id >= 0), None
    if subject.portrait.matte is not None:
        matte = subject.portrait.matte[0].numpy().astype(np.float32) / 255
        backdrop = backdrop_of(image, matte, inside > SLIP * len(image) / 128)
    return PhotoView(
        image=image,
        projected=projected,
        faces=faces,
        front=facing(projected, faces),
        farthest=farthest_around(depth),
        inside=inside,
        coarse_inside=depth_inside(coarsely(face_id >= 0)),
        reach=reach.numpy().astype(np.float32),
        folds=np.isin(kind, (SKIN, LID)),
        looks=looks_of(image, body, projected, scale, face_id, bary),
        backdrop=backdrop,
    )


def seen_in_photo(body: Body, subject: Subject, backend: str, zoom: int = 1) -> tuple[Fragments, NDArray]:
    """What of the body the photo shows, `zoom` samples to a pixel's side, and the projected vertices (V,3)."""
    size = zoom * subject.portrait.image.shape[-1]
    points = points_of(puppet_of(body, subject.betas), posture(subject), subject.intrinsics)
    points[..., 2] += sunk(body).numpy()
    fine = points * np.array([zoom, zoom, 1], np.float32)
    return rasterize(torch.from_numpy(fine), body.faces, size, size, backend), points[0]


def posture(subject: Subject, fps: float = 25.0) -> Motion:
    """One frame: the subject as the photo shows it."""
    return Motion(subject.rotations[None], subject.expression[None], subject.translation[None], fps)


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


def no_maps(frames: int, size: int) -> list[NDArray[np.float32]]:
    """Maps of `Controls`, in their order, that are all 0. What nobody writes or reads takes no memory."""
    return [np.zeros((frames, channels, size, size), np.float32) for channels in (3, len(PARTS), 3, 1, 1)]

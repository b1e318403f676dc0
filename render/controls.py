"""Draw: the motion of a body becomes the painter's controls, a window of frames at a time (VLOGGER 3.2).

Controls smaller than the portrait are means of a drawing that is not: at 128 pixels teeth, lids and locks are narrower
than a pixel, and a drawing that sees one point of each shows some and misses others.
"""

import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from render.shrink import shrunk
from render.warp import FINE, SLIP, PhotoView, coarse_grid, facing, farthest_around, warp_photo
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body, personal
from vlogger.body.surface import surface_code
from vlogger.errors import UserError
from vlogger.framing import FINEST, head_height, pose_subject
from vlogger.pixels import resize, shrink
from vlogger.types import Controls, Motion, Subject

RECENT = 24  # frames of a drawing that are remembered
DROPS = np.arange(BITE, 0.0101, 0.0011)  # metres that the upper teeth may be lowered by
MOST = 0.93  # share of a photo's teeth that the model's upper teeth should cover
HEAD_HALO, BODY_HALO = 0.5, 0.2  # width of the halo around the head (hair) and elsewhere (clothes), in heads
HEAD_PARTS = [PARTS.index(name) for name in ("head", "lips", "eyes", "teeth", "tongue")]


class MeshControls:
    """The stage MotionToControls on a triangle mesh."""

    def __init__(self, body: Body, backend: str = "auto"):
        self.body = body
        self.backend = backend
        self.last: Callable[[], MeshControlSequence | None] = no_drawing

    def __call__(self, motion: Motion, subject: Subject, *, size: int) -> "MeshControlSequence | ShrunkControls":
        """Controls of `len(motion)` frames, `size` pixels square; `subject.portrait` must be square (UserError).

        A portrait of several times as many pixels, up to `FINEST`, is drawn that large, and its means are the controls.
        The same motion and subject once more, at another size, are drawn once for both.
        """
        height, width = subject.portrait.image.shape[1:]
        if height != width:
            raise UserError(f"Controls are drawn in a square, this portrait is {width} x {height}: crop it first.")
        drawing = self.drawing(motion, subject, size * max(1, min(height, FINEST) // size))
        return drawing if drawing.size == size else ShrunkControls(drawing, size)

    def drawing(self, motion: Motion, subject: Subject, side: int) -> "MeshControlSequence":
        """What is drawn with that many pixels; the last one, if somebody still has it and it is the same."""
        told, last = (motion, subject, side), self.last()
        if last is None or not all(one is other for one, other in zip(last.told, told)):
            last = MeshControlSequence(self.body, motion, resize_subject(subject, side), self.backend, told)
            self.last = weakref.ref(last)
        return last

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "last": no_drawing}


def no_drawing() -> None:
    """Nothing has been drawn."""


class MeshControlSequence:
    """`controls[i:j]` draws those frames; the photo's own view is kept, and the `RECENT` last frames but for maps."""

    maps = True  # whether surface and parts are drawn

    def __init__(self, body: Body, motion: Motion, subject: Subject, backend: str, told: tuple[object, ...] = ()):
        """`told`: what the caller made it from."""
        self.template, self.motion, self.backend, self.told = body, motion, backend, told
        self.subject, own = replace(subject, offsets=None), personal(body, subject.offsets)
        self.body = settled(own, self.subject, backend)
        self.fps = motion.fps
        self.size = subject.portrait.image.shape[-1]
        self.photo = subject.portrait.image.float() / 255
        self.sunk, self.code = sunk(body).numpy(), surface_code(body)
        self.faces, self.part = body.faces.numpy(), body.part_of_face.numpy()
        self.puppet = puppet_of(self.body, subject.betas)
        self.view = photo_view(self.body, self.subject, backend)
        self.recent: dict[int, tuple[NDArray, ...]] = {}
        self.reference = self.draw(self.points(posture(subject, motion.fps)))

    def __len__(self) -> int:
        return len(self.motion)

    def __getitem__(self, frames: slice) -> Controls:
        return self.draw(self.points(self.motion[frames]), range(*frames.indices(len(self))))

    def without_maps(self) -> "MeshControlSequence":
        """The same, but surface and parts of its windows are 0."""
        other = copy(self)
        other.maps = False
        return other

    def points(self, motion: Motion) -> NDArray[np.float32]:
        """The body's vertices (t,V,3) projected: pixels, and metres of depth."""
        points = points_of(self.puppet, motion, self.subject.intrinsics)
        points[..., 2] += self.sunk
        return points

    def draw(self, points: NDArray, numbers: Sequence[int] = ()) -> Controls:
        """The controls of frames with these vertices (t,V,3); their numbers, if they are the motion's."""
        maps = no_maps(len(points), self.size)
        frames = [[values[frame] for values in maps] for frame in range(len(points))]
        drawn = {} if self.maps else dict(self.recent)
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            new = [frame for frame in range(len(points)) if not numbers or numbers[frame] not in drawn]
            list(threads.map(lambda frame: self.draw_frame(points[frame], frames[frame]), new))
        for own, number in zip(frames, numbers):
            if number not in drawn:
                self.keep(number, own)
                continue
            for values, before in zip(own[2:], drawn[number]):
                values[:] = before
        return Controls(*(torch.from_numpy(values) for values in maps), fps=self.fps)

    def keep(self, number: int, own: list[NDArray]) -> None:
        """Remember a frame, and forget the one drawn longest ago."""
        self.recent.pop(number, None)
        self.recent[number] = tuple(values.copy() for values in own[2:])
        if len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]

    def draw_frame(self, points: NDArray, maps: list[NDArray]) -> None:
        """Fill the maps of one frame, those of `Controls` in their order, which are 0; points (V,3) projected."""
        face_id, bary = self.seen(points, self.size)
        surface, parts, warped, visible, moved = maps
        if self.maps:
            self.fill_maps(face_id, bary, surface, parts)
        moved[0] = warp_photo(self.view, points, face_id, bary, (warped, visible[0])).moved

    def seen(self, points: NDArray, size: int) -> tuple[NDArray, NDArray]:
        """Which face each of size x size pixels sees (h,w), and where on it (h,w,3)."""
        seen = rasterize(torch.from_numpy(points)[None], self.body.faces, size, size, self.backend)
        return seen.face_id[0].numpy(), seen.bary[0].numpy()

    def fill_maps(self, face_id: NDArray, bary: NDArray, surface: NDArray, parts: NDArray) -> None:
        """surface (3,h,w) and parts (k,h,w), which are 0, of what each pixel sees."""
        fill_surface(self.code, self.faces, face_id, bary, surface)
        fill_parts(self.part, face_id, parts)


class ShrunkControls:
    """`controls[i:j]` are means of a larger drawing; surface and parts are those of its own pixels' centres."""

    maps = True

    def __init__(self, drawing: MeshControlSequence, size: int):
        self.drawing, self.fine, self.size, self.fps = drawing, drawing.without_maps(), size, drawing.fps
        self.factor = drawing.size // size
        self.photo = shrink(drawing.photo, self.factor)
        points = drawing.points(posture(drawing.subject, drawing.fps))
        self.reference = self.shrunk(self.fine.draw(points), points)

    def __len__(self) -> int:
        return len(self.drawing)

    def __getitem__(self, frames: slice) -> Controls:
        return self.shrunk(self.fine[frames], self.drawing.points(self.drawing.motion[frames]))

    def without_maps(self) -> "ShrunkControls":
        """The same, but surface and parts of its windows are 0."""
        other = copy(self)
        other.maps = False
        return other

    def shrunk(self, fine: Controls, points: NDArray) -> Controls:
        """Controls whose vertices lie at points (t,V,3) of the larger drawing, `fine` what that shows of them."""
        surface, parts = no_maps(len(points), self.size)[:2]
        for frame, one in enumerate(points if self.maps else ()):
            coarse = one * np.array([1 / self.factor, 1 / self.factor, 1], np.float32)
            self.drawing.fill_maps(*self.drawing.seen(coarse, self.size), surface[frame], parts[frame])
        maps = (torch.from_numpy(surface), torch.from_numpy(parts))
        return Controls(*maps, *shrunk(fine, self.factor), fps=self.fps)


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

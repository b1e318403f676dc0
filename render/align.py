"""Align: a tracked face laid onto its pictures by its skin, not by its landmarks alone.

Landmarks of one picture err by half a pixel of a face of 50, neighbours alike, and so does a track that explains them.
But one picture of the clip, carried along by the track, shows where it errs: there its skin does not lie on the skin of
the true picture. Optical flow between the two (dense inverse search, Kroeger et al. 2016, arXiv 1603.03590) tells how
far, so each landmark's place becomes where its skin truly is, and the clip is solved again: the photometric term of
face tracking (Thies et al. 2016, Face2Face, eq. 4), by correspondences in the place of colours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.camera import project
from render.window import State, Window, motion_of, posed, subject_of
from vlogger.body.landmarks import INNER_LIPS, LEFT_LIDS, RIGHT_LIDS
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body
from vlogger.framing import Region, crop, region_of
from vlogger.pixels import resample, to_uint8
from vlogger.stages import ControlSequence, MotionToControls
from vlogger.types import Controls, Subject

SIZE = 256  # pixels of the square around the head in which the skin is compared
SURE = 2.0  # a place told by skin counts so many times a landmark's
STRAY = 1.0  # pixels of SIZE: flow there and back that ends farther from where it began is not believed
RIM = 2  # pixels of SIZE beside holes and outlines that tell nothing
OPENINGS = (*INNER_LIPS, *LEFT_LIDS, *RIGHT_LIDS)  # what opens shows what the reference does not
SKIN = [PARTS.index(name) for name in ("head", "lips")]


@dataclass(frozen=True)
class Skin:
    """A person as one picture shows her or him: `shown` (a square of SIZE) is what lies in that picture's `region`."""

    shown: Subject
    region: Region
    draw: MotionToControls

    @classmethod
    def of(cls, subject: Subject, body: Body, draw: MotionToControls) -> "Skin":
        region = region_of(subject, body)
        return cls(crop(subject, region, SIZE), region, draw)

    def cut(self, picture: Tensor) -> Tensor:
        """The region of another picture (3, h, w) uint8 as a square (3, SIZE, SIZE)."""
        return resample(picture, (self.region.top, self.region.left, self.region.side, self.region.side), SIZE, SIZE)

    def laid(self, clip: Window, state: State, pictures: Iterable[Tensor]) -> Window:
        """The window with its landmarks where the skin is in these `pictures` (3, SIZE, SIZE), one a frame.

        Where the skin tells nothing (hidden, shut, beyond the square, no face) the landmarks stay.
        """
        count, corner = len(clip.speaker.marks.ids), torch.tensor([self.region.left, self.region.top])
        carried = project(posed(clip, state)[0], clip.speaker.camera)[:, :count, :2]
        drawn: ControlSequence = self.draw(motion_of(clip, state, 1.0), self.shown, size=SIZE)
        points, weight = clip.points.clone(), clip.weight.clone()
        skin = ~torch.isin(clip.speaker.marks.ids, torch.tensor(OPENINGS))
        for frame, (places, picture) in enumerate(zip(carried, pictures, strict=True)):
            at = ((places - corner) * SIZE / self.region.side - 0.5).numpy()
            flow, certain = flow_to(drawn[frame : frame + 1], picture)
            told = skin & torch.from_numpy(picked(certain, at) > 0.5) & ~clip.missing[frame]
            moved = torch.from_numpy(picked(flow, at)) * self.region.side / SIZE
            points[frame, :count][told] = (places + moved)[told]
            weight[frame, :count] *= torch.where(told, SURE, 1.0)
        return replace(clip, points=points, weight=weight)


@dataclass(frozen=True)
class ClipAligner:
    """For a clip whose frames (t, 3, h, w uint8) are all there: number `reference` is laid onto the others (None: the
    one whose face is most at rest). Called with the window of all frames and the state that was found."""

    frames: Tensor
    body: Body
    draw: MotionToControls
    reference: int | None = None

    def __call__(self, clip: Window, state: State) -> Window:
        reference = most_at_rest(clip, state) if self.reference is None else self.reference
        if clip.missing[reference]:
            return clip
        skin = Skin.of(self.subject(clip, state, reference), self.body, self.draw)
        return skin.laid(clip, state, map(skin.cut, self.frames))

    def subject(self, clip: Window, state: State, frame: int) -> Subject:
        """The speaker as one frame shows him or her."""
        motion, speaker = motion_of(clip, state, 1.0), clip.speaker
        return subject_of(self.frames[frame], speaker.betas.float(), motion, frame, speaker.camera.float())


@dataclass(frozen=True)
class StreamAligner:
    """For a clip that is read as it is solved: `pictures` (3, h, w uint8) come one a frame and are kept, as squares,
    until their frame has been handed out. Called with a window, whose first frame is the first that is kept."""

    skin: Skin
    pictures: Iterator[Tensor]
    kept: list[Tensor] = field(default_factory=list)

    def __call__(self, clip: Window, state: State) -> Window:
        return self.skin.laid(clip, state, self.read(len(clip.points)))

    def handed_out(self, count: int) -> None:
        """The first `count` of the frames are done."""
        self.read(count)
        del self.kept[:count]

    def read(self, count: int) -> list[Tensor]:
        """The squares of the next `count` frames."""
        self.kept.extend(self.skin.cut(picture) for picture in islice(self.pictures, max(0, count - len(self.kept))))
        return self.kept[:count]


def most_at_rest(clip: Window, state: State) -> int:
    """The frame of a seen face with the least expression."""
    return int(torch.where(clip.missing, torch.inf, state.expression.abs().sum(1)).argmin())


def flow_to(carried: Controls, picture: Tensor) -> tuple[NDArray, NDArray]:
    """From one frame's warp to the true picture (3, s, s uint8): flow (s, s, 2) and its certainty (s, s) float32."""
    shown = carried.visible[0, 0] == 1
    believed = torch.where(shown, to_uint8(255 * carried.warped[0]), picture)
    first, second = grey(believed), grey(picture)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    there, back = search.calc(first, second, None), search.calc(second, first, None)  # pyright: ignore
    stray = np.linalg.norm(there + picked(back, pixel_grid(len(first)) + there), axis=-1)
    skin = (carried.parts[0, SKIN].amax(0) > 0.5) & shown
    inner = cv2.erode(skin.to(torch.uint8).numpy(), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8))
    return there, inner.astype(np.float32) * (stray < STRAY)


def grey(picture: Tensor) -> NDArray:
    """(3, s, s) uint8 -> (s, s) uint8."""
    return cv2.cvtColor(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2GRAY)


def pixel_grid(side: int) -> NDArray:
    """(s, s, 2) x and y of each pixel."""
    return np.stack(np.meshgrid(*2 * [np.arange(side, dtype=np.float32)]), axis=-1)


def picked(values: NDArray, places: NDArray) -> NDArray:
    """Values (s, s, ...) float32 at places (..., 2), pixels from the middle of the first; 0 beyond the square."""
    across, down = (np.atleast_2d(places[..., axis]).astype(np.float32) for axis in (0, 1))
    found = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return found.reshape(*places.shape[:-1], *values.shape[2:])

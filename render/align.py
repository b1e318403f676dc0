"""Align: a tracked face laid onto its pictures by its skin, not by its landmarks alone.

Landmarks of one picture err by half a pixel of a face of 50, neighbours alike, and so does a track that explains them.
But one picture of the clip, carried along by the track, shows where it errs: there its skin does not lie on the skin of
the true picture. Optical flow between the two (dense inverse search, Kroeger et al. 2016, arXiv 1603.03590) tells how
far, so each landmark's place becomes where its skin truly is, and the clip is solved again: the photometric term of
face tracking (Thies et al. 2016, Face2Face, eq. 4), by correspondences in the place of colours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.camera import project
from render.window import State, Window, motion_of, posed
from vlogger.body.landmarks import INNER_LIPS, LEFT_LIDS, RIGHT_LIDS
from vlogger.body.parts import PARTS
from vlogger.body.smplx import Body
from vlogger.framing import Region, crop, region_of
from vlogger.stages import ControlSequence, MotionToControls
from vlogger.types import Controls, Portrait, Subject

SIZE = 256  # pixels of the square around the head in which the skin is compared
ROUNDS = 2
SURE = 2.0  # a place told by skin counts so many times a landmark's
STRAY = 1.0  # pixels of SIZE: flow there and back that ends farther from where it began is not believed
RIM = 2  # pixels of SIZE beside holes and outlines that tell nothing
OPENINGS = (*INNER_LIPS, *LEFT_LIDS, *RIGHT_LIDS)  # what opens shows what the reference does not
SKIN = [PARTS.index(name) for name in ("head", "lips")]


@dataclass(frozen=True)
class SkinAligner:
    """The frames (t, 3, h, w uint8) of a clip of which number `reference` is laid onto the others (None: the one whose
    face is most at rest).

    Called with the window of all frames and the state that was found: the window, its landmarks where the skin is.
    Where the skin tells nothing (hidden, shut, beyond the square, no face) the landmarks stay.
    """

    frames: Tensor
    body: Body
    draw: MotionToControls
    reference: int | None = None

    def __call__(self, clip: Window, state: State) -> Window:
        reference = most_at_rest(clip, state) if self.reference is None else self.reference
        if clip.missing[reference]:
            return clip
        shown, count = self.subject(clip, state, reference), len(clip.speaker.marks.ids)
        region = region_of(shown, self.body)
        carried = project(posed(clip, state)[0], clip.speaker.camera)[..., :2]
        points, weight = clip.points.clone(), clip.weight.clone()
        skin = ~torch.isin(clip.speaker.marks.ids, torch.tensor(OPENINGS))
        for frame, (flow, certain) in enumerate(self.flows(clip, state, shown, region)):
            places = carried[frame, :count]
            at = ((places - torch.tensor([region.left, region.top])) * SIZE / region.side - 0.5).numpy()
            moved, sure = (torch.from_numpy(picked(values, at)) for values in (flow, certain))
            told = skin & (sure > 0.5) & ~clip.missing[frame]
            points[frame, :count][told] = (places + moved * region.side / SIZE)[told]
            weight[frame, :count] *= torch.where(told, SURE, 1.0)
        return replace(clip, points=points, weight=weight)

    def subject(self, clip: Window, state: State, frame: int) -> Subject:
        """The speaker as one frame shows him or her."""
        motion, speaker = motion_of(clip, state, 1.0), clip.speaker
        pose = (motion.rotations[frame], motion.expression[frame], motion.translation[frame])
        return Subject(Portrait(self.frames[frame]), speaker.betas.float(), *pose, speaker.camera.float())

    def flows(self, clip: Window, state: State, shown: Subject, region: Region) -> Iterator[tuple[NDArray, NDArray]]:
        """For each frame the flow (SIZE, SIZE, 2), pixels, from what is `shown`, carried, to the picture, and how certain
        it is (SIZE, SIZE), 0 to 1."""
        drawn: ControlSequence = self.draw(motion_of(clip, state, 1.0), crop(shown, region, SIZE), size=SIZE)
        for frame in range(len(self.frames)):
            picture = crop(self.subject(clip, state, frame), region, SIZE).portrait.image
            yield flow_to(drawn[frame : frame + 1], picture)


def most_at_rest(clip: Window, state: State) -> int:
    """The frame of a seen face with the least expression."""
    return int(torch.where(clip.missing, torch.inf, state.expression.abs().sum(1)).argmin())


def flow_to(carried: Controls, picture: Tensor) -> tuple[NDArray, NDArray]:
    """From one frame's warp to the true picture (3, s, s uint8): flow (s, s, 2) and its certainty (s, s) float32."""
    shown = carried.visible[0, 0] == 1
    believed = torch.where(shown, (255 * carried.warped[0]).round().to(torch.uint8), picture)
    first, second = grey(believed), grey(picture)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
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

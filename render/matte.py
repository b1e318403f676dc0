"""See: which pixels of a photo are the person (hair, hat and clothes too) and which are what stands still behind.

MediaPipe 0.10.21's selfie segmentation (Apache-2.0, in its wheel; 256 x 256), on the whole picture and, finer, on a
square around head and shoulders, which is what it was made for.
"""

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render.landmarks import opened_models
from vlogger.body.smplx import Body
from vlogger.framing import Region, pose_subject, project, region_of
from vlogger.types import Portrait, Subject

HEADS = 2.6  # side of the fine square: a little more than the square that is generated
AGREED = 0.7  # share of the body that a matte must cover to be believed
BLEND = 0.1  # of its side, over which it passes into the coarse one


def with_matte(subject: Subject, body: Body) -> Subject:
    """The subject whose photo has a matte; none where the segmentation and the fit do not speak of the same person."""
    image = subject.portrait.image
    matte = matte_of(image.permute(1, 2, 0).contiguous().numpy(), region_of(subject, body, HEADS))
    return replace(subject, portrait=Portrait(image, matte if agreement(matte, subject, body) >= AGREED else None))


def agreement(matte: Tensor, subject: Subject, body: Body) -> float:
    """Which share of the fitted body's vertices in the picture lies where the matte (1,h,w) sees a person."""
    places = project(pose_subject(subject, body), subject.intrinsics)[:, :2].floor().long()
    height, width = matte.shape[1:]
    columns, rows = places[((places >= 0) & (places < torch.tensor([width, height]))).all(1)].T
    return float((matte[0, rows, columns] > 127).float().mean()) if len(rows) else 0.0


def matte_of(image: NDArray, square: Region) -> Tensor:
    """image (h,w,3) uint8, the square around head and shoulders -> (1,h,w) uint8, 255 where the person is."""
    rows, columns = part_of(square.top, square.side, len(image)), part_of(square.left, square.side, image.shape[1])
    with opened_models() as models:
        share, fine = (
            np.array(models.matte.process(np.ascontiguousarray(part)).segmentation_mask, np.float32)
            for part in (image, image[rows, columns])
        )
    weight = ramp(rows, len(image))[:, None] * ramp(columns, image.shape[1])
    share[rows, columns] += weight * (fine - share[rows, columns])
    return torch.from_numpy(cv2.convertScaleAbs(share, alpha=255))[None]


def part_of(start: float, side: float, size: int) -> slice:
    """The pixels of an axis of `size` that [start, start + side) covers; one at least."""
    first = min(max(0, round(start)), size - 1)
    return slice(first, max(first + 1, min(size, round(start + side))))


def ramp(part: slice, size: int) -> NDArray[np.float32]:
    """(n,) along a part of an axis of `size`: 1, falling to 0 at those of its ends that lie inside the picture."""
    place, width = np.arange(part.start, part.stop) + 0.5, BLEND * (part.stop - part.start)
    before = place - part.start if part.start > 0 else np.full_like(place, np.inf)
    after = part.stop - place if part.stop < size else np.full_like(place, np.inf)
    return np.clip(np.minimum(before, after) / width, 0, 1).astype(np.float32)

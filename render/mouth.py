"""The inside of the mouth: where the photo shows it, and teeth, tongue and cavity drawn where it does not.

A photo with closed lips says nothing about what is behind them, yet a model whose lips are a millimetre apart "sees"
teeth there, in the colour of lips. So the photo's pixels inside the lips count as teeth, tongue or cavity only where
they look like it; the others belong to the lips and move with them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from render.anatomy import LIPS, LOWER, MOUTH, TONGUE, UPPER, box_of, kind_is
from render.eyes import LUMA
from render.halo import smoothstep

GUM, FLESH, DARK = (0.66, 0.36, 0.34), (0.66, 0.36, 0.35), (0.30, 0.10, 0.10)  # sRGB under a white light of 1
ENAMEL = (1.0, 0.97, 0.90)  # of a tooth, relative to the white of the eyes
CROWN = 0.0100  # metres from the biting edge to the gum
_UPPER_WIDTHS = (8.5, 6.5, 7.5, 7.0, 7.0, 10.0)  # mm, from the middle outwards
_LOWER_WIDTHS = (5.3, 5.9, 6.8, 7.0, 7.0, 11.0)
BEHIND = 0.010  # metres behind the lips from which light fades
MUCOSA = 0.004, 0.020  # metres behind the lips: up to the first the inside has their colour, from the second it is dark
FADE = 0.018  # metres over which it falls to 1 / e
LIP_SHADOW = 0.0025  # metres next to the lips that lie in their shadow
OPEN = 0.002  # metres: half the opening from which a photo's mouth counts as open whatever its colours
RIM, LIKE = 0.0015, 0.7  # metres next to the fitted lips in which an open mouth brighter than this share of them is lip
PALER = 20.0  # how much brighter (L of CIE Lab) and less red (a, times 1.5) than the lips a tooth is


@dataclass(frozen=True)
class MouthPhoto:
    """What the photo tells of the mouth: shown (h,w) bool, its pixels that are teeth, tongue or cavity; gap (h,w), of
    its other pixels inside the lips the distance to the lips (pixels, 0 elsewhere)."""

    shown: NDArray
    gap: NDArray


def mouth_photo(image: NDArray, kind: NDArray, scale: float) -> MouthPhoto:
    """image (h,w,3) in [0,1], kind (h,w) of what the body shows at each pixel, scale: pixels per metre.

    A fit errs by a pixel or two: what looks like lips next to them is theirs, and single pixels go with those around.
    """
    inner = kind_is(kind, MOUTH)
    size = 2 * max(1, round(OPEN * scale)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    wide = cv2.morphologyEx(inner.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
    pale, distance = toothlike(image, kind), distance_to(kind == LIPS)
    lip = liplike(image, kind) & (distance <= RIM * scale + 1)
    shown = inner & (cv2.medianBlur((pale | (wide & ~lip)).view(np.uint8), 3) > 0)
    return MouthPhoto(shown, np.where(inner & ~shown, distance, 0).astype(np.float32))


def toothlike(image: NDArray, kind: NDArray) -> NDArray:
    """(h,w) bool: pixels inside the lips that are paler than the lips, one to the next."""
    inner, lips = kind_is(kind, MOUTH), kind == LIPS
    if not inner.any() or not lips.any():
        return np.zeros(kind.shape, bool)
    lab = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2LAB)
    brightness, redness = (lab[..., c] - np.median(lab[..., c][lips]) for c in (0, 1))
    return inner & (brightness - 1.5 * redness > PALER) & (redness < -3)


def liplike(image: NDArray, kind: NDArray) -> NDArray:
    """(h,w) bool: pixels inside the lips that are hardly darker than the lips: an open mouth is, next to its rim."""
    lips = kind == LIPS
    if not lips.any():
        return np.zeros(kind.shape, bool)
    luma = image @ LUMA
    return kind_is(kind, MOUTH) & (luma > LIKE * np.median(luma[lips]))


def upper_teeth(image: NDArray, kind: NDArray) -> NDArray[np.bool_]:
    """(h,w) pixels that look like teeth, in one piece with some where the body has its upper teeth."""
    pale = toothlike(image, kind)
    _, piece = cv2.connectedComponents(pale.astype(np.uint8))
    return pale & np.isin(piece, np.unique(piece[pale & (kind == UPPER)]))


def distance_to(mask: NDArray) -> NDArray[np.float32]:
    """(h,w) pixels to the nearest pixel of the mask (h,w) bool; 0s if it is empty."""
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5) if mask.any() else mask.astype(np.float32)


def lip_distance(kind: NDArray) -> tuple[NDArray, NDArray]:
    """Distance (h,w) in pixels to the nearest pixel of the lips, and that pixel's flat number (0s without lips)."""
    lips = kind == LIPS
    if not lips.any():
        return np.zeros(kind.shape, np.float32), np.zeros(kind.shape, np.int64)
    kept = (~lips).astype(np.uint8)
    distance, label = cv2.distanceTransformWithLabels(kept, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    flat = np.zeros(label.max() + 1, np.int64)
    flat[label[lips]] = np.flatnonzero(lips)
    return distance, flat[label]


def lend_lips(field: NDArray, seen: NDArray, kind: NDArray, photo: MouthPhoto) -> None:
    """Changes field (h,w,2) and seen (h,w) of pixels inside the lips: what the photo does not show there is unseen,
    unless it continues the lips: no farther from them here than in the photo, the photo's closed lips are read.
    """
    box = box_of(kind, (*MOUTH, LIPS))
    if box is None:
        return
    field, seen, kind, (top, left) = field[box], seen[box], kind[box], (box[0].start, box[1].start)
    rows, columns = np.nonzero(kind_is(kind, MOUTH))
    if not len(rows):
        return
    seen[rows, columns] *= _at(photo.shown, field[rows, columns], rows + top, columns + left)
    rows, columns = (axis[seen[rows, columns] == 0] for axis in (rows, columns))
    distance, lip = (values[rows, columns] for values in lip_distance(kind))
    lip = np.unravel_index(lip, kind.shape)
    there = _at(photo.gap, field[lip], rows + top, columns + left)
    close = (there > 0) & (distance <= there + 0.5) & (seen[lip] > 0)
    field[rows[close], columns[close]] = field[lip][close]
    seen[rows[close], columns[close]] = 1.0


def _at(values: NDArray, field: NDArray, rows: NDArray, columns: NDArray) -> NDArray:
    """values (h,w) of the photo where n pixels with displacements (n,2) read it, the nearest one."""
    x = np.clip(np.floor(columns + 0.5 + field[:, 0]).astype(int), 0, values.shape[1] - 1)
    y = np.clip(np.floor(rows + 0.5 + field[:, 1]).astype(int), 0, values.shape[0] - 1)
    return values[y, x]


@dataclass(frozen=True)
class Inside:
    """n pixels inside the mouth: kind (n,), local (n,2+) as `anatomy.local_places`, behind (n,) metres behind the
    lips, from_lips (n,) metres to the lips in the picture."""

    kind: NDArray
    local: NDArray
    behind: NDArray
    from_lips: NDArray


@dataclass(frozen=True)
class Tones:
    """Colours (3,) in full light: the light itself (the white of the eyes), teeth, lips."""

    white: NDArray
    tooth: NDArray
    lip: NDArray


def draw_mouth(inside: Inside, tones: Tones, pixel: float) -> NDArray:
    """Colours (n,3). pixel: metres that a pixel covers."""
    white, tooth = tones.white, tones.tooth
    deep = smoothstep((inside.behind - MUCOSA[0]) / (MUCOSA[1] - MUCOSA[0]))[:, None]
    colour = tones.lip + deep * (white * np.array(DARK) - tones.lip)
    colour[inside.kind == TONGUE] = white * np.array(FLESH)
    for kind, widths in ((UPPER, _UPPER_WIDTHS), (LOWER, _LOWER_WIDTHS)):
        row = inside.kind == kind
        colour[row] = _teeth(inside.local[row], widths, tooth, white * np.array(GUM), pixel)
    light = np.exp(-np.maximum(inside.behind - BEHIND, 0) / FADE)
    shadow = 0.7 + 0.3 * smoothstep(inside.from_lips / LIP_SHADOW)
    dark = white * np.array(DARK) * 0.6
    return dark + (colour - dark) * (light * shadow)[:, None]


def _teeth(local: NDArray, widths: tuple[float, ...], tooth: NDArray, gum: NDArray, pixel: float) -> NDArray:
    """Colours (n,3) of a row of teeth, with the lines between them where pixels are fine enough to show any."""
    borders = np.concatenate([[0.0], np.cumsum(widths)]) / 1000
    line = np.abs(np.abs(local[:, :1]) - borders).min(1)
    width = max(0.0004, 0.7 * pixel)
    depth = 0.25 * min(1.0, 0.0004 / width) * np.exp(-((line / width) ** 2))
    root = smoothstep((local[:, 1] - CROWN) / 0.0015 + 0.5)
    return tooth * (1 - depth[:, None]) * (1 - root[:, None]) + gum * root[:, None]

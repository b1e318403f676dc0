"""Eyeballs and lids where the photo does not show them: the white of a turned eye, its iris, a closing lid's skin."""

import numpy as np
from numpy.typing import NDArray

from render.anatomy import EYE, SKIN
from render.halo import smoothstep

IRIS, PUPIL = 0.35, 0.13  # radians about the eye's axis: 5.9 mm and 2.2 mm on a ball of 17 mm
EDGE = 0.06  # radians over which they end
WHITE = np.array([0.82, 0.80, 0.78], np.float32)  # of the eyes, where a photo shows none
TRUST = 30  # pixels of white that count as much as this prior
SHADE = 0.92  # of the brightest white that an eye has on average, under its lashes
LID_SHADOW = 0.002  # metres next to the lids that lie in their shadow


def white_of(image: NDArray, kind: NDArray, local: NDArray) -> NDArray:
    """The white of the eyes (3,), sRGB: the colour of the light, and how much of it there is.

    image (h,w,3), kind (h,w), local (h,w,3): direction from the eyeball's centre.
    """
    skin = image[kind == SKIN]
    exposure = 0.55 + 0.6 * float(np.median(skin @ LUMA)) if len(skin) else 0.9
    prior = WHITE * min(exposure, 1.1)
    ball = image[(kind == EYE) & (angle_from_axis(local) > IRIS)]
    if not len(ball):
        return prior.astype(np.float32)
    bright = ball[ball @ LUMA >= np.quantile(ball @ LUMA, 0.7)].mean(0)
    pale = 0.7 * bright + 0.3 * (bright @ LUMA)
    mixed = (len(ball) * pale + TRUST * prior) / (len(ball) + TRUST)
    least = max(0.5, 1.15 * float(np.median(skin @ LUMA))) if len(skin) else 0.5
    return (mixed * np.clip(mixed @ LUMA, min(least, 0.9), 0.92) / (mixed @ LUMA)).astype(np.float32)


LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def iris_of(image: NDArray, kind: NDArray, local: NDArray, white: NDArray) -> NDArray:
    """The median colour (3,) of the irises that the photo shows; a dark brown one if it shows none."""
    angle = angle_from_axis(local)
    ring = image[(kind == EYE) & (angle < IRIS - EDGE) & (angle > PUPIL)]
    return np.median(ring, axis=0) if len(ring) >= 4 else white * np.array([0.32, 0.22, 0.16], np.float32)


def angle_from_axis(local: NDArray) -> NDArray:
    """Angle (radians) between directions (..., 3) and straight ahead."""
    return np.arctan2(np.hypot(local[..., 0], local[..., 1]), local[..., 2])


def draw_eyes(local: NDArray, from_lids: NDArray, white: NDArray, iris: NDArray) -> NDArray:
    """Colours (n,3): local (n,3) directions, from_lids (n,) metres to the lids in the picture."""
    angle = angle_from_axis(local)
    in_iris, in_pupil = (1 - smoothstep((angle - edge) / EDGE + 0.5) for edge in (IRIS, PUPIL))
    colour = SHADE * white + in_iris[:, None] * (iris - SHADE * white)
    colour = colour * (1 - 0.85 * in_pupil[:, None])
    return colour * (0.5 + 0.5 * smoothstep(from_lids / LID_SHADOW))[:, None]

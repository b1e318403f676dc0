"""Head, gaze, lids, brows and gestures of a made motion, drawn from the chance processes that training draws them from.

For weights that have not learned them yet (`motion.drawn=true`): the mouth is the network's, the rest of face and body
are `motion.habits`, tied to the same sound. Drawn half a minute at a time, one piece blended into the next.
"""

import torch
from torch import Tensor

from motion.audio import SAMPLE_RATE
from motion.data import ARRIVAL, interpolate
from motion.features import MOUTH, FeatureSpace
from motion.habits import MEMORY, RATE, REACH, habits, moods, scene
from motion.prosody import prosody

JOINTS = (
    *("neck", "head", "left_eye", "right_eye", "spine3", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
SECONDS, BLEND = 30.0, 1.0  # of a piece, and of what it shares with the next


def whole_body(space: FeatureSpace) -> FeatureSpace:
    """The features of `space` and all that the processes move, unscaled."""
    joints = (*space.joints, *(name for name in JOINTS if name not in space.joints))
    return FeatureSpace(joints, space.keep, {}, space.expressions)


class Drawing:
    """The processes for one recording, (s,) at 16 kHz; asked for moments that never go back."""

    def __init__(self, space: FeatureSpace, samples: Tensor, generator: torch.Generator):
        self.wide, self.samples, self.generator = whole_body(space), samples, generator
        self.place = [self.wide.names.index(name) for name in space.names]
        self.mouth, self.lids = self.wide.only(MOUTH) > 0, self.wide.only(LIDS) > 0
        self.pieces: dict[int, Tensor] = {}

    def __call__(self, features: Tensor, times: Tensor) -> Tensor:
        """Features of the network (t, d), unscaled, -> the whole body's: all drawn but the mouth, its moods added."""
        made = torch.zeros(len(features), self.wide.size)
        made[:, self.place] = features
        drawn = self.at(times)
        return torch.where(self.mouth, made + drawn, drawn)

    def at(self, times: Tensor) -> Tensor:
        """(t, d) of the processes, which come from the portrait; pieces are blended at their seams.

        Lids are not blended: a blink is whole, or none.
        """
        number = ((times - BLEND) / SECONDS).floor().clamp(min=0).long()
        first, last = int(number[0]), int(((times[-1]) / SECONDS).floor())
        wanted = range(first, last + 1)
        self.pieces = {k: self.pieces[k] if k in self.pieces else self.piece(k) for k in wanted}
        out, shut = torch.zeros(2, len(times), self.wide.size)
        for k, curves in self.pieces.items():
            begin = k * SECONDS
            come = ((times - begin) / (BLEND if k else ARRIVAL)).clamp(0, 1)
            leave = 1 - ((times - begin - SECONDS) / BLEND).clamp(0, 1)
            curves = interpolate(curves, (times - begin) * RATE + 0.5)
            out += (come * leave).float()[:, None] * curves
            shut = torch.maximum(shut, curves)
        return torch.where(self.lids, shut, out)

    def piece(self, number: int) -> Tensor:
        """(t, d) from number * SECONDS on, at RATE."""
        begin, seconds = number * SECONDS, SECONDS + BLEND
        first = max(0, round((begin - max(MEMORY, REACH) - 1) * SAMPLE_RATE))
        heard = prosody(self.samples[first : round((begin + seconds + REACH + 1) * SAMPLE_RATE)])
        view = scene(heard, begin - first / SAMPLE_RATE, seconds)
        return habits(self.wide, view, self.generator) + moods(self.wide, view, self.generator)

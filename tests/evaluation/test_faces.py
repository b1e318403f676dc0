"""Following a face."""

import numpy as np
import torch

from vlogger.evaluation.faces import bounds, follow, found_share, mouth_curves, points_of_motion
from vlogger.hear import neutral
from vlogger.types import Motion


def test_a_moving_face_is_followed_and_an_empty_picture_has_none(film):
    frames = film.frames.permute(0, 2, 3, 1).numpy()
    empty = np.full_like(frames[:2], 90)
    points = follow(np.concatenate([frames[:3], empty, frames[3:5]]))
    assert np.isfinite(points[[0, 1, 2, 5, 6], 0, 0]).all() and np.isnan(points[[3, 4]]).all()
    assert found_share(points) == 5 / 7
    left = [bounds(points[i])[0] for i in (0, 2, 6)]
    assert left[0] > left[1] > left[2]  # the picture moves to the left


def test_a_motion_has_the_curves_of_a_mouth_before_any_pixel(body):
    subject, names = neutral(body), body.expression_names
    expression = torch.zeros(3, len(names))
    expression[1, names.index("jawOpen")] = 0.5
    expression[2, [names.index("mouthPucker")]] = 0.8
    turns = subject.rotations.repeat(3, 1, 1, 1)
    motion = Motion(turns, expression, subject.translation.repeat(3, 1), 25.0)
    curves = mouth_curves(points_of_motion(motion, subject, body))
    shut, opened, _ = curves["aperture"]
    assert shut < 0.05 < 0.15 < opened < 0.6  # distances of the pupils
    assert curves["jaw"][1] > curves["jaw"][0] and curves["width"][2] < 0.95 * curves["width"][0]
    assert 0.5 < curves["width"][0] < 1.1

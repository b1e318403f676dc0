"""Following a face."""

import numpy as np

from vlogger.evaluation.faces import bounds, follow, found_share


def test_a_moving_face_is_followed_and_an_empty_picture_has_none(film):
    frames = film.frames.permute(0, 2, 3, 1).numpy()
    empty = np.full_like(frames[:2], 90)
    points = follow(np.concatenate([frames[:3], empty, frames[3:5]]))
    assert np.isfinite(points[[0, 1, 2, 5, 6], 0, 0]).all() and np.isnan(points[[3, 4]]).all()
    assert found_share(points) == 5 / 7
    left = [bounds(points[i])[0] for i in (0, 2, 6)]
    assert left[0] > left[1] > left[2]  # the picture moves to the left

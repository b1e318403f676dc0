import numpy as np
import pytest
import skimage.data

from render.follow import FaceFollower
from render.landmarks import detect

FACE = (slice(0, 300), slice(80, 380))


@pytest.fixture(scope="module")
def still():
    """A face of 100 pixels with the noise of a sensor, 12 times."""
    dice, photo = np.random.default_rng(0), skimage.data.astronaut()[FACE].astype(float)
    return [np.clip(photo + dice.normal(0, 5, photo.shape), 0, 255).astype(np.uint8) for _ in range(12)]


@pytest.fixture(scope="module")
def found(still):
    with FaceFollower() as follow:
        return np.stack([follow(frame) for frame in still])


def test_the_face_is_where_single_pictures_show_it(still, found):
    single = detect(still[0])[0].points
    assert np.abs(found[:, :468, :2] - single[:468, :2]).mean() < 0.02 * np.ptp(single[:, 0])


def test_a_still_face_rests(found):
    assert found[2:, :468, :2].std(0).mean() < 0.15  # pixels


def test_a_face_that_walks_is_followed_and_one_that_leaves_is_missed(still):
    """The photo slides 12 pixels a frame, is covered for three frames, and comes back."""
    frames = []
    for step in range(10):
        canvas = np.full((300, 480, 3), 90, np.uint8)
        canvas[:, 12 * step : 12 * step + 300] = still[step]
        frames.append(canvas if step not in (5, 6, 7) else np.full_like(canvas, 90))
    with FaceFollower() as follow:
        places = np.stack([follow(frame)[:468, 0].mean() for frame in frames])
    assert np.flatnonzero(np.isnan(places)).tolist() == [5, 6, 7]
    steps = places - 12 * np.arange(10)
    assert np.nanmax(steps) - np.nanmin(steps) < 3

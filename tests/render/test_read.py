"""Reading the photo: the compiled loop and its slow twin agree, also on the picture's border."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from render.read import WIDER, read_photo


def slowly(image, field):
    """Every pixel of a body that the photo shows: bilinear, four samples where a footprint is wider than a pixel."""
    y, x = np.mgrid[: len(image), : len(image)].astype(np.float64)
    place = np.stack([x, y], -1) + field
    down, across = (np.gradient(place, axis=axis) for axis in (0, 1))
    extents = [np.hypot(across[..., 0], down[..., 0]), np.hypot(across[..., 1], down[..., 1])]
    half_x, half_y = (np.where((extent > WIDER) & (extent < 3), (extent - 1) / 4, 0) for extent in extents)
    total = 0.0
    for right, lower in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        at = np.stack([place[..., 1] + lower * half_y, place[..., 0] + right * half_x]).clip(0, len(image) - 1)
        total = total + np.stack([map_coordinates(plane, at, order=1) for plane in image.transpose(2, 0, 1)], -1)
    return total / 4


@pytest.mark.parametrize("size, steep", [(24, 0.3), (24, 4.0), (33, 1.5)])
def test_the_photo_is_read_as_by_its_slow_twin(size, steep):
    dice = np.random.default_rng(0)
    image = dice.random((size, size, 3)).astype(np.float32)
    field = (steep * np.sin(dice.normal(size=(size, size, 2)).cumsum(0) / 2 + 0.1)).astype(np.float32)
    known, inside = np.ones((size, size), np.float32), np.zeros((size, size), np.float32)
    warped, visible = np.zeros((3, size, size), np.float32), np.zeros((size, size), np.float32)
    read_photo(image, field, inside, known > 0, known, 1.5, warped, visible)
    assert (visible == 1).all()
    assert np.abs(warped.transpose(1, 2, 0) - slowly(image, field)).max() < 1e-4


def test_unseen_skin_and_halo_that_would_read_the_body_stay_unknown():
    image, field = np.ones((8, 8, 3), np.float32), np.zeros((8, 8, 2), np.float32)
    field[:, 4:, 0] = -4.0
    inside = np.zeros((8, 8), np.float32)
    inside[:, :2] = 5.0
    body, seen = np.zeros((8, 8), bool), np.zeros((8, 8), np.float32)
    body[:2, 6:], seen[:1, 6:] = True, 1.0
    warped, visible = np.zeros((3, 8, 8), np.float32), np.zeros((8, 8), np.float32)
    read_photo(image, field, inside, body, seen, 1.5, warped, visible)
    expected = np.ones((8, 8), np.float32)
    expected[:, :2] = expected[:, 4:6] = 0  # still, and displaced, onto the photo's body
    expected[1, 6:] = 0  # a body whose skin is not shown
    assert np.array_equal(visible, expected) and np.array_equal(warped, np.broadcast_to(expected, (3, 8, 8)))

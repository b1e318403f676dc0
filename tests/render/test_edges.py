"""Edges of one surface before another are soft, and nothing else changes."""

import numpy as np

from render.edges import soften_jumps


def two_surfaces(jump):
    """A bright surface above a border of stairs before a dark one, which reads the photo `jump` pixels farther down."""
    rows, columns = np.mgrid[:40, :40]
    above = columns // 4 - rows + 18
    field = np.zeros((40, 40, 2), np.float32)
    field[..., 1] = np.where(above > 0, 0, jump)
    planes = np.where(above > 0, np.float32(0.8), np.float32(0.2))[None].repeat(3, axis=0)
    return above, field, planes, np.ones((40, 40), np.float32)


def test_where_the_photo_is_read_elsewhere_the_step_is_softer_and_nothing_else_changes():
    above, field, planes, visible = two_surfaces(5.0)
    before, body = planes.copy(), np.zeros((40, 40), np.int32)
    soften_jumps(field, body, planes, visible)
    inner = (0, slice(4, -4), slice(4, -4))
    assert np.abs(np.diff(planes[inner], axis=0)).max() < 0.7 * np.abs(np.diff(before[inner], axis=0)).max()
    assert np.array_equal(planes[:, abs(above - 0.5) > 2], before[:, abs(above - 0.5) > 2])


def test_an_edge_that_moves_along_stays_the_photos_own():
    _, field, planes, visible = two_surfaces(1.0)
    before = planes.copy()
    soften_jumps(field, np.zeros((40, 40), np.int32), planes, visible)
    assert np.array_equal(planes, before)


def test_neither_the_room_nor_what_is_unknown_lends_or_changes():
    above, field, planes, visible = two_surfaces(5.0)
    face_id = np.where(above > 0, 0, -1).astype(np.int32)
    before = planes.copy()
    soften_jumps(field, face_id, planes, visible)
    assert np.array_equal(planes, before), "off the body"
    visible[above <= 0], planes[:, above <= 0] = 0, 0
    before = planes.copy()
    soften_jumps(field, np.zeros((40, 40), np.int32), planes, visible)
    assert np.array_equal(planes, before), "unknown"

import pytest
import torch

from superres.boxes import CALL, LEAST, Box, boxes_around, meet


def wanted(*cells: tuple[int, int], side: int = 32) -> torch.Tensor:
    grid = torch.zeros(side, side, dtype=torch.bool)
    for row, column in cells:
        grid[row, column] = True
    return grid


def covered(boxes: list[Box], side: int = 32) -> torch.Tensor:
    """How many boxes hold each cell, one cell after the other."""
    count = torch.zeros(side, side)
    for box in boxes:
        for row in range(box.top, box.bottom):
            for column in range(box.left, box.right):
                count[row, column] += 1
    return count


def test_nothing_wanted_no_boxes():
    assert boxes_around(wanted()) == []


def test_one_cell_gets_a_square_around_it_and_at_the_rim_one_inside():
    (middle,) = boxes_around(wanted((16, 16)))
    assert (middle.bottom - middle.top, middle.right - middle.left) == (LEAST, LEAST)
    assert middle.top + middle.bottom in (32, 33, 34)
    (corner,) = boxes_around(wanted((31, 0)))
    assert corner == (32 - LEAST, 0, 32, LEAST)


def test_far_apart_two_boxes_side_by_side_one():
    assert len(boxes_around(wanted((2, 2), (29, 29)))) == 2
    assert len(boxes_around(wanted((2, 2), (2, 14)))) == 1


def test_a_small_picture_is_looked_at_whole():
    assert boxes_around(wanted((1, 1), side=4)) == [(0, 0, 4, 4)]


@pytest.mark.parametrize("seed", range(8))
def test_every_wanted_cell_and_its_margin_is_in_exactly_one_box_and_it_costs_no_more_than_the_whole(seed):
    generator = torch.Generator().manual_seed(seed)
    grid = torch.rand(32, 32, generator=generator) < 0.002 * 2**seed / 4
    boxes = boxes_around(grid, margin=2)
    count = covered(boxes)
    assert count.max() <= 1
    for row, column in grid.nonzero().tolist():
        near = count[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        assert near.min() == 1
    assert sum(box.cost for box in boxes) <= CALL + 32 * 32


def test_boxes_meet_where_they_share_a_cell():
    box = Box(2, 2, 4, 4)
    assert meet(box, Box(3, 3, 5, 5))
    assert not meet(box, Box(4, 2, 6, 4))
    assert not meet(box, Box(2, 0, 4, 2))


def test_cutting_is_a_view_of_the_cells_pixels():
    picture = torch.zeros(3, 32, 32)
    Box(1, 2, 3, 4).cut(picture, 4).fill_(1)
    assert picture[:, 4:12, 8:16].min() == 1
    assert picture.sum() == 3 * 64

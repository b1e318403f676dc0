"""Training pairs from one photo: the truth is the photo, the rest plausible and different each time."""

import numpy as np
import pytest
import torch

from render.controls import MeshControls
from vlogger.body.skeleton import JOINTS, joint_index
from vlogger.body.smplx import load_body, pose
from vlogger.curation.cycle import cycle, filled, part_index
from vlogger.curation.pairs import far_from
from vlogger.curation.wander import Wander, random_expression
from vlogger.types import Portrait, Subject


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def square(body):
    """The template's head in front of a smooth random picture, 64 pixels."""
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    image = torch.nn.functional.interpolate(image, size=(64, 64), mode="bilinear")[0].to(torch.uint8)
    rotations = torch.eye(3).repeat(len(JOINTS), 1, 1)
    betas, expression = torch.zeros(body.shapedirs.shape[-1]), torch.zeros(body.exprdirs.shape[-1])
    head = pose(body, betas, rotations[None], expression[None], torch.zeros(1, 3)).joints[0, joint_index("head")]
    intrinsics = torch.tensor([[128.0, 0, 32], [0, 128.0, 32], [0, 0, 1]])
    return Subject(Portrait(image), betas, rotations, expression, torch.tensor([0.0, 0.0, -1.0]) - head, intrinsics)


def test_the_truth_is_the_photo_and_known_pixels_come_close(square, body):
    made = cycle(square, body.expression_names, MeshControls(body), Wander(), 64, torch.Generator().manual_seed(3))
    assert np.array_equal(made["target"][0], square.portrait.image.numpy())
    known = np.repeat(made["visible"][0] == 255, 3, axis=0)
    error = np.abs(made["warped"][0].astype(int) - made["target"][0])[known]
    moved = np.abs(made["photo"].astype(int) - made["target"][0])[known]
    assert known.mean() > 0.7 and error.mean() < 0.5 * moved.mean()
    assert (made["warped"][0][np.repeat(made["visible"][0] == 0, 3, axis=0)] == 0).all()


def test_the_same_chance_makes_the_same_sample(square, body):
    draw = MeshControls(body)
    first, again, other = (
        cycle(square, body.expression_names, draw, Wander(), 64, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["photo"], other["photo"])


def test_expressions_stay_in_range_and_leave_the_gaze_to_the_eyes(body):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([random_expression(body.expression_names, Wander(), generator) for _ in range(50)])
    assert drawn.min() >= 0 and drawn.max() <= 1
    gaze = [index for index, name in enumerate(body.expression_names) if name.startswith("eyeLook")]
    assert drawn[:, gaze].abs().max() == 0
    assert (drawn.amax(0) > 0).sum() > 30


def test_a_reference_is_never_among_the_truth():
    generator = torch.Generator().manual_seed(0)
    for start in range(0, 8, 3):
        picks = {far_from(start, 2, 10, generator) for _ in range(200)}
        assert not picks & {start, start + 1} and len(picks) >= 5


def test_holes_are_closed_and_the_rest_is_left():
    image = torch.full((3, 16, 16), 90, dtype=torch.uint8)
    known = torch.ones(1, 16, 16)
    image[:, 5:8, 5:8], known[:, 5:8, 5:8] = 0, 0
    closed = filled(image, known)
    assert ((closed.int() - 90).abs() <= 8).all() and (closed[:, known[0] > 0] == 90).all()


def test_part_index_marks_where_there_is_no_body():
    parts = torch.zeros(1, 3, 2, 2)
    parts[0, 2, 0, 0] = 1
    assert part_index(parts).tolist() == [[[2, 255], [255, 255]]]

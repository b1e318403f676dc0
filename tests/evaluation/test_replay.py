"""Reenactment with small stages: the photo held still is its own reenactment."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from render.track import Track
from vlogger.body.parts import PARTS
from vlogger.curation.pairs import Footage
from vlogger.evaluation.bench import Bench, Judges
from vlogger.evaluation.judge import load_judge
from vlogger.evaluation.perceptual import MobileNet
from vlogger.evaluation.replay import (
    Replayed,
    compared,
    inside_of,
    looked_at,
    mesh_alone,
    replayed,
    square_around,
    warp_alone,
)
from vlogger.evaluation.visible import HANDS, TIGHT, TORSO, visible_body
from vlogger.framing import Region
from vlogger.pipeline import Vlogger
from vlogger.types import Controls, Motion, Portrait

sys.path.insert(0, str(Path(__file__).parents[1] / "tiny"))
from tiny_stages import Enlarge, Flat, LoudJaw, PaintWarped, Standing


@pytest.fixture
def bench(body):
    stages = (Standing(body), LoudJaw(body, 25.0), Flat(), PaintWarped(), Enlarge())
    return Bench(Vlogger(*stages, body), Judges(load_judge()), 256, 25.0, "")


@pytest.fixture
def footage(bench, astronaut):
    subject = bench.vlogger.subject(Portrait(astronaut))
    motion = Motion(
        subject.rotations.repeat(6, 1, 1, 1), subject.expression.repeat(6, 1), subject.translation.repeat(6, 1), 25.0
    )
    nothing = torch.zeros(6)
    track = Track(motion, subject.betas, subject.intrinsics, nothing, nothing.bool())
    return Footage("a", astronaut.repeat(6, 1, 1, 1), track)


def test_a_still_clip_is_its_own_reenactment(bench, footage):
    result = replayed(bench, footage, 0, slice(1, 5))
    assert result.true.shape == result.made.shape == result.copied.shape == (4, 3, *result.true.shape[2:])
    numbers = compared(bench, result)
    assert numbers["copied.full.psnr"] > 45 and numbers["warped.full.psnr"] > 45  # the mean of an enlarged photo
    assert numbers["alone.full.psnr"] < 10  # the flat stage sees nothing of the photo
    assert numbers["mesh.full.psnr"] == pytest.approx(numbers["copied.full.psnr"])  # nor any body
    assert 25 < numbers["made.full.psnr"] < 50  # the small painter adds noise in the middle
    assert not any("mobilenet" in name for name in numbers)  # no judge is there


def test_another_frame_is_worse(bench, footage):
    moved = Footage("a", footage.frames.roll(20, dims=3), footage.track)
    together = Footage("a", torch.cat([footage.frames[:1], moved.frames[1:]]), footage.track)
    assert compared(bench, replayed(bench, together, 0, slice(1, 3)))["copied.full.psnr"] < 25


def test_what_of_the_body_a_picture_shows(bench):
    def seen(height, distance):
        stage = Standing(bench.vlogger.body, distance)
        return visible_body(stage(Portrait(torch.zeros(3, height, 200, dtype=torch.uint8))), bench.vlogger.body)

    assert seen(200, 0.5) == TIGHT and seen(200, 1.6) == TORSO and seen(400, 6.0) == HANDS


def test_only_what_lies_in_the_picture_counts():
    known = inside_of(Region(-10.0, 5.0, 40.0), 20, 35, 20)  # two pixels of the picture to one of the square
    assert known[0, 0].sum() == 15 * 10 and known[0, 0, :15, 5:15].all()


def test_the_warp_alone_is_black_where_the_photo_shows_nothing():
    visible = torch.tensor([1.0, 0.5, 0.0]).expand(2, 1, 4, 3)
    empty = torch.zeros(2, 3, 4, 3)
    controls = Controls(empty, torch.zeros(2, len(PARTS), 4, 3), torch.full_like(empty, 0.7), visible, visible, 25.0)
    assert (warp_alone(controls) == torch.tensor([0.7, 0, 0])).all()


def test_what_the_mesh_alone_carries_lies_over_the_photo():
    parts = torch.zeros(1, len(PARTS), 4, 3)
    parts[:, 0, :2] = 1
    visible = torch.tensor([1.0, 0.5, 0.0]).expand(1, 1, 4, 3)
    controls = Controls(torch.zeros(1, 3, 4, 3), parts, torch.full((1, 3, 4, 3), 0.7), visible, visible, 25.0)
    made = mesh_alone(controls, torch.full((3, 4, 3), 0.2))
    assert torch.allclose(made[..., :2, :], torch.tensor([0.7, 0, 0])) and torch.allclose(
        made[..., 2:, :], torch.tensor(0.2)
    )


def test_networks_look_at_the_square_around_a_region_inside_the_picture():
    mask = torch.zeros(40, 40)
    mask[30:40, 10:15] = 1
    top, left, bottom, right = square_around(mask)
    assert bottom - top == right - left == 12 and bottom == 40 and (left + right) // 2 == 12
    assert square_around(torch.ones(40, 40)) == (0, 0, 40, 40)
    pictures = torch.rand(9, 3, 40, 40)
    assert looked_at(pictures, torch.ones(9, 1, 40, 40)).shape == (6, 3, 40, 40)
    assert looked_at(pictures, mask.expand(9, 1, 40, 40)).shape == (6, 3, 128, 128)


def test_networks_do_not_judge_what_lies_beyond_the_picture(bench):
    torch.manual_seed(0)
    true = torch.rand(2, 3, 64, 64)
    parts = torch.zeros(2, len(PARTS), 64, 64)
    parts[:, PARTS.index("head"), 10:40, 10:40] = 1
    inside = torch.zeros(1, 1, 64, 64)
    inside[..., :48, :] = 1
    wrong = torch.where(inside > 0, true, 0.0)  # as the truth inside, black beyond
    judged = replace(bench, judges=replace(bench.judges, mobilenet=MobileNet().eval()))
    numbers = compared(judged, Replayed(true, wrong, 1 - true, true, true, true, parts, inside))
    assert numbers["made.full.mobilenet_distance"] == 0 < numbers["warped.full.mobilenet_distance"]
    assert numbers["made.face.mobilenet_distance"] == 0 < numbers["warped.face.mobilenet_distance"]
    assert "made.mouth.mobilenet_distance" not in numbers  # no mouth is seen

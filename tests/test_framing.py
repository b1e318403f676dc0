"""What a projected vertex shows stays in its place when the subject is cropped."""

from dataclasses import replace

import pytest
import torch

from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body
from vlogger.framing import Region, crop, head_height, pose_subject, project, region_of
from vlogger.types import Portrait, Subject

BODY = load_body()


def subject(height: int = 240, width: int = 320, turn: float = 0.0) -> Subject:
    """The body 1.5 m before the camera, head in the picture's upper half; the picture shows its own coordinates."""
    rotations = torch.eye(3).repeat(55, 1, 1)
    c, s = torch.cos(torch.tensor(turn)), torch.sin(torch.tensor(turn))
    rotations[0] = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    for side, sign in (("left", -1.0), ("right", 1.0)):
        rotations[joint_index(f"{side}_shoulder")] = torch.tensor([[0.0, -sign, 0], [sign, 0, 0], [0, 0, 1]])
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([x / 2, y / 2, 0 * x]).to(torch.uint8)
    intrinsics = torch.tensor([[300.0, 0, width / 2], [0, 300.0, height / 2], [0, 0, 1]])
    zeros = torch.zeros(10), torch.zeros(len(BODY.expression_names))
    return Subject(Portrait(image), zeros[0], rotations, zeros[1], torch.tensor([0.02, -0.25, -1.5]), intrinsics)


@pytest.mark.parametrize("side", [64, 128, 400])
@pytest.mark.parametrize("region", [Region(100.5, 20.25, 120.0), Region(-20.0, -30.5, 300.0)])
def test_a_vertex_keeps_its_place_in_the_picture(region, side):
    whole, part = subject(), crop(subject(), region, side)
    seen, cropped = (project(pose_subject(s, BODY), s.intrinsics)[:, :2] for s in (whole, part))
    place = (seen - torch.tensor([region.left, region.top])) * side / region.side
    assert torch.allclose(place, cropped, atol=1e-2)


@pytest.mark.parametrize("side", [64, 200])
def test_the_crop_shows_what_lies_there(side):
    """The picture is its own coordinates / 2, so the crop must be the region's coordinates / 2 (to rounding)."""
    region = Region(60.5, 30.0, 120.0)
    image = crop(subject(), region, side).portrait.image.float()
    centres = (torch.arange(side) + 0.5) * region.side / side - 0.5
    assert (image[0] - (region.left + centres) / 2).abs().max() <= 1.01
    assert (image[1] - (region.top + centres[:, None]) / 2).abs().max() <= 1.01


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_the_square_holds_the_head_in_its_upper_middle(turn):
    person = subject(turn=turn)
    region = region_of(person, BODY)
    vertices = pose_subject(person, BODY)
    head = project(vertices[BODY.weights.argmax(1) == joint_index("head")], person.intrinsics)
    x, y = ((head[:, :2] - torch.tensor([region.left, region.top])) / region.side).unbind(1)
    assert x.min() > 0.2 and x.max() < 0.8 and y.min() > 0.1 and y.max() < 0.75
    head = head_height(vertices, person.intrinsics, BODY)
    assert region_of(person, BODY, scale=3.0).side == pytest.approx(3 * head)


def test_personal_offsets_are_posed_with_the_subject():
    """The whole body in a rigid pose: offsets of 1 cm to the right are 1 cm to the right."""
    offsets = torch.zeros_like(BODY.v_template)
    offsets[BODY.weights.argmax(1) == joint_index("head"), 0] = 0.01
    moved = pose_subject(replace(subject(), offsets=offsets), BODY) - pose_subject(subject(), BODY)
    assert torch.allclose(moved[BODY.weights[:, joint_index("head")] > 0.99], torch.tensor([0.01, 0, 0]), atol=1e-5)


def test_shoulders_show():
    region = region_of(subject(), BODY)
    part = crop(subject(), region, 100)
    shoulder = BODY.weights.argmax(1) == joint_index("left_collar")
    seen = project(pose_subject(part, BODY)[shoulder], part.intrinsics)
    assert (seen[:, 1] < 100).float().mean() > 0.3


def test_hands_widen_the_square_only_when_seen():
    person = subject(height=800)
    near, far = region_of(person, BODY), region_of(person, BODY, reach="hands")
    assert far.side > 1.3 * near.side
    assert far.left <= near.left and far.top <= near.top
    assert region_of(subject(height=200), BODY, reach="hands") == region_of(subject(height=200), BODY)

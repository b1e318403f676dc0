"""The surface code follows the skin, not the pose; parts are one-hot exactly where there is a body."""

import torch

from render.maps import parts_map, surface_map
from render.rasterize import rasterize
from vlogger.body.parts import PARTS
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body
from vlogger.body.surface import REACH
from vlogger.framing import project

BODY = load_body()
CAMERA = torch.tensor([[150.0, 0, 32], [0, 150.0, 32], [0, 0, 1]])


def look(vertices: torch.Tensor):
    """The head of a body (V,3), 1.2 m away, in 64 x 64 pixels."""
    shifted = vertices - BODY.J_template[joint_index("head")] - torch.tensor([0, 0.05, 1.2])
    return rasterize(project(shifted, CAMERA)[None], BODY.faces, 64, 64)


def test_surface_is_the_encoded_template_position():
    seen = look(BODY.v_template)
    code = surface_map(BODY, seen)[0]
    mask = seen.mask[0]
    assert mask.float().mean() > 0.2
    assert (code[:, ~mask] == 0).all() and code.abs().max() <= 1
    place = torch.atanh(code[:, mask]).T * REACH  # relative to the head joint: the camera's view, moved back
    pixel = project(place - torch.tensor([0, 0.05, 1.2]), CAMERA)
    row, column = mask.nonzero().unbind(1)
    assert torch.allclose(pixel[:, 0], column + 0.5, atol=0.05) and torch.allclose(pixel[:, 1], row + 0.5, atol=0.05)


def test_surface_does_not_change_when_the_body_moves():
    """A body seen whole pixels further shows the same codes, whole pixels further."""
    code = surface_map(BODY, look(BODY.v_template))
    projected = project(BODY.v_template - BODY.J_template[joint_index("head")] - torch.tensor([0, 0.05, 1.2]), CAMERA)
    shifted = rasterize((projected + torch.tensor([7.0, 3.0, 0.0]))[None], BODY.faces, 64, 64)
    difference = (surface_map(BODY, shifted)[..., 3:, 7:] - code[..., :-3, :-7]).abs().amax(1)
    assert (difference < 1e-3).float().mean() > 0.998


def test_parts_are_one_hot_on_the_body():
    seen = look(BODY.v_template)
    parts = parts_map(BODY, seen)
    assert parts.shape == (1, len(PARTS), 64, 64)
    assert torch.equal(parts.sum(1), seen.mask.float())
    present = {name for name, channel in zip(PARTS, parts[0]) if channel.any()}
    assert {"head", "lips", "neck", "eyes"} <= present and "legs" not in present

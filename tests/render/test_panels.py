"""The pictures of what is drawn: four side by side, true to the controls."""

import torch

from render.controls import MeshControls
from render.panels import PART_COLOURS, panels, warp_picture
from vlogger.body.parts import PARTS


def test_four_pictures_of_every_frame(body, seated, nod):
    motion = nod(0.0, 0.3, 0.0)
    controls = MeshControls(body)(motion, seated, size=96)[:]
    frames = panels(body, seated, motion, controls)
    assert frames.shape == (2, 3, 96, 4 * 96) and frames.dtype == torch.uint8
    mesh, surface, parts, warp = frames.unflatten(-1, (4, 96)).unbind(-2)
    empty = controls.parts.sum(1, keepdim=True).expand(-1, 3, -1, -1) == 0
    photo = seated.portrait.image
    assert torch.equal(mesh[empty], photo.expand_as(mesh)[empty]) and not torch.equal(mesh[0], mesh[1])
    assert (surface[empty] == 0).all() and (parts[empty] == 0).all()
    assert (warp[0].int() - photo).abs().max() <= 1


def test_every_part_has_a_colour_of_its_own():
    assert len(PART_COLOURS) == len(PARTS) == len(set(PART_COLOURS))


def test_what_is_unknown_is_magenta(body, seated, nod):
    controls = MeshControls(body)(nod(0.0, 0.4, 0.0), seated, size=96)[1:]
    unknown = controls.visible[0, 0] == 0
    assert unknown.any()
    assert (warp_picture(controls)[0][:, unknown] == torch.tensor([[1.0], [0.0], [1.0]])).all()

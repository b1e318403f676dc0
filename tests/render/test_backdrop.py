"""Laws of the backdrop: the person moves, the room does not; what was hidden is continued from beside it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from render.anatomy import LIPS
from render.backdrop import SOURCES, Backdrop, backdrop_of, grown, put_before
from render.controls import MeshControls, posture
from render.guess import NOTHING
from render.warp import close_gaps
from vlogger.types import Portrait


@pytest.fixture(scope="module")
def cut_out(body, seated):
    """The seated person with a matte: the body and a rim of hair, three pixels wide."""
    parts = MeshControls(body)(posture(seated), seated, size=96)[:1].parts
    person = cv2.dilate(parts[0].amax(0).numpy(), np.ones((7, 7), np.uint8))
    return replace(seated, portrait=Portrait(seated.portrait.image, torch.from_numpy(255 * person).byte()[None]))


def test_without_motion_it_is_the_photo(body, cut_out, still):
    controls = MeshControls(body)(still, cut_out, size=96)[:]
    assert (controls.warped - cut_out.portrait.image / 255).abs().max() < 1e-3
    assert (controls.visible == 1).all() and (controls.moved == 0).all()


def test_the_room_stands_still_behind_a_turning_head(body, cut_out, nod):
    """Beside the matte, where no head comes either, the picture is the photo, which the halo alone would bend."""
    motion, photo = nod(0.0, 0.0, 0.25), cut_out.portrait.image / 255
    bare = replace(cut_out, portrait=Portrait(cut_out.portrait.image))
    with_room, without = (MeshControls(body)(motion, who, size=96)[1:] for who in (cut_out, bare))
    covered = np.maximum(with_room.parts[0].amax(0).numpy(), cut_out.portrait.matte[0].numpy() / 255)
    room = torch.from_numpy(cv2.dilate(covered, np.ones((25, 25), np.uint8)) == 0)
    assert room.float().mean() > 0.1
    assert (with_room.warped[0] - photo)[:, room].abs().max() < 1e-6 and with_room.moved[0, 0][room].max() == 0
    assert (without.warped[0] - photo)[:, room].abs().max() > 0.05 and without.moved[0, 0][room].max() > 0.5


def test_uncovered_wall_continues_the_wall_and_is_repainted(body, cut_out, nod):
    """A grey person before a white wall turns aside: nothing grey is left where only wall can be."""
    matte = cut_out.portrait.matte
    image = torch.where(matte > 0, 90, 255).byte().expand(3, -1, -1).contiguous()
    subject = replace(cut_out, portrait=Portrait(image, matte))
    controls = MeshControls(body)(nod(0.0, 0.0, 0.3), subject, size=96)[1:]
    left = (matte[0] == 255) & (controls.warped[0].amin(0) > 0.9)
    assert left.sum() > 30, "where the head was, the wall is seen"
    assert (controls.visible[0, 0][left] == 1).all() and controls.moved[0, 0][left].max() > 0.5


def test_the_plate_knows_nothing_of_the_person():
    matte = np.zeros((128, 128), np.float32)
    matte[40:90, 50:80] = 1
    near = grown(matte, SOURCES) > 0
    wall = np.random.default_rng(0).uniform(0.5, 0.9, (128, 128, 3)).astype(np.float32)
    image = np.where(near[..., None], np.float32(0), wall)
    result = backdrop_of(image, matte, matte > 0)
    invented = result.plate[matte > 0]
    assert invented.min() > 0.49 and invented.std() > 0.5 * wall.std(), "as rough as the wall"
    far = grown(matte, SOURCES + 3) == 0
    assert (result.plate == image)[far].all() and result.hidden[far].max() < 1e-3
    assert result.person[matte > 0].min() > 0.5 and (result.hidden >= result.person - 1e-6).all()


def test_a_picture_full_of_the_person_has_no_wall():
    image = np.full((32, 32, 3), 0.5, np.float32)
    result = backdrop_of(image, np.ones((32, 32), np.float32), np.zeros((32, 32), bool))
    assert (result.person == 1).all() and (result.plate == image).all()


def test_holes_and_still_pixels_are_left_alone():
    place = np.zeros((8, 8), np.float32)
    backdrop = Backdrop(place, np.ones((8, 8, 3), np.float32), place + 1)
    field, warped, visible = (
        np.ones((8, 8, 2), np.float32),
        np.zeros((3, 8, 8), np.float32),
        np.ones((8, 8), np.float32),
    )
    field[0], visible[1] = 0, 0
    moving = np.empty_like(field)
    put_before(backdrop.person, backdrop.plate, backdrop.hidden, field, warped, visible, moving)
    assert warped[:, :2].max() == 0 and (visible[0] == 1).all() and (visible[1] == 0).all()
    assert (warped[:, 2:] == 1).all() and (visible[2:] == 1).all() and (moving == field).all()


def test_hair_comes_round_with_a_head_that_turns_away(body, cut_out, nod):
    """Beside a grey head hangs red hair before a white wall: skin that the photo does not show is stretched skin and
    hair, and hair ends where it ended, as heads are round. Without a matte that skin is unknown."""
    matte = cv2.dilate(cut_out.portrait.matte[0].numpy(), np.ones((7, 7), np.uint8))
    skin = MeshControls(body)(posture(cut_out), cut_out, size=96)[:1].parts[0].amax(0).numpy() > 0
    picture = np.where(skin, np.full((3, 96, 96), 90), np.where(matte > 0, [[[200]], [[20]], [[20]]], 255))
    portrait = Portrait(torch.from_numpy(picture.astype(np.uint8)), torch.from_numpy(matte)[None])
    motion, bare = nod(0.0, 0.3, 0.0), replace(cut_out, portrait=Portrait(portrait.image))
    haired, holed = (
        MeshControls(body)(motion, who, size=96)[1:] for who in (replace(cut_out, portrait=portrait), bare)
    )
    hole = (holed.visible[0, 0] == 0) & (holed.parts[0, :1].sum(0) > 0)
    assert hole.sum() > 30 and (haired.visible[0, 0][hole] == 1).float().mean() > 0.9
    red, white = haired.warped[0, 0] - haired.warped[0, 1] > 0.2, haired.warped[0].amin(0) > 0.6
    assert red[hole].float().mean() > 0.05 and not white[hole].any()
    assert (~white[:45] ^ torch.from_numpy(matte[:45] > 0)).float().mean() < 0.03  # a pixel of outline


def test_slits_move_as_what_is_beside_them(seated):
    """A slit of two pixels is closed, a wide hole loses its rim, and what is drawn otherwise stays."""
    image = np.random.default_rng(0).uniform(0, 1, (128, 128, 3)).astype(np.float32)
    visible, kind = np.ones((128, 128), np.float32), np.full((128, 128), NOTHING, np.uint8)
    visible[:, 30:32] = visible[20:40, 60:80] = visible[:, 100:102] = 0
    kind[:, 100:102] = LIPS
    planes, field = np.zeros((3, 128, 128), np.float32), np.full((128, 128, 2), 3.0, np.float32)
    field[visible == 0] = 0
    close_gaps(image, field, kind, planes, visible)
    assert (visible[:, 30:32] == 1).all() and (field[:, 30:32] == 3).all()
    assert np.allclose(planes[:, 40, 30], image[43, 33]) and (visible[:, 100:102] == 0).all()
    assert (visible[21:39, 61:79] == 0).all() and (visible[20, 60:80] == 1).all()

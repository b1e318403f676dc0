"""What is drawn behind lips and lids: where the photo shows it, and the model's guess where it does not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from render.anatomy import (
    CAVITY,
    EYE,
    LIPS,
    LOWER,
    TONGUE,
    UPPER,
    eyeballs,
    kinds,
    lid_rims,
    lid_shares,
    local_places,
    set_teeth,
    sunk,
)
from render.controls import MeshControls
from render.eyes import LUMA, SHADE, draw_eyes
from render.guess import CREASE, DOME, FOLD, add_from, close_to, lid_relief, nearby, soften_lips
from render.mouth import Inside, Tones, draw_mouth, lend_lips, mouth_photo, toothlike
from vlogger.body.parts import PARTS
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.types import Portrait

TONES = Tones(np.array([0.8, 0.8, 0.8]), np.array([0.8, 0.78, 0.7]), np.array([0.7, 0.4, 0.4]))


def with_expression(body, still, **weights):
    """The still motion, its second frame with these face units."""
    expression = still.expression.clone()
    for name, weight in weights.items():
        for index, unit in enumerate(body.expression_names):
            if unit.removesuffix("Left").removesuffix("Right") == name:
                expression[1, index] = weight
    return replace(still, expression=expression)


@pytest.fixture(scope="module")
def skinned(seated):
    """The person in a picture of one skin colour."""
    image = torch.tensor([200, 150, 130], dtype=torch.uint8)[:, None, None].expand(3, 96, 96).contiguous()
    return replace(seated, portrait=Portrait(image))


def test_upper_teeth_reach_below_the_lip_and_lower_ones_stand_behind(body):
    def row(piece: int, moved):
        return moved.v_template[moved.faces[moved.face_part == piece].unique()]

    moved = set_teeth(body)
    upper, lower = row(4, moved), row(5, moved)
    lips = body.v_template[body.faces[torch.from_numpy(kinds(body) == LIPS)].unique()]
    middle_of_lips = (lips[:, 1].min() + lips[:, 1].max()) / 2
    assert upper[:, 1].min() < middle_of_lips and lower[:, 1].max() > upper[:, 1].min()
    assert lower[:, 2].max() < upper[:, 2].max() < lips[:, 2].max()


def test_anatomy_is_the_same_on_both_sides(body):
    for (left, _, ids), (right, _, other) in [eyeballs(body)]:
        assert np.allclose(left * [-1, 1, 1], right, atol=1e-4) and len(ids) == len(other)
    assert abs(lid_shares(body).sum(0) @ [1, -1]) < 0.05 * lid_shares(body).sum()
    rims, place = lid_rims(body), body.v_template.numpy()
    for side in (-1, 1):
        edge = place[(rims > 0.5) & (side * place[:, 0] > 0)]
        assert np.ptp(edge[:, 0]) > 0.02, "lashes from corner to corner"
        assert len(edge) > 20 and np.ptp(edge[:, 1]) < 0.006, "and a line"
    along = local_places(body)[body.faces[body.face_part == 4].unique().numpy(), 0]
    assert abs(along.min() + along.max()) < 1e-4 and 0.05 < along.max() < 0.09
    assert (sunk(body) > 0).any() and sunk(body)[body.faces[torch.from_numpy(kinds(body) == LIPS)]].max() == 0


def test_without_motion_nothing_is_guessed(body, skinned, still):
    controls = MeshControls(body)(still, skinned, size=128)[:]
    assert (controls.visible == 1).all()


def test_an_open_mouth_shows_teeth_brighter_than_what_lies_behind(body, skinned, still):
    motion = with_expression(body, still, jawOpen=0.5, mouthUpperUp=0.6)
    controls = MeshControls(body)(motion, skinned, size=256)[1:]
    luma = (controls.warped[0] * torch.from_numpy(LUMA)[:, None, None]).sum(0)
    mouth = (controls.visible[0, 0] == 0.5) & controls.parts[0, [PARTS.index("teeth"), PARTS.index("tongue")]].any(0)
    assert mouth.sum() > 100
    assert luma[mouth].max() > 0.55 and luma[mouth].min() < 0.3


def test_a_closing_lid_has_the_colour_of_skin_and_opens_continuously(body, skinned, still):
    stage = MeshControls(body)
    closed = stage(with_expression(body, still, eyeBlink=0.8), skinned, size=256)[1:]
    guess = closed.visible[0, 0] == 0.5
    assert guess.sum() > 20
    brightness = closed.warped[0][:, guess] / (torch.tensor([200, 150, 130]) / 255)[:, None]
    assert (brightness.amax(0) - brightness.amin(0)).median() < 0.02  # the skin's own colour
    assert FOLD - 0.02 < brightness.median() < DOME + 0.02


def test_a_shut_lid_is_darkest_in_its_fold_and_goes_over_into_skin():
    share = np.linspace(0, 1, 201)[:, None]
    relief = lid_relief(np.hstack([share, 0 * share]))[:, 0]
    assert relief[0] == 1 and relief.min() == pytest.approx(FOLD, abs=1e-3) and relief[-1] == pytest.approx(DOME)
    assert share[relief.argmin(), 0] == pytest.approx(CREASE[1], abs=0.01)
    assert np.abs(np.diff(relief)).max() < 0.02


def test_a_turned_eye_shows_its_white(body, seated, still):
    """Eyes painted black where the photo shows them: what comes out from behind the lids is white."""
    stage = MeshControls(body)
    own = stage(still, seated, size=192)
    rotations = still.rotations.clone()
    for eye in ("left_eye", "right_eye"):
        rotations[1, joint_index(eye)] = (
            axis_angle_to_matrix(torch.tensor([0.0, 0.4, 0.0])) @ rotations[1, joint_index(eye)]
        )
    turned = stage(replace(still, rotations=rotations), seated, size=192)[1:]
    eyes = turned.parts[0, PARTS.index("eyes")].bool()
    guess = eyes & (turned.visible[0, 0] == 0.5)
    assert own.reference.parts[0, PARTS.index("eyes")].any() and guess.any()
    assert turned.warped[0][:, guess].mean() > 0.3


def lips_and_teeth(gap_colour):
    """A picture of lips (rows 4-7, 12-15) with something between, and its kinds."""
    kind = np.zeros((20, 30), np.uint8)
    kind[4:16, 4:26], kind[8:12, 6:24] = LIPS, UPPER
    image = np.full((20, 30, 3), (0.8, 0.6, 0.5), np.float32)
    image[kind == LIPS], image[kind == UPPER] = (0.7, 0.35, 0.35), gap_colour
    return image, kind


def test_pale_pixels_between_the_lips_are_teeth_and_others_lips():
    image, kind = lips_and_teeth((0.85, 0.82, 0.75))
    assert (toothlike(image, kind) == (kind == UPPER)).all()
    for colour, rim in (((0.68, 0.33, 0.33), 1), ((0.2, 0.08, 0.08), 0)):
        image, kind = lips_and_teeth(colour)
        assert not toothlike(image, kind).any()
        assert not mouth_photo(image, kind, 2000.0).shown.any()
        shown = mouth_photo(image, kind, 500.0).shown
        assert shown[8 + rim : 12 - rim, 8:22].all(), "wide open: whatever the colours"
        assert not shown[[8, 11]].any() or not rim, "but next to the lips, what has their colour is theirs"


def test_single_pixels_inside_the_lips_are_neither_lost_nor_shown():
    image, kind = lips_and_teeth((0.85, 0.82, 0.75))
    image[9, 12] = (0.7, 0.35, 0.35)
    assert mouth_photo(image, kind, 2000.0).shown[9, 12]
    image, kind = lips_and_teeth((0.7, 0.35, 0.35))
    image[9, 12] = (0.85, 0.82, 0.75)
    assert not mouth_photo(image, kind, 2000.0).shown.any()


def test_closed_lips_keep_their_colour_as_they_part():
    """The photo's lips are a model's gap of 4 rows apart but closed; opened by 8 rows, two rows go with each lip."""
    image, kind = lips_and_teeth((0.7, 0.35, 0.35))
    photo = mouth_photo(image, kind, 2000.0)
    assert not photo.shown.any() and photo.gap.max() == 2
    opened = np.zeros((28, 30), np.uint8)
    opened[4:24, 4:26], opened[8:20, 6:24] = LIPS, UPPER
    field = np.zeros((28, 30, 2), np.float32)
    field[14:, :, 1] = -8.0
    seen = np.ones((28, 30), np.float32)
    photo_of_size = replace(photo, shown=np.pad(photo.shown, ((0, 8), (0, 0))), gap=np.pad(photo.gap, ((0, 8), (0, 0))))
    lend_lips(field, seen, opened, photo_of_size)
    assert seen[8:10, 10:20].all() and seen[18:20, 10:20].all() and not seen[11:17, 10:20].any()
    assert (field[18:20, 10:20, 1] == -8).all() and (field[8:10, 10:20, 1] == 0).all()


def test_lips_before_a_drawn_mouth_have_no_stairs_and_change_at_their_border_alone():
    rows, columns = np.mgrid[:40, :40]
    above = columns // 4 - rows + 18  # a border of stairs, four pixels wide and one high
    kind = np.where(above > 0, LIPS, CAVITY).astype(np.uint8)
    picture = np.where(above[..., None] > 0, np.float32(0.8), np.float32(0.1)).repeat(3, axis=-1)
    soft, open_mouth = picture.copy(), (kind == CAVITY).astype(np.float32)
    soften_lips(kind, open_mouth, soft)
    assert np.abs(np.diff(soft[8:-8, 8:-8], axis=0)).max() < 0.6 * np.abs(np.diff(picture, axis=0)).max()
    assert np.array_equal(soft[abs(above) > 6], picture[abs(above) > 6])
    known = picture.copy()
    soften_lips(kind, np.zeros_like(open_mouth), known)
    assert np.array_equal(known, picture), "what the photo shows has the photo's edges"


def test_the_deeper_in_the_mouth_the_darker():
    depths = np.linspace(0, 0.06, 7)
    for kind in (UPPER, LOWER, TONGUE):
        inside = Inside(np.full(7, kind), np.tile([0.004, 0.005, 0.0], (7, 1)), depths, np.full(7, 0.01))
        assert (np.diff(draw_mouth(inside, TONES, 0.001) @ LUMA) <= 1e-6).all()


def test_an_eye_has_a_pupil_in_an_iris_in_the_white():
    angles = np.array([0.0, 0.25, 0.8])
    local = np.stack([np.sin(angles), np.zeros(3), np.cos(angles)], 1)
    pupil, iris, white = draw_eyes(local, np.full(3, 0.01), np.array([0.8, 0.8, 0.8]), np.array([0.3, 0.4, 0.5]))
    assert np.allclose(white, 0.8 * SHADE) and np.allclose(iris, [0.3, 0.4, 0.5], atol=0.01) and pupil.max() < 0.1


def test_kinds_follow_the_parts(body):
    kind, part = kinds(body), body.part_of_face.numpy()
    assert ((kind == EYE) == (part == PARTS.index("eyes"))).all()
    assert set(np.unique(part[(kind == UPPER) | (kind == LOWER)])) == {PARTS.index("teeth")}


def test_enlarging_at_a_few_pixels_is_enlarging_the_picture():
    small = np.random.default_rng(0).random((7, 5, 4)).astype(np.float32)
    rows, columns = np.nonzero(np.ones((30, 23), bool))
    total = np.ones((len(rows), 4), np.float32)
    add_from(small, 30, 23, rows, columns, np.float32(0.5), total)
    whole = cv2.resize(small, (23, 30), interpolation=cv2.INTER_LINEAR)
    assert np.allclose(total.reshape(30, 23, 4), 1 + 0.5 * whole, atol=1e-5)


def test_only_the_neighbourhood_lends():
    places = np.array([10, 12]), np.array([20, 26])
    left = close_to(places, np.ones((40, 40), bool), 3.2)
    assert left[6:17, 16:31].all() and left.sum() == 11 * 15
    assert not close_to(places, np.zeros((40, 40), bool), 3).any()


def test_a_pixel_far_from_all_that_lend_still_gets_their_colour():
    picture, lends = np.full((80, 80, 3), 0.4, np.float32), np.zeros((80, 80), bool)
    lends[10:20, 10:20] = True
    places = np.array([15, 45]), np.array([25, 45])
    for alike in (False, True):
        lent = nearby(picture, picture @ LUMA, lends, places, 2.0, alike)
        np.testing.assert_allclose(lent, 0.4, atol=2e-3)

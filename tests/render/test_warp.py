"""Laws of the photo warp: identity at rest, there and back again, a soft border, hidden skin stays unknown."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from render.controls import photo_view
from render.halo import add_halo, depth_inside, spread
from render.rasterize import rasterize
from render.warp import SOFT, blurred, moved_mask, warp_photo
from vlogger.body.smplx import pose
from vlogger.framing import project
from vlogger.types import Portrait

SIZE = 96


@pytest.fixture(scope="module")
def view(body, seated):
    return photo_view(body, seated, "auto")


def warp(body, seated, view, motion, frame=1):
    """The warp of one frame and its body mask."""
    frames = motion[frame : frame + 1]
    posed = pose(body, seated.betas, frames.rotations, frames.expression, frames.translation)
    projected = project(posed.vertices, seated.intrinsics)
    seen = rasterize(projected, body.faces, SIZE, SIZE)
    return warp_photo(view, projected[0].numpy(), seen.face_id[0].numpy(), seen.bary[0].numpy()), seen.mask[0].numpy()


def test_no_motion_is_the_photo(body, seated, view, still):
    result, mask = warp(body, seated, view, still)
    assert mask.mean() > 0.3
    assert np.abs(result.field).max() < 1e-3
    assert np.abs(result.warped - view.image).max() < 1e-3
    assert (result.visible == 1).all() and (result.moved == 0).all()


def test_a_frame_reads_where_its_skin_lies_in_the_photo(body, seated, view, nod):
    """There and back: pixel + field, looked up in the photo's own surface, is the skin point the pixel shows."""
    result, mask = warp(body, seated, view, nod(0.0, 0.15, 0.0))
    photo = torch.from_numpy(view.projected)[None]
    own = rasterize(photo, body.faces, SIZE, SIZE)
    assert np.hypot(*np.moveaxis(result.field, -1, 0))[mask].max() > 2
    rows, columns = np.nonzero(mask & (result.visible == 1))
    u = columns + 0.5 + result.field[rows, columns, 0]
    v = rows + 0.5 + result.field[rows, columns, 1]
    landed = own.mask[0].numpy()[v.astype(int), u.astype(int)]
    assert landed.mean() > 0.98
    colour = view.image[v.astype(int), u.astype(int)]
    assert np.abs(colour - result.warped[rows, columns]).mean() < 0.03


def test_forth_and_back_returns_the_photo(body, seated, view, nod, still):
    """Warp the photo by a turn, take the result as the photo of the turned subject, warp it back."""
    turned = nod(0.0, 0.2, 0.0)
    forth, _ = warp(body, seated, view, turned)
    picture = torch.from_numpy(forth.warped).movedim(-1, 0).mul(255).round().to(torch.uint8)
    other = replace(seated, rotations=turned.rotations[1], portrait=replace(seated.portrait, image=picture))
    back, mask = warp(body, other, photo_view(body, other, "auto"), still)
    known = (back.visible == 1) & mask & (back.warped.sum(-1) > 0)
    assert known[mask].mean() > 0.9
    error = np.abs(back.warped - view.image).mean(-1)[known]
    assert np.median(error) < 0.01 and error.mean() < 0.03


def test_halo_is_continuous_at_the_outline_and_ends(body, seated, view, nod):
    result, mask = warp(body, seated, view, nod(0.0, 0.0, 0.1))
    jump = np.abs(np.diff(result.field, axis=1)).max(-1)
    crossing = mask[:, 1:] != mask[:, :-1]
    assert jump[crossing].mean() < 0.5 and np.abs(result.field).max() > 2
    assert np.abs(result.field[:4]).max() < np.abs(result.field).max()
    assert (result.field[-10:, :4][~mask[-10:, :4]] == 0).all()


def test_moved_is_zero_on_the_border_and_one_on_the_moving_head(body, seated, view, nod):
    result, mask = warp(body, seated, view, nod(0.1, 0.2, 0.05))
    moved = result.moved
    assert moved[0].max() == moved[-1].max() == moved[:, 0].max() == moved[:, -1].max() == 0
    assert moved.min() >= 0 and moved.max() <= 1 + 1e-6
    hidden = mask & (result.visible == 0)
    hidden[:8] = hidden[-8:] = hidden[:, :8] = hidden[:, -8:] = False
    assert hidden.any() and moved[hidden].min() > 0.9


def test_moved_grows_smoothly_with_the_motion(body, seated, view, nod):
    """Eight small steps of a turn: no step changes any pixel by a jump."""
    masks = [warp(body, seated, view, nod(0.0, angle, 0.0))[0].moved for angle in np.linspace(0, 0.02, 9).tolist()]
    steps = [np.abs(b - a).max() for a, b in pairwise(masks)]
    assert masks[-1].max() > 0.9 and max(steps) < 0.5


def test_an_opened_mouth_is_a_guess_that_must_be_repainted(body, seated, view, still):
    expression = still.expression.clone()
    expression[1, body.expression_names.index("jawOpen")] = 0.7
    result, _ = warp(body, seated, view, replace(still, expression=expression))
    guess = result.visible == 0.5
    assert 10 < guess.sum() < 300 and (result.visible == 0).sum() < 10
    assert result.warped[guess].max() > 0.1 and result.moved[guess].min() > 0.9


def test_spreading_keeps_the_known_and_stays_between():
    generator = np.random.default_rng(0)
    values = generator.random((33, 47, 2)).astype(np.float32)
    weight = (generator.random((33, 47)) < 0.1).astype(np.float32)
    filled = spread(values, weight)
    assert np.allclose(filled[weight == 1], values[weight == 1], atol=1e-3)
    assert filled.min() >= values[weight == 1].min() - 1e-5 and filled.max() <= values[weight == 1].max() + 1e-5


def test_halo_never_folds():
    """A square that moved by a quarter of its side: walking outwards, the photo's place walks outwards too."""
    body = np.zeros((64, 64), bool)
    body[24:40, 24:40] = True
    field = np.where(body[..., None], np.array([-4, 0]), 0).astype(np.float32)
    photo_inside = np.roll(body, -4, 1).astype(np.float32)
    whole = add_halo(field, body, body.astype(np.float32), np.full((64, 64), 3, np.float32), photo_inside)
    place = np.arange(64) + whole[32, :, 0]
    assert (np.diff(place) >= 0).all() and np.abs(whole[0]).max() == 0


def test_still_field_moves_nothing():
    assert (moved_mask(np.zeros((32, 32, 2), np.float32), np.ones((32, 32), np.float32)) == 0).all()


@pytest.mark.parametrize("size", [128, 256, 512])
def test_a_mask_blurred_on_a_coarser_grid_is_as_soft(size):
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 : size // 2, size // 5 : size // 3] = 255
    sigma = SOFT * size / 128
    true = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)
    assert np.abs(blurred(mask, sigma) - true).max() < 0.04 * 255
    assert (blurred(mask, sigma)[true == 0] <= 1).all()


def test_background_beside_a_misfitted_outline_is_not_stretched_over_the_cheek(body, seated, nod):
    """The person in the photo is a pixel narrower all around than the body: no turn shows green inside the head."""
    own = rasterize(torch.from_numpy(photo_view(body, seated, "auto").projected)[None], body.faces, SIZE, SIZE)
    person = cv2.erode(own.mask[0].numpy().astype(np.uint8), np.ones((3, 3), np.uint8))
    skin, green = (torch.tensor(colour)[:, None, None] for colour in ([200, 150, 130], [0, 255, 0]))
    image = torch.where(torch.from_numpy(person > 0), skin, green)
    subject = replace(seated, portrait=Portrait(image.to(torch.uint8)))
    result, mask = warp(body, subject, photo_view(body, subject, "auto"), nod(0.0, 0.45, 0.0))
    inner = (depth_inside(mask) > 4) & (result.visible == 1)
    greenish = result.warped[..., 1] - result.warped[..., 0] > 0.1
    assert inner.sum() > 1000 and (inner & greenish).sum() <= 3

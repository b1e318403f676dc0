"""Who is the person: a real picture, and the laws of the square that is looked at closely."""

import numpy as np
import pytest
import skimage
import torch

from render.fit import FitPortrait
from render.matte import agreement, matte_of, part_of, ramp
from vlogger.body.smplx import load_body
from vlogger.framing import Region, crop
from vlogger.io import load_portrait
from vlogger.io_values import load_subject, save_subject
from vlogger.types import Portrait

FACE, WALL = (slice(60, 160), slice(190, 260)), (slice(0, 60), slice(330, 400))  # of the astronaut


def test_the_astronaut_is_told_from_the_shuttle_behind_her():
    picture = skimage.data.astronaut()
    matte = matte_of(picture, Region(100, 0, 300))
    assert matte.shape == (1, 512, 512) and matte[0][FACE].float().mean() > 250
    assert matte[0, 350:, 200:250].float().mean() > 240 and matte[0][WALL].float().mean() < 40


def test_see_says_it_files_keep_it_and_crops_carry_it(tmp_path):
    from PIL import Image

    Image.fromarray(skimage.data.astronaut()[:400, 20:420]).save(tmp_path / "photo.png")
    subject = FitPortrait(load_body())(load_portrait(tmp_path / "photo.png"))
    matte = subject.portrait.matte
    assert matte is not None and matte.shape == (1, 400, 400) and 0.2 < (matte > 127).float().mean() < 0.9
    save_subject(tmp_path / "subject.npz", subject)
    again = load_subject(tmp_path / "subject.npz").portrait.matte
    assert again is not None and (again == matte).all()
    cut = crop(subject, Region(40, 20, 200), 200).portrait.matte
    assert cut is not None and (cut == matte[:, 20:220, 40:240]).all()


@pytest.mark.parametrize(
    ("start", "side", "found"),
    [(10, 20, slice(10, 30)), (-5, 20, slice(0, 15)), (90, 20, slice(90, 100)), (200, 5, slice(99, 100))],
)
def test_the_square_stays_within_the_picture(start, side, found):
    assert part_of(start, side, 100) == found


def test_the_square_passes_into_the_rest_only_inside_the_picture():
    inner, whole = ramp(slice(10, 30), 100), ramp(slice(0, 100), 100)
    assert inner[0] < 0.5 and inner[-1] < 0.5 and inner[10] == 1 and (whole == 1).all()
    assert np.allclose(inner, inner[::-1])


def test_a_matte_that_misses_the_person_is_not_believed():
    picture = skimage.data.astronaut()[:400, 20:420]
    body = load_body()
    subject = FitPortrait(body)(Portrait(torch.from_numpy(picture.copy()).permute(2, 0, 1)))
    matte = subject.portrait.matte
    assert matte is not None and agreement(matte, subject, body) > 0.9
    assert agreement(255 - matte, subject, body) < 0.3
    assert agreement(torch.zeros_like(matte), subject, body) == 0

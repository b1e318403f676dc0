"""Scores of regions."""

import pytest
import torch

from vlogger.body.parts import PARTS
from vlogger.evaluation.reenactment import in_region, regions_of, scores, ssim_map


@pytest.fixture
def parts():
    """A torso below, a head above, lips in its middle."""
    picture = torch.zeros(2, len(PARTS), 64, 64)
    picture[:, PARTS.index("head"), 8:40, 16:48] = 1
    picture[:, PARTS.index("head"), 30:34, 26:38] = 0
    picture[:, PARTS.index("lips"), 30:34, 26:38] = 1
    picture[:, PARTS.index("torso"), 40:, :] = 1
    return picture


def test_regions_are_where_their_parts_are(parts):
    masks = regions_of(parts)
    assert masks["full"].all()
    assert masks["face"].sum() == 2 * 32 * 32 and masks["body"].sum() == 2 * 24 * 64 and not masks["hands"].any()
    assert masks["mouth"].sum() == 2 * 6 * 14  # grown by one pixel at this size
    assert set(scores(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64), masks)) == {"full", "face", "mouth", "body"}


def test_the_same_pictures_are_ideal_and_a_known_error_has_its_value():
    true = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = torch.ones(2, 1, 32, 32)
    same = in_region(true, true, ssim_map(true, true), whole)
    assert same["ssim"] == pytest.approx(1, abs=1e-5) and same["l1"] == 0 and same["psnr"] > 90
    made = true + 0.1
    assert in_region(made, true, ssim_map(made, true), whole)["psnr"] == pytest.approx(20, abs=1e-3)
    assert in_region(made, true, ssim_map(made, true), whole)["l1"] == pytest.approx(0.1, abs=1e-5)


def test_an_error_counts_where_it_is_alone(parts):
    true = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    made = true.clone()
    made[:, :, 40:] = 1 - made[:, :, 40:]
    found = scores(made, true, regions_of(parts))
    assert found["mouth"]["l1"] == 0 and found["body"]["l1"] > 0.3 and found["face"]["l1"] == 0
    assert found["mouth"]["ssim"] == pytest.approx(1, abs=1e-4) and found["body"]["ssim"] < 0.2

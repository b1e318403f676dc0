import pytest
import torch

from superres.stray import Straying
from vlogger.types import seeded

STILL = Straying(shift=0, light=0, tint=0, other=0, spared=0)


def crops(batch: int = 4, side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth photos (b 2 3 H W) with a hole each, two frames."""
    slope = torch.linspace(0.2, 0.8, side).expand(batch, 2, 3, side, side)
    visible = torch.ones(batch, 2, 1, side, side)
    visible[..., 20:40, 24:36] = 0
    return slope * visible, visible


def test_nothing_strays_by_nothing():
    warped, visible = crops()
    for settings in (STILL, Straying(spared=1)):
        photo, known = settings(warped, visible, 4, seeded(0))
        assert torch.equal(known, visible)
        assert torch.allclose(photo, warped, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4])
def test_shift_is_in_small_pixels(factor):
    still = torch.ones(64, 2, 1, 64, 64)
    slope = torch.linspace(0.2, 0.8, 64).expand(64, 2, 3, 64, 64)
    photo, _ = Straying(shift=1, light=0, tint=0, other=0, spared=0)(slope, still, factor, seeded(0))
    inner = (photo - slope)[..., 16:-16, 16:-16] / (0.6 / 63) / factor  # how far, in small pixels
    assert 0.1 < inner.std() < 0.4
    assert inner.abs().max() < 2.5
    assert not torch.equal(photo[0], photo[1])


def test_holes_stray_with_the_photo_and_nothing_is_half_known():
    photo, known = Straying(spared=0, other=0, light=0, tint=0, shift=2)(*crops(batch=16), 4, seeded(1))
    assert set(known.unique().tolist()) == {0.0, 1.0}
    assert (photo[(known == 0).expand_as(photo)] == 0).all()
    assert photo[(known == 1).expand_as(photo)].min() > 0.1  # no colour of a hole bled into it
    assert not torch.equal(known, crops(batch=16)[1])


def test_light_changes_smoothly_and_frames_alike():
    warped, visible = torch.full((8, 2, 3, 64, 64), 0.5), torch.ones(8, 2, 1, 64, 64)
    photo, _ = Straying(shift=0, other=0, spared=0)(warped, visible, 2, seeded(2))
    assert torch.equal(photo[:, 0], photo[:, 1])
    assert (photo - warped).abs().mean() > 0.005
    assert photo.diff(dim=-1).abs().max() < 0.02


def test_another_photo_is_that_of_another_sample():
    warped = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 1, 3, 32, 32) / 4
    photo, _ = Straying(0, 0, 0, other=1, spared=0)(warped, torch.ones(4, 1, 1, 32, 32), 2, seeded(0))
    assert torch.allclose(photo, warped.roll(1, 0), atol=1e-6)

"""Resampling keeps places and means; compositing keeps the picture's bytes where the mask is 0."""

import pytest
import torch

from vlogger.pixels import border_ramp, composite, resample, resize


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def ramp(height: int, width: int) -> torch.Tensor:
    """A picture whose two channels are the pixel centres' own coordinates x, y."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y]).float()


def test_same_size_is_the_same_picture():
    assert torch.equal(resize(noise(3, 7, 9), 7, 9), noise(3, 7, 9))
    assert torch.allclose(resample(noise(3, 7, 9), (0, 0, 7, 9), 7, 9), noise(3, 7, 9), atol=1e-6)


def test_shrinking_by_whole_numbers_is_the_mean():
    blocks = noise(2, 3, 12, 8).unflatten(-1, (4, 2)).unflatten(-3, (4, 3)).mean((-1, -3))
    assert torch.allclose(resize(noise(2, 3, 12, 8), 4, 4), blocks, atol=1e-6)


@pytest.mark.parametrize("size", [5, 16, 23, 64])
@pytest.mark.parametrize("kind", ["cubic", "linear"])
def test_a_picture_of_coordinates_stays_one(size, kind):
    """Away from the edges, where the continuation outside bends the ramp. Boxes of a fractional number of pixels see
    the staircase that a picture is, which is at most 1/8 pixel off the ramp."""
    seen = resample(ramp(40, 50), (10.3, 14.6, 20.0, 20.0), size, size, kind)
    centres = (torch.arange(size) + 0.5) * 20 / size
    atol = 0.125 if size < 20 else 1e-4
    assert torch.allclose(seen[0], (14.6 + centres).expand(size, size), atol=atol)
    assert torch.allclose(seen[1], (10.3 + centres)[:, None].expand(size, size), atol=atol)


def test_outside_the_picture_the_edge_goes_on():
    picture = noise(1, 4, 4)
    seen = resample(picture, (-8, -8, 4, 4), 2, 2)
    assert torch.allclose(seen, picture[:, :1, :1].expand(1, 2, 2), atol=1e-6)


def test_uint8_stays_uint8_and_does_not_wrap_around():
    picture = torch.zeros(1, 4, 4, dtype=torch.uint8)
    picture[:, 1:3, 1:3] = 255
    large = resize(picture, 16, 16)
    assert large.dtype == torch.uint8 and large[0, 0, 0] < 3 and large[0, 7, 7] == 255


def test_border_ramp_is_zero_on_the_outermost_pixels():
    mask = border_ramp(20, 30, 4.0)
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0
    assert (mask[4:-4, 4:-4] == 1).all() and (mask >= 0).all()


@pytest.mark.parametrize("square", [(5.3, 7.8, 20.4), (-6.5, 3.2, 90.0), (30.0, 20.0, 200.0), (-80.0, 0.0, 50.0)])
def test_mask_zero_keeps_the_bytes(square):
    picture = (noise(3, 48, 64) * 255).to(torch.uint8)
    generated = (noise(2, 3, 32, 32) * 255).to(torch.uint8)
    result = composite(picture, generated, torch.zeros(2, 1, 32, 32), square)
    assert torch.equal(result, picture.expand(2, -1, -1, -1))


def test_mask_one_shows_the_generated_square_in_its_place():
    picture = torch.zeros(3, 48, 64, dtype=torch.uint8)
    generated = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    result = composite(picture, generated, torch.ones(1, 1, 16, 16), (10.0, 20.0, 16.0))
    assert (result[..., 20:36, 10:26] == 200).all()
    assert result.sum() == 200 * 3 * 16 * 16


def test_crop_and_composite_are_inverse_at_whole_pixels():
    picture = (noise(3, 40, 40) * 255).to(torch.uint8)
    square = resample(picture, (8, 4, 16, 16), 16, 16)
    back = composite(torch.zeros_like(picture), square[None], torch.ones(1, 1, 16, 16), (4.0, 8.0, 16.0))
    assert torch.equal(back[0, :, 8:24, 4:20], picture[:, 8:24, 4:20])

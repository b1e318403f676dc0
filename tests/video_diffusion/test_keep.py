"""Where the photo is known, only fine detail may change."""

import torch

from video_diffusion.keep import mended, open_where, smooth
from vlogger.body.parts import PARTS


def flat(value: float, size: int = 24) -> torch.Tensor:
    return torch.full((1, 2, 3, size, size), value)


def test_without_a_bound_a_correction_stays():
    correction = torch.randn(1, 2, 3, 16, 16)
    assert mended(correction, torch.zeros(1, 2, 1, 16, 16), 0.0) is correction


def test_what_is_open_is_corrected_whole():
    correction = torch.randn(1, 2, 3, 16, 16)
    assert torch.equal(mended(correction, torch.ones(1, 2, 1, 16, 16), 1.5), correction)


def test_a_haze_is_taken_from_what_is_known_and_detail_is_left():
    known = torch.zeros(1, 2, 1, 24, 24)
    assert mended(flat(0.3), known, 1.5).abs().max() < 1e-6
    checks = flat(0.3) * (1 - 2 * ((torch.arange(24)[:, None] + torch.arange(24)) % 2))
    inner = (..., slice(6, 18), slice(6, 18))
    torch.testing.assert_close(mended(checks, known, 1.5)[inner], checks[inner], atol=0.02, rtol=0)


def test_holes_guesses_and_the_mouth_are_open():
    visible, parts = torch.ones(1, 1, 1, 40, 40), torch.zeros(1, 1, len(PARTS), 40, 40)
    parts[..., PARTS.index("head"), :, :] = 1
    visible[..., 4:8, 4:8], visible[..., 4:8, 30:34] = 0, 0.5
    parts[..., PARTS.index("lips"), 28:30, 18:24] = 1
    found = open_where(visible, parts, 1.5)[0, 0, 0]
    for y, x in ((6, 6), (6, 32), (29, 21), (31, 21)):
        assert found[y, x] > 0.9
    for y, x in ((20, 20), (6, 18), (38, 2)):
        assert found[y, x] < 1e-3


def test_with_none_the_known_stays_as_it_is_and_the_open_is_corrected_whole():
    correction, free = torch.randn(1, 2, 3, 16, 16), torch.zeros(1, 2, 1, 16, 16)
    free[..., :8] = 1
    assert torch.equal(mended(correction, free, None), correction * free)


def test_with_none_lips_that_the_photo_shows_are_known():
    visible, parts = torch.ones(1, 1, 1, 40, 40), torch.zeros(1, 1, len(PARTS), 40, 40)
    parts[..., PARTS.index("lips"), 10:30, 10:30] = 1
    visible[..., 18:22, 18:22] = 0.5
    found = open_where(visible, parts, None)[0, 0, 0]
    assert found[20, 20] > 0.9
    assert found[12, 12] == 0


def test_smoothing_keeps_a_constant_and_is_the_same_along_both_axes():
    picture = torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(smooth(flat(0.4)[0], 2.0), flat(0.4)[0])
    torch.testing.assert_close(smooth(picture.mT, 1.3), smooth(picture, 1.3).mT)

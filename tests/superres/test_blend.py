from itertools import pairwise, product

import torch

from superres.blend import blend, calmed, doubted, enlarge, known_mean, missing, unsure
from vlogger.pixels import shrink


def pictures(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_the_blend_of_the_truth_is_the_truth():
    truth = pictures(0, 1, 2, 3, 64, 64)
    everywhere = torch.ones(1, 2, 1, 64, 64)
    for factor in (2, 4):
        assert torch.allclose(blend(shrink(truth, factor), truth, everywhere), truth, atol=1e-5)


def test_with_a_faulty_small_video_the_blend_is_still_closer_than_bicubic():
    truth = pictures(0, 1, 1, 3, 64, 64)
    small = shrink(truth, 4) + 0.05 * (pictures(1, 1, 1, 3, 16, 16) - 0.5)
    error = (blend(small, truth, torch.ones(1, 1, 1, 64, 64)) - truth).abs().mean()
    assert error < 0.2 * (enlarge(small, 4) - truth).abs().mean()


def test_where_nothing_is_known_the_blend_is_bicubic():
    small, nothing = pictures(0, 2, 1, 3, 16, 16), torch.zeros(2, 1, 1, 32, 32)
    assert torch.equal(blend(small, torch.zeros(2, 1, 3, 32, 32), nothing), enlarge(small, 2))


def test_a_warp_of_other_colours_is_not_believed():
    truth = pictures(0, 1, 1, 3, 32, 32) * 0.2
    small, everywhere = shrink(truth, 2), torch.ones(1, 1, 1, 32, 32)
    assert (blend(small, truth + 0.8, everywhere) - enlarge(small, 2)).abs().max() < 1e-3


def test_the_mean_of_the_known_is_taken_over_the_known():
    warped, visible = pictures(0, 1, 1, 3, 8, 8), (pictures(1, 1, 1, 1, 8, 8) > 0.5).float()
    visible[..., :4, :4] = 0
    visible[..., 0, 5] = 1
    small = pictures(2, 1, 1, 3, 2, 2)
    mean = known_mean(warped * visible, visible, small)
    known = visible[0, 0, 0, :4, 4:] > 0
    for channel in range(3):  # a loop a child could check, in the square of the upper right
        seen = warped[0, 0, channel, :4, 4:][known]
        assert torch.isclose(mean[0, 0, channel, 0, 1], seen.mean(), atol=1e-4)


def test_a_uniform_colour_error_next_to_the_unknown_leaves_no_edge():
    small, visible = torch.full((1, 1, 3, 8, 8), 0.5), torch.zeros(1, 1, 1, 16, 16)
    visible[..., :8] = 1
    mixed = blend(small, 0.53 * visible.expand(1, 1, 3, 16, 16), visible)
    assert (mixed[..., :, :9] - 0.5).abs().max() < 0.005


def test_the_surroundings_of_a_guess_are_unsure():
    visible = torch.ones(1, 1, 80, 80)
    visible[..., 36:44, 36:44] = 0.5
    free = unsure(visible, 3, 2)[0, 0]
    assert free.shape == (40, 40)
    assert free[18:22, 18:22].min() == 1
    assert 0 < free[13, 20] < 1
    assert free[20, 30] == 0
    assert free[5, 5] == 0
    assert torch.equal(unsure(torch.ones(1, 1, 8, 8), 3, 2), torch.zeros(1, 1, 4, 4))


def doubts_one_by_one(small, warped, visible, tolerance):
    """`doubted` as loops a child could check."""
    _, _, h, w = small.shape
    factor, places = warped.shape[-1] // w, list(product(range(h), range(w)))
    known, apart = {}, {}
    for y, x in places:
        square = (..., slice(factor * y, factor * (y + 1)), slice(factor * x, factor * (x + 1)))
        known[y, x] = visible[square].min() == 1
        apart[y, x] = known[y, x] * (warped[square].mean((-1, -2))[0] - small[0, :, y, x])

    def mean(values, y, x, reach):
        near = [values[i, j] for i, j in places if abs(i - y) <= reach and abs(j - x) <= reach]
        return torch.stack(near).mean(0)

    worst = {(y, x): mean(apart, y, x, 2).abs().max() for y, x in places}
    result = torch.zeros(1, 1, h, w)
    for y, x in places:
        result[0, 0, y, x] = known[y, x] * (mean(worst, y, x, 7) / tolerance - 1).clamp(0, 1)
    return result


def test_doubt_is_what_loops_find():
    warped, visible = pictures(0, 1, 3, 40, 40), torch.ones(1, 1, 40, 40)
    visible[..., 5:9, 3:14], visible[..., 15, 15] = 0.5, 0
    small = (shrink(warped, 2) + 0.01 * torch.arange(20) * pictures(1, 1, 3, 20, 20)).clamp(0, 1)
    doubt = doubted(small, warped, visible, 0.03)
    assert torch.allclose(doubt, doubts_one_by_one(small, warped, visible, 0.03), atol=1e-4)
    assert 0 < doubt.mean() < 1


def test_finer_detail_and_holes_are_no_doubt():
    warped, visible = pictures(0, 1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    visible[..., 20:40, 20:40] = 0
    checks = 0.1 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))  # 25 grey levels, up and down
    other = shrink(warped, 2) + checks
    other[..., 11:19, 11:19] = 1
    assert doubted(other, warped, visible, 0.03).max() == 0
    assert doubted(other + 0.08, warped, visible, 0.03)[..., :8, :8].min() == 1


def test_the_surroundings_of_a_doubt_are_unsure():
    doubt = torch.zeros(1, 1, 40, 40)
    doubt[..., 20, 20] = 0.6
    free = unsure(torch.ones(1, 1, 80, 80), 3, 2, doubt)[0, 0]
    assert torch.isclose(free[20, 20], torch.tensor(0.6))
    assert 0 < free[14, 20] < 0.6
    assert free[20, 28] == 0


def guessed_pictures(factor: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """warped (1 1 3 64 64), coloured everywhere, a guess in a square of 32 pixels."""
    guessed = torch.zeros(1, 1, 1, 16 * factor, 16 * factor)
    guessed[..., 4 * factor : 12 * factor, 4 * factor : 12 * factor] = 1
    return pictures(0, 1, 1, 3, 16 * factor, 16 * factor), torch.ones_like(guessed), guessed


def test_specks_of_a_guess_are_calmed_and_its_colour_is_the_painters():
    warped, coloured, guessed = guessed_pictures()
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    specks = 0.2 * (1 - 2.0 * ((rows + columns) % 2))
    drawn = 0.3 + 0.4 * shrink(warped, 4)
    warped = 0.3 + 0.4 * warped
    small = calmed(drawn + 0.05 + specks, warped, coloured, guessed)
    inside = shrink(guessed, 4)[0, 0, 0] == 1
    assert torch.allclose(small[..., inside], (drawn + 0.05)[..., inside], atol=1e-5)
    assert torch.equal(small[..., ~inside], (drawn + 0.05 + specks)[..., ~inside])


def test_nothing_is_calmed_where_the_photo_or_nobody_knows():
    warped, coloured, guessed = guessed_pictures()
    small = pictures(1, 1, 1, 3, 16, 16)
    assert torch.equal(calmed(small, warped, coloured, 0 * guessed), small)
    assert torch.equal(calmed(small, warped, 0 * coloured, guessed), small)


def test_nothing_is_missing_from_a_picture_with_the_right_means_and_each_step_comes_nearer():
    truth = torch.rand(1, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for factor in (2, 4):
        small = shrink(truth, factor)
        assert missing(truth, small).abs().max() < 1e-6
        picture, far = enlarge(small, factor), []
        for _ in range(4):
            far.append((shrink(picture, factor) - small).abs().max())
            picture = picture + missing(picture, small)
        assert all(after < 0.6 * before for before, after in pairwise(far))

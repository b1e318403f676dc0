import numpy as np
import pytest
import torch

from superres.blend import PICTURES, SCALE, blend, enlarge
from superres.data import SharpenTask, half_as_fine
from superres.degrade import Degradation, compressed, displaced
from superres.loss import SharpLoss, report
from superres.stray import Straying
from vlogger.errors import UserError
from vlogger.pixels import shrink
from vlogger.pools import write_made_pool
from vlogger.types import seeded

NOTHING = Degradation(0, 0, 0, 0, 0, 0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pools of the painter's size and of four times that, clips of two frames."""
    folder = tmp_path_factory.mktemp("pools")
    for size in (32, 128):
        write_made_pool(folder / str(size), n=6, t=2, size=size, generator=seeded(size))
    return folder


def task(folder, **settings) -> SharpenTask:
    return SharpenTask(
        **{"folder": str(folder), "small": 32, "sizes": (64, 128), "crop": 32, "batch_size": 3, **settings}
    )


def test_one_large_pool_teaches_both_factors(folder):
    teaching, generator = task(folder), seeded(0)
    assert {size: [s.shrink for s in of_size] for size, of_size in teaching.sources.items()} == {64: [2], 128: [1]}
    sides = set()
    for _ in range(8):
        batch = teaching.batch(generator)
        assert batch.clean.shape == (3, 1, 3, 32, 32)
        assert batch.weight.min() >= 1
        sides.add(batch.condition["small"].shape[-1])
    assert sides == {8, 16}


def test_batches_of_clips_have_frames(folder):
    assert task(folder, frames=2).batch(seeded(0)).clean.shape == (3, 2, 3, 32, 32)


@pytest.mark.parametrize("straying", [None, Straying(spared=0)])
def test_blend_and_residual_make_the_truth_that_the_small_video_shows(folder, straying):
    batch = task(folder, degradation=NOTHING, straying=straying).batch(seeded(0))
    truth = blend(*(batch.condition[name] for name in PICTURES)) + SCALE * batch.clean
    factor = 32 // batch.condition["small"].shape[-1]
    assert torch.allclose(shrink(truth, factor), batch.condition["small"], atol=1e-5)
    assert truth.min() > -1e-5
    assert truth.max() < 1 + 1e-5


@pytest.fixture
def painted_folder(tmp_path):
    """A pool whose painter painted the truth, two grey levels too dark; and one without pictures of a painter."""
    write_made_pool(tmp_path / "bare", n=6, t=1, size=128, generator=seeded(4))
    pool = write_made_pool(tmp_path / "painted", n=6, t=1, size=128, generator=seeded(5))
    small = shrink(torch.from_numpy(pool.target.copy()).float(), 4).round().sub(2).clamp(0, 255)
    np.save(tmp_path / "painted" / "painted.npy", small.numpy().astype(np.uint8))
    return tmp_path


def test_painted_samples_are_shown_as_they_were_painted_with_their_own_warp(painted_folder):
    teaching = task(painted_folder / "painted", straying=Straying(spared=0), painted=1.0)
    for crops in (teaching.validation()[0], teaching.validation()[-1]):
        truth = blend(*(crops.condition[name] for name in PICTURES)) + SCALE * crops.clean
        factor = truth.shape[-1] // crops.condition["small"].shape[-1]
        far = crops.condition["small"] - shrink(truth, factor)
        assert torch.allclose(far, torch.full_like(far, -2 / 255), atol=0.6 / 255)
    plain = task(painted_folder / "painted", straying=None).validation()[0]
    assert torch.equal(teaching.validation()[0].condition["warped"], plain.condition["warped"])


def test_a_calm_training_sees_what_a_calm_stage_shows(painted_folder):
    """Guesses that are the truth: the small picture keeps its colour and is not changed otherwise, but for rounding."""
    folder = painted_folder / "painted"
    visible = np.load(folder / "visible.npy")
    np.save(folder / "visible.npy", np.where(visible == 255, 128, visible))
    np.save(folder / "warped.npy", np.load(folder / "target.npy"))
    bare, calm = (task(folder, painted=1.0, calm=calm).validation()[0].condition["small"] for calm in (False, True))
    assert not torch.equal(bare, calm)
    assert torch.allclose(bare, calm, atol=2 / 255)


def test_some_samples_are_painted_and_pools_without_are_taught_as_before(painted_folder):
    batch = task(painted_folder / "painted", degradation=NOTHING, painted=0.5, batch_size=16).batch(seeded(0))
    truth = blend(*(batch.condition[name] for name in PICTURES)) + SCALE * batch.clean
    far = batch.condition["small"] - shrink(truth, truth.shape[-1] // batch.condition["small"].shape[-1])
    true = far.abs().flatten(1).amax(1) < 1e-5
    assert 0 < true.sum() < 16
    both = task(painted_folder, painted=0.5)
    assert {len(of_size) for of_size in both.sources.values()} == {2}
    assert all(torch.isfinite(both.batch(seeded(i)).clean).all() for i in range(4))


def test_pictures_of_the_painter_that_are_not_there_or_of_another_size_are_refused(painted_folder):
    with pytest.raises(UserError, match="dataset=painted"):
        task(painted_folder / "bare", painted=0.5)
    with pytest.raises(UserError, match="16 pixels"):
        task(painted_folder / "painted", small=16, sizes=(64,), painted=0.5)


def test_same_chance_same_batch_and_validation_never_changes(folder):
    teaching = task(folder)
    assert torch.equal(teaching.batch(seeded(2)).clean, teaching.batch(seeded(2)).clean)
    for one, two in zip(teaching.validation(), teaching.validation(), strict=True):
        assert torch.equal(one.clean, two.clean)


def test_nobody_is_both_taught_and_validated(folder):
    source = task(folder).sources[128][0]
    assert set(source.samples(True)).isdisjoint(source.samples(False))
    assert len(source.samples(True)) + len(source.samples(False)) == 6


def test_a_folder_without_large_pictures_is_refused(folder):
    with pytest.raises(UserError, match="No pool"):
        task(folder / "32")


def test_degradation_of_nothing_is_nothing_and_of_something_is_not_much():
    small, delicate = torch.rand(2, 3, 3, 16, 16, generator=seeded(0)), torch.zeros(2, 3, 1, 16, 16)
    assert torch.equal(NOTHING(small, delicate, seeded(1)), small)
    smooth = torch.linspace(0.2, 0.8, 16).expand(2, 3, 3, 16, 16)
    error = (Degradation(spared=0)(smooth, delicate, seeded(1)) - smooth).abs()
    assert 0.001 < error.mean() < 0.1


def test_displacement_moves_by_pixels():
    ramp = torch.arange(16.0).expand(1, 1, 1, 16, 16)
    moved = displaced(ramp, torch.tensor([0.5, 0.0]).view(1, 1, 2, 1, 1).expand(1, 1, 2, 4, 4))
    assert torch.allclose(moved[..., 4:-4], ramp[..., 4:-4] + 0.5, atol=1e-4)


def test_compression_of_no_coarseness_changes_nothing_and_never_the_mean():
    picture = torch.rand(1, 1, 3, 16, 16, generator=seeded(0))
    none, much = torch.zeros(1, 1, 1, 1, 1), torch.full((1, 1, 1, 1, 1), 3.0)
    assert torch.allclose(compressed(picture, none, seeded(0)), picture, atol=1e-5)
    coarse = compressed(picture, much, seeded(0))
    assert (coarse - picture).abs().mean() > 0.05
    assert torch.allclose(coarse.mean((-1, -2)), picture.mean((-1, -2)), atol=1e-5)


def test_loss_is_nothing_for_the_truth_and_counts_level_and_edges():
    clean, weight = torch.randn(1, 1, 3, 8, 8), torch.ones(1, 1, 1, 8, 8)
    assert SharpLoss()(clean, clean, weight)["loss"] == 0
    lifted = SharpLoss()(clean + 1, clean, weight)
    assert torch.isclose(lifted["value"], torch.tensor(1.0))
    assert lifted["edges"] < 1e-5


def test_the_coarse_loss_hears_means_of_two_by_two_pixels_alone():
    clean, weight = torch.randn(1, 1, 3, 8, 8, generator=seeded(0)), torch.ones(1, 1, 1, 8, 8)
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2 - 1.0
    fine, level = (SharpLoss(coarse=1)(clean + error, clean, weight) for error in (board, torch.ones(8, 8)))
    assert fine["coarse"] < 1e-5
    assert torch.isclose(fine["loss"], SharpLoss()(clean + board, clean, weight)["loss"])
    assert torch.isclose(level["coarse"], torch.tensor(1.0))
    assert torch.isclose(level["loss"], torch.tensor(2.0), atol=1e-4)


def test_a_warp_half_as_fine_is_the_one_that_an_exact_stage_of_half_the_size_enlarges():
    warped = torch.rand(2, 1, 3, 32, 32, generator=seeded(0))
    visible = torch.ones(2, 1, 1, 32, 32)
    visible[..., 8:16, 8:16] = 0
    colour, known = half_as_fine(warped * visible, visible, 1.0, seeded(1))
    assert torch.equal(known, visible)
    whole = enlarge(shrink(warped, 2), 2)
    assert torch.allclose(colour[..., 20:, :], whole[..., 20:, :], atol=1e-5)
    same = half_as_fine(warped, visible, 0.0, seeded(1))
    assert torch.equal(same[0], warped)
    some, _ = half_as_fine(warped.expand(2, 8, 3, 32, 32).flatten(0, 1)[:, None], visible[:1], 0.5, seeded(1))
    assert 0 < (some.flatten(1) == warped[:1].flatten(1)).all(1).sum() < 8


def test_only_the_largest_factor_is_taught_with_warps_half_as_fine(folder):
    plain, halved = (task(folder, degradation=NOTHING, halved=share).validation() for share in (0.0, 1.0))
    for one, other in zip(plain, halved, strict=True):
        same = torch.equal(one.condition["warped"], other.condition["warped"])
        assert same == (one.clean.shape[-1] != 4 * one.condition["small"].shape[-1])


def test_a_size_that_is_named_twice_is_taught_twice_as_often(folder):
    teaching, generator = task(folder, sizes=(64, 128, 128), batch_size=1), seeded(0)
    large = sum(teaching.batch(generator).condition["small"].shape[-1] == 8 for _ in range(60))
    assert 30 <= large <= 50


def test_report_knows_bicubic_and_blend(folder):
    batch = task(folder, degradation=NOTHING).validation()[-1]
    values = report(torch.zeros_like(batch.clean), batch)
    assert values["psnr_4x"] == values["psnr_4x_blend"] > values["psnr_4x_bicubic"]
    assert report(batch.clean, batch)["psnr_4x"] > 90


def test_a_warp_that_strays_is_another_warp_of_the_same_truth(folder):
    straight, astray = (task(folder, degradation=NOTHING, straying=s) for s in (None, Straying(spared=0)))
    one, other = straight.batch(seeded(0)), astray.batch(seeded(0))
    assert torch.equal(one.condition["small"], other.condition["small"])
    assert not torch.equal(one.condition["warped"], other.condition["warped"])


def test_only_the_shrunken_truth_is_exact(folder):
    for degradation, exact in ((NOTHING, 1), (Degradation(spared=0), 0)):
        batch = task(folder, degradation=degradation, straying=Straying()).batch(seeded(0))
        assert batch.condition["exact"].tolist() == [[[[[exact]]]]] * 3

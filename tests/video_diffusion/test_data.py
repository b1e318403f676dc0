"""Laws of the painter's training data."""

import pytest
import torch

from video_diffusion.data import Augmentation, PoolTask, flipped, punched
from video_diffusion.loss import Emphasis
from vlogger.body.parts import PARTS
from vlogger.diffusion.loss import drop
from vlogger.errors import UserError
from vlogger.pools import write_made_pool
from vlogger.types import seeded

NOTHING = Augmentation(flip=0, brightness=0, contrast=0, colour=0, holes=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pools")
    write_made_pool(path / "stills", 12, 1, 16, seeded(0))
    write_made_pool(path / "clips", 6, 5, 16, seeded(1))
    return path


def task(folder, batch_size=4, augmentation=NOTHING, **settings) -> PoolTask:
    return PoolTask(str(folder), batch_size, augmentation, Emphasis(), **{"held_out": 0.25, **settings})


def sample_of(folder, **settings) -> dict[str, torch.Tensor]:
    batch = task(folder, **settings).batch(seeded(3))
    return {"clean": batch.clean, **batch.condition}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_depends_on_its_generator_alone(folder):
    made = task(folder, augmentation=Augmentation())
    first, other = made.batch(seeded(1)), made.batch(seeded(2))
    again = task(folder, augmentation=Augmentation()).batch(seeded(1))
    assert torch.equal(first.clean, again.clean) and equal(dict(first.condition), dict(again.condition))
    assert not torch.equal(first.clean, other.clean)


def test_shapes_and_ranges(folder):
    batch = task(folder, frames=3, augmentation=Augmentation()).batch(seeded(0))
    assert batch.clean.shape == (4, 3, 3, 16, 16) and batch.weight.shape == (4, 3, 1, 16, 16)
    assert batch.condition["parts"].shape == (4, 3, len(PARTS), 16, 16)
    assert batch.condition["photo_parts"].shape == (4, len(PARTS), 16, 16)
    assert all(value.abs().max() <= 1 for value in (batch.clean, *batch.condition.values()))
    assert batch.condition["parts"].sum(dim=2).max() == 1
    assert (batch.condition["warped"] * (1 - batch.condition["visible"])).abs().max() == 0


def test_flipping_twice_changes_nothing(folder):
    sample = sample_of(folder)
    chosen = torch.tensor([True, False, True, True])
    once = flipped(sample, chosen)
    assert equal(flipped(once, chosen), sample)
    assert torch.equal(once["clean"][1], sample["clean"][1])
    assert torch.equal(once["clean"][0], sample["clean"][0].flip(-1))


def test_a_flip_swaps_left_and_right_parts_and_mirrors_the_surface(folder):
    sample = sample_of(folder)
    sample["parts"] = torch.zeros_like(sample["parts"])
    sample["parts"][:, :, PARTS.index("left_arm"), 2, 3] = 1
    once = flipped(sample, torch.ones(4, dtype=torch.bool))
    assert once["parts"].sum() == 4
    assert (once["parts"][:, :, PARTS.index("right_arm"), 2, 16 - 1 - 3] == 1).all()
    assert torch.equal(once["surface"][:, :, 0], -sample["surface"][:, :, 0].flip(-1))
    assert torch.equal(once["surface"][:, :, 1:], sample["surface"][:, :, 1:].flip(-1))


def test_tints_keep_the_warp_equal_to_the_target(folder):
    sample = sample_of(folder)
    sample["warped"] = sample["clean"] * sample["visible"]
    tinted = Augmentation(brightness=0.3, contrast=0.3, colour=0.3).tinted(sample, seeded(0))
    assert torch.equal(tinted["warped"], tinted["clean"] * tinted["visible"])
    assert not torch.equal(tinted["clean"], sample["clean"])


def test_holes_are_forgotten_in_all_frames(folder):
    sample = sample_of(folder, frames=3)
    kept = Augmentation(holes=1, hole_size=8).random_holes(sample["visible"], seeded(0))
    holed = punched(sample, kept)
    gone = (kept == 0).expand_as(sample["visible"])
    assert gone.flatten(1).any(dim=1).all()
    gone_colours = gone.expand_as(holed["warped"])
    assert holed["visible"][gone].max() == 0 and holed["warped"][gone_colours].abs().max() == 0
    assert torch.equal(holed["warped"][~gone_colours], sample["warped"][~gone_colours])


def test_validation_is_always_the_same_and_never_trained_on(folder):
    made = task(folder)
    first, second = made.validation(), task(folder).validation()
    assert len(first) == 2 and all(torch.equal(a.clean, b.clean) for a, b in zip(first, second))
    for name, rows in made.training_rows.items():
        assert not set(rows) & set(made.validation_rows[name])


def test_only_pools_with_enough_frames_are_used(folder):
    assert list(task(folder, frames=5).pools) == ["clips"]
    with pytest.raises(UserError, match="6 frames"):
        task(folder, frames=6)


def test_all_controls_are_told_until_a_training_drops_some(folder):
    batch = task(folder, batch_size=64).batch(seeded(0))
    assert batch.condition["controls"].tolist() == [1.0] * 64
    dropped = drop(batch.condition, {"controls": 0.25}, seeded(1))["controls"]
    assert set(dropped.tolist()) == {0.0, 1.0} and 4 <= (dropped == 0).sum() <= 28


def test_share_chooses_the_pools(folder):
    only = task(folder, share={"clips": 1, "stills": 0})
    assert only.chances.tolist() == [1.0, 0.0]
    assert torch.equal(only.batch(seeded(0)).clean, task(folder / "clips").batch(seeded(0)).clean)
    with pytest.raises(UserError, match="no pool named nobody"):
        task(folder, share={"nobody": 1.0})

"""Pools: what is written is read, also while it is being written."""

import numpy as np
import pytest
import torch

from vlogger.body.parts import PARTS
from vlogger.errors import UserError
from vlogger.pools import FIELDS, NO_BODY, Pool, PoolWriter, pools_in, write_made_pool


def made_sample(rng: np.random.Generator, t: int = 2, size: int = 8) -> dict[str, np.ndarray]:
    shapes = {"target": (t, 3), "warped": (t, 3), "visible": (t, 1), "surface": (t, 3), "parts": (t,)}
    shapes |= {"photo": (3,), "photo_surface": (3,), "photo_parts": ()}
    limits = {name: np.iinfo(kind) for name, kind in FIELDS.items()}
    return {
        name: rng.integers(limits[name].min, limits[name].max + 1, (*shape, size, size), dtype=FIELDS[name])
        for name, shape in shapes.items()
    }


def test_roundtrip(tmp_path):
    rng = np.random.default_rng(0)
    samples = [made_sample(rng) for _ in range(40)]
    with PoolWriter(tmp_path / "a", {"licence": "CC0-1.0"}) as writer:
        for index, sample in enumerate(samples):
            writer.add(person=f"p{index}", **sample)
    pool = Pool(tmp_path / "a")
    assert len(pool) == 40 and pool.frames == 2 and pool.meta["licence"] == "CC0-1.0"
    for index, sample in enumerate(samples):
        for name, array in sample.items():
            assert np.array_equal(getattr(pool, name)[index], array)
    assert list(pools_in(tmp_path)) == list(pools_in(tmp_path / "a")) == ["a"]


def test_a_pool_can_be_read_while_it_is_written(tmp_path):
    rng = np.random.default_rng(0)
    writer = PoolWriter(tmp_path / "a", {})
    with pytest.raises(UserError, match="no pool"):
        pools_in(tmp_path)
    samples = [made_sample(rng) for _ in range(5)]
    for sample in samples:
        writer.add(**sample)
    writer.flush()
    early = Pool(tmp_path / "a")
    writer.add(**made_sample(rng))
    assert len(early) == 5 and np.array_equal(early.target[4], samples[4]["target"])
    writer.close()
    assert len(Pool(tmp_path / "a")) == 6


def test_a_sample_of_another_shape_or_type_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    with PoolWriter(tmp_path, {}) as writer:
        writer.add(**made_sample(rng))
        with pytest.raises(AssertionError, match="shape"):
            writer.add(**made_sample(rng, size=9))
        with pytest.raises(AssertionError, match="target is float64"):
            writer.add(**{**made_sample(rng), "target": np.zeros((2, 3, 8, 8))})
    assert len(Pool(tmp_path)) == 1


def test_persons_are_held_out_whole_and_always_the_same(tmp_path):
    rng = np.random.default_rng(0)
    with PoolWriter(tmp_path, {}) as writer:
        for index in range(60):
            writer.add(person=f"p{index % 20}", **made_sample(rng, 1, 8))
    away = Pool(tmp_path).held_out(0.1)
    people = np.arange(60) % 20
    assert len(set(people[away])) == 2
    assert not set(people[away]) & set(people[~away])
    assert np.array_equal(away, Pool(tmp_path).held_out(0.1))


def test_of_a_single_person_the_last_samples_are_held_out(tmp_path):
    rng = np.random.default_rng(0)
    with PoolWriter(tmp_path, {}) as writer:
        for _ in range(10):
            writer.add(**made_sample(rng, 1, 8))
    assert Pool(tmp_path).held_out(0.2).tolist() == [False] * 8 + [True] * 2


def test_a_made_pool_is_filled_sensibly_and_repeats(tmp_path):
    pool = write_made_pool(tmp_path / "a", 3, 2, 32, torch.Generator().manual_seed(0))
    again = write_made_pool(tmp_path / "b", 3, 2, 32, torch.Generator().manual_seed(0))
    assert all(np.array_equal(getattr(pool, name), getattr(again, name)) for name in FIELDS)
    assert set(np.unique(pool.parts)) == {PARTS.index("head"), PARTS.index("lips"), PARTS.index("teeth"), NO_BODY}
    known = np.broadcast_to(pool.visible > 0, pool.target.shape)
    assert (pool.warped[~known] == 0).all()
    assert np.mean(pool.warped[known] == pool.target[known]) > 0.9


def test_a_folder_that_is_no_pool_is_named(tmp_path):
    with pytest.raises(UserError, match=r"meta\.json"):
        Pool(tmp_path)

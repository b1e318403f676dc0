"""`curate dataset=painted`: the painter's pictures of a pool, kept in it."""

import numpy as np
import pytest
import torch

from video_diffusion.network import Painter
from video_diffusion.sample import DiffusionPainter
from video_diffusion.schedule import ddim
from vlogger.curation.painted import PaintedPool
from vlogger.curation.pool_clip import PoolClip
from vlogger.pixels import shrink
from vlogger.pools import Pool, write_made_pool
from vlogger.types import seeded


@pytest.fixture
def pool(tmp_path) -> Pool:
    return write_made_pool(tmp_path / "pool", n=3, t=2, size=32, generator=seeded(0))


def painter() -> DiffusionPainter:
    """Of fresh weights, which change nothing: it shows the warp."""
    torch.manual_seed(0)
    network = Painter(widths=(16, 32), embedding=16).eval().requires_grad_(False)
    return DiffusionPainter(network, ddim(), steps=1, window=2, overlap=1)


def test_a_pool_keeps_what_the_painter_made_of_each_sample(pool):
    assert pool.painted is None
    PaintedPool(str(pool.folder), painter(), size=16, seed=0)()
    made = Pool(pool.folder).painted
    assert made is not None
    assert made.shape == (3, 2, 3, 16, 16)
    clip = PoolClip(pool, 1, 16)
    alone = torch.cat([video.frames for video in painter()(clip, generator=seeded(1))])
    assert np.array_equal(made[1], alone.numpy())
    known = clip.all.visible[:, 0] == 1
    far = (torch.from_numpy(made[1]) / 255 - clip.all.warped).abs().amax(1)
    assert far[known].mean() < 0.05


def test_a_pool_written_anew_forgets_what_was_painted_of_the_old_one(pool):
    PaintedPool(str(pool.folder), painter(), size=16, seed=0)()
    assert write_made_pool(pool.folder, n=4, t=2, size=32, generator=seeded(1)).painted is None


def test_a_pool_seen_smaller_is_its_pictures_shrunk(pool):
    clip, truth = PoolClip(pool, 2, 16), torch.from_numpy(pool.target[2].copy()) / 255
    assert torch.allclose(clip.truth, shrink(truth, 2))
    everywhere = PoolClip(pool, 2, 32)
    assert torch.equal(everywhere.all.visible > 0, torch.from_numpy(pool.visible[2].copy()) > 64)
    assert clip[1:2].warped.shape == (1, 3, 16, 16)

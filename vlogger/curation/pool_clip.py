"""A sample of a pool as the stages see it: controls at the pool's size or a whole number of times smaller."""

import torch
from torch import Tensor

from render.shrink import shrunk
from video_diffusion.data import one_hot
from vlogger.pixels import shrink
from vlogger.pools import Pool
from vlogger.types import Controls


class PoolClip:
    """The controls of sample `index` at `size` pixels (a `vlogger.stages.ControlSequence`), and its `truth` (t 3 h w).

    Where they are shrunk they are means, as `render.shrink` makes them; maps are those of one of a pixel's own.
    """

    def __init__(self, pool: Pool, index: int, size: int, fps: float = 25.0):
        factor = pool.target.shape[-1] // size
        every = slice(factor // 2, None, factor)

        def read(name: str) -> Tensor:
            return torch.from_numpy(getattr(pool, name)[index].copy())

        def picture(name: str) -> Tensor:
            return read(name).float() / 255

        self.size, self.fps = size, fps
        self.truth, self.photo = shrink(picture("target"), factor), shrink(picture("photo"), factor)
        visible, everywhere = (2 * picture("visible")).round() / 2, torch.ones_like(picture("visible"))
        surface, parts = read("surface") / 127, one_hot(read("parts"))
        fine = Controls(surface, parts, picture("warped") * (visible > 0), visible, everywhere, fps)
        maps = (surface[..., every, every], parts[..., every, every])
        warped, visible, _ = shrunk(fine, factor)
        self.all = Controls(*maps, warped, visible, torch.ones_like(visible), fps)
        own = [read(name)[..., every, every] for name in ("photo_surface", "photo_parts")]
        known, still = torch.ones_like(visible[:1]), self.photo[None]
        self.reference = Controls(own[0][None] / 127, one_hot(own[1][None]), still, known, known, fps)

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, frames: slice) -> Controls:
        return self.all[frames]

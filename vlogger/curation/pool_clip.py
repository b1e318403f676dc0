"""A sample of a pool as the stages see it: controls at the pool's size or a whole number of times smaller."""

import torch
from torch import Tensor

from superres.blend import has_colour, shrink
from video_diffusion.data import one_hot
from vlogger.pools import Pool
from vlogger.types import Controls


class PoolClip:
    """The controls of sample `index` at `size` pixels (a `vlogger.stages.ControlSequence`), and its `truth` (t 3 h w).

    Where they are shrunk, a pixel is known, guessed or neither as most of its pixels are; maps and guesses are those of
    one of them, because a small drawing sees but one point of each pixel.
    """

    def __init__(self, pool: Pool, index: int, size: int, fps: float = 25.0):
        factor = pool.target.shape[-1] // size
        every = slice(factor // 2, None, factor)

        def read(name: str) -> Tensor:
            return torch.from_numpy(getattr(pool, name)[index].copy())

        def pictures(name: str) -> Tensor:
            return shrink(read(name).float() / 255, factor)

        self.size, self.fps = size, fps
        self.truth, self.photo = pictures("target"), pictures("photo")
        visible, coloured = read("visible"), has_colour(read("visible") / 255)
        share = shrink(coloured, factor)
        warped = shrink(read("warped").float() / 255 * coloured, factor) / share.clamp(min=1e-3)
        told = 0.5 * (shrink((visible == 255).float(), factor) > 0.5) + 0.5 * (share > 0.5)
        one = coloured[..., every, every] * (told == 0.5)
        warped = warped.lerp(read("warped")[..., every, every] / 255, one)
        surface, parts = (read(name)[..., every, every] for name in ("surface", "parts"))
        own = [read(name)[..., every, every] for name in ("photo_surface", "photo_parts")]
        self.all = Controls(surface / 127, one_hot(parts), warped * (told > 0), told, torch.ones_like(told), fps)
        known, still = torch.ones_like(told[:1]), self.photo[None]
        self.reference = Controls(own[0][None] / 127, one_hot(own[1][None]), still, known, known, fps)

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, frames: slice) -> Controls:
        return self.all[frames]

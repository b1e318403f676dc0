"""What the painter makes of a pool's controls, kept beside them: the small pictures that the sharpener is to expect."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vlogger.curation.pool_clip import PoolClip
from vlogger.io import whole
from vlogger.pools import PAINTED, Pool
from vlogger.stages import ControlsToVideo
from vlogger.types import seeded


@dataclass(frozen=True)
class PaintedPool:
    """`curate dataset=painted`: every sample of the pool `data` painted at `size` pixels, as `PAINTED` in it."""

    data: str
    paint: ControlsToVideo
    size: int
    seed: int

    def __call__(self) -> None:
        pool = Pool(self.data)
        made = np.stack([self.painted(pool, index) for index in tqdm(range(len(pool)), desc="paint")])
        with whole(Path(self.data) / f"{PAINTED}.npy") as path:
            np.save(path, made)

    @torch.inference_mode()
    def painted(self, pool: Pool, index: int) -> np.ndarray:
        """t 3 h w uint8"""
        clips = self.paint(PoolClip(pool, index, self.size), generator=seeded(self.seed + index))
        return torch.cat([clip.frames for clip in clips]).numpy()

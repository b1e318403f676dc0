"""What the painter leaves alone: where the photo is seen, its colours are right.

Known pixels come from the photo through the warp; a network that may change everything learns the looks of the persons
that it was trained on, and lays them like a haze on others. Where controls are means of a large drawing, known pixels
are as sharp as the photo, too, and corrections are taken only where the warp knows nothing or guesses. For a painter
that was shown small drawings, which hit or miss what is narrow, they may be mended: a correction is taken whole at
mouth and eyes as well, and elsewhere without its smooth part. (VLOGGER 3.2 has no such step; measured in
docs/paint.md.)
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from video_diffusion.regions import DETAILS, dilated, region

MARGIN = 3  # pixels around mouth and eyes, where corrections are taken whole unless `fine` is None
SOFT = 1.0  # pixels, standard deviation of the border


def open_where(visible: Tensor, parts: Tensor, fine: float | None) -> Tensor:
    """visible (b t 1 h w) 1, 0.5 (a guess) or 0, one-hot parts (b t k h w) -> (b t 1 h w) from 0, known, to 1, open:
    holes and guesses, and, unless `fine` is None, all of mouth and eyes."""
    free = dilated(2 * (1 - visible).clamp(max=0.5), 1)
    if fine is not None:
        free = torch.maximum(free, dilated(region(parts, DETAILS), MARGIN))
    return smooth(free.flatten(0, 1), SOFT).clamp(0, 1).unflatten(0, visible.shape[:2])


def mended(correction: Tensor, open_: Tensor, fine: float | None) -> Tensor:
    """A correction (b t 3 h w); where not `open_` (b t 1 h w) without what is smoother than `fine` pixels: 0 takes
    nothing away, None everything."""
    if fine is None:
        return open_ * correction
    if fine == 0:
        return correction
    coarse = smooth(correction.flatten(0, 1), fine).unflatten(0, correction.shape[:2])
    return correction - (1 - open_) * coarse


def smooth(pictures: Tensor, deviation: float) -> Tensor:
    """(n c h w) under a Gaussian of so many pixels, the border repeated."""
    reach = round(2.5 * deviation)
    place = torch.arange(-reach, reach + 1, device=pictures.device, dtype=pictures.dtype)
    weight = torch.exp(-((place / deviation) ** 2) / 2)
    weight = (weight / weight.sum()).expand(pictures.shape[1], 1, 1, -1)
    wide = F.pad(pictures, (reach,) * 4, mode="replicate")
    rows = F.conv2d(wide, weight, groups=pictures.shape[1])
    return F.conv2d(rows, weight.transpose(2, 3), groups=pictures.shape[1])

"""A large drawing becomes small controls: the means of its pixels, without the holes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vlogger.pixels import shrink
from vlogger.types import Controls


def shrunk(controls: Controls, factor: int) -> tuple[Tensor, Tensor, Tensor]:
    """`warped`, `visible` and `moved` of controls `factor` times smaller.

    A pixel is known or a guess if most of its factor x factor pixels are known, or have a colour at all, and its colour
    is the mean of those that have one. The outermost pixels stay the photo's, as in every drawing.
    """
    coloured = shrink((controls.visible > 0).float(), factor)
    known = shrink((controls.visible == 1).float(), factor)
    visible = 0.5 * (coloured > 0.5) + 0.5 * (known > 0.5)
    warped = shrink(controls.warped, factor) / coloured.clamp(min=0.5) * (coloured > 0.5)
    return warped, visible, shrink(controls.moved, factor) * inner(visible)


def inner(like: Tensor) -> Tensor:
    """(t 1 h w): 1, on the outermost pixels 0."""
    return F.pad(torch.ones_like(like[..., 1:-1, 1:-1]), (1, 1, 1, 1))

"""The picture before the network: low frequencies of the small video, high frequencies of the warped photo.

Pictures are "b t c h w" in [0, 1]. Shrinking is the mean over factor x factor pixels, enlarging is bicubic, so the two
speak of the same pixels (centres at +0.5).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from superres.degrade import blurred
from vlogger.pixels import resize, shrink

MOST = 4
"""Times the small size: the largest factor that the network is trained for."""
PICTURES = ("small", "warped", "visible")
"""Names of what `blend` and `detail` are made of, in their order."""
SCALE = 0.03
"""What is diffused is (picture - blend) / SCALE: its standard deviation is about 1, like the noise's (Karras et al.,
arXiv 2206.00364, table 1; Chen, arXiv 2301.10972, 2.2)."""


def enlarge(small: Tensor, factor: int, kind: str = "cubic") -> Tensor:
    """(..., h, w) -> (..., factor * h, factor * w)."""
    return resize(small, factor * small.shape[-2], factor * small.shape[-1], kind)


def repeated(mask: Tensor, times: int) -> Tensor:
    """(..., h, w) -> (..., times * h, times * w): each pixel becomes a square."""
    return mask.repeat_interleave(times, -2).repeat_interleave(times, -1)


def factor_of(small: Tensor, large: Tensor) -> int:
    """How many times `large` is as wide as `small`."""
    return large.shape[-1] // small.shape[-1]


def has_colour(visible: Tensor) -> Tensor:
    """`Controls.visible` -> 1 where the warp has a colour, else 0: the photo's own, or a guess of the body model, whose
    edges (teeth, lips, lids) are sharper than the small video's and believed as far as the two agree (`trust`)."""
    return (visible > 0.25).to(visible.dtype)


def uncovered(colour: Tensor, known: Tensor) -> Tensor:
    """Colours of a warp that was moved: `colour` (... 3 h w) was 0 in its holes, `known` (... 1 h w) is its mask, moved
    with it; 0 where less than half is known."""
    return torch.where(known > 0.5, colour / known.clamp(min=0.5), 0)


def known_mean(warped: Tensor, visible: Tensor, small: Tensor) -> Tensor:
    """Low frequencies of the warp (b t 3 h w, small): the mean of the known pixels of each square.

    A square with nothing known continues its neighbours' difference from `small`, so that the border of the known
    does not turn into an edge.
    """
    factor = factor_of(small, warped)
    known = shrink(visible, factor)
    difference = shrink(warped * visible, factor) - known * small
    around, weight = (F.avg_pool2d(x.flatten(0, 1), 3, 1, 1).unflatten(0, x.shape[:2]) for x in (difference, known))
    near = torch.where(known > 1e-3, difference / known.clamp(min=1e-3), around / weight.clamp(min=1e-3))
    return small + near


def trust(low: Tensor, small: Tensor, tolerance: float = 0.15) -> Tensor:
    """How far the warp's detail is believed (b t 1 h w): less where its colours disagree with the small video's."""
    return torch.exp(-(((low - small) / tolerance) ** 2).mean(dim=2, keepdim=True))


def blend(small: Tensor, warped: Tensor, visible: Tensor) -> Tensor:
    """small (b t 3 h w), warped (b t 3 H W), visible (b t 1 H W) -> (b t 3 H W): the enlarged video plus `detail`."""
    return enlarge(small, factor_of(small, warped)) + detail(small, warped, visible)


def detail(small: Tensor, warped: Tensor, visible: Tensor) -> Tensor:
    """What the warp adds (b t 3 H W): visible * trust * (warped - enlarge(mean of warped)).

    If the warp is the truth, everything is known and `small` is the shrunken truth, then the blend is the truth.
    """
    factor = factor_of(small, warped)
    low = known_mean(warped, visible, small)
    belief = visible * enlarge(trust(low, small), factor, "linear")
    return belief * (warped - enlarge(low, factor))


def missing(picture: Tensor, small: Tensor) -> Tensor:
    """What to add to `picture` (... H W) so that its means over squares are nearly `small` (... h w): one step of
    iterative back-projection (Irani & Peleg, CVGIP 53, 1991)."""
    factor = factor_of(small, picture)
    return enlarge(small - shrink(picture, factor), factor)


def unsure(visible: Tensor, reach: int, factor: int, doubt: Tensor | None = None) -> Tensor:
    """`Controls.visible` (t 1 H W) -> (t 1 h w), small: 1 where the photo's own colour is not known, or in `doubt`
    (t 1 h w), falling to 0 over twice `reach` pixels of the small video (each factor x factor large ones) around it.
    Elsewhere nothing can be better than the warped photo."""
    side, hole = 2 * reach + 1, F.max_pool2d((visible < 1).to(visible.dtype), factor)
    wide = F.max_pool2d(hole if doubt is None else torch.maximum(hole, doubt), side, 1, reach)
    return F.avg_pool2d(F.pad(wide, (reach,) * 4, mode="replicate"), side, 1)


def doubted(small: Tensor, warped: Tensor, visible: Tensor, tolerance: float) -> Tensor:
    """How much the small video contradicts the warped photo (t 1 h w): 0 where their colours are no farther apart than
    `tolerance`, 1 where they are by twice as much.

    small (t 3 h w), warped (t 3 H W) and visible (t 1 H W) in [0, 1]. Compared are means of 5 x 5 small pixels, because
    the painter changes finer detail of what the photo shows and nothing else (`video_diffusion.keep`), and over 15 x 15
    of them, because the two sizes of a warp differ by specks. What the photo does not show says nothing.
    """
    factor = factor_of(small, warped)
    known = (shrink(visible, factor) == 1).to(small.dtype)
    apart = mean_around(known * (shrink(warped, factor) - small), 5).abs().amax(1, keepdim=True)
    return (mean_around(apart, 15) / tolerance - 1).clamp(0, 1) * known


def calmed(small: Tensor, warped: Tensor, coloured: Tensor, guessed: Tensor) -> Tensor:
    """The small video (b t 3 h w) with the finest detail of the warp where that is a guess.

    warped (b t 3 H W), coloured and guessed (b t 1 H W, 0 or 1; `has_colour`, and there no colour of the photo's own).
    Teeth are narrower than a pixel of the small drawing, which shows some and misses others; painters pass that on
    as specks. The large drawing shows each, and its mean is free of them. All that 5 taps let through is the painter's.
    """
    factor = factor_of(small, warped)
    drawn, whole = shrink(warped, factor), (shrink(coloured, factor) > 0.99).to(small.dtype)
    smooth = blurred(whole * (small - drawn)) / blurred(whole).clamp(min=1e-3)
    return small.lerp((drawn + smooth).clamp(0, 1), whole * (shrink(guessed, factor) > 0.5))


def mean_around(x: Tensor, side: int) -> Tensor:
    """(n c h w) -> the mean of the side x side pixels around each, as far as there are any."""
    return F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)

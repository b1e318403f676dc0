"""Parts of a picture by what of the body they show."""

from torch import Tensor
from torch.nn import functional as F

from vlogger.body.parts import PARTS

FACE = ("head", "lips", "eyes", "teeth", "tongue")
MOUTH = ("lips", "teeth", "tongue")
DETAILS = (*MOUTH, "eyes")


def region(parts: Tensor, names: tuple[str, ...]) -> Tensor:
    """One-hot parts (b t k h w) -> (b t 1 h w), 1 where any of the named ones is seen."""
    return parts[:, :, [PARTS.index(name) for name in names]].amax(dim=2, keepdim=True)


def dilated(mask: Tensor, pixels: int) -> Tensor:
    """(b t 1 h w) grown by so many pixels to each side."""
    return F.max_pool2d(mask.flatten(0, 1), 2 * pixels + 1, 1, pixels).unflatten(0, mask.shape[:2])

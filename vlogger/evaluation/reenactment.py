"""True motion in, picture out: how close does it come to the true frames? (VLOGGER Table 3)

- PSNR [dB], better: up. Of the mean squared error over the pixels of a region, all frames of a clip together
- SSIM [1], better: up. Mean of its map over the region (Wang et al. 2004, 11 x 11 Gaussian windows)
- L1 [1], better: down. Mean absolute difference of colours in [0, 1]

Regions come from the drawn body parts of the true motion: full, face, mouth, hands, body (all parts but the face's),
within the picture (the square may stick out of it).
Baselines: the reference copied; VLOGGER's C^w over it (what the mesh carries, black where the photo does not show its
skin); the warped reference alone (C^w with the hair and the room that this project's Draw carries along); the same with
its guesses of mouth, eyes and lids, and its holes filled smoothly.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from vlogger.body.parts import PARTS

FACE = ("head", "lips", "eyes", "teeth", "tongue")
MOUTH = ("lips", "teeth", "tongue")
HANDS = ("left_hand", "right_hand")
BODY = tuple(name for name in PARTS if name not in FACE)
GROUPS = {"face": FACE, "mouth": MOUTH, "hands": HANDS, "body": BODY}
MARGIN = 2  # pixels around the mouth at a side of 128
FEWEST = 60  # pixels, over a clip, of a region that is worth measuring


def regions_of(parts: Tensor) -> dict[str, Tensor]:
    """One-hot parts (t, k, h, w) -> masks (t, 1, h, w), 1 where the region is."""
    masks = {"full": torch.ones_like(parts[:, :1])}
    for name, group in GROUPS.items():
        masks[name] = parts[:, [PARTS.index(part) for part in group]].amax(1, keepdim=True)
    reach = round(MARGIN * parts.shape[-1] / 128)
    masks["mouth"] = F.max_pool2d(masks["mouth"], 2 * reach + 1, 1, reach)
    return masks


def scores(made: Tensor, true: Tensor, masks: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Pictures (t, 3, h, w) in [0, 1] twice -> region -> psnr, ssim, l1; regions that are not seen are left out."""
    similarity = ssim_map(made, true)
    seen = {name: mask for name, mask in masks.items() if mask.sum() >= FEWEST}
    return {name: in_region(made, true, similarity, mask) for name, mask in seen.items()}


def in_region(made: Tensor, true: Tensor, similarity: Tensor, mask: Tensor) -> dict[str, float]:
    """The three numbers where the mask (t, 1, h, w) is 1."""
    count = mask.sum()
    squared = ((made - true) ** 2 * mask).sum() / (3 * count)
    return {
        "psnr": float(-10 * torch.log10(squared + 1e-10)),
        "ssim": float((similarity * mask).sum() / count),
        "l1": float(((made - true).abs() * mask).sum() / (3 * count)),
    }


def ssim_map(made: Tensor, true: Tensor) -> Tensor:
    """(t, 3, h, w) twice -> (t, 1, h, w)."""
    maps = []
    for first, second in zip(made.split(16), true.split(16)):
        _, full = structural_similarity_index_measure(first, second, data_range=1.0, return_full_image=True)
        assert isinstance(full, Tensor)
        maps.append(full.mean(1, keepdim=True))
    return torch.cat(maps)

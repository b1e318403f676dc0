"""Do two sets of pictures, clips or expressions look drawn from one source? Fréchet distance of Gaussians.

d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))   (Dowson, Landau 1982; Heusel et al. 2017, eq. 6); lower: better.

- Fréchet MobileNet (weights=FOLDER): 1280 of MobileNetV2, mean over pixels; its own scale, not FID
- FID (fid=FILE): 2048 of Inception v3, the TorchScript file of StyleGAN (inception-2015-12-05.pt)
- FVD (fvd=FILE): 400 of I3D, the TorchScript file i3d_torchscript.pt of the same authors
- E-FID (always): expression weights of the tracked face (EMO takes 64 of another face model: not comparable)

With few samples the distance is too large: it is compared with the distance of two halves of the truth.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlogger.errors import UserError
from vlogger.pixels import resize

FID_SIDE = 299
FVD_SIDE, FVD_FRAMES = 224, 16


def frechet_distance(first: NDArray, second: NDArray) -> float:
    """Features (n, d) and (m, d) -> d^2; nan with fewer than two of either.

    The trace of the root is taken from the singular values of A B^T, where A and B are the centred features over
    sqrt(n - 1): exact, also where there are fewer samples than dimensions.
    """
    if min(len(first), len(second)) < 2:
        return float("nan")
    a, b = (values - values.mean(0) for values in (first.astype(np.float64), second.astype(np.float64)))
    a, b = a / np.sqrt(len(a) - 1), b / np.sqrt(len(b) - 1)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    between = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(max(0.0, between + (a**2).sum() + (b**2).sum() - 2 * root))


def halves_distance(features: NDArray) -> float:
    """Between the even and the odd rows: what the size of the sample alone costs."""
    return frechet_distance(features[::2], features[1::2])


@dataclass(frozen=True)
class Inception:
    """`fid=`: pictures (n, 3, h, w) uint8 -> (n, 2048)."""

    script: torch.jit.ScriptModule

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> NDArray:
        return self.script(resize(pictures, FID_SIDE, FID_SIDE), return_features=True).float().numpy()


@dataclass(frozen=True)
class I3d:
    """`fvd=`: a clip (t, 3, h, w) uint8 -> (n, 400), one row for each 16 frames; (0, 400) for shorter clips."""

    script: torch.jit.ScriptModule

    @torch.inference_mode()
    def __call__(self, clip: Tensor) -> NDArray:
        count = len(clip) // FVD_FRAMES
        if not count:
            return np.zeros((0, 400), np.float32)
        small = resize(clip[: count * FVD_FRAMES], FVD_SIDE, FVD_SIDE).float()
        pieces = small.unflatten(0, (count, FVD_FRAMES)).permute(0, 2, 1, 3, 4)
        return self.script(pieces, rescale=True, resize=False, return_features=True).float().numpy()


def load_script(path: Path, key: str) -> torch.jit.ScriptModule:
    """A TorchScript file; UserError names the key it was given for."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: give {key}= the path of the TorchScript file, or leave it out")
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise UserError(f"{path} is no TorchScript file: give {key}= the file that docs/evaluation.md names") from error

"""How does a picture look by itself? NIQE and CPBD, without a reference.

- NIQE [1], better: down. Distance of natural-scene statistics to a pristine Gaussian model (Mittal, Soundararajan,
  Bovik 2013); here the 96-pixel blocks of all frames of a clip are pooled before the model is fitted, because a
  256-pixel picture alone has four of them
- CPBD [1], better: up. Share of edges whose blur cannot be seen (Narvekar, Karam 2011)

The pristine model is BasicSR's `niqe_pris_params.npz` (Apache-2.0).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate
from scipy.special import gamma
from torch import Tensor

from vlogger.pixels import resize

BLOCK = 96  # pixels
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
SHAPES = np.arange(0.2, 10.001, 0.001)
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))

EDGE_BLOCK, EDGE_SHARE = 64, 0.002  # CPBD: blocks with more edge pixels than this are looked at
CONTRAST, WIDE, NARROW = 50, 5.0, 3.0  # blocks of up to this contrast hide a blur of 5 pixels, others of 3
SLOPE, UNSEEN = 3.6, 0.63  # probability of seeing a blur, 1 - exp(-(w / w_jnb) ** 3.6), and the one that counts


def luma(frames: Tensor) -> NDArray:
    """(t, 3, h, w) uint8 -> (t, h, w) Y of BT.601 in 16..235, as MATLAB's rgb2ycbcr."""
    weights = torch.tensor([65.481, 128.553, 24.966])[:, None, None] / 255
    return (16 + (frames.float() * weights).sum(1)).round().numpy().astype(np.float64)


# -------------------------------------------------------------------------------------------------------- NIQE


@dataclass(frozen=True)
class Pristine:
    """Mean (36,), covariance (36, 36) of good pictures, and the 7 x 7 window of local contrast."""

    mean: NDArray
    covariance: NDArray
    window: NDArray


def load_pristine(path: Path) -> Pristine:
    """BasicSR's file."""
    with np.load(path) as file:
        return Pristine(file["mu_pris_param"].ravel(), file["cov_pris_param"], file["gaussian_window"])


def niqe(frames: Tensor, pristine: Pristine) -> float:
    """NIQE of frames (t, 3, h, w) uint8 together; nan where a side is shorter than a block."""
    if min(frames.shape[-2:]) < BLOCK:
        return float("nan")
    rows = np.concatenate([block_features(picture, pristine.window) for picture in luma(frames)])
    rows = rows[np.isfinite(rows).all(1)]
    if len(rows) < 2:
        return float("nan")
    apart = pristine.mean - rows.mean(0)
    pooled = np.linalg.pinv((pristine.covariance + np.cov(rows, rowvar=False)) / 2)
    return float(np.sqrt(apart @ pooled @ apart))


def block_features(picture: NDArray, window: NDArray) -> NDArray:
    """(h, w) in 0..255 -> (blocks, 36): statistics of each block at full and at half size (eq. 1-9)."""
    down, across = (side // BLOCK for side in picture.shape)
    picture, scales = picture[: down * BLOCK, : across * BLOCK], []
    for scale in (1, 2):
        side, contrast = BLOCK // scale, normalised(picture, window)
        blocks = [
            contrast[i * side : (i + 1) * side, j * side : (j + 1) * side] for j in range(across) for i in range(down)
        ]
        scales.append([statistics(block) for block in blocks])
        half = resize(torch.from_numpy(picture)[None], picture.shape[0] // 2, picture.shape[1] // 2)
        picture = half[0].numpy()
    return np.concatenate([np.array(rows) for rows in scales], axis=1)


def normalised(picture: NDArray, window: NDArray) -> NDArray:
    """Local mean taken away, over local deviation plus one."""
    mean = correlate(picture, window, mode="nearest")
    deviation = np.sqrt(np.abs(correlate(picture**2, window, mode="nearest") - mean**2))
    return (picture - mean) / (deviation + 1)


def statistics(block: NDArray) -> list[float]:
    """(18,) parameters of generalised Gaussians: of the contrasts, and of their products with four neighbours."""
    shape, left, right = asymmetric(block)
    found = [shape, (left + right) / 2]
    for shift in SHIFTS:
        shape, left, right = asymmetric(block * np.roll(block, shift, axis=(0, 1)))
        found += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return found


def asymmetric(values: NDArray) -> tuple[float, float, float]:
    """Shape and left and right scale of an asymmetric generalised Gaussian, by moments (Lasmar et al. 2009)."""
    values = values.ravel()
    low, high = values[values < 0], values[values > 0]
    if not len(low) or not len(high):
        return float("nan"), float("nan"), float("nan")
    left, right = np.sqrt((low**2).mean()), np.sqrt((high**2).mean())
    ratio = left / right
    moment = np.abs(values).mean() ** 2 / (values**2).mean()
    wanted = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = SHAPES[np.argmin((RATIOS - wanted) ** 2)]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return float(shape), float(left * scale), float(right * scale)


# -------------------------------------------------------------------------------------------------------- CPBD


def cpbd(picture: NDArray) -> float:
    """(h, w) grey in 0..255 -> share in [0, 1]; nan without edges."""
    from skimage.feature import canny

    edges, widths = canny(picture / 255), edge_widths(picture)
    blurs = []
    for i in range(picture.shape[0] // EDGE_BLOCK):
        for j in range(picture.shape[1] // EDGE_BLOCK):
            part = (slice(i * EDGE_BLOCK, (i + 1) * EDGE_BLOCK), slice(j * EDGE_BLOCK, (j + 1) * EDGE_BLOCK))
            if edges[part].mean() > EDGE_SHARE:
                just_seen = WIDE if np.ptp(picture[part]) <= CONTRAST else NARROW
                blurs.append(widths[part][widths[part] > 0] / just_seen)
    found = np.concatenate(blurs) if blurs else np.zeros(0)
    return float((1 - np.exp(-(found**SLOPE)) <= UNSEEN).mean()) if len(found) else float("nan")


def edge_widths(picture: NDArray) -> NDArray:
    """(h, w): at upright edges the pixels from local extremum to extremum along the row (Marziliano et al. 2002)."""
    from skimage.filters import sobel_v

    slope = sobel_v(picture / 255)
    strong = slope**2 > 4 * (slope**2).mean()
    peak = strong & (np.abs(slope) >= np.abs(np.roll(slope, 1, 1))) & (np.abs(slope) > np.abs(np.roll(slope, -1, 1)))
    widths, steps = np.zeros(picture.shape), np.diff(picture, axis=1)
    for i, j in np.argwhere(peak[:, 1:-1]):
        j += 1
        sign = 1.0 if slope[i, j] > 0 else -1.0
        widths[i, j] = run(sign * steps[i, j:]) + run(sign * steps[i, :j][::-1])
    return widths


def run(steps: NDArray) -> int:
    """How many of the first steps go up."""
    down = np.flatnonzero(steps <= 0)
    return int(down[0]) if len(down) else len(steps)


def sharpness(frames: Tensor) -> float:
    """Mean CPBD of frames (t, 3, h, w) uint8."""
    scores = np.array([cpbd(picture) for picture in luma(frames)])
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")

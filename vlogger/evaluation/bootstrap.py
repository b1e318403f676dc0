"""How sure is a mean over clips? Percentile bootstrap (Efron 1979): clips are drawn again with replacement."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over `count` clips, and the interval that holds it at 95 % (nan for fewer than two clips)."""

    mean: float
    low: float
    high: float
    count: int


def estimate(values: ArrayLike, seed: int = 0) -> Estimate | None:
    """Of the values that are known; None where none is."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    if len(known) == 1:
        return Estimate(float(known[0]), float("nan"), float("nan"), 1)
    draws = np.random.default_rng(seed).integers(len(known), size=(DRAWS, len(known)))
    means = known[draws].mean(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(known.mean()), float(low), float(high), len(known))

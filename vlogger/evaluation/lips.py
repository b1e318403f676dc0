"""Do the lips of a made video move as the true ones, or as the sound says? Curves over time are compared.

- r [1], better: up. Pearson's r over time of made and true curve (aperture, width, jaw: `faces`)
- lag [frames], better: 0. The shift of the made curve at which r is largest; positive: the made lips are late
- r shuffled [1], better: 0. r of the made curve with the true one of another clip (the next of its group, in order)
- r without the mean curve [1], better: up. r after subtracting, from made and from true curves, the mean curve of the
  group: sentences of one corpus share their rhythm, so a wrong sentence agrees too
- LME [mm], better: down. Mean distance of the 40 lip points, both heads laid upon each other (VLOGGER 4, Table 4; its
  detector, alignment and points are not stated: comparable only within this instrument)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlogger.evaluation.faces import INTERPUPIL_MM, LIPS, aligned, unit

MOST_LAG = 6  # frames to each side
FEWEST = 8  # frames that a correlation needs
FEWEST_CLIPS = 6  # that a mean curve needs: taking away that of n clips alone makes two of them agree by -1 / (n - 1)


def correlation(first: NDArray, second: NDArray) -> float:
    """Pearson's r over the frames that both know; nan where one is flat or fewer than `FEWEST` are known."""
    count = min(len(first), len(second))
    first, second = first[:count], second[:count]
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < FEWEST:
        return float("nan")
    a, b = first[known] - first[known].mean(), second[known] - second[known].mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm > 1e-12 else float("nan")


def at_lag(made: NDArray, true: NDArray, lag: int) -> float:
    """r where the made curve is taken `lag` frames later."""
    count = min(len(made), len(true))
    made, true = made[:count], true[:count]
    return correlation(made[max(0, lag) : count + min(0, lag)], true[max(0, -lag) : count - max(0, lag)])


def best_lag(made: NDArray, true: NDArray, most: int = MOST_LAG) -> tuple[int, float]:
    """The lag in frames with the largest r, and that r; the smaller shift where two are equal. (0, nan) if unknown."""
    scores = {lag: at_lag(made, true, lag) for lag in sorted(range(-most, most + 1), key=abs)}
    known = {lag: score for lag, score in scores.items() if np.isfinite(score)}
    if not known:
        return 0, float("nan")
    lag = max(known, key=lambda shift: known[shift])
    return lag, known[lag]


def rest(curves: Sequence[NDArray]) -> list[NDArray]:
    """The curves without what all of them share; unknown frames stay unknown."""
    count = min(map(len, curves))
    stacked = np.array([curve[:count] for curve in curves])
    known = np.isfinite(stacked)
    common = np.where(known, stacked, 0).sum(0) / np.maximum(known.sum(0), 1)
    return list(stacked - common)


def matched_and_shuffled(made: Sequence[NDArray], true: Sequence[NDArray]) -> dict[str, list[float]]:
    """r of each clip with its own truth and with the next one's, raw and without the mean curves of the group;
    `truth` is the next one's truth against its own: how much the corpus shares. Two clips at least; without the mean
    curves where there are `FEWEST_CLIPS`."""
    others = [*true[1:], *true[:1]]
    pairs = {"r": zip(made, true), "r_shuffled": zip(made, others), "r_truth_shuffled": zip(true, others)}
    if len(made) >= FEWEST_CLIPS:
        made_rest, true_rest = rest(made), rest(true)
        others_rest = [*true_rest[1:], *true_rest[:1]]
        pairs |= {
            "r_rest": zip(made_rest, true_rest),
            "r_rest_shuffled": zip(made_rest, others_rest),
            "r_rest_truth_shuffled": zip(true_rest, others_rest),
        }
    return {name: [correlation(a, b) for a, b in both] for name, both in pairs.items()}


def landmark_error(made: NDArray, true: NDArray) -> float:
    """LME in mm: points (t, 478, 3) of made and true frames, in pixels; nan where no frame shows both faces."""
    count = min(len(made), len(true))
    made, true = made[:count], true[:count]
    points = list(LIPS)
    distance = np.linalg.norm(aligned(made, true)[:, points] - true[:, points], axis=2)
    return nan_mean(distance * INTERPUPIL_MM / unit(true)[:, None])


def nan_mean(values: NDArray) -> float:
    """The mean of what is known, nan where nothing is."""
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else float("nan")

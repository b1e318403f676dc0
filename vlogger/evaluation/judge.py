"""A judge of lip sync that needs no SyncNet: what would these lips do, going by the sound alone?

Ridge regression from speech features in a window of +-100 ms to aperture, width and jaw of the mouth (`faces`),
standardised over the clip: only the shape of the curve counts. The made video's own curves are compared with the
judge's by Pearson's r; so are the true ones, which is the judge's own ceiling. The embedded weights listen to log-mel
and were trained on one speaker of the GRID corpus (CC BY 4.0; Cooke, Barker, Cunningham, Shao 2006) by
`python -m vlogger.evaluation.train_judge`; with a speech encoder (`features=WHISPER`) one trains a better one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vlogger.errors import UserError
from vlogger.evaluation.speech_features import LogMel, SpeechFeatures, Whisper
from vlogger.types import Audio

EMBEDDED = Path(__file__).with_name("judge.safetensors")
CURVES = ("aperture", "width", "jaw")
REACH = 0.1  # seconds heard before and after a frame
STEPS = 11  # moments in that window


@dataclass(frozen=True)
class LipJudge:
    """weight (STEPS * d, 3), mean and spread (STEPS * d,) of the windows."""

    features: SpeechFeatures
    weight: Tensor
    mean: Tensor
    spread: Tensor

    def __call__(self, audio: Audio, frames: int, fps: float) -> dict[str, NDArray]:
        """The three curves, (frames,) each, in deviations from their mean."""
        heard = (windows(self.features(audio), self.features.rate, frames, fps) - self.mean) / self.spread
        curves = standardised(heard @ self.weight).numpy()
        return dict(zip(CURVES, curves.T))


def windows(columns: Tensor, rate: float, frames: int, fps: float) -> Tensor:
    """(c, d) -> (frames, STEPS * d): what is heard around the middle of each frame; the ends go on."""
    offsets = torch.linspace(-REACH, REACH, STEPS, dtype=torch.float64)
    at = ((torch.arange(frames, dtype=torch.float64) + 0.5)[:, None] / fps + offsets) * rate - 0.5
    at = at.clamp(0, len(columns) - 1)
    left = at.floor().long().clamp(max=max(0, len(columns) - 2))
    share = (at - left).float()[..., None]
    return torch.lerp(columns[left], columns[(left + 1).clamp(max=len(columns) - 1)], share).flatten(1)


def standardised(curves: Tensor) -> Tensor:
    """(t, n): mean 0 and deviation 1 over time."""
    return (curves - curves.mean(0)) / curves.std(0, unbiased=False).clamp(min=1e-6)


@dataclass
class Ridge:
    """Sums over clips from which the regression is solved: nothing of a clip is kept."""

    gram: Tensor
    cross: Tensor
    total: Tensor
    count: int = 0

    @classmethod
    def empty(cls, size: int) -> "Ridge":
        double = torch.double
        return cls(
            torch.zeros(size, size, dtype=double), torch.zeros(size, 3, dtype=double), torch.zeros(size, dtype=double)
        )

    def add(self, heard: Tensor, curves: Tensor) -> None:
        """Windows (t, size) and standardised curves (t, 3)."""
        heard, curves = heard.double(), curves.double()
        self.gram += heard.T @ heard
        self.cross += heard.T @ curves
        self.total += heard.sum(0)
        self.count += len(heard)

    def solved(self, features: SpeechFeatures, penalty: float) -> LipJudge:
        """`penalty`: of the standardised windows, per frame."""
        mean = self.total / self.count
        covariance = self.gram / self.count - mean[:, None] * mean
        spread = covariance.diagonal().clamp(min=1e-8).sqrt()
        correlations = covariance / spread[:, None] / spread
        right = self.cross / self.count / spread[:, None]  # curves have mean 0 within each clip
        eye = torch.eye(len(mean), dtype=torch.double)
        weight = torch.linalg.solve(correlations + penalty * eye, right)
        return LipJudge(features, weight.float(), mean.float(), spread.float())


def save_judge(path: Path, judge: LipJudge, about: str) -> None:
    """One .safetensors with what it was trained on."""
    told = {"features": "log-mel"}
    if isinstance(judge.features, Whisper):
        told = {"features": judge.features.source, "layers": ",".join(map(str, judge.features.layers))}
    tensors = {name: getattr(judge, name).half().contiguous() for name in ("weight", "mean", "spread")}
    save_file(tensors, path, metadata={**told, "about": about})


def load_judge(path: str | Path | None = None) -> LipJudge:
    """The embedded judge (None), or another file of `save_judge`."""
    path = Path(path or EMBEDDED).expanduser()
    if not path.is_file():
        raise UserError(f"{path} does not exist: train a judge with python -m vlogger.evaluation.train_judge")
    with safe_open(path, "pt") as file:
        told = file.metadata() or {}
        weight, mean, spread = (file.get_tensor(name).float() for name in ("weight", "mean", "spread"))
    features: SpeechFeatures = LogMel()
    if told.get("features", "log-mel") != "log-mel":
        features = Whisper(told["features"], tuple(int(layer) for layer in told["layers"].split(",")))
    return LipJudge(features, weight, mean, spread)


def curves_of(points_curves: dict[str, NDArray]) -> Tensor | None:
    """Mouth curves as (t, 3), gaps bridged; None where most is unknown."""
    stacked = np.stack([points_curves[name] for name in CURVES], axis=1)
    known = np.isfinite(stacked).all(1)
    if known.mean() < 0.8:
        return None
    times = np.arange(len(stacked))
    bridged = [np.interp(times, times[known], column[known]) for column in stacked.T]
    return torch.from_numpy(np.stack(bridged, axis=1)).float()


def agreement(judge: LipJudge, clips: Sequence[tuple[Audio, dict[str, NDArray], float]]) -> dict[str, float]:
    """Mean r over clips (sound, mouth curves, fps) of the judge's curves with the seen ones."""
    from vlogger.evaluation.lips import correlation

    rows = [
        {name: correlation(said[name], seen[name]) for name in CURVES}
        for audio, seen, fps in clips
        for said in [judge(audio, len(seen["aperture"]), fps)]
    ]
    return {name: float(np.nanmean([row[name] for row in rows])) for name in CURVES}

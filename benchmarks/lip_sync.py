"""Do the lips move with the sound? python -m benchmarks.lip_sync CLIPS [overrides such as motion.steps=8]

CLIPS: a folder of tracked clips (motion/clips.py) that training has not seen. For each clip the stage makes a motion
from its sound; opening and width of the lips on the mesh (inner lips, MediaPipe 13 to 14, and corners, 61 to 291, over
the height of the face, 10 to 152) are compared with the tracked one by Pearson's r over time:

- matched: mean and spread over clips, r at each lag (positive: the made lips are late), spread of opening made / true;
- shuffled: the sound of another clip (the next in order) against this clip's lips;
- both again after subtracting the mean curve of all clips from the true and from the made lips: sentences of one
  corpus share their rhythm, so shuffled sound agrees too;
- silence: how much the lips open and move when nothing is said.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from motion.clips import Clip, load_clips
from motion.judge import correlation
from motion.lips import Lips, lips_on
from motion.sample import DiffusionMotion
from vlogger.body.smplx import load_body
from vlogger.types import Audio, Portrait, Subject, seeded

LAGS = range(-6, 7)


def subject_of(clip: Clip) -> Subject:
    """The clip's first frame as if it were a photo."""
    start = clip.reference(0)
    blank = Portrait(torch.zeros(3, 1, 1, dtype=torch.uint8))
    return Subject(blank, torch.zeros(10), start.rotations, start.expression, start.translation, torch.eye(3))


def lagged(made: Tensor, true: Tensor, lag: int) -> Tensor:
    """r of rows (n, t), made taken `lag` frames later."""
    t = made.shape[1]
    return correlation(made[:, max(0, lag) : t + min(0, lag)], true[:, max(0, -lag) : t - max(0, lag)])


def report(made: Tensor, true: Tensor) -> dict[str, float]:
    """Openings (n, t) made from the right sound and true; the wrong sound is the next row's."""
    wrong = made.roll(1, dims=0)
    made_rest, true_rest = made - made.mean(0), true - true.mean(0)
    by_lag = {lag: float(lagged(made, true, lag).mean()) for lag in LAGS}
    best = max(by_lag, key=lambda lag: by_lag[lag])
    matched = correlation(made, true)
    return {
        "r": float(matched.mean()),
        "r_spread": float(matched.std()),
        "r_worst": float(matched.min()),
        "r_shuffled": float(correlation(wrong, true).mean()),
        "r_without_mean_curve": float(correlation(made_rest, true_rest).mean()),
        "r_without_mean_curve_shuffled": float(correlation(made_rest.roll(1, dims=0), true_rest).mean()),
        "best_lag_frames": best,
        "r_at_best_lag": by_lag[best],
        "spread_made_over_true": float(made.std(1).mean() / true.std(1).mean()),
        "opening_made": float(made.mean()),
        "opening_true": float(true.mean()),
    }


def silence(lips: Lips, stage: DiffusionMotion, clip: Clip) -> dict[str, float]:
    """Opening and its spread over three seconds of nothing."""
    still = lips(stage(Audio(torch.zeros(48000), 16000), subject_of(clip), generator=seeded(0)).expression)[:, 0]
    return {"silence_opening": float(still.mean()), "silence_spread": float(still.std())}


def noisy(samples: Tensor, decibels: float | None) -> Tensor:
    """The sound with white noise so many dB below it; None: as it is."""
    if decibels is None:
        return samples
    noise = torch.randn(samples.shape, generator=seeded(7))
    return samples + noise * samples.std() * 10 ** (-decibels / 20)


def main() -> None:
    from hydra import compose, initialize_config_module

    from vlogger.build import stage as built

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=None, help="dB by which white noise lies below the speech")
    parser.add_argument("--most", type=int, default=50, help="number of clips")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_intermixed_args()
    clips = [clip for clip in load_clips(given.clips, closed=False) if not clip.spoken][: given.most]
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("generate", [f"fps={clips[0].motion.fps}", *given.overrides])
    body = load_body()
    lips, stage = lips_on(body), built(cfg.motion, body)
    made, true = [], []
    for clip in clips:
        motion = stage(
            Audio(noisy(clip.samples, given.noise), clip.sample_rate), subject_of(clip), generator=seeded(given.seed)
        )
        made.append(lips(motion.expression).T)
        true.append(lips(clip.motion.expression).T)
    frames = min(curve.shape[1] for curve in made + true)
    made, true = (torch.stack([curve[:, :frames] for curve in curves]) for curves in (made, true))
    results = report(made[:, 0], true[:, 0])
    wide = report(made[:, 1], true[:, 1])
    results |= {f"width_{name}": wide[name] for name in ("r", "r_shuffled", "r_without_mean_curve", "best_lag_frames")}
    for name, value in {**results, **silence(lips, stage, clips[0])}.items():
        print(f"{name:32s} {value:.4f}")


if __name__ == "__main__":
    main()

"""Do the lips of finished videos move as the true ones? python -m benchmarks.lip_video CLIPS [--count 12] [--skip 0]

CLIPS: a folder of talking clips (.mp4) of somebody the training has not seen saying these sentences. Each clip's first
frame speaks the clip's sound; the opening of the lips (MediaPipe 13 to 14 over the distance of the pupils) in made
and true frames is compared by Pearson's r over time, matched and with the next clip's true lips (shuffled); both again
after subtracting the mean curve of all clips from the made and from the true ones, because the sentences of one corpus
share their rhythm and a wrong sentence agrees too.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.acceptance import frames_of
from vlogger.evaluation.faces import aperture, follow
from vlogger.evaluation.lips import correlation, rest


def made_frames(vlogger, frames: np.ndarray, clip: Path) -> np.ndarray:
    """(t, h, w, 3) uint8: the first frame speaks."""
    import torch

    from vlogger.io_audio import load_audio
    from vlogger.types import Portrait

    portrait = Portrait(torch.from_numpy(frames[0]).permute(2, 0, 1).contiguous())
    clips = vlogger(portrait, load_audio(clip), size=None, seed=0)
    return np.concatenate([video.frames.permute(0, 2, 3, 1).numpy() for video in clips])


def summary(made: list[np.ndarray], true: list[np.ndarray]) -> str:
    """Mean correlation of the right pairs and of each clip with the next one's lips."""
    matched = [correlation(a, b) for a, b in zip(made, true)]
    others = [correlation(a, b) for a, b in zip(made, true[1:] + true[:1])]
    return f"r {np.mean(matched):.3f}, shuffled {np.mean(others):.3f}"


def main() -> None:
    from hydra import compose, initialize_config_module

    from vlogger.build import build

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--skip", type=int, default=0)
    arguments = parser.parse_args()
    with initialize_config_module("conf", version_base="1.3"):
        vlogger = build(compose("generate", ["fps=25", "face=largest"]))
    made, true = [], []
    for clip in tqdm(sorted(arguments.clips.glob("*.mp4"))[arguments.skip :][: arguments.count]):
        frames = frames_of(clip)
        true.append(aperture(follow(frames)))
        made.append(aperture(follow(made_frames(vlogger, frames, clip))))
        print(clip.stem, f"r {correlation(made[-1], true[-1]):.3f}", flush=True)
    print(f"{len(made)} clips: {summary(made, true)}; without the mean curve {summary(rest(made), rest(true))}")
    print(f"true lips of two clips against each other: {summary(true, true)}")


if __name__ == "__main__":
    main()

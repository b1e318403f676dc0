"""Mouths for voices without a face, as trained weights say: `python -m motion.imitate CLIPS SOUND... [--overrides ...]`

A network that is to learn head, gaze, lids and brows needs no new mouths: those that the mouth's own network
(motion=default) makes of any recording will do, and no big encoder has to read them (`motion.label`). SOUND as for
`motion.teacher`: neighbours are joined to recordings of about 15 seconds, half of them at another tape speed. CLIPS
gets one spoken clip (motion/clips.py) for each; those that are there already are kept.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from motion.audio import SAMPLE_RATE
from motion.clips import SPEAKING
from motion.features import EXPRESSIONS
from motion.teacher import recordings
from vlogger.body.skeleton import JOINTS
from vlogger.stages import AudioToMotion
from vlogger.types import Audio, Portrait, Subject, seeded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overrides", nargs="*", default=[], help="of the network that tells the mouths")
    given = parser.parse_args()
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("generate", ["fps=25", "motion.drawn=false", *given.overrides])
    imitate(instantiate(cfg.motion), given.clips, given.sounds, given.seed)


def nobody() -> Subject:
    """A face at rest without a photo."""
    turns, blank = torch.eye(3).repeat(len(JOINTS), 1, 1), Portrait(torch.zeros(3, 1, 1, dtype=torch.uint8))
    return Subject(blank, torch.zeros(10), turns, torch.zeros(len(EXPRESSIONS)), torch.zeros(3), torch.eye(3))


def imitate(stage: AudioToMotion, clips: Path, sounds: list[Path], seed: int) -> None:
    """Write what is not there yet."""
    clips.mkdir(parents=True, exist_ok=True)
    for name, sound in recordings(sounds, seed):
        path = clips / f"{name}.npz"
        if path.exists():
            continue
        motion = stage(Audio(sound, SAMPLE_RATE), nobody(), generator=seeded(seed))
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(
                file,
                samples=(sound.clamp(-1, 1) * 32767).round().numpy().astype(np.int16),
                sample_rate=SAMPLE_RATE,
                expression=torch.where(SPEAKING, motion.expression, 0.0).numpy(),
                fps=motion.fps,
            )
        part.rename(path)


if __name__ == "__main__":
    main()

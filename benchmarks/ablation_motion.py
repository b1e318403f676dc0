"""What residuals, the temporal loss and guidance bring (VLOGGER Table 2): python -m benchmarks.ablation_motion CLIPS
NAME=WEIGHTS[@GUIDANCE] ... [motion.steps=8 ...]

CLIPS: tracked clips that no training saw (`vlogger.curate dataset=speech`). From each clip's sound the stage makes a
motion that begins at the clip's first frame, everything from the weights (motion.drawn=false), with three seeds. Means:

- LME, mm: distance of MediaPipe's points on the made body from those on the tracked one, the head's turn included
- jitter over the true clips' (third difference; the paper's units cannot be, so a ratio)
- r: Pearson's r of the lips' opening; head: how far it turns (rms), over the truth
- spread, mm: how far the three motions lie from their mean (the paper's diversity of samples)
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_module
from torch import Tensor
from tqdm import tqdm

from motion.clips import Clip, load_clips
from motion.judge import correlation
from motion.lips import Lips, lips_on
from vlogger.body.smplx import Body, load_body
from vlogger.build import stage as built
from vlogger.evaluation.liveliness import face_vertices, jitter, spread, world_rotation
from vlogger.hear import neutral
from vlogger.types import Audio, Motion, Subject, seeded

SEEDS = 3
COLUMNS = ("LME", "jitter", "r", "head", "spread")


def beginning(clip: Clip, body: Body) -> Subject:
    """The neutral body in the pose of the clip's first frame, its face at rest: what a portrait would show."""
    pose = clip.reference(0)
    return replace(neutral(body), rotations=pose.rotations, expression=pose.expression, translation=pose.translation)


def turned(motion: Motion) -> float:
    """Degrees, rms, about the clip's mean."""
    return spread(world_rotation(motion, "head"))


def measured(stage, clip: Clip, body: Body, lips: Lips) -> list[float]:
    """COLUMNS of one clip."""
    stage.fps = clip.motion.fps
    sound, subject = Audio(clip.samples, clip.sample_rate), beginning(clip, body)
    motions = [stage(sound, subject, generator=seeded(number)) for number in range(SEEDS)]
    count = min(len(motions[0]), len(clip.motion))
    true = face_vertices(clip.motion, body)[:count]
    made = torch.stack([face_vertices(motion, body)[:count] for motion in motions])
    opening = [lips(one.expression)[:count, 0] for one in (*motions, clip.motion)]
    return [
        1000 * distance(made, true),
        float(np.mean([jitter(points, stage.fps) for points in made])) / jitter(true, stage.fps),
        float(np.mean([correlation(one, opening[-1]) for one in opening[:-1]])),
        float(np.mean([turned(motion) for motion in motions])) / turned(clip.motion),
        1000 * distance(made, made.mean(0)),
    ]


def distance(points: Tensor, others: Tensor) -> float:
    """Mean distance of (…, v, 3) points."""
    return float((points - others).norm(dim=-1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("variants", nargs="+", help="NAME=WEIGHTS[@GUIDANCE], or an override of the configuration")
    given = parser.parse_args()
    overrides = [one for one in given.variants if one.startswith("motion.")]
    body, clips = load_body(), load_clips(given.clips, closed=False)
    lips = lips_on(body)
    print(f"{'':24}" + "".join(f"{name:>9}" for name in COLUMNS))
    for variant in (one for one in given.variants if one not in overrides):
        name, _, where = variant.partition("=")
        weights, _, guidance = where.partition("@")
        chosen = [f"motion.network.path={weights}", "motion.drawn=false"]
        chosen += [f"motion.guidance={guidance}"] if guidance else []
        with initialize_config_module("conf", version_base="1.3"):
            stage = built(compose("generate", [*chosen, *overrides]).motion, body)
        rows = [measured(stage, clip, body, lips) for clip in tqdm(clips, desc=name, leave=False)]
        print(f"{name:24}" + "".join(f"{value:9.3f}" for value in np.mean(rows, 0)), flush=True)


if __name__ == "__main__":
    main()

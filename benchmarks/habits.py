"""Does a network do what it was taught beside the mouth, and when?

    python -m benchmarks.habits SOUNDS... [--overrides motion.network.path=FOLDER ...]

SOUNDS: recordings, or folders of them. From the first half minute of each a motion for the neutral body is made twice:
by the chance processes that teach (`motion.habits`, motion=default), and by the network that learned all of it
(motion=learned, with the overrides). A column each, all recordings together:

- blinks a minute, their mean length; how many times as many in pauses as in speech;
- head: deviation of pitch, yaw and roll, degrees; its mean speed, degrees/s; how many times as fast where more than
  half of the seconds around are speech as elsewhere;
- saccades a minute, deviation of the gaze in space, degrees; r of the eye's yaw with the head's: they are turned
  against it;
- at stresses, beside what the same curves do at other moments of the same recordings: nods (degrees down), brows
  (units up), forearms (degrees: raised before the stress, landed on it), mean of both sides.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_module
from torch import Tensor

from benchmarks.motion import made_turn
from motion.audio import resample
from motion.features import EXPRESSIONS
from motion.prosody import Prosody, prosody
from motion.teacher import files_of
from vlogger.body.rotation import matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body
from vlogger.build import stage as built
from vlogger.evaluation.films import cut
from vlogger.hear import neutral
from vlogger.io_audio import load_audio
from vlogger.types import Audio, Motion, Subject, seeded

LONGEST = 30.0  # seconds of a recording
SHUT = 0.4  # weight of eyeBlink from which on lids count as shut: they meet at 0.6
SACCADE = 60.0  # degrees a second
SHIFTS = (-1.7, -1.1, 1.3, 1.9)  # seconds by which stresses are moved to see what happens at other moments

Sums = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("--overrides", nargs="*", default=[], help="of the network that learned")
    given = parser.parse_args()
    torch.set_num_threads(1)
    body, columns = load_body(), {}
    sounds = [cut(load_audio(path), LONGEST) for source in given.sounds for path in files_of(source)]
    for name, overrides in (("processes", ["motion=default"]), ("learned", ["motion=learned", *given.overrides])):
        with initialize_config_module("conf", version_base="1.3"):
            stage = built(compose("generate", overrides).motion, body)
        columns[name] = over_all(stage, neutral(body), sounds)
    print(f"{len(sounds)} recordings\n{'':34}" + "".join(f"{name:>12}" for name in columns))
    for row in columns["processes"]:
        print(f"{row:34}" + "".join(f"{column[row]:12.2f}" for column in columns.values()), flush=True)


def over_all(stage, subject: Subject, sounds: list[Audio]) -> dict[str, float]:
    """Every row, of all recordings together."""
    sums: Sums = {}
    for seed, sound in enumerate(sounds):
        motion = stage(sound, subject, generator=seeded(seed))
        for name, value in measured(motion, subject, sound).items():
            sums.setdefault(name, []).append(value)
    return rows_of({name: np.array(values) for name, values in sums.items()})


def measured(motion: Motion, subject: Subject, sound: Audio) -> dict[str, float]:
    """Counts and seconds of one recording, and its means; nan where it has no stress, or no pause."""
    heard = prosody(resample(sound.samples, sound.sample_rate))
    times = (torch.arange(len(motion)) + 0.5) / motion.fps
    said = heard.speech[(times * 100).long().clamp(max=len(heard.speech) - 1)] > 0
    turn = made_turn(motion, subject)
    return {
        "seconds": len(motion) / motion.fps,
        "speaking": float(said.sum()) / motion.fps,
        **blinking(motion, said),
        **turning(turn, motion.fps, said),
        **looking(motion, turn[:, 1]),
        **at_stresses(motion, subject, turn[:, 0], heard),
    }


def blinking(motion: Motion, said: Tensor) -> dict[str, float]:
    """How many blinks begin in speech and elsewhere, and how long lids are shut in all."""
    shut = motion.expression[:, EXPRESSIONS.index("eyeBlinkLeft")] > SHUT
    begins = shut[1:] & ~shut[:-1]
    spoken = float((begins & said[1:]).sum())
    return {"blinks": float(begins.sum()), "blinks said": spoken, "shut": float(shut.sum()) / motion.fps}


def turning(turn: Tensor, fps: float, said: Tensor) -> dict[str, float]:
    """Of the head's turns (t, 3) in degrees."""
    speed = turn.diff(dim=0).norm(dim=1) * fps
    width = 2 * round(3 * fps) + 1
    talking = torch.nn.functional.avg_pool1d(said[None, None].float(), width, 1, width // 2)[0, 0][1:] > 0.5
    deviation = dict(zip(("pitch", "yaw", "roll"), turn.std(0).tolist(), strict=True))
    parts = {"talking": mean_of(speed[talking]), "hardly talking": mean_of(speed[~talking])}
    return {**deviation, "speed": float(speed.mean()), **parts}


def mean_of(values: Tensor) -> float:
    return float(values.mean()) if len(values) else float("nan")


def looking(motion: Motion, head_yaw: Tensor) -> dict[str, float]:
    """Of the left eye."""
    eye = matrix_to_axis_angle(motion.rotations[:, joint_index("left_eye")]).rad2deg()
    fast = eye[:, :2].diff(dim=0).norm(dim=1) * motion.fps > SACCADE
    return {
        "saccades": float((fast[1:] & ~fast[:-1]).sum()),
        "gaze": float((eye[:, 1] + head_yaw).std()),
        "against the head": float(torch.corrcoef(torch.stack([eye[:, 1], head_yaw]))[0, 1]),
    }


def at_stresses(motion: Motion, subject: Subject, pitch: Tensor, heard: Prosody) -> dict[str, float]:
    """What nods (the head's pitch (t,), degrees), brows and forearms do at stresses, and at other moments."""
    brow = motion.expression[:, EXPRESSIONS.index("browInnerUp")]
    raised = forearms(motion, subject)
    found = {}
    for name, curve, before, on in (
        ("nod", pitch, -0.18, 0.06),
        ("brow", brow, -0.35, 0.0),
        ("beat", -raised, -0.17, 0.05),
    ):
        found[name] = answer(curve, motion.fps, heard.accents, before, on)
        others = [answer(curve, motion.fps, heard.accents + shift, before, on) for shift in SHIFTS]
        found[f"{name} elsewhere"] = float(np.mean(others))
    return found


def forearms(motion: Motion, subject: Subject) -> Tensor:
    """(t,) degrees by which the elbows are bent more than the subject's, mean of both."""
    bent = []
    for side, sign in (("left", -1.0), ("right", 1.0)):
        index = joint_index(f"{side}_elbow")
        bent.append(
            sign * matrix_to_axis_angle(subject.rotations[index].T @ motion.rotations[:, index])[:, 1].rad2deg()
        )
    return torch.stack(bent).mean(0)


def answer(curve: Tensor, fps: float, moments: Tensor, before: float, on: float) -> float:
    """How much a curve rises from `before` to `on` seconds after each moment, mean; nan without a moment."""
    inside = moments[(moments + before >= 0) & (moments + on < len(curve) / fps)]
    first, second = (curve[((inside + shift) * fps).long().clamp(max=len(curve) - 1)] for shift in (before, on))
    return mean_of(second - first)


def rows_of(sums: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The table's rows from the recordings' counts and means."""
    whole = {name: float(np.nansum(values)) for name, values in sums.items()}
    means = {name: float(np.nanmean(values)) for name, values in sums.items()}
    in_pauses = (whole["blinks"] - whole["blinks said"]) / (whole["seconds"] - whole["speaking"])
    rows = {
        "blinks a minute": 60 * whole["blinks"] / whole["seconds"],
        "their length, ms": 1000 * whole["shut"] / max(1, whole["blinks"]),
        "blinks, pauses / speech": in_pauses / max(1e-6, whole["blinks said"] / whole["speaking"]),
        **{f"head, {axis}, degrees": means[axis] for axis in ("pitch", "yaw", "roll")},
        "head, degrees/s": means["speed"],
        "head, talking / hardly talking": means["talking"] / means["hardly talking"],
        "saccades a minute": 60 * whole["saccades"] / whole["seconds"],
        "gaze in space, degrees": means["gaze"],
        "eyes against the head, r": means["against the head"],
    }
    for name, unit in (("nod", "degrees"), ("brow", "units"), ("beat", "degrees")):
        rows |= {f"{name} at stresses, {unit}": means[name], f"{name} elsewhere, {unit}": means[f"{name} elsewhere"]}
    return rows


if __name__ == "__main__":
    main()

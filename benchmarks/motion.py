"""Is the made motion like a person's? python -m benchmarks.motion VIDEOS [--out TABLE.json] [motion.guidance=2 …]

VIDEOS: a folder of talking people (.mp4) that no training saw. From each video's sound the stage makes a motion for the
neutral body, at the video's own rate. Truth: MediaPipe's points in the true frames. For each video:

- r_open, r_wide: Pearson's r over time of the lips' opening and width (in face heights; on the mesh and in the frames),
  the best lag in frames (positive: made lips are late), and r_open with the next video's sound (shuffled);
- silence: how fast the lips open and close in pauses (`vlogger.evaluation.silence`) over how fast in speech;
- blinks a minute and their mean length in ms (lids more than half shut) in two minutes of the repeated sound;
- head: standard deviation of its turn in degrees, made and true; jitter: mean third difference of the face's points.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.acceptance import frames_of
from motion.audio import resample
from motion.features import EXPRESSIONS
from motion.judge import correlation
from motion.lips import POINTS, lips_of, lips_on
from motion.prosody import prosody
from vlogger.body.rotation import matrix_to_axis_angle
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body
from vlogger.evaluation.cost import repeated
from vlogger.evaluation.silence import silence_of
from vlogger.hear import neutral
from vlogger.io_audio import load_audio
from vlogger.types import Audio, Motion, Subject, seeded

MOST = 10.0  # seconds of a video that are looked at
LAGS = range(-5, 6)


def true_points(frames: np.ndarray) -> Tensor:
    """(t, 478, 3); frames without a face repeat the last one."""
    from render.landmarks import detect

    points = np.full((len(frames), 478, 3), np.nan)
    for row, picture in zip(points, frames):
        if faces := detect(np.ascontiguousarray(picture)):
            row[:] = max(faces, key=lambda face: face.side).points
    for row in range(1, len(points)):
        if not np.isfinite(points[row]).all():
            points[row] = points[row - 1]
    return torch.from_numpy(points).float()


def turn_of(points: Tensor) -> Tensor:
    """(t, 478, 3) -> (t, 3) degrees: the rotation that takes the first frame's rigid points to each frame's."""
    rigid = points[:, [33, 133, 362, 263, 6, 168, 10, 151, 9, 127, 356]]
    rigid = rigid - rigid.mean(1, keepdim=True)
    u, _, v = torch.linalg.svd(rigid[:1].transpose(1, 2) @ rigid)
    sign = torch.linalg.det(u @ v).sign()
    flip = torch.diag_embed(torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1))
    return matrix_to_axis_angle((u @ flip @ v).transpose(1, 2)) * 180 / torch.pi


def made_turn(motion: Motion, subject: Subject) -> Tensor:
    """(t, 3) degrees of neck and head together, against the subject's own."""
    total = torch.eye(3).expand(len(motion), 3, 3)
    for joint in ("neck", "head"):
        index = joint_index(joint)
        total = total @ subject.rotations[index].T @ motion.rotations[:, index]
    return matrix_to_axis_angle(total) * 180 / torch.pi


def lagged(made: Tensor, true: Tensor, lag: int) -> float:
    """r of (t,) curves, the made one taken `lag` frames later."""
    t = len(made)
    return float(correlation(made[max(0, lag) : t + min(0, lag)], true[max(0, -lag) : t - max(0, lag)]))


def blinks(motion: Motion) -> tuple[float, float]:
    """How many a minute, and how long on average, ms."""
    shut = motion.expression[:, EXPRESSIONS.index("eyeBlinkLeft")] > 0.5
    count = int((shut[1:] & ~shut[:-1]).sum())
    return 60 * count * motion.fps / len(motion), 1000 * float(shut.sum()) / motion.fps / max(1, count)


def said_at(sound: Audio, frames: int, fps: float) -> tuple[Tensor, Tensor]:
    """(c,) 1 where somebody speaks, 100 a second, and (frames,) the column of each frame."""
    said = prosody(resample(sound.samples, sound.sample_rate)).speech
    return said, ((torch.arange(frames) + 0.5) / fps * 100).long().clamp(max=len(said) - 1)


def in_pauses(made: Tensor, sound: Audio, fps: float) -> float:
    """Opening (t,): how fast it changes in pauses, over how fast in speech; nan without a pause."""
    said, column = said_at(sound, len(made), fps)
    return silence_of(made.numpy(), said[column].numpy() > 0, fps)["pause_motion"]


def measured(stage, body: Body, subject: Subject, video: Path, other: Path) -> dict[str, float]:
    """The figures of one video; `other` gives the wrong sound."""
    import av

    with av.open(str(video)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None
        stage.fps = float(rate)
    frames = frames_of(video)[: round(MOST * stage.fps)]
    points = true_points(frames)
    true = lips_of(points[:, list(POINTS)]).T
    sounds = [clipped(load_audio(path), len(frames) / stage.fps) for path in (video, other)]
    motion, wrong = (stage(sound, subject, generator=seeded(0)) for sound in sounds)
    lips = lips_on(body)
    made, shuffled = (lips(one.expression).T[:, : true.shape[1]] for one in (motion, wrong))
    count = min(made.shape[1], true.shape[1], shuffled.shape[1])
    made, true, shuffled = made[:, :count], true[:, :count], shuffled[:, :count]
    r = correlation(made, true)
    lags = {lag: lagged(made[0], true[0], lag) for lag in LAGS}
    rate_of_blinks, length = blinks(stage(repeated(sounds[0], 120.0), subject, generator=seeded(1)))
    return {
        "r_open": float(r[0]),
        "r_wide": float(r[1]),
        "lag": max(lags, key=lambda lag: lags[lag]),
        "r_shuffled": float(correlation(shuffled, true)[0]),
        "silence": in_pauses(made[0], sounds[0], stage.fps),
        "opening_made_over_true": float(made[0].std() / true[0].std()),
        "blinks": rate_of_blinks,
        "blink_ms": length,
        "head_made": float(made_turn(motion, subject).std(0).norm()),
        "head_true": float(turn_of(points).std(0).norm()),
    }


def clipped(audio: Audio, seconds: float) -> Audio:
    """The first seconds."""
    return Audio(audio.samples[: round(seconds * audio.sample_rate)], audio.sample_rate)


def main() -> None:
    from hydra import compose, initialize_config_module

    from vlogger.body.smplx import load_body
    from vlogger.build import stage as built

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_intermixed_args()
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("generate", given.overrides)
    body = load_body()
    stage, subject = built(cfg.motion, body), neutral(body)
    videos = sorted(given.videos.glob("*.mp4"))
    rows = {}
    for video, other in zip(videos, videos[1:] + videos[:1]):
        rows[video.stem] = measured(stage, body, subject, video, other)
        print(video.stem, {name: round(value, 3) for name, value in rows[video.stem].items()}, flush=True)
    mean = {name: float(np.nanmean([row[name] for row in rows.values()])) for name in next(iter(rows.values()))}
    print("mean", {name: round(value, 3) for name, value in mean.items()})
    if given.out:
        given.out.write_text(json.dumps({**rows, "mean": mean}, indent=1))


if __name__ == "__main__":
    main()

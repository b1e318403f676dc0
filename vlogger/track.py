"""A talking clip becomes the motion of a body, and the subject that moves so.

    python -m vlogger.track video=IN.mp4 out=track.npz [subject_out=S.npz] [face=largest]

First a few frames tell shape and camera; then the clip is followed frame by frame; its first twenty seconds tell the
personal offsets, and it is solved a window at a time, so that its length costs no memory; each window is laid onto its
pictures by the skin that the subject shows (`render.align`; draw=null leaves that out). `out` is read by
motion=from_file motion.path=…, the subject (the frame that shows the face best) by subject=from_file subject.path=….
Beside the motion, `out` holds for each frame `times` (seconds, as the file has them; where they are uneven, readers of
`out` see an even motion of the mean rate and the same duration), `missing` (no face was found: bridged) and `error`
(mean distance of the face's landmarks from the mesh's, pixels; nan where missing).
"""

import os
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from vlogger.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from render.follow import FaceFollower
    from vlogger.body.smplx import Body
    from vlogger.stages import MotionToControls
    from vlogger.types import Portrait, Subject

FREE_TEXT = re.compile(r"(video|out|subject_out|body\.path)=(.+)", re.DOTALL)
EARLY = 500  # frames whose landmarks tell the personal offsets
SAMPLES = 8  # frames, spread over the clip, from which those are chosen that tell the shape


def samples(path: Path, duration: float) -> "list[Portrait]":
    """`SAMPLES` frames of a clip that lasts so many seconds (fewer where it does not).

    A short clip is read through once: its pictures may hang on one another from the first to the last.
    """
    import torch

    from vlogger.io_video import frames_at
    from vlogger.types import Portrait

    moments = [duration * (part + 0.5) / SAMPLES for part in range(SAMPLES)]
    return [Portrait(torch.from_numpy(image).permute(2, 0, 1)) for image in frames_at(path, moments)]


def followed(path: Path, follow: "FaceFollower", moments: "deque[float]") -> "Iterator[np.ndarray]":
    """The face's landmarks in each frame; when it is shown goes to `moments`, seconds."""
    from vlogger.io_video import timed_frames

    for moment, image in timed_frames(path):
        moments.append(moment)
        yield follow(image)


def pictures(path: Path) -> "Iterator[Tensor]":
    """The frames once more, each (3, h, w) uint8."""
    import torch

    from vlogger.io_video import timed_frames

    return (torch.from_numpy(image).permute(2, 0, 1) for _, image in timed_frames(path))


def drawing(cfg: DictConfig, body: "Body") -> "MotionToControls | None":
    """The stage that carries the face, or None where only landmarks shall tell."""
    from hydra.utils import instantiate

    return instantiate(cfg.draw, _partial_=True)(body=body) if cfg.draw else None


@hydra.main(version_base="1.3", config_path="pkg://conf.track", config_name="clip")
def run(cfg: DictConfig) -> None:
    """See who speaks, follow the face, write both."""
    import torch
    from hydra.utils import instantiate

    from render.clip import SeeClip
    from vlogger.io import existing, whole
    from vlogger.io_values import save_subject
    from vlogger.io_video import source_of

    begin = time.perf_counter()
    if not cfg.video or not cfg.out:
        raise UserError("give video=CLIP.mp4 and out=TRACK.npz")
    video, out = existing(str(cfg.video), "a video"), Path(str(cfg.out)).expanduser()
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    body, source = instantiate(cfg.body), source_of(video)
    draw = drawing(cfg, body)
    subject = SeeClip(body, cfg.face, name=video.name)(samples(video, source.duration))
    subject_out = Path(str(cfg.subject_out or out.with_name(f"{out.stem}_subject.npz"))).expanduser()
    with whole(out) as motion_file, whole(subject_out) as subject_file:
        subject, frames, missing = write(motion_file, video, subject, body, cfg.face, draw)
        save_subject(subject_file, subject)
    seconds = time.perf_counter() - begin
    print(f"{out}: {frames} frames at {source.fps:.6g} fps, {missing} without a face, {frames / seconds:.1f} frames/s")


def write(
    file: Path, video: Path, subject: "Subject", body: "Body", face: str | int, draw: "MotionToControls | None" = None
) -> "tuple[Subject, int, int]":
    """Track a clip into a file; returns the subject, told by many frames now, the numbers of frames and of frames
    without a face. With `draw` the subject's skin is laid onto every frame's."""
    import numpy as np
    from tqdm import tqdm

    from render.align import Skin, StreamAligner
    from render.clip import refined
    from render.follow import FaceFollower
    from render.track import track_stream
    from render.window import speaker_of
    from vlogger.body.skeleton import JOINTS
    from vlogger.io_values import MotionWriter
    from vlogger.io_video import source_of

    source, missing, begin, end, moments = source_of(video), 0, None, 0.0, deque()
    with (
        FaceFollower(face, video.name) as follow,
        MotionWriter(file, source.fps, JOINTS, body.expression_names) as writer,
        tqdm(total=round(source.duration * source.fps) or None, desc="track", unit="frame") as bar,
    ):
        rows = followed(video, follow, moments)
        early = list(islice(rows, EARLY))
        subject = refined(subject, body, np.stack(early))
        align = None if draw is None else StreamAligner(Skin.of(subject, body, draw), pictures(video))
        for track in track_stream(chain(early, rows), speaker_of(subject, body), source.fps, align=align):
            assert track.eyes is not None
            times = np.array([moments.popleft() for _ in range(len(track.motion))])
            pixels = track.error * track.eyes
            writer.add(track.motion, times=times, missing=track.missing.numpy(), error=pixels.numpy())
            begin, end = (times[0] if begin is None else begin), times[-1]
            missing += int(track.missing.sum())
            bar.update(len(times))
        writer.fps = true_rate(source.fps, writer.frames, end - (begin or 0.0))
    return subject, writer.frames, missing


def true_rate(told: float, frames: int, span: float) -> float:
    """The rate that a file tells, or the mean one where so many frames, `span` seconds from first to last, say else."""
    return told if frames < 2 or abs((frames - 1) / told - span) < 1 / told else (frames - 1) / span


def main() -> None:
    """From the command line: what a person got wrong ends in one sentence and exit code 2."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from vlogger.generate import quoted, sentence

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors to us instead of printing them
    sys.argv[1:] = [quoted(argument, FREE_TEXT) for argument in sys.argv[1:]]
    try:
        run()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"vlogger.track: {sentence(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

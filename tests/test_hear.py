"""`vlogger.hear`: the motion file and its preview."""

import subprocess
import sys

import av
import numpy as np
import pytest
import torch

from vlogger.body.smplx import load_body
from vlogger.hear import colours, drawn, fitting, frame, neutral
from vlogger.io_audio import save_audio
from vlogger.io_values import load_motion
from vlogger.types import Audio, Motion, seeded


@pytest.fixture(scope="module")
def body():
    return load_body()


def still(subject, frames: int = 2) -> Motion:
    return Motion(
        subject.rotations.repeat(frames, 1, 1, 1),
        subject.expression.repeat(frames, 1),
        subject.translation.repeat(frames, 1),
        24.0,
    )


def test_the_neutral_body_stands_in_the_picture(body):
    subject = fitting(neutral(body))
    picture = frame(still(subject)[:1], subject, body).float()
    empty = (picture == picture[:, :1, :1]).all(0)
    assert 0.2 < float((~empty).float().mean()) < 0.8
    assert empty[0].all() and not empty[-1].all(), "room above the head, cut at the waist"


def test_pieces_become_pictures_and_an_open_mouth_shows(body):
    subject = fitting(neutral(body))
    motion = still(subject)
    motion.expression[1, 0] = 0.8  # jawOpen
    (video,) = drawn(iter([motion]), subject, body)
    assert len(video) == 2 and (video.frames[0] != video.frames[1]).any()
    assert colours(body).shape == (len(body.faces), 3)


def test_a_recording_becomes_motion_and_preview(tmp_path):
    save_audio(tmp_path / "a.wav", Audio(0.1 * torch.randn(8000, generator=seeded(0)), 16000))
    command = [sys.executable, "-m", "vlogger.hear", f"audio={tmp_path}/a.wav", f"out={tmp_path}/m.npz"]
    done = subprocess.run(
        [*command, f"preview={tmp_path}/m.mp4", "fps=12", "motion.steps=1", "threads=1"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    motion, names = load_motion(tmp_path / "m.npz")
    assert len(motion) == 6 and motion.fps == 12 and len(names) == 52
    assert np.load(tmp_path / "m.npz")["joint_names"][15] == "head"
    with av.open(str(tmp_path / "m.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6 and container.streams.audio
    refused = subprocess.run(command[:3], capture_output=True, text=True)
    assert refused.returncode == 2 and "audio=" in refused.stderr

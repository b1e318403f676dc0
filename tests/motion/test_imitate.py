"""Mouths for voices without a face, by a stage that is there."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from motion.clips import SPEAKING, load_clip
from motion.imitate import imitate
from vlogger.body.smplx import load_body

sys.path.insert(0, str(Path(__file__).parents[1] / "tiny"))
from tiny_stages import LoudJaw


@pytest.fixture(scope="module")
def body():
    return load_body()


def test_sounds_become_clips_with_a_mouth_that_are_kept(tmp_path, body):
    noise = np.random.default_rng(0).normal(0, 3000, 16000).astype(np.int16)
    (tmp_path / "sounds").mkdir()
    for name in "ab":
        np.savez(tmp_path / "sounds" / f"{name}.npz", samples=noise, sample_rate=16000)
    clips = tmp_path / "clips"
    imitate(LoudJaw(body, 25.0), clips, [tmp_path / "sounds"], 0)
    (path,) = clips.iterdir()  # both sounds are short: they were joined
    clip = load_clip(path)
    assert clip.spoken and 2.2 < clip.duration < 3.3
    assert clip.motion.expression[:, SPEAKING].any() and not clip.motion.expression[:, ~SPEAKING].any()
    assert abs(len(clip.samples) / 16000 - clip.duration) < 0.05
    written = path.stat().st_mtime_ns
    imitate(LoudJaw(body, 25.0), clips, [tmp_path / "sounds"], 0)
    assert path.stat().st_mtime_ns == written and torch.isfinite(clip.samples).all()

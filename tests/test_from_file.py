import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vlogger.body.smplx import load_body
from vlogger.errors import UserError
from vlogger.from_file import (
    FileControls,
    FileMotion,
    FileSubject,
    FileUpscale,
    FileVideo,
    SaveControls,
    SaveMotion,
    SaveSubject,
    SaveUpscale,
    SaveVideo,
)
from vlogger.io_values import save_subject
from vlogger.pipeline import Vlogger, chance
from vlogger.stages import AudioToMotion, ControlsToVideo, MotionToControls, PortraitToSubject, Upscale
from vlogger.types import Audio, Portrait

sys.path.insert(0, str(Path(__file__).parent / "tiny"))
import tiny_stages as tiny

PORTRAIT = Portrait(torch.randint(0, 256, (3, 160, 120), dtype=torch.uint8, generator=chance(0, 0)))
SPEECH = Audio(torch.randn(4000, generator=chance(1, 0)).clamp(-1, 1) * 0.3, 8000)
SILENCE = Audio(torch.zeros(0), 16000)


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def original(body):
    return Vlogger(tiny.Standing(body), tiny.LoudJaw(body, 24.0), tiny.Flat(), tiny.PaintWarped(), tiny.Enlarge(), body)


@pytest.fixture(scope="module")
def files(original, tmp_path_factory):
    """A walk that saves everything: its frames, and its files."""
    folder = tmp_path_factory.mktemp("files")
    saving = Vlogger(
        SaveSubject(original.subject, folder / "s.npz"),
        SaveMotion(original.motion, folder / "m.npz", original.body.expression_names),
        SaveControls(original.render, folder / "c.zip"),
        SaveVideo(original.video, folder / "v.mkv"),
        SaveUpscale(original.superres, folder / "l.mkv"),
        original.body,
    )
    return walk(saving), folder


def walk(vlogger, portrait=PORTRAIT, audio=SPEECH):
    return torch.cat([clip.frames for clip in vlogger(portrait, audio, size=None, seed=7)])


def test_saving_changes_nothing(original, files):
    assert torch.equal(walk(original), files[0])


@pytest.mark.parametrize("name", ["subject", "motion", "render", "video", "superres"])
def test_any_stage_can_be_its_file(original, files, body, name):
    """The other stages are the real ones, with the same seed: the same frames come out."""
    frames, folder = files
    stage = {
        "subject": lambda: FileSubject(folder / "s.npz"),
        "motion": lambda: FileMotion(folder / "m.npz", body),
        "render": lambda: FileControls(folder / "c.zip"),
        "video": lambda: FileVideo(folder / "v.mkv"),
        "superres": lambda: FileUpscale(folder / "l.mkv"),
    }[name]()
    assert torch.equal(walk(replace(original, **{name: stage})), frames)


def test_files_are_stages(files, body):
    folder = files[1]
    assert isinstance(FileSubject(folder / "s.npz"), PortraitToSubject)
    assert isinstance(FileMotion(folder / "m.npz", body), AudioToMotion)
    assert isinstance(FileControls(folder / "c.zip"), MotionToControls)
    assert isinstance(FileVideo(folder / "v.mkv"), ControlsToVideo)
    assert isinstance(FileUpscale(folder / "l.mkv"), Upscale)


def test_a_motion_needs_no_sound_but_none_of_another_length(files, body):
    stage, subject = FileMotion(files[1] / "m.npz", body), tiny.Standing(body)(PORTRAIT)
    assert len(stage(SILENCE, subject, generator=chance(0, 0))) == 12
    with pytest.raises(UserError, match=r"12 frames .* lasts 24; give sound of 0\.50 s"):
        stage(Audio(torch.zeros(8000), 8000), subject, generator=chance(0, 0))


def test_a_motion_of_another_body_is_refused(files, body):
    other = replace(body, expression_names=body.expression_names[:-1])
    with pytest.raises(UserError, match="other expressions"):
        FileMotion(files[1] / "m.npz", other)


def test_a_subject_takes_a_retouched_photo_of_the_same_size_only(files):
    stage = FileSubject(files[1] / "s.npz")
    retouched = Portrait(PORTRAIT.image.flip(0))
    assert torch.equal(stage(retouched).portrait.image, retouched.image)
    with pytest.raises(UserError, match="120 x 160 pixels, image= has 64 x 32"):
        stage(Portrait(torch.zeros(3, 32, 64, dtype=torch.uint8)))


def test_a_retouched_photo_keeps_the_matte(tmp_path, body):
    matte = (PORTRAIT.image[:1] > 100).byte() * 255
    subject = replace(tiny.Standing(body)(PORTRAIT), portrait=Portrait(PORTRAIT.image, matte))
    save_subject(tmp_path / "s.npz", subject)
    again = FileSubject(tmp_path / "s.npz")(Portrait(PORTRAIT.image.flip(0))).portrait
    assert again.matte is not None and torch.equal(again.matte, matte) and (again.image == PORTRAIT.image.flip(0)).all()


@pytest.mark.parametrize("frames, size, says", [(11, 128, "more than 11"), (13, 128, "has 12"), (12, 64, "128 x 128")])
def test_a_video_of_another_length_or_size_is_refused(files, frames, size, says):
    controls = tiny.FlatControls(frames, 24.0, torch.zeros(3, size, size))
    with pytest.raises(UserError, match=says):
        list(FileVideo(files[1] / "v.mkv")(controls, generator=chance(0, 0)))


def test_controls_of_another_length_are_refused(files, body):
    subject = tiny.Standing(body)(PORTRAIT)
    motion = tiny.LoudJaw(body, 24.0)(SPEECH, subject, generator=chance(0, 0))[:5]
    with pytest.raises(UserError, match="12 frames, the motion 5"):
        FileControls(files[1] / "c.zip")(motion, subject, size=128)

"""From a clip in a file to the motion and the subject in files."""

import numpy as np
import pytest
import skimage.data
import torch

from render.camera import project
from render.clip import SeeClip
from render.landmarks import detect
from vlogger.body.smplx import load_body, pose
from vlogger.body.smplx import personal as personal_body
from vlogger.errors import UserError
from vlogger.io_values import MotionWriter, load_motion, load_subject, save_motion, save_subject
from vlogger.io_video import saved, source_of, timed_frames
from vlogger.track import argument_of, samples, write
from vlogger.types import Motion, Portrait, Video

FPS, FRAMES, STEP, COVERED = 30000 / 1001, 14, 3, (6, 7)
BODY = load_body()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A face that slides by 3 pixels a frame and is covered in two of them, 29.97 frames a second, lossless."""
    photo, frames = torch.from_numpy(skimage.data.astronaut()[:300, 60:400]).permute(2, 0, 1), []
    for frame in range(FRAMES):
        canvas = torch.full((3, 300, 400), 90, dtype=torch.uint8)
        if frame not in COVERED:
            canvas[:, :, STEP * frame : STEP * frame + 340] = photo
        frames.append(canvas)
    path = tmp_path_factory.mktemp("clip") / "talk.mkv"
    list(saved(path, iter([Video(torch.stack(frames), FPS)])))
    return path


@pytest.fixture(scope="module")
def files(clip):
    """The folder with what was written: subject and track."""
    subject = SeeClip(BODY, steps=4)(samples(clip, source_of(clip).duration)[::3])
    save_subject(clip.parent / "subject.npz", subject)
    frames, missing = write(clip.parent / "track.npz", clip, subject, BODY, "largest")
    assert (frames, missing) == (FRAMES, len(COVERED))
    return clip.parent


def test_the_track_keeps_the_files_rate_and_times(files):
    motion, names = load_motion(files / "track.npz")
    with np.load(files / "track.npz") as file:
        np.testing.assert_allclose(file["times"], np.arange(FRAMES) / FPS, atol=2e-3)
        assert file["missing"].nonzero()[0].tolist() == list(COVERED)
        assert np.isnan(file["error"]).nonzero()[0].tolist() == list(COVERED)
        assert np.nanmean(file["error"]) < 1  # pixels
    assert motion.fps == pytest.approx(FPS, abs=1e-6) and len(motion) == FRAMES and names == BODY.expression_names


def test_the_moved_mesh_lies_on_the_face_of_every_frame(files, clip):
    subject, (motion, _) = load_subject(files / "subject.npz"), load_motion(files / "track.npz")
    frame = (motion.rotations, motion.expression, motion.translation)
    posed = pose(personal_body(BODY, subject.offsets), subject.betas, *frame).vertices
    nose = posed[:, BODY.faces[BODY.mp_faces[4]]] * BODY.mp_bary[4][:, None]
    at = project(nose.sum(1), subject.intrinsics)[:, 0].numpy()
    first = detect(next(timed_frames(clip))[1])[0].points[4, 0]
    np.testing.assert_allclose(at, first + STEP * np.arange(FRAMES), atol=1.5)


def test_a_clip_without_a_face_is_a_users_error():
    with pytest.raises(UserError, match=r"No face was found in wall\.mp4"):
        SeeClip(BODY, name="wall.mp4")([Portrait(torch.full((3, 80, 60), 99, dtype=torch.uint8))])


def test_frames_can_be_read_from_the_middle(clip):
    whole = list(timed_frames(clip))
    part = list(timed_frames(clip, start=9.5 / FPS))
    assert len(whole) == FRAMES and [t for t, _ in part] == [t for t, _ in whole[10:]]
    assert all((a == b).all() for (_, a), (_, b) in zip(part, whole[10:]))


def test_what_is_written_in_pieces_is_what_is_written_whole(tmp_path):
    dice = torch.Generator().manual_seed(0)
    shapes = [(7, 55, 3, 3), (7, 4), (7, 3)]
    motion = Motion(*(torch.randn(shape, generator=dice) for shape in shapes), fps=FPS)
    names = ([f"joint{i}" for i in range(55)], list("abcd"))
    save_motion(tmp_path / "whole.npz", motion, *names)
    with MotionWriter(tmp_path / "pieces.npz", FPS, *names) as writer:
        for part in (slice(0, 3), slice(3, 7)):
            writer.add(motion[part], missing=np.arange(7)[part] > 4)
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "pieces.npz") as pieces:
        assert set(pieces) == {*whole, "missing"}
        assert all((whole[name] == pieces[name]).all() for name in whole)
        assert pieces["missing"].tolist() == [False] * 5 + [True] * 2


def test_a_file_is_not_written_when_its_block_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), MotionWriter(tmp_path / "m.npz", FPS, ["a"], ["b"]):
        raise KeyboardInterrupt
    assert not (tmp_path / "m.npz").exists()


@pytest.mark.parametrize(
    "argument, meant",
    [("video=a b, c.mp4", "clip='a b, c.mp4'"), ("out=t.npz", "out='t.npz'"), ("face=1", "face=1")],
)
def test_video_is_free_text_and_no_group(argument, meant):
    assert argument_of(argument) == meant

"""From a clip in a file to the motion and the subject in files."""

from fractions import Fraction

import av
import numpy as np
import pytest
import skimage.data
import torch
from hydra import compose, initialize_config_module

from render.camera import project
from render.clip import SeeClip
from render.controls import MeshControls
from render.landmarks import detect
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.smplx import load_body, pose
from vlogger.body.smplx import personal as personal_body
from vlogger.errors import UserError
from vlogger.generate import quoted
from vlogger.io_values import MotionWriter, evened, load_motion, load_subject, save_motion, save_subject
from vlogger.io_video import load_video, saved, source_of, timed_frames
from vlogger.track import FREE_TEXT, drawing, samples, true_rate, write
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
    subject, frames, missing = write(clip.parent / "track.npz", clip, subject, BODY, "largest", MeshControls(BODY))
    save_subject(clip.parent / "subject.npz", subject)
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


def nose_at(subject, motion):
    """(t,) pixels from the left."""
    frame = (motion.rotations, motion.expression, motion.translation)
    posed = pose(personal_body(BODY, subject.offsets), subject.betas, *frame).vertices
    nose = posed[:, BODY.faces[BODY.mp_faces[4]]] * BODY.mp_bary[4][:, None]
    return project(nose.sum(1), subject.intrinsics)[:, 0].numpy()


def test_the_moved_mesh_lies_on_the_face_of_every_frame(files, clip):
    subject, (motion, _) = load_subject(files / "subject.npz"), load_motion(files / "track.npz")
    at = nose_at(subject, motion)
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


def test_video_is_free_text_and_no_group():
    with initialize_config_module("conf.track", version_base="1.3"):
        cfg = compose("clip", [quoted("video=a b, [c].mp4", FREE_TEXT), quoted("face=1", FREE_TEXT)])
    assert cfg.video == "a b, [c].mp4" and cfg.face == 1


def mp4(path, images, moments, rotation=0):
    """An mp4 whose frames are shown at these moments, hundredths of a second, lying as a telephone stores them."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 100)
        stream.set_display_rotation(rotation)
        for image, moment in zip(images, moments):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = moment, Fraction(1, 100)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("rotation", [-90, 90, 180])
def test_a_telephones_clip_is_seen_upright(tmp_path, rotation):
    photo = skimage.data.astronaut()[:240, 80:400]
    lying = np.rot90(photo, -rotation // 90)
    path = mp4(tmp_path / "phone.mp4", [lying] * 3, [0, 4, 8], rotation)
    assert (source_of(path).height, source_of(path).width) == photo.shape[:2]
    for image in (next(timed_frames(path))[1], next(load_video(path)).frames[0].permute(1, 2, 0).numpy()):
        assert image.shape == photo.shape and np.abs(image.astype(int) - photo).mean() < 6


def test_an_uneven_clip_keeps_its_times_and_its_duration(tmp_path):
    """A face that slides by a pixel every hundredth of a second, in frames of 2 and later of 8 hundredths."""
    moments = [*range(0, 24, 2), *range(24, 73, 8)]
    photo, images = skimage.data.astronaut()[:240, 100:340], []
    for moment in moments:
        canvas = np.full((240, 320, 3), 90, np.uint8)
        canvas[:, moment : moment + 240] = photo
        images.append(canvas)
    path = mp4(tmp_path / "uneven.mp4", images, moments)
    subject = SeeClip(BODY, steps=4)([Portrait(torch.from_numpy(images[0]).permute(2, 0, 1).contiguous())])
    subject = write(tmp_path / "track.npz", path, subject, BODY, "largest")[0]
    motion, _ = load_motion(tmp_path / "track.npz")
    with np.load(tmp_path / "track.npz") as file:
        np.testing.assert_allclose(file["times"], np.array(moments) / 100, atol=1e-6)
        assert len(motion) == len(moments) == len(file["error"])
    assert len(motion) / motion.fps == pytest.approx(0.72, abs=0.08)  # and the last frame lasts a while
    at = nose_at(subject, motion)
    np.testing.assert_allclose(at - at[0], 100 * np.arange(len(motion)) / motion.fps, atol=4)


def test_a_files_rate_is_believed_unless_its_times_say_else():
    assert true_rate(FPS, 300, 299 / FPS) == FPS and true_rate(30.0, 300, 299 / FPS) == 30.0
    assert true_rate(1000.0, 50, 4.9) == 10.0 and true_rate(25.0, 1, 0.0) == 25.0


def test_even_motions_are_left_alone_and_uneven_ones_evened():
    angles = torch.zeros(5, 55, 3)
    angles[:, 0, 2] = torch.tensor([0.0, 0.1, 0.4, 0.5, 0.6])
    motion = Motion(axis_angle_to_matrix(angles), torch.zeros(5, 2), angles[:, 0], 10.0)
    assert evened(motion, torch.arange(5) / 10 + 0.01) is motion
    even = evened(motion, torch.tensor([0.0, 0.04, 0.2, 0.3, 0.4]).double())
    turns = matrix_to_axis_angle(even.rotations[:, 0])[:, 2]
    assert torch.allclose(even.translation[:, 2], torch.tensor([0.0, 0.2125, 0.4, 0.5, 0.6]), atol=1e-5)
    assert torch.allclose(turns, even.translation[:, 2], atol=1e-3)


def test_faces_are_laid_by_their_skin_unless_that_is_left_out():
    with initialize_config_module("conf.track", version_base="1.3"):
        shipped, bare = compose("clip"), compose("clip", overrides=["draw=null"])
    draw = drawing(shipped, BODY)
    assert isinstance(draw, MeshControls) and draw.body is BODY
    assert drawing(bare, BODY) is None

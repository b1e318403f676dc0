"""Segments and the point from which a run goes on."""

import av
import pytest
import torch

from vlogger import resume
from vlogger.errors import UserError
from vlogger.io_audio import save_audio
from vlogger.io_video import join_videos, load_video, write_video
from vlogger.resume import Point, Remembering, cut, going_on, read_point, save_point, work_folder, write_segments
from vlogger.types import Audio, Video


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(resume, "SEGMENT", 4)
    monkeypatch.setattr(resume, "TAIL", 6)


def numbered(*lengths: int, first: int = 0) -> list[Video]:
    """Clips whose pixels are the numbers of the frames."""
    frames = torch.arange(first, first + sum(lengths), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    return [Video(part, 25.0) for part in frames.contiguous().split(list(lengths))]


def numbers(clip: Video) -> list[int]:
    return clip.frames[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("lengths", [(11,), (4, 4, 3), (3, 3, 3, 2), (1, 9, 1)])
@pytest.mark.parametrize("start", [0, 3, 4])
def test_no_part_crosses_a_segment_and_none_is_lost(lengths, start):
    point = Point(start // 2, start)  # 0, 1 or 2 segments are finished
    parts = list(cut(numbered(*lengths, first=start), point))
    assert all(number == frame // 4 for number, part in parts for frame in numbers(part))
    assert [frame for _, part in parts for frame in numbers(part)] == list(range(point.finished, start + 11))


@pytest.mark.parametrize("lengths", [(5, 3, 3), (2, 2, 2, 2, 3), (16,)])
def test_the_painter_goes_on_at_the_last_end_before_the_segments(lengths):
    painter = Remembering(lambda controls, *, generator: iter(numbered(*lengths)), Point())
    points = []
    for number, _ in cut(painter([], generator=None), Point()):  # pyright: ignore[reportArgumentType]
        points.append(painter.point(number + 1))
    ends = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    for point in points:
        assert point.start in ends and point.start <= point.finished
        expected = range(max(0, point.start - resume.TAIL), point.start)
        assert point.painted.flatten(1)[:, 0].tolist() == list(expected) if len(point.painted) else not expected


def test_points_are_read_as_they_were_written(tmp_path):
    assert read_point(tmp_path).segments == 0
    save_point(tmp_path, Point(3, 10, torch.ones(2, 3, 4, 4, dtype=torch.uint8)))
    again = read_point(tmp_path)
    assert (again.segments, again.start) == (3, 10) and torch.equal(again.painted, torch.ones_like(again.painted))


def test_stages_that_cannot_begin_midway_begin_anew():
    from vlogger.pipeline import Vlogger

    def stage(*values):
        return None

    vlogger = Vlogger(stage, stage, stage, stage, stage, stage)  # pyright: ignore[reportArgumentType]
    same, point = going_on(vlogger, Point(2, 7, torch.ones(7, 3, 4, 4, dtype=torch.uint8)))
    assert same is vlogger and (point.segments, point.start, len(point.painted)) == (2, 0, 0)


def test_the_package_own_stages_can_begin_midway():
    from superres.sample import Bicubic, DiffusionUpscale
    from video_diffusion.sample import DiffusionPainter

    for kind, protocol in ((DiffusionPainter, resume.PaintsOn), (DiffusionUpscale, resume.SharpensOn)):
        assert issubclass(kind, protocol)
    assert issubclass(Bicubic, resume.SharpensOn)


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97])
@pytest.mark.parametrize("frames", [1, 4, 11])
def test_joined_segments_hold_every_frame_at_its_time(tmp_path, frames, fps):
    y = torch.arange(32).view(1, 1, 32, 1)
    pictures = (torch.arange(frames).view(-1, 1, 1, 1) * 15 + y).expand(-1, 3, 32, 32).to(torch.uint8).contiguous()
    painter = Remembering(lambda controls, *, generator: iter([Video(pictures, fps)]), Point())
    clips = painter([], generator=None)  # pyright: ignore[reportArgumentType]
    save_audio(tmp_path / "s.wav", Audio(0.3 * torch.randn(32000), 16000))
    segments = write_segments(tmp_path, clips, Point(), painter)
    count, rate = join_videos(tmp_path / "a.mp4", segments, tmp_path / "s.wav")
    assert count == frames and abs(rate - fps) < 1e-3 and len(segments) == -(-frames // 4)
    apart = torch.cat([clip.frames for path in segments for clip in load_video(path)])
    joined = torch.cat([clip.frames for clip in load_video(tmp_path / "a.mp4")])
    assert torch.equal(apart, joined) and (joined.float() - pictures.float()).abs().mean() < 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx([frame / fps for frame in range(frames)], abs=1e-4)
        assert container.streams.video[0].frames == frames and len(container.streams.audio) == 1


def test_two_runs_do_not_write_one_video(tmp_path):
    with work_folder(tmp_path / "a.mp4", "key"):
        with pytest.raises(UserError, match="another run"), work_folder(tmp_path / "a.mp4", "key"):
            pass
        assert (tmp_path / ".a.mp4.part").exists()
    assert not (tmp_path / ".a.mp4.part").exists()


@pytest.mark.parametrize(
    "error, key, kept", [(KeyboardInterrupt, "k", True), (UserError, "k", False), (KeyboardInterrupt, None, False)]
)
def test_what_is_finished_is_kept_unless_the_error_is_the_users(tmp_path, error, key, kept):
    with pytest.raises(error), work_folder(tmp_path / "a.mp4", key) as folder:
        write_video(folder / "000000.mp4", numbered(4), None)
        save_point(folder, Point(1, 4))
        raise error
    assert (tmp_path / ".a.mp4.part").exists() == kept
    with pytest.raises(KeyboardInterrupt), work_folder(tmp_path / "a.mp4", "other") as folder:
        assert read_point(folder).segments == 0
        raise KeyboardInterrupt
    assert not (tmp_path / ".a.mp4.part").exists()

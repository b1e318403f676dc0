import os
import subprocess

import av
import pytest
import torch

from vlogger.errors import UserError
from vlogger.io_audio import save_audio
from vlogger.io_video import load_video, saved, write_video
from vlogger.types import Audio, Video


def smooth(frames=12, height=32, width=48):
    """A moving colour gradient, friendly to codecs."""
    t, y, x = torch.meshgrid(torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([4 * x + 2 * t, 6 * y + 20, 200 - 3 * x], 1).clamp(0, 255).to(torch.uint8)


def clips(frames, size=5, fps=24.0):
    return [Video(part, fps) for part in frames.split(size)]


def decoded(path):
    return torch.cat([clip.frames for clip in load_video(path)])


def noise(seconds, rate=16000):
    return Audio(0.3 * torch.randn(round(seconds * rate), generator=torch.Generator().manual_seed(0)), rate)


def test_every_frame_and_the_colours_arrive(tmp_path):
    assert write_video(tmp_path / "a.mp4", clips(smooth()), None) == (12, 24.0)
    again = decoded(tmp_path / "a.mp4")
    assert again.shape == (12, 3, 32, 48)
    assert (again.float() - smooth().float()).abs().mean() < 3


@pytest.mark.parametrize("fps", [1.0, 23.976, 24.0, 25.0, 29.97, 60.0])
def test_frame_rates_are_kept(tmp_path, fps):
    write_video(tmp_path / "a.mp4", clips(smooth(), fps=fps), None)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.frames == 12 and abs(float(stream.average_rate) - fps) < 1e-3
        assert abs(float(stream.duration * stream.time_base) - 12 / fps) < 1e-3


def test_tags_and_tracks(tmp_path):
    save_audio(tmp_path / "s.wav", noise(0.5))
    write_video(tmp_path / "a.mp4", clips(smooth()), tmp_path / "s.wav")
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        context = video.codec_context
        assert (context.name, context.pix_fmt, sound.codec_context.name) == ("h264", "yuv420p", "aac")
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert video.start_time == 0 and (sound.start_time or 0) == 0
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays while it loads


def test_same_clips_same_bytes_however_they_are_cut(tmp_path):
    save_audio(tmp_path / "s.wav", noise(0.5))
    write_video(tmp_path / "a.mp4", clips(smooth(), 5), tmp_path / "s.wav")
    write_video(tmp_path / "b.mp4", clips(smooth(), 1), tmp_path / "s.wav")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_sound_longer_and_shorter_than_the_pictures(tmp_path):
    for seconds in (0.2, 3.0):
        save_audio(tmp_path / "s.wav", noise(seconds))
        assert write_video(tmp_path / "a.mp4", clips(smooth()), tmp_path / "s.wav")[0] == 12
        with av.open(str(tmp_path / "a.mp4")) as container:
            stream = container.streams.audio[0]
            assert abs(float(stream.duration * stream.time_base) - seconds) < 0.1


def test_clips_are_asked_for_one_at_a_time(tmp_path):
    """Memory does not grow with length: a clip is freed before the next but one is made."""
    import weakref

    alive, most = [], 0

    def made():
        nonlocal most
        for _ in range(20):
            clip = Video(smooth(5), 24.0)
            alive.append(weakref.ref(clip))
            most = max(most, sum(ref() is not None for ref in alive))
            yield clip
            del clip

    write_video(tmp_path / "a.mp4", made(), None)
    assert most <= 3


def test_saved_clips_are_lossless_and_pass_through(tmp_path):
    frames = torch.randint(0, 256, (11, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    passed = torch.cat([clip.frames for clip in saved(tmp_path / "a.mkv", clips(frames))])
    assert torch.equal(passed, frames) and torch.equal(decoded(tmp_path / "a.mkv"), frames)
    assert next(load_video(tmp_path / "a.mkv")).fps == 24.0


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nonsense" * 50)
    with pytest.raises(UserError, match=r"a\.mp4 cannot be read"):
        next(load_video(tmp_path / "a.mp4"))
    save_audio(tmp_path / "s.wav", noise(0.5))
    with pytest.raises(UserError, match="no pictures"):
        next(load_video(tmp_path / "s.wav"))


def test_a_full_disk_is_a_sentence(tmp_path):
    """On a file system of 64 kB, where this process may mount one."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a small file system")
    try:
        noisy = torch.randint(0, 256, (40, 3, 128, 128), dtype=torch.uint8)
        with pytest.raises(UserError, match="No space left on device"):
            write_video(small / "a.mp4", clips(noisy), None)
        with pytest.raises(UserError, match="No space left on device"):
            list(saved(small / "a.mkv", clips(noisy)))
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_video(tmp_path / "none" / "a.mp4", clips(smooth()), None)
    assert os.listdir(tmp_path) == []

import av
import numpy as np
import pytest
import torch

from vlogger.errors import UserError
from vlogger.io_audio import aac_rate, handling, load_audio, save_audio, sound_packets
from vlogger.types import Audio


def tone(rate, seconds=0.5, pitch=440.0):
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def write(path, samples, rate, codec, layout="mono", kind=None):
    """A sound file made by FFmpeg; samples (channels, s)."""
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(stream.format, stream.layout, stream.rate, frame_size=stream.frame_size or None)
        for block in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return path


def pitch_of(samples, rate):
    """The strongest frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * rate / len(samples)


@pytest.mark.parametrize(
    "name, codec, rate, seconds",
    [
        ("a.wav", "pcm_s16le", 8000, 0.5),
        ("a.wav", "pcm_f32le", 192000, 0.5),
        ("a.wav", "pcm_u8", 11025, 0.5),
        ("a.flac", "flac", 44100, 0.5),
        ("a.mp3", "libmp3lame", 22050, 0.5),
        ("a.ogg", "libopus", 48000, 0.5),
        ("a.opus", "libopus", 48000, 0.5),
        ("a.m4a", "aac", 32000, 0.5),
        ("a.mkv", "aac", 48000, 0.5),
    ],
)
def test_any_container_and_rate_is_heard(tmp_path, name, codec, rate, seconds):
    audio = load_audio(write(tmp_path / name, tone(rate, seconds)[None], rate, codec))
    assert audio.sample_rate == rate and abs(audio.duration - seconds) < 0.08
    assert abs(pitch_of(audio.samples.numpy(), rate) - 440) < 5
    assert 0.3 < audio.samples.abs().max() <= 1


def test_a_wav_is_read_sample_by_sample(tmp_path):
    samples = torch.linspace(-1, 1, 5000)
    save_audio(tmp_path / "a.wav", Audio(samples, 16000))
    again = load_audio(tmp_path / "a.wav")
    assert again.sample_rate == 16000 and torch.allclose(again.samples, samples, atol=1e-4)


def test_stereo_is_averaged(tmp_path):
    left, right = tone(16000, pitch=400), tone(16000, pitch=900)
    path = write(tmp_path / "a.wav", np.stack([left, right]), 16000, "pcm_f32le", "stereo")
    assert np.allclose(load_audio(path).samples.numpy(), (left + right) / 2, atol=1e-3)


def test_the_sound_of_a_video_is_read(tmp_path, talking_file):
    audio = load_audio(talking_file)
    assert audio.sample_rate == 44100 and abs(audio.duration - 0.5) < 0.05


@pytest.fixture
def talking_file(tmp_path):
    """An mp4 with a picture and stereo AAC."""
    from vlogger.io_video import write_video
    from vlogger.types import Video

    sound = write(tmp_path / "s.wav", np.stack([tone(44100), tone(44100)]), 44100, "pcm_s16le", "stereo")
    write_video(tmp_path / "v.mp4", [Video(torch.zeros(5, 3, 16, 16, dtype=torch.uint8), 10.0)], sound)
    return tmp_path / "v.mp4"


@pytest.mark.parametrize(
    "samples, says",
    [
        (np.zeros((1, 8000), np.float32), "silent"),
        (tone(16000, 0.05)[None], r"lasts only 0\.050 s"),
        (np.full((1, 8000), np.nan, np.float32), "not numbers"),
    ],
)
def test_useless_sound_is_refused(tmp_path, samples, says):
    with pytest.raises(UserError, match=says):
        load_audio(write(tmp_path / "a.wav", samples, 16000, "pcm_f32le"))


def test_broken_files_are_refused_in_one_sentence(tmp_path):
    good = write(tmp_path / "good.wav", tone(16000)[None], 16000, "pcm_s16le").read_bytes()
    for content in (b"", b"nonsense" * 100, good[:20], good[:44]):
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.wav") as error:
            load_audio(tmp_path / "a.wav")
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="does not exist"):
        load_audio(tmp_path / "none.wav")


def test_a_picture_has_no_sound(tmp_path):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="no sound"):
        load_audio(tmp_path / "a.png")


def carried(path, tmp_path):
    """The sound of a file after `sound_packets`: packet bytes and the decoded file."""
    target = tmp_path / "carried.mp4"
    with av.open(str(target), "w") as output:
        for packet in sound_packets(path, output):
            output.mux(packet)
    with av.open(str(target)) as container:
        stream = container.streams.audio[0]
        start = float((stream.start_time or 0) * stream.time_base)
        return [bytes(packet) for packet in container.demux(stream) if packet.size], stream.layout.name, start, target


@pytest.mark.parametrize("name", ["a.m4a", "a.mkv", "a.aac"])
def test_aac_is_copied_packet_by_packet(tmp_path, name):
    path = write(tmp_path / name, np.stack([tone(44100), tone(44100, pitch=700)]), 44100, "aac", "stereo")
    packets, layout, start, target = carried(path, tmp_path)
    with av.open(str(path)) as container:
        original = [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]
    strip = 7 if name.endswith(".aac") else 0  # the header that raw streams repeat before each packet
    assert packets == [packet[strip:] for packet in original]
    assert layout == "stereo" and abs(start) < 0.001 and "copied" in handling(path)
    before, after = load_audio(path).samples, load_audio(target).samples
    length = min(len(before), len(after))
    assert abs(len(before) - len(after)) <= 2048 and torch.allclose(before[:length], after[:length], atol=1e-4)


@pytest.mark.parametrize(
    "name, codec, layout",
    [("a.wav", "pcm_s16le", "mono"), ("a.mp3", "libmp3lame", "stereo"), ("a.opus", "libopus", "stereo")],
)
def test_other_sound_becomes_aac_and_stays_in_time(tmp_path, name, codec, layout):
    rate = 48000
    click = np.zeros((1 if layout == "mono" else 2, rate // 2), np.float32)
    click[:, 12000:12300] = tone(rate, 300 / rate, 3000) * np.hanning(300) ** 2
    path = write(tmp_path / name, click, rate, codec, layout)
    _, after_layout, start, target = carried(path, tmp_path)
    before, after = load_audio(path), load_audio(target)
    loudest = [int(audio.samples.abs().argmax()) for audio in (before, after)]
    assert after_layout == layout and after.sample_rate == rate and abs(start) < 0.001
    assert abs(loudest[0] - loudest[1]) < 0.002 * rate


@pytest.mark.parametrize(
    "rate, expected", [(16000, 16000), (44100, 44100), (37800, 44100), (192000, 96000), (4000, 7350)]
)
def test_rates_change_only_where_aac_has_none(rate, expected):
    assert aac_rate(rate) == expected

"""Video files: the mp4 that people watch, lossless clips for `video=from_file`, and reading any video."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from itertools import chain
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer, OutputContainer
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from vlogger.errors import UserError
from vlogger.io import disk_errors, existing
from vlogger.io_audio import sound_packets
from vlogger.types import Video

BT709 = 1  # ITU-T H.273 number of primaries, transfer and matrix
LIMITED = 1  # AVCOL_RANGE_MPEG
# A fixed number of threads: x264 is deterministic for one number, and differs between numbers.
X264 = {"preset": "medium", "crf": "17", "threads": "4"}
SMOOTH = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def write_video(path: Path, clips: Iterable[Video], sound: Path | None) -> tuple[int, float]:
    """Encode clips as H.264 with the sound of a file beside them; returns frames and frames per second.

    4:2:0, BT.709, moov in front. The same clips give the same bytes. Nothing is kept but the clip at hand.
    """
    first, clips = peeked(clips)
    with written(path, "mp4") as output:
        stream = h264_stream(output, first)
        packets = sound_packets(sound, output) if sound else iter(())
        frames = write_interleaved(path, output, yuv_frames(clips), stream, packets)
    return frames, first.fps


def join_videos(path: Path, segments: list[Path], sound: Path | None) -> tuple[int, float]:
    """The pictures of `write_video`'s files one after the other, not encoded again, with the sound of a file beside
    them; returns frames and frames per second."""
    with written(path, "mp4") as output:
        with av.open(str(segments[0])) as first:
            template = first.streams.video[0]
            stream, rate = output.add_stream_from_template(template), template.average_rate
        packets = sound_packets(sound, output) if sound else iter(())
        assert rate is not None
        frames = 0
        for packet in merge(appended(segments, stream, rate), packets, key=decoding_time):
            frames += packet.stream is stream
            with disk_errors(path):
                output.mux(packet)
    return frames, float(rate)


def appended(segments: list[Path], stream: VideoStream, rate: Fraction) -> Iterator[av.Packet]:
    """The packets of video files for `stream`, each file's times after those of the files before it."""
    before = 0
    for segment in segments:
        with av.open(str(segment)) as container:
            frames = 0
            for packet in container.demux(video=0):
                if packet.dts is None or packet.pts is None:
                    continue
                offset = Fraction(before) / rate / packet.time_base
                assert offset.denominator == 1
                packet.pts, packet.dts, packet.stream = packet.pts + int(offset), packet.dts + int(offset), stream
                frames += 1
                yield packet
        before += frames


def decoding_time(packet: av.Packet) -> Fraction:
    """When a packet is to be decoded, in seconds."""
    return Fraction(packet.dts or 0) * (packet.time_base or 1)


@contextmanager
def written(path: Path, kind: str) -> Iterator[OutputContainer]:
    """A container that is closed well, or, when the block fails, just closed."""
    with disk_errors(path):
        output = av.open(str(path), "w", format=kind, options={"movflags": "+faststart"} if kind == "mp4" else {})
    try:
        yield output
    except BaseException:
        with suppress(OSError, ValueError):
            output.close()
        raise
    with disk_errors(path):
        output.close()


def peeked(clips: Iterable[Video]) -> tuple[Video, Iterator[Video]]:
    """The first clip, and all of them."""
    iterator = iter(clips)
    first = next(iterator)
    return first, chain([first], iterator)


def rational(fps: float) -> Fraction:
    """Frames per second as the fraction that files store."""
    return Fraction(fps).limit_denominator(1001)


def h264_stream(output: OutputContainer, first: Video) -> VideoStream:
    """An x264 stream for frames of this size; sides must be even."""
    stream = output.add_stream("libx264", rate=rational(first.fps), options=X264)
    stream.height, stream.width = first.frames.shape[-2:]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rational(first.fps)
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = LIMITED
    return stream


def yuv_frames(clips: Iterable[Video]) -> Iterator[av.VideoFrame]:
    """RGB to BT.709 4:2:0, limited range."""
    for clip in clips:
        for image in clip.frames.permute(0, 2, 3, 1).numpy():
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            yield rgb.reformat(
                format="yuv420p", dst_colorspace=BT709, src_color_range=2, dst_color_range=1, interpolation=SMOOTH
            )


def write_interleaved(
    path: Path,
    output: OutputContainer,
    images: Iterator[av.VideoFrame],
    stream: VideoStream,
    sound: Iterator[av.Packet],
) -> int:
    """Picture and sound in the order of their times, so that the muxer need not remember either."""
    count, waiting, rate = 0, next(sound, None), stream.codec_context.framerate
    for count, image in enumerate(images, 1):
        image.pts, image.time_base = count - 1, 1 / rate
        with disk_errors(path):
            output.mux(stream.encode(image))
            while waiting is not None and seconds(waiting) <= count / rate:
                output.mux(waiting)
                waiting = next(sound, None)
    with disk_errors(path):
        output.mux(stream.encode(None))
        for packet in chain([] if waiting is None else [waiting], sound):
            output.mux(packet)
    return count


def seconds(packet: av.Packet) -> Fraction:
    """When a packet is to be heard."""
    return Fraction(packet.pts or 0) * (packet.time_base or 1)


def saved(path: Path, clips: Iterable[Video]) -> Iterator[Video]:
    """The same clips, written on their way through as lossless RGB (FFV1 in Matroska)."""
    first, clips = peeked(clips)
    with written(path, "matroska") as output:
        stream = output.add_stream("ffv1", rate=rational(first.fps), options={"threads": "1"})
        stream.height, stream.width = first.frames.shape[-2:]
        stream.pix_fmt = "bgr0"
        count = 0
        for clip in clips:
            with disk_errors(path):
                for image in clip.frames.permute(0, 2, 3, 1).numpy():
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                    frame = frame.reformat(format="bgr0")
                    frame.pts, frame.time_base, count = count, 1 / rational(first.fps), count + 1
                    output.mux(stream.encode(frame))
            yield clip
        with disk_errors(path):
            output.mux(stream.encode(None))


@dataclass(frozen=True)
class Source:
    """What a video file says of itself: frames per second (the mean where it varies), seconds (0 where unknown), height
    and width of the upright pictures."""

    fps: float
    duration: float
    height: int
    width: int


def source_of(path: str | Path) -> Source:
    """Of the first picture stream."""
    with opened_video(path) as (container, stream):
        length = float((stream.duration or 0) * (stream.time_base or 1)) or (container.duration or 0) / av.time_base
        rate = stream.average_rate or stream.guessed_rate or 25
        first = next(container.decode(stream), None)
        lying = first is not None and turns_of(first) % 2
        height, width = (stream.width, stream.height) if lying else (stream.height, stream.width)
        return Source(float(rate), float(length), height, width)


def turns_of(frame: av.VideoFrame) -> int:
    """Quarter turns, counterclockwise, that bring a picture upright: telephones store it as the sensor lies."""
    return round(frame.rotation / 90) % 4


def upright(frame: av.VideoFrame) -> np.ndarray:
    """(h, w, 3) RGB uint8 as a player shows it."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns_of(frame)))


def timed_frames(path: str | Path, start: float = 0.0) -> Iterator[tuple[float, np.ndarray]]:
    """The pictures (h, w, 3) RGB and when they are shown, from `start` on; seconds.

    Where the file does not say when, the frame's number over its rate.
    """
    with opened_video(path) as (container, stream):
        if start:
            container.seek(int(start / (stream.time_base or 1)), stream=stream)
        for number, frame in enumerate(container.decode(stream)):
            moment = moment_of(frame, number, stream)
            if moment >= start or frame.time is None:
                yield moment, upright(frame)


def moment_of(frame: av.VideoFrame, number: int, stream: av.VideoStream) -> float:
    """Seconds at which a frame is shown; by its number where the file does not say."""
    return float(number / (stream.average_rate or 25) if frame.time is None else frame.time)


def frames_at(path: str | Path, moments: list[float], skip: float = 10.0) -> Iterator[np.ndarray]:
    """The pictures (h, w, 3) RGB that are shown at or first after these moments, ascending, seconds; fewer at the end.

    A gap of more than `skip` seconds is jumped over, a smaller one read through, which costs less than it would to
    begin again from the last whole picture.
    """
    waiting, here = deque(moments), 0.0
    with opened_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        while waiting:
            if waiting[0] - here > skip:
                container.seek(int(waiting[0] / (stream.time_base or 1)), stream=stream)
            for number, frame in enumerate(container.decode(stream)):
                here = moment_of(frame, number, stream)
                if here >= waiting[0]:
                    waiting.popleft()
                    yield upright(frame)
                    if not waiting or waiting[0] - here > skip:
                        break
            else:
                return


@contextmanager
def opened_video(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A file and its first picture stream; UserError when there is none, or when it breaks off while it is read."""
    path = existing(path, "a video")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path} has no pictures in it; give a video")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise UserError(f"{path} cannot be read as a video ({error.strerror}); convert it to mp4") from error


def load_video(path: str | Path, clip: int = 16) -> Iterator[Video]:
    """The pictures of any video file, `clip` at a time."""
    path = existing(path, "a video")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path} has no pictures in it; give a video")
            stream = container.streams.video[0]
            fps, images = float(stream.guessed_rate or 25), []
            for frame in container.decode(stream):
                images.append(torch.from_numpy(upright(frame)).permute(2, 0, 1))
                if len(images) == clip:
                    yield Video(torch.stack(images), fps)
                    images = []
            if images:
                yield Video(torch.stack(images), fps)
    except av.FFmpegError as error:
        raise UserError(f"{path} cannot be read as a video ({error.strerror}); convert it to mp4") from error

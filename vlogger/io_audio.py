"""Sound files: what the model hears (mono samples), and what the viewer hears (the original, untouched if possible)."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer, OutputContainer

from vlogger.errors import UserError
from vlogger.io import existing
from vlogger.types import Audio

SHORTEST = 0.1  # seconds
AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)  # Hz


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A container with sound in it; what FFmpeg cannot read becomes a `UserError`."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise UserError(f"{path} has no sound in it; give a file with an audio track")
            yield container
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read as sound ({reason}); convert it to WAV") from error


def load_audio(path: str | Path) -> Audio:
    """The first sound track of any container that FFmpeg reads, as mono (the mean of its channels) at its
    own rate; time 0 is its first sample.

    Silent, broken, or less than `SHORTEST` seconds: `UserError`.
    """
    path = existing(path, "a sound or video file")
    with opened(path) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="fltp", rate=rate)
        grown = bytearray()  # one block that grows: thousands of small ones leave holes that stay taken
        for frame in chain(decoded(container), [None]):
            for block in resampler.resample(frame) if frame or grown else ():
                grown += block.to_ndarray().mean(0, dtype=np.float32).tobytes()
    samples = np.frombuffer(grown, np.float32)
    check(samples, rate, path)
    return Audio(torch.from_numpy(np.clip(samples, -1, 1, out=samples)), rate)


def decoded(container: InputContainer) -> Iterator[av.AudioFrame]:
    """Frames of the first sound track."""
    for frame in container.decode(container.streams.audio[0]):
        frame.pts = None
        yield frame


def check(samples: np.ndarray, rate: int, path: Path) -> None:
    """Refuse what nobody can be made to speak."""
    if len(samples) == 0:
        raise UserError(f"{path} has a sound track without any sound in it; give another recording")
    if len(samples) < SHORTEST * rate:
        raise UserError(f"{path} lasts only {len(samples) / rate:.3f} s; give at least {SHORTEST} s of speech")
    if not np.isfinite(samples).all():
        raise UserError(f"{path} contains samples that are not numbers; save the recording again")
    if not samples.any():
        raise UserError(f"{path} is silent from beginning to end; give a recording with speech in it")


def save_audio(path: Path, audio: Audio) -> None:
    """A 16-bit mono WAV."""
    samples = (audio.samples.numpy() * 32767).round().clip(-32768, 32767).astype(np.int16)
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=audio.sample_rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = audio.sample_rate, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])


def handling(path: Path) -> str:
    """How `sound_packets` carries the sound of a file over, in words."""
    with opened(path) as container:
        stream = container.streams.audio[0]
        name, rate = stream.codec_context.name, stream.rate
    if name == "aac":
        return f"aac at {rate} Hz, packets copied"
    return f"{name} at {rate} Hz, encoded as aac at {aac_rate(rate)} Hz"


def aac_rate(rate: int) -> int:
    """The same rate where AAC has it, else the next one above, at most 96 kHz."""
    return next((allowed for allowed in AAC_RATES if allowed >= rate), AAC_RATES[-1])


def sound_packets(path: Path, output: OutputContainer) -> Iterator[av.Packet]:
    """Give `output` a sound track and return its packets, in order, the first sample at time 0.

    AAC is copied packet by packet. Everything else is encoded as AAC from the decoded samples, with its own channels
    and its own rate unless AAC has no such rate.
    """
    with opened(path) as container:
        source = container.streams.audio[0]
        if source.codec_context.name == "aac":
            stream = output.add_stream_from_template(source)
            packets = copied
        else:
            stream = output.add_stream("aac", rate=aac_rate(source.rate), layout=aac_layout(source))
            # AAC carries at most 6 bits a sample
            stream.bit_rate = min(160_000, 5 * stream.rate) * stream.codec_context.channels
            packets = encoded
    return packets(path, stream)


def aac_layout(source: av.AudioStream) -> str:
    """The channels of the source; files that do not say which is where are mono or stereo by their number."""
    layout = source.layout.name
    known = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")
    return layout if layout in known else "mono" if source.codec_context.channels == 1 else "stereo"


def copied(path: Path, stream: av.AudioStream) -> Iterator[av.Packet]:
    """The packets of the file as they are, moved so that its sound begins at 0."""
    with opened(path) as container:
        source = container.streams.audio[0]
        start = source.start_time or 0
        for packet in container.demux(source):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts, packet.dts = packet.pts - start, packet.dts - start
            packet.stream = stream
            yield packet


def encoded(path: Path, stream: av.AudioStream) -> Iterator[av.Packet]:
    """The decoded sound through the AAC encoder of `stream`; times tell the muxer to skip the encoder's delay."""
    with opened(path) as container:
        resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
        begin = 0
        for frame in chain(decoded(container), [None]):
            for block in resampler.resample(frame):
                block.pts, block.time_base = begin, Fraction(1, stream.rate)
                begin += block.samples
                yield from stream.encode(block)
    yield from stream.encode(None)

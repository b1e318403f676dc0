"""Do the lips rest when nothing is said?

- silent motion [1], better: truth's. Mean speed of the lip aperture in frames without speech over that in frames with
  speech
- silent aperture [pupils], better: truth's. Mean aperture in frames without speech
- motion in pauses [1], better: lower. The same speeds, of frames from half a second after speech to a quarter of a
  second before it: lips need that long to close, and they part before the sound; of clips with 0.4 s of that at least

What is speech is said by silero-vad (MIT, weights=FOLDER), or, without it, by the level of the sound: 35 dB below the
loudest tenth. Both are reported under their own names.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motion.audio import SAMPLE_RATE, resample
from vlogger.errors import UserError
from vlogger.types import Audio

SILENCE_DB = -35.0  # below the loudest tenth
CHUNK = 512  # samples at 16 kHz that silero-vad looks at
SPEECH = 0.5  # probability from which on it is speech
CLOSING, PARTING = 0.5, 0.25  # seconds after and before speech in which lips move without a sound
FEWEST = 3  # frames of either kind that a mean needs
LEAST_PAUSE = 0.4  # seconds of pauses in a clip that tell anything about them


def load_vad(path: Path) -> torch.jit.ScriptModule:
    """silero_vad.jit."""
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise UserError(f"{path} is not silero-vad's TorchScript file: fetch it again") from error


@torch.inference_mode()
def speech_by_vad(vad: torch.jit.ScriptModule, audio: Audio, frames: int, fps: float) -> NDArray:
    """(t,) bool: the middle of the frame lies in a chunk that is speech."""
    samples = resample(audio.samples, audio.sample_rate)
    samples = torch.nn.functional.pad(samples, (0, -len(samples) % CHUNK))
    vad.reset_states()
    chance = np.array([float(vad(chunk, SAMPLE_RATE)) for chunk in samples.split(CHUNK)])
    at = ((np.arange(frames) + 0.5) / fps * SAMPLE_RATE / CHUNK).astype(int)
    return chance[at.clip(max=len(chance) - 1)] > SPEECH


def speech_by_level(audio: Audio, frames: int, fps: float) -> NDArray:
    """(t,) bool: the frame's sound is within `SILENCE_DB` of the recording's loud parts."""
    bounds = (np.arange(frames + 1) / fps * audio.sample_rate).astype(int)
    pieces = [audio.samples[a:b].numpy() for a, b in pairwise(bounds)]
    power = np.array([(piece**2).mean() if len(piece) else 0.0 for piece in pieces])
    level = 10 * np.log10(power + 1e-12)
    return level > np.quantile(level, 0.9) + SILENCE_DB


def paused(speech: NDArray, fps: float) -> NDArray:
    """(t,) bool -> (t,) bool: nobody has spoken for CLOSING seconds, nor will within PARTING."""
    before, after = round(PARTING * fps), round(CLOSING * fps)
    near = np.convolve(speech.astype(int), np.ones(before + after + 1, int))
    return near[before : before + len(speech)] == 0


def silence_of(aperture: NDArray, speech: NDArray, fps: float) -> dict[str, float]:
    """The metrics of an aperture curve (t,) and speech (t,) bool; nan without enough frames of both kinds."""
    count = min(len(aperture), len(speech))
    aperture, speech = aperture[:count], speech[:count]
    speed = np.abs(np.gradient(aperture))
    known = np.isfinite(speed) & np.isfinite(aperture)
    silent, loud = known & ~speech, known & speech
    if loud.sum() < FEWEST:
        return dict.fromkeys(("silent_motion", "silent_aperture", "pause_motion"), float("nan"))
    spoken = max(mean_of(speed, loud), 1e-6)
    return {
        "silent_motion": mean_of(speed, silent) / spoken,
        "silent_aperture": mean_of(aperture, silent),
        "pause_motion": mean_of(speed, known & paused(speech, fps), round(LEAST_PAUSE * fps)) / spoken,
    }


def mean_of(values: NDArray, chosen: NDArray, fewest: int = FEWEST) -> float:
    """The mean of some of the values; nan for fewer than `fewest`."""
    return float(values[chosen].mean()) if chosen.sum() >= fewest else float("nan")

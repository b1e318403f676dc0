"""Text to speech, so that a sentence can stand in for a recording.

espeak-ng is GPL-3.0: its library comes in the package espeakng-loader and is called through its C interface
(`speak_lib.h`) only when a text is to be spoken; no part of it is in this package.
"""

import _ctypes
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from vlogger.errors import UserError
from vlogger.types import Audio

# speak_lib.h
SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: call back while espeak_Synth runs
UTF8 = 1  # espeakCHARS_UTF8
RATE = 1  # espeak_PARAMETER: words per minute
EXIT_NOT = 0x8000  # espeakINITIALIZE_DONT_EXIT
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Espeak:
    """A voice of espeak-ng: `en-us`, `de`, `fr`, `cmn`, … and how fast it speaks."""

    voice: str = "en-us"
    words_per_minute: int = 160

    def __call__(self, text: str) -> Audio:
        """The spoken text, mono 16 bit at the library's rate (22,050 Hz)."""
        if not text.strip():
            raise UserError("text= is empty; give a sentence to speak, or audio=")
        with engine() as (library, rate):
            if library.espeak_SetVoiceByName(self.voice.encode()) != 0:
                raise UserError(f"espeak-ng has no voice {self.voice}; try speech.voice=en-us, de, fr, es, ru or cmn")
            library.espeak_SetParameter(RATE, self.words_per_minute, 0)
            samples = spoken(library, text)
        if not samples.any():
            raise UserError(f"espeak-ng has nothing to say for text={text!r}; give a sentence with words in it")
        return Audio(torch.from_numpy(samples.astype(np.float32) / 32768), rate)


@contextmanager
def engine() -> Iterator[tuple[ctypes.CDLL, int]]:
    """The library, ready, and its sample rate (Hz). Unloaded at the end, because its noise goes on where it was."""
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except (ImportError, OSError) as error:
        raise UserError("text= needs espeak-ng; pip install espeakng-loader, or give audio= instead") from error
    try:
        rate = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), EXIT_NOT)
        if rate <= 0:
            raise UserError("espeak-ng does not find its data; reinstall espeakng-loader, or give audio= instead")
        yield library, rate
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


def spoken(library: ctypes.CDLL, text: str) -> np.ndarray:
    """All samples (s,) int16 of a text."""
    blocks: list[np.ndarray] = []
    listener = CALLBACK(partial(keep, blocks))  # must live until espeak_Synth returns
    library.espeak_SetSynthCallback(listener)
    data = text.encode() + b"\0"
    library.espeak_Synth(ctypes.c_char_p(data), ctypes.c_size_t(len(data)), 0, 0, 0, UTF8, None, None)
    library.espeak_Synchronize()
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


def keep(blocks: list[np.ndarray], samples, count: int, events) -> int:
    """espeak's callback: copy a block of samples; 0 means go on."""
    if samples and count > 0:
        blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
    return 0

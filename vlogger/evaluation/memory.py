"""Memory against length: each length in a process of its own, whose peak is read at its end."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import process_time
from typing import ClassVar

import torch

from vlogger.evaluation.bench import Bench, open_bench
from vlogger.evaluation.cost import counted, repeated
from vlogger.evaluation.measure import Numbers
from vlogger.evaluation.tasks import Row
from vlogger.io import load_portrait
from vlogger.io_audio import load_audio
from vlogger.record import peak_memory


@dataclass(frozen=True)
class Memory:
    """One row for each length in seconds."""

    kind: ClassVar[str] = "memory"
    group: str
    name: str
    portrait: str
    audio: str
    lengths: Sequence[float]

    def __call__(self, bench: Bench) -> list[Row]:
        rows = []
        for length in self.lengths:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                job = alone.submit(peak_of, bench.settings, self.portrait, self.audio, float(length))
                rows.append(Row(f"{length:g} s", job.result()))
        return rows


def peak_of(settings: str, portrait: str, audio: str, length: float) -> Numbers:
    """Peak memory in MB and CPU seconds of a video that is thrown away as it is made."""
    torch.set_num_threads(1)
    bench = open_bench(settings)
    begin = process_time()
    clips = bench.vlogger(load_portrait(portrait), repeated(load_audio(audio), length), size=bench.size, seed=0)
    frames = counted(clips)
    return {
        "memory.length": length,
        "memory.peak_mb": peak_memory() / 2**20,
        "memory.seconds": process_time() - begin,
        "memory.frames": float(frames),
    }

"""Work off a protocol's tasks: every task's rows are written as soon as it is done, so that a rerun goes on.

A row file is named by its clip and by a hash of the instrument's version, the stages' configuration, the SHA-256 of
all weights, and the task: what has changed is measured anew, what has not is kept.
"""

import hashlib
import json
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from vlogger.build import STAGES
from vlogger.evaluation.bench import open_bench
from vlogger.evaluation.orphans import end_with_parent
from vlogger.evaluation.protocol import VERSION
from vlogger.evaluation.tasks import Row, Task
from vlogger.io import whole
from vlogger.record import weights_of


@dataclass(frozen=True)
class Job:
    """A task and the files of its rows."""

    task: Any
    path: Path
    pictures: Path | None

    @property
    def done(self) -> bool:
        """Measured before, and without an error."""
        return self.path.exists() and json.loads(self.path.read_text())["error"] is None


def jobs_of(tasks: Sequence[Task], settings: str, folder: Path, pictures: bool) -> list[Job]:
    """Every task with the name of its rows."""
    base = hashlib.sha256(f"{VERSION}{settings}{fingerprint(settings)}".encode())
    jobs = []
    for task in tasks:
        told: Any = task
        code = base.copy()
        code.update(json.dumps({"kind": told.kind, **asdict(told)}, sort_keys=True).encode())
        name = "__".join(word for word in (told.kind, told.group, told.name) if word)
        seed = f"__seed{told.seed}" if getattr(told, "seed", 0) else ""
        stem = f"{name}{seed}__{code.hexdigest()[:12]}"
        jobs.append(Job(task, folder / "rows" / f"{stem}.json", folder / "pictures" / stem if pictures else None))
    return jobs


def fingerprint(settings: str) -> str:
    """The SHA-256 of everything that the stages have learned."""
    vlogger = open_bench(settings).vlogger
    return json.dumps(weights_of({name: getattr(vlogger, name) for name in (*STAGES, "body")}), sort_keys=True)


def work(jobs: Sequence[Job], settings: str, processes: int) -> None:
    """Whatever is not done yet, in this process or in several, one thread each."""
    waiting = [job for job in jobs if not job.done]
    with tqdm(total=len(jobs), initial=len(jobs) - len(waiting), desc="measure", unit="task") as bar:
        if processes == 1:
            for job in waiting:
                bar.set_postfix_str(job.path.stem[:40])
                perform(settings, job)
                bar.update()
        elif waiting:
            in_parallel(waiting, settings, processes, bar)


def in_parallel(waiting: Sequence[Job], settings: str, processes: int, bar: tqdm) -> None:
    """Each process opens its bench once. Stopped, they end at once: what they were at is measured again next time."""
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=end_with_parent) as pool:
        running = {pool.submit(perform, settings, job): job for job in waiting}
        try:
            for finished in as_completed(running):
                finished.result()
                bar.set_postfix_str(running[finished].path.stem[:40])
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def perform(settings: str, job: Job) -> None:
    """One task: its rows as JSON, their arrays beside them. A clip that fails leaves its error, the rest goes on."""
    torch.set_num_threads(1)
    begin, rows, error = perf_counter(), [], None
    try:
        rows = job.task(open_bench(settings))
    except Exception:
        error = traceback.format_exc()
    about = {"kind": job.task.kind, "group": job.task.group, "task": asdict(job.task), "version": VERSION}
    written = {**about, "seconds": perf_counter() - begin, "error": error, "rows": [told(row) for row in rows]}
    if any(row.arrays for row in rows):
        arrays = {f"{index}/{name}": value for index, row in enumerate(rows) for name, value in row.arrays.items()}
        with whole(job.path.with_suffix(".npz")) as part:
            np.savez_compressed(part, **arrays)
    if job.pictures:
        save_pictures(job.pictures, rows)
    with whole(job.path) as part:
        part.write_text(json.dumps(written, indent=1))


def told(row: Row) -> dict[str, Any]:
    """A row as JSON: unknown numbers are null."""
    numbers = {name: value if np.isfinite(value) else None for name, value in row.numbers.items()}
    return {"name": row.name, "about": row.about, "numbers": numbers}


def save_pictures(folder: Path, rows: Sequence[Row]) -> None:
    """Frames side by side, one JPEG a row."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        for picture in row.pictures.values():
            Image.fromarray(picture).save(folder / f"{row.name}.jpg", quality=92)

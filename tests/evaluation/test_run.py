"""Rows are kept: a rerun goes on, what has changed is measured anew, and what fails does not stop the rest."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hydra import compose, initialize_config_module

from vlogger.evaluate import settings_of
from vlogger.evaluation import run
from vlogger.evaluation.summary import errors_of, read_lines
from vlogger.evaluation.tasks import Row


@dataclass(frozen=True)
class Counting:
    """Writes down that it ran; fails while `broken` exists."""

    kind: ClassVar[str] = "talk"
    group: str
    name: str
    diary: str
    broken: str

    def __call__(self, bench):
        with Path(self.diary).open("a") as file:
            file.write(self.name)
        if Path(self.broken).exists() and self.name == "b":
            raise ValueError("b is broken")
        return [Row(self.name, {"made.cpbd": 0.5, "made.niqe": float("nan")}, {"x": np.arange(3)})]


@pytest.fixture(scope="module")
def settings():
    with initialize_config_module("conf", version_base="1.3"):
        return settings_of(compose("evaluate", ["protocol=folder"]))


def jobs(settings, tmp_path):
    told = {"diary": str(tmp_path / "diary"), "broken": str(tmp_path / "broken")}
    return run.jobs_of([Counting("g", name, **told) for name in "abc"], settings, tmp_path / "out", False)


def test_a_rerun_goes_on_where_the_last_one_ended(settings, tmp_path):
    (tmp_path / "broken").touch()
    run.work(jobs(settings, tmp_path), settings, 1)
    assert (tmp_path / "diary").read_text() == "abc"
    paths = [job.path for job in jobs(settings, tmp_path)]
    assert list(errors_of(paths).values()) == ["ValueError: b is broken"]
    (tmp_path / "broken").unlink()
    run.work(jobs(settings, tmp_path), settings, 1)
    assert (tmp_path / "diary").read_text() == "abcb" and not errors_of(paths)
    lines = read_lines(paths)
    assert [line.name for line in lines] == ["a", "b", "c"]
    assert lines[0].arrays["x"].tolist() == [0, 1, 2] and lines[0].get("made.cpbd") == 0.5
    assert (
        np.isnan(lines[0].get("made.niqe"))
        and json.loads(paths[0].read_text())["rows"][0]["numbers"]["made.niqe"] is None
    )


def test_other_settings_are_other_rows(settings, tmp_path):
    told = json.loads(settings)
    told["config"]["motion"]["guidance"] = 7.0
    names = {job.path.name for job in jobs(settings, tmp_path)}
    assert len(names) == 3
    assert not names & {job.path.name for job in jobs(json.dumps(told, sort_keys=True), tmp_path)}


SLOW = """
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from vlogger.evaluation.orphans import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 60).result()
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")
def test_a_killed_run_leaves_no_process_behind(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, tmp_path / "slow.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=paths) as running:
        assert running.stdout
        worker = Path("/proc") / str(int(running.stdout.readline()))
        assert worker.exists()
        running.kill()
    begin = time.monotonic()
    while worker.exists():
        assert time.monotonic() - begin < 10
        time.sleep(0.05)

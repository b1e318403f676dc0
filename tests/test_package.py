"""What importing vlogger does, before anything is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import vlogger


def told(**more: str) -> list[str]:
    """GOMP_SPINCOUNT and OMP_WAIT_POLICY in a process that imported vlogger."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    environment = {**kept, "PYTHONPATH": str(Path(vlogger.__file__).parents[1]), **more}
    code = "import os, sys, vlogger; assert 'torch' not in sys.modules; "
    code += "print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_threads_wait_briefly():
    assert told() == [vlogger.SPINS, "None"]


def test_what_the_environment_says_stands():
    assert told(GOMP_SPINCOUNT="7") == ["7", "None"]
    assert told(OMP_WAIT_POLICY="ACTIVE") == ["None", "ACTIVE"]

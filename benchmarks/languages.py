"""Do lips move in any language? python -m benchmarks.languages SOUNDS... [--overrides motion.guidance=2 ...]

SOUNDS: recordings (or folders of them), also singing and noise. From each the stage makes a motion for the neutral
body.
One line each: seconds, standard deviation of the lips' opening and width while somebody speaks (percent of the face's
height), how fast the opening changes in pauses over how fast in speech, mean opening, blinks a minute, CPU seconds for
a second of sound. A motion that collapses has lips that hardly move, or stay open.
"""

import argparse
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_module

from benchmarks.motion import blinks, in_pauses, said_at
from motion.lips import Lips, lips_on
from motion.teacher import files_of
from vlogger.body.smplx import load_body
from vlogger.build import stage as built
from vlogger.hear import neutral
from vlogger.io_audio import load_audio
from vlogger.types import Subject, seeded

COLUMNS = ("seconds", "open", "wide", "silence", "mean", "blinks", "CPU s/s")


def measured(stage, lips: Lips, subject: Subject, path: Path) -> list[float]:
    """The figures of one recording, as COLUMNS."""
    sound = load_audio(path)
    start = time.process_time()
    motion = stage(sound, subject, generator=seeded(0))
    cost = (time.process_time() - start) / sound.duration
    opening, width = 100 * lips(motion.expression).T
    said, column = said_at(sound, len(motion), motion.fps)
    spread = [float(curve[said[column] > 0].std()) for curve in (opening, width)]
    still = in_pauses(opening, sound, motion.fps)
    return [sound.duration, *spread, still, float(opening.mean()), blinks(motion)[0], cost]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("--overrides", nargs="*", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("generate", given.overrides)
    body = load_body()
    stage, subject = built(cfg.motion, body), neutral(body)
    lips = lips_on(body)
    print(f"{'':44}" + "".join(f"{name:>9}" for name in COLUMNS))
    for path in (path for source in given.sounds for path in files_of(source)):
        print(
            f"{path.stem[-42:]:44}" + "".join(f"{value:9.2f}" for value in measured(stage, lips, subject, path)),
            flush=True,
        )


if __name__ == "__main__":
    main()

"""A gallery: python -m benchmarks.gallery SPEECH PORTRAIT... --out docs/gallery.jpg [--size 512]

Each portrait speaks the recording (`python -m vlogger.generate`, default settings, seed 0), and six frames of it become
a row. Only pictures that may be published belong into docs/: the CC0 portraits `faker_*`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.contact_sheet import frames_of, sheet

COLUMNS = 6


def talking(portrait: Path, speech: Path, size: int, folder: Path) -> Path:
    """The video of one portrait, made as a user makes it."""
    out = folder / f"{portrait.stem}.mp4"
    given = (f"image='{portrait}'", f"audio='{speech}'", f"out='{out}'", f"size={size}", "seed=0")
    subprocess.run([sys.executable, "-m", "vlogger.generate", *given], check=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--width", type=int, default=220, help="pixels of a frame in the picture")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos = [talking(portrait, given.speech, given.size, Path(folder)) for portrait in given.portraits]
        sheet([frames_of(video, COLUMNS) for video in videos], given.width).save(given.out, quality=88)


if __name__ == "__main__":
    main()

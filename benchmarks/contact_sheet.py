"""Frames of finished videos side by side: `python -m benchmarks.contact_sheet --out sheet.jpg A.mp4 B.mp4 …`.

One row for each video, `--columns` frames spread over it, each `--width` pixels wide.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image


def frames_of(path: Path, count: int) -> list[Image.Image]:
    """`count` frames, spread evenly from the first to the last."""
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    return [frames[index] for index in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def sheet(rows: list[list[Image.Image]], width: int) -> Image.Image:
    """The rows below each other, every frame `width` pixels wide at its own aspect."""
    scaled = [[frame.resize((width, round(frame.height * width / frame.width))) for frame in row] for row in rows]
    picture = Image.new("RGB", (width * max(map(len, rows)), sum(row[0].height for row in scaled)))
    top = 0
    for row in scaled:
        for column, frame in enumerate(row):
            picture.paste(frame, (column * width, top))
        top += row[0].height
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--width", type=int, default=240)
    arguments = parser.parse_args()
    sheet([frames_of(video, arguments.columns) for video in arguments.videos], arguments.width).save(arguments.out)


if __name__ == "__main__":
    main()

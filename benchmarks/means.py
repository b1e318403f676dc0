"""What a painter is told, drawn at 128 pixels and as means of a drawing of 512, and what comes of it.

    python -m benchmarks.means IMAGE SPEECH --out docs/draw/means.png [--frames 12 36 ...] [--set superres.calm=false]

Only the drawing for the painter differs, all stages are the same. The picture: in pairs what the painter is told, what
it paints, and that sharpened to 512 pixels, around the mouth.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_module
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vlogger.body.parts import PARTS
from vlogger.build import build
from vlogger.framing import FINEST, crop, region_of
from vlogger.generate import picture
from vlogger.io import load_portrait
from vlogger.io_audio import load_audio
from vlogger.pipeline import SMALL, Vlogger, at_size, chance
from vlogger.stages import ControlSequence

MOUTH = [PARTS.index(name) for name in ("lips", "teeth", "tongue")]
SHOWN = 0.16  # of the square's side that the picture shows around the mouth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("speech")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", default=[12, 36, 60, 84, 98, 103])
    parser.add_argument("--set", nargs="*", default=[], help="arguments of vlogger.generate")
    options = parser.parse_args()
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("generate", [f"image={options.image}", *options.set])
        vlogger = build(cfg)
    subject = at_size(vlogger.subject(load_portrait(picture(cfg))), FINEST)
    motion = vlogger.motion(load_audio(options.speech), subject, generator=chance(0, 0))
    region = region_of(subject, vlogger.body)
    large = vlogger.render(motion, crop(subject, region, FINEST), size=FINEST)
    rows = []
    for side in (SMALL, FINEST):
        small = vlogger.render(motion, crop(subject, region, side), size=SMALL)
        rows.append(films(vlogger, small, large))
    mouth = small[:].parts[:, MOUTH].amax(1, keepdim=True)
    sheet = [tiles(film, mouth, options.frames) for pair in zip(*rows) for film in pair]
    Image.fromarray(np.concatenate(sheet)).save(options.out)


def films(vlogger: Vlogger, small: ControlSequence, large: ControlSequence) -> list[Tensor]:
    """What the painter is told, what it paints, and that sharpened: (t, 3, s, s) in grey levels."""
    clips = list(vlogger.video(small, generator=chance(0, 1)))
    sharp = vlogger.superres(iter(clips), large, generator=chance(0, 2))
    frames = [torch.cat([clip.frames for clip in film]).float() for film in (clips, sharp)]
    return [255 * small[:].warped, *frames]


def tiles(film: Tensor, mouth: Tensor, frames: list[int], size: int = 160) -> NDArray[np.uint8]:
    """The mouth in these frames, side by side; pixels of small pictures stay squares."""
    row = []
    for frame in frames:
        y, x = mouth[frame, 0].nonzero().float().mean(0) / mouth.shape[-1]
        side = film.shape[-1]
        left, top, wide = (round(side * float(edge)) for edge in (x - SHOWN / 2, y - SHOWN / 2, SHOWN))
        pixels = Image.fromarray(film[frame].round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
        kind = Image.Resampling.NEAREST if side == SMALL else Image.Resampling.LANCZOS
        row.append(np.array(pixels.crop((left, top, left + wide, top + wide)).resize((size, size), kind)))
    return np.concatenate(row, axis=1)


if __name__ == "__main__":
    main()

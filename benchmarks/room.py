"""Does the room stand still behind a moving head? python -m benchmarks.room PHOTOS... --out SHEET.jpg

Each photo with its head tilted, turned and nodding, warped without a matte (the halo alone bends what is behind) and
with one (`render.backdrop`); nothing is painted. Prints for both how far, in grey levels, pixels differ from the photo
that lie beside the person before and after, and the CPU milliseconds of a frame.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from render.controls import MeshControls
from render.fit import FitPortrait
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import Body, load_body
from vlogger.evaluation.replay import laid, smoothly_filled
from vlogger.framing import crop, region_of
from vlogger.io import load_portrait
from vlogger.types import Controls, Motion, Portrait, Subject

TURNS = ((0.0, 0.0, 0.2), (0.0, 0.26, 0.0), (0.18, 0.0, 0.0), (0.0, -0.2, -0.12))  # radians down, aside, to a shoulder
AWAY = 8  # pixels at 128 around the person, before and after, that are not counted
SHARES = {"neck": 0.4, "head": 0.6}


def turned(subject: Subject) -> Motion:
    """The subject's head in each of TURNS."""
    rotations = subject.rotations.repeat(len(TURNS), 1, 1, 1)
    for joint, share in SHARES.items():
        turn = axis_angle_to_matrix(share * torch.tensor(TURNS))
        rotations[:, joint_index(joint)] = rotations[:, joint_index(joint)] @ turn
    count = len(TURNS)
    return Motion(rotations, subject.expression.expand(count, -1), subject.translation.expand(count, -1), 25.0)


def drawn(body: Body, subject: Subject, size: int) -> tuple[Tensor, Controls, float]:
    """Pictures (t, 3, h, w) of the turned head laid into the photo, the controls, CPU ms a frame."""
    sequence = MeshControls(body)(turned(subject), subject, size=size)
    begin = time.process_time()
    controls = sequence[:]
    cost = (time.process_time() - begin) / len(TURNS) * 1000
    return laid(sequence.photo, smoothly_filled(controls), controls.moved), controls, cost


def beside(controls: Controls, matte: Tensor) -> Tensor:
    """(t, h, w) bool: far enough from the person, where the photo shows it and where it moves to."""
    reach = 2 * round(AWAY * matte.shape[-1] / 128) + 1
    person = np.maximum(controls.parts.amax(1).numpy(), (matte > 25).float().numpy())
    return torch.from_numpy(np.stack([cv2.dilate(one, np.ones((reach, reach))) for one in person])) == 0


def compared(body: Body, subject: Subject, size: int) -> tuple[NDArray, list[tuple[float, float]]]:
    """A row of pictures: the photo, without and with a matte; for each, grey levels beside the person and cost."""
    square = crop(subject, region_of(subject, body), size)
    photo, matte = square.portrait.image / 255, square.portrait.matte
    assert matte is not None
    bare = replace(square, portrait=Portrait(square.portrait.image))
    rows, numbers = [], []
    for one in (bare, square):
        pictures, controls, cost = drawn(body, one, size)
        room = beside(controls, matte)
        change = (pictures - photo).abs().mean(1)[room].mean() * 255
        rows.append(torch.cat([photo, *pictures], dim=2))
        numbers.append((float(change), cost))
    pixels = torch.cat(rows, dim=1).clamp(0, 1).permute(1, 2, 0).numpy()
    return (pixels * 255).round().astype(np.uint8), numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    body, sheet = load_body(), []
    see = FitPortrait(body, "largest")
    print(f"{'photo':32} beside the person: halo alone, with a backdrop; CPU ms a frame: both")
    for path in args.photos:
        pixels, ((before, cost), (after, more)) = compared(body, see(load_portrait(path)), args.size)
        sheet.append(pixels)
        print(f"{path.stem:32} {before:6.2f} {after:6.2f}   {cost:6.1f} {more:6.1f}", flush=True)
    if args.out:
        Image.fromarray(np.concatenate(sheet)).save(args.out, quality=88)


if __name__ == "__main__":
    main()

"""A sheet of rendered bodies: `python -m benchmarks.bodies OUT.jpg [--people 6] [--seed 1] [--size 256]`.

A row for each made-up person: the photo, then frames of the film (`vlogger.curation.bodies`).
"""

import argparse
from dataclasses import replace

import torch
from PIL import Image

from vlogger.body.smplx import load_body
from vlogger.curation.bodies import filmed, standing
from vlogger.curation.cycle import Framing, square_of
from vlogger.curation.scene import picture, random_scene
from vlogger.curation.wander import Wander
from vlogger.framing import crop
from vlogger.types import seeded

FRAMES, SHOWN = 12, (0, 3, 6, 9, 12)
SCALES = (1.3, 2.6)  # heads to a side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=256)
    arguments = parser.parse_args()
    body, generator = load_body(), seeded(arguments.seed)
    wander = Wander(keep_expression=0.0, open_mouth=0.7, blink=0.4)
    rows = []
    for index in range(arguments.people):
        scene = random_scene(body, arguments.size, generator)
        start = standing(scene.person, arguments.size, 0.5, generator)
        scale = SCALES[index % len(SCALES)]
        square = square_of(start, scene.person.body, Framing((scale, scale)), generator)
        seen = replace(crop(start, square, arguments.size), offsets=None)
        motion = filmed(seen, body.expression_names, wander, FRAMES, generator)
        rows.append(torch.cat([picture(scene, motion[t : t + 1], seen.intrinsics).image for t in SHOWN], dim=2))
    Image.fromarray(torch.cat(rows, dim=1).permute(1, 2, 0).numpy()).save(arguments.out, quality=88)


if __name__ == "__main__":
    main()

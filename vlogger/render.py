"""What the painter is told about each frame, as a video: the picture to look at when something goes wrong.

    python -m vlogger.render motion=MOTION.npz image=PHOTO out=controls.mp4

Mesh over the photo, surface, parts, warp of the photo, side by side. Everything heavy is imported where it is used.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig, OmegaConf

from vlogger.errors import UserError

if TYPE_CHECKING:
    from vlogger.body.smplx import Body
    from vlogger.stages import MotionToControls
    from vlogger.types import Motion, Subject, Video

WINDOW = 16  # frames that are drawn and encoded together
SIZES = (128, 256, 512)
MOTION = re.compile(r"^motion=(?=.*\.npz$)")  # the file itself, instead of a stage


def main() -> None:
    """From the command line: what a person got wrong ends in one sentence and exit code 2."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from vlogger.generate import quoted, sentence

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors to us instead of printing them
    sys.argv[1:] = [quoted(MOTION.sub("motion.path=", argument)) for argument in sys.argv[1:]]
    try:
        run()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"vlogger.render: {sentence(error)}", file=sys.stderr)
        sys.exit(2)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="render")
def run(cfg: DictConfig) -> None:
    """Read motion and subject, draw, encode, say what came out."""
    check(cfg)
    import torch
    from hydra.utils import instantiate

    from vlogger.build import stage
    from vlogger.io import whole
    from vlogger.io_video import write_video
    from vlogger.types import Audio, seeded

    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    body = instantiate(cfg.body)
    subject = seen(cfg, body)
    motion = stage(cfg.motion, body)(Audio(torch.zeros(0), 16000), subject, generator=seeded(0))
    sound = Path(str(cfg.audio)).expanduser() if cfg.audio else None
    with whole(Path(str(cfg.out)).expanduser()) as file, torch.inference_mode():
        frames, fps = write_video(file, shown(body, subject, motion, stage(cfg.render, body), cfg.size), sound)
    print(f"{cfg.out}: {frames} frames at {fps:g} fps")


def check(cfg: DictConfig) -> None:
    """Refuse what can be refused before anything heavy is loaded."""
    from vlogger.generate import is_file_stage

    if not is_file_stage(cfg, "motion") or OmegaConf.is_missing(cfg.motion, "path"):
        raise UserError("no motion is given; add motion=MOTION.npz (vlogger.generate writes one with motion_out=)")
    if not cfg.image and not is_file_stage(cfg, "subject"):
        raise UserError("no picture is given; add image=PHOTO, or subject=from_file subject.path=SUBJECT.npz")
    if cfg.size not in SIZES:
        raise UserError(f"size={cfg.size} is none of 128, 256, 512")
    if Path(str(cfg.out)).suffix.lower() != ".mp4":
        raise UserError(f"out={cfg.out} must end in .mp4")


def seen(cfg: DictConfig, body: "Body") -> "Subject":
    """The subject of the photo, or of the file."""
    from vlogger.build import stage
    from vlogger.generate import picture
    from vlogger.io import load_portrait

    see = stage(cfg.subject, body)
    return see(load_portrait(picture(cfg)) if cfg.image else see.portrait)


def shown(body: "Body", subject: "Subject", motion: "Motion", draw: "MotionToControls", size: int) -> Iterator["Video"]:
    """The four pictures of every frame, a window at a time."""
    from render.panels import panels
    from vlogger.framing import crop, region_of
    from vlogger.types import Video

    square = crop(subject, region_of(subject, body), size)
    controls = draw(motion, square, size=size)
    for start in range(0, len(motion), WINDOW):
        frames = slice(start, start + WINDOW)
        yield Video(panels(body, square, motion[frames], controls[frames]), motion.fps)


if __name__ == "__main__":
    main()

"""Speech becomes motion, and a body that shows it: nothing is painted.

    python -m vlogger.hear audio=SPEECH out=motion.npz preview=motion.mp4 [subject=S.npz] [motion.head.scale=1.5 …]

The motion is made and drawn in pieces, as the sound goes on. `subject=`: a fitted person (vlogger.generate
subject_out=S.npz), else the neutral body standing. The .npz is described in docs/motion.md.
"""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from vlogger.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from vlogger.body.smplx import Body
    from vlogger.io_values import MotionWriter
    from vlogger.types import Motion, Subject, Video

SIDE = 384  # pixels of the preview, square
# of skin, both eyes, tongue, upper and lower teeth
COLOURS = (
    (0.82, 0.62, 0.52),
    (0.95, 0.95, 0.95),
    (0.95, 0.95, 0.95),
    (0.75, 0.35, 0.35),
    (0.95, 0.93, 0.88),
    (0.95, 0.93, 0.88),
)
SHIRT = (0.32, 0.42, 0.55)
BARE = ("head", "neck", "hand", "lips", "eye", "teeth", "tongue", "mouth")  # parts without a shirt, by beginnings
LIGHT = (0.3, 0.45, 0.84)  # direction towards the lamp
IRIS = 0.93  # cosine of the angle from the eye's axis at which the iris ends
VIEW = 0.95  # metres that the preview shows from top to bottom of a neutral body
BENT = 1.2  # radians: the neutral body's elbows, so that the hands are seen


@dataclass
class Passing:
    """Pieces of a motion that pass by: counted, and written where there is a writer. None is kept."""

    writer: "MotionWriter | None"
    frames: int = 0
    fps: float = 0.0

    def __call__(self, pieces: Iterator["Motion"]) -> Iterator["Motion"]:
        for piece in pieces:
            self.frames, self.fps = self.frames + len(piece), piece.fps
            if self.writer:
                self.writer.fps = piece.fps
                self.writer.add(piece)
            yield piece


def neutral(body: "Body") -> "Subject":
    """The average body, standing with bent elbows, seen from the waist up."""
    import torch

    from render.fit import rest_angles
    from vlogger.body.rotation import axis_angle_to_matrix
    from vlogger.body.skeleton import joint_index
    from vlogger.types import Portrait, Subject

    angles = rest_angles()
    for side, sign in (("left", -1.0), ("right", 1.0)):
        angles[joint_index(f"{side}_elbow"), 1] = sign * BENT
    rotations = axis_angle_to_matrix(angles).float()
    middle = body.J_template[joint_index("neck")] - torch.tensor([0.0, 0.16, 0.0])
    focal = 2.0 * SIDE / VIEW
    camera = torch.tensor([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1.0]])
    blank = Portrait(torch.full((3, SIDE, SIDE), 230, dtype=torch.uint8))
    away = torch.tensor([0.0, 0.0, -2.0]) - middle
    expression = torch.zeros(len(body.expression_names))
    return Subject(blank, torch.zeros(body.shapedirs.shape[2]), rotations, expression, away, camera)


def fitting(subject: "Subject") -> "Subject":
    """The same person in a picture of SIDE pixels on the longer side, even in both."""
    from dataclasses import replace

    import torch

    from vlogger.types import Portrait

    height, width = subject.portrait.image.shape[1:]
    scale = SIDE / max(height, width)
    h, w = (max(2, round(side * scale / 2) * 2) for side in (height, width))
    camera = torch.tensor([w / width, h / height, 1.0])[:, None] * subject.intrinsics
    return replace(subject, portrait=Portrait(torch.full((3, h, w), 230, dtype=torch.uint8)), intrinsics=camera)


def drawn(pieces: Iterator["Motion"], subject: "Subject", body: "Body") -> Iterator["Video"]:
    """Pictures of the moving body."""
    import torch

    from vlogger.body.smplx import personal
    from vlogger.types import Video

    body = personal(body, subject.offsets)
    for piece in pieces:
        frames = [frame(piece[i : i + 1], subject, body) for i in range(len(piece))]
        yield Video(torch.stack(frames), piece.fps)


def frame(moment: "Motion", subject: "Subject", body: "Body") -> "Tensor":
    """(3, h, w) uint8 of one frame, shaded by one lamp."""
    import torch

    from render.rasterize import interpolate, rasterize
    from vlogger.body.normals import vertex_normals
    from vlogger.body.smplx import pose
    from vlogger.framing import project

    vertices = pose(body, subject.betas, moment.rotations, moment.expression, moment.translation).vertices[0]
    height, width = subject.portrait.image.shape[1:]
    seen = rasterize(project(vertices, subject.intrinsics)[None], body.faces, height, width)
    normals = torch.from_numpy(vertex_normals(vertices.numpy(), body.faces.numpy()))
    shade = 0.35 + 0.65 * (normals @ torch.tensor(LIGHT)).clamp(min=0)
    light = interpolate(shade[:, None], body.faces, seen)[0]
    colour = colours(body)[seen.face_id[0].clamp(min=0)]
    picture = torch.where(seen.mask[0][..., None], colour * light, 0.9)
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(2, 0, 1)


def colours(body: "Body") -> "Tensor":
    """(F, 3) skin, shirt, eyes with an iris around their axis, teeth and tongue."""
    import torch

    from vlogger.body.parts import PARTS
    from vlogger.body.skeleton import joint_index

    found = torch.tensor(COLOURS)[body.face_part]
    dressed = torch.tensor([not any(word in part for word in BARE) for part in PARTS])[body.part_of_face]
    found[dressed] = torch.tensor(SHIRT)
    middle = body.v_template[body.faces].mean(1)
    for part, name in ((1, "left_eye"), (2, "right_eye")):
        out = torch.nn.functional.normalize(middle - body.J_template[joint_index(name)], dim=1)
        found[(body.face_part == part) & (out[:, 2] > IRIS)] = 0.15
    return found


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="hear")
def run(cfg: DictConfig) -> None:
    """Read the sound, make the motion, write what is asked for."""
    import torch
    from hydra.utils import instantiate

    from vlogger.body.skeleton import JOINTS
    from vlogger.io import whole
    from vlogger.io_audio import load_audio
    from vlogger.io_values import MotionWriter, load_subject
    from vlogger.io_video import write_video
    from vlogger.types import seeded

    if not cfg.audio or not (cfg.out or cfg.preview):
        raise UserError("give audio=SPEECH and out=MOTION.npz or preview=MOTION.mp4")
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    body, stage = instantiate(cfg.body), instantiate(cfg.motion)
    subject = load_subject(cfg.subject) if cfg.subject else neutral(body)
    pieces = stage.stream(load_audio(cfg.audio), subject, generator=seeded(cfg.seed))
    with ExitStack() as stack, torch.inference_mode():
        files = {
            key: stack.enter_context(whole(Path(str(cfg[key])).expanduser())) for key in ("out", "preview") if cfg[key]
        }
        writer = MotionWriter(files["out"], 0.0, JOINTS, body.expression_names) if cfg.out else None
        passing = Passing(stack.enter_context(writer) if writer else None)
        pieces = passing(pieces)
        if cfg.preview:
            write_video(files["preview"], drawn(pieces, fitting(subject), body), Path(str(cfg.audio)).expanduser())
        deque(pieces, maxlen=0)
    print(f"{cfg.out or cfg.preview}: {passing.frames} frames at {passing.fps:g} fps, seed {cfg.seed}")


def main() -> None:
    """From the command line: what a person got wrong ends in one sentence and exit code 2."""
    import os

    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from vlogger.generate import fail, quoted, sentence

    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = [quoted(argument) for argument in sys.argv[1:]]
    try:
        run()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        sys.exit(fail(sentence(error), 2))


if __name__ == "__main__":
    main()

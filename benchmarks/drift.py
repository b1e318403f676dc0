"""Does a long video stay as it began? And do frames join well?

    python -m benchmarks.drift SPEECH [--image astronaut] [--minutes 5] [--size 128] [--identity WEIGHTS] [--set ...]

The speech is repeated until it lasts long enough. Three tables, about the face (the box around what the head's parts
cover in the photo):

- drift: the first minute (of short videos: half) and the last one, then the first motion once more, at the end: the
  last differs from the first by what it says and where the head has turned, too, the repeated one by age alone.
  sharpness: mean absolute Laplacian, grey levels; colour: mean of red, green, blue; --identity (the folder of
  `vlogger.evaluation.fetch`): cosine of dlib's embeddings of frame and photo, wherever the head is. Wanted: within 3 %.
- flicker: what the painter makes of a motion that stands still, temporal standard deviation in grey levels (<= 1).
- overlap: 0, 25 and 50 % of a window known (VLOGGER, Table 2), on the same eight seconds. change: mean absolute
  difference of neighbouring frames, in grey levels, inside windows and where windows join.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from hydra import compose, initialize_config_module
from torch import Tensor
from torch.nn import functional as F

from render.controls import posture
from video_diffusion.sample import DiffusionPainter
from vlogger.body.parts import PARTS
from vlogger.build import build
from vlogger.evaluation.cost import repeated
from vlogger.evaluation.faces import follow
from vlogger.evaluation.identity import FaceEmbedding, embeddings, read_quantised
from vlogger.framing import FINEST, crop, region_of
from vlogger.generate import picture
from vlogger.io import load_portrait
from vlogger.io_audio import load_audio
from vlogger.pipeline import SMALL, Vlogger, at_size, chance
from vlogger.stages import ControlSequence
from vlogger.types import Audio, Motion, Portrait, Subject, Video, joined

EDGE = 60  # seconds that are compared, at either end
FACE = [PARTS.index(name) for name in ("head", "lips", "eyes", "teeth", "tongue")]


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("generate", [f"image={options.image}", *options.set])
        vlogger = build(cfg)
    portrait, speech = load_portrait(picture(cfg)), load_audio(options.speech)
    subject = at_size(vlogger.subject(portrait), options.size)
    vlogger = replace(vlogger, subject=lambda portrait: subject)
    short = vlogger.motion(repeated(speech, 8), subject, generator=chance(0, 0))
    print_flicker(vlogger, subject)
    if isinstance(vlogger.video, DiffusionPainter):
        print_overlap(vlogger, vlogger.video, subject, short)
    network = FaceEmbedding(read_quantised(Path(options.identity))) if options.identity else None
    print_drift(vlogger, subject, portrait, repeated(speech, 60 * options.minutes), network)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech")
    parser.add_argument("--image", default="astronaut")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--size", type=int, default=SMALL)
    parser.add_argument("--identity", help="the folder of vlogger.evaluation.fetch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], help="arguments of vlogger.generate")
    return parser.parse_args()


def small_controls(vlogger: Vlogger, subject: Subject, motion: Motion) -> ControlSequence:
    """What the painter is told."""
    return vlogger.render(motion, crop(subject, region_of(subject, vlogger.body), FINEST), size=SMALL)


def face_box(controls: ControlSequence) -> tuple[slice, slice]:
    """Rows and columns of the face in the photo."""
    seen = controls.reference.parts[0, FACE].amax(0) > 0
    rows, columns = (seen.any(axis).nonzero().flatten() for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def print_flicker(vlogger: Vlogger, subject: Subject, frames: int = 48) -> None:
    """The painter alone: where nothing moves, the finished video shows the photo itself."""
    rotations, expression = subject.rotations.expand(frames, -1, -1, -1), subject.expression.expand(frames, -1)
    motion = Motion(rotations, expression, subject.translation.expand(frames, -1), 24.0)
    controls = small_controls(vlogger, subject, motion)
    rows, columns = face_box(controls)
    face = painted(vlogger.video, controls)[..., rows, columns].float()
    spread = face.std(dim=0)
    print(
        f"flicker of a motionless face, grey levels: mean {spread.mean():.3f}, greatest {spread.max():.3f}", flush=True
    )


def painted(stage, controls: ControlSequence) -> Tensor:
    return torch.cat([clip.frames for clip in stage(controls, generator=chance(0, 1))])


def print_overlap(vlogger: Vlogger, painter: DiffusionPainter, subject: Subject, motion: Motion) -> None:
    controls = small_controls(vlogger, subject, motion)
    rows, columns = face_box(controls)
    print(f"{'overlap':>8}{'inside':>10}{'joins':>10}{'ratio':>10}   change of neighbouring frames, grey levels")
    for share in (0, 25, 50):
        stage = replace(painter, overlap=painter.window * share // 100)
        clips = [clip.frames for clip in stage(controls, generator=chance(0, 1))]
        face = torch.cat(clips)[..., rows, columns].float()
        change = (face[1:] - face[:-1]).abs().flatten(1).mean(1)
        joins = torch.zeros(len(change), dtype=torch.bool)
        joins[torch.tensor([len(clip) for clip in clips[:-1]]).cumsum(0) - 1] = True
        inside, at = change[~joins].mean(), change[joins].mean()
        print(f"{share:7} %{inside:10.3f}{at:10.3f}{at / inside:10.3f}", flush=True)


def print_drift(
    vlogger: Vlogger, subject: Subject, portrait: Portrait, speech: Audio, network: FaceEmbedding | None
) -> None:
    """The finished video, from its clips; only what is compared is kept."""
    motion = vlogger.motion(speech, subject, generator=chance(0, 0))
    count = min(round(EDGE * motion.fps), len(motion) // 2)
    motion = joined([motion, motion[:count]])
    clips = replace(vlogger, motion=lambda *_, **__: motion)(portrait, speech, size=None, seed=0)
    first, last, again = edges(clips, count, len(motion))
    rows, columns = face_in_picture(vlogger, subject)
    measures: dict[str, Callable[[Tensor], Tensor]] = {
        "sharpness": lambda frames: sharpness(frames[..., rows, columns].float()),
        "colour": lambda frames: frames[..., rows, columns].float().mean(),
    }
    if network is not None:
        measures["identity"] = likeness(network, subject.portrait.image)
    print(f"{count / motion.fps:.0f} s{'':12}{'first':>10}{'last':>10}{'change %':>10}{'again':>10}{'change %':>10}")
    for name, measure in measures.items():
        start, *others = (float(measure(frames)) for frames in (first, last, again))
        cells = "".join(f"{value:10.4f}{100 * (value / start - 1):10.2f}" for value in others)
        print(f"{name:16}{start:10.4f}{cells}", flush=True)


def edges(clips: Iterable[Video], count: int, total: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first `count` frames of a video, the last but `count`, and the last (count 3 h w)."""
    frames = (frame for clip in clips for frame in clip.frames)
    first = torch.stack(list(islice(frames, count)))
    rest = list(islice(frames, total - 3 * count, None))
    return first, torch.stack(rest[:count]), torch.stack(rest[count:])


def face_in_picture(vlogger: Vlogger, subject: Subject) -> tuple[slice, slice]:
    """Rows and columns of the face in the whole picture."""
    region, box = region_of(subject, vlogger.body), face_box(small_controls(vlogger, subject, posture(subject)))
    zoom, corner = region.side / SMALL, (region.top, region.left)
    bounds = [(corner[i] + zoom * box[i].start, corner[i] + zoom * box[i].stop) for i in (0, 1)]
    rows, columns = (slice(max(0, round(low)), round(high)) for low, high in bounds)
    return rows, columns


def sharpness(frames: Tensor) -> Tensor:
    """Mean absolute Laplacian of grey frames (t 3 h w)."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return F.conv2d(frames.mean(1, keepdim=True), kernel).abs().mean()


def likeness(network: FaceEmbedding, photo: Tensor) -> Callable[[Tensor], Tensor]:
    """frames (t 3 h w) -> mean cosine of their embeddings with that of the photo (3 h w)."""

    def embedded(frames: Tensor) -> Tensor:
        return embeddings(network, frames, follow(frames.permute(0, 2, 3, 1).numpy()))

    reference = embedded(photo[None])
    return lambda frames: F.cosine_similarity(embedded(frames), reference).mean()


if __name__ == "__main__":
    main()

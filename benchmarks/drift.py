"""Does a long video stay as it began? And do frames join well?

    python -m benchmarks.drift SPEECH [--image astronaut] [--minutes 5] [--size 128] [--set video=fast ...]

The speech is repeated until it lasts long enough. Three tables, about the face (the box around what the head's parts
cover in the photo):

- drift: the first and the last ten seconds. sharpness: mean absolute Laplacian, grey levels; colour: mean of red,
  green, blue; likeness: correlation with the photo's own face. Issue: within 3 % of each other.
- flicker: what the painter makes of a motion that stands still, temporal standard deviation in grey levels (<= 1).
- overlap: 0, 25 and 50 % of a window known (VLOGGER, Table 2), on the same eight seconds. change: mean absolute
  difference of neighbouring frames, in grey levels, inside windows and where windows join.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import torch
from hydra import compose, initialize_config_module
from torch import Tensor
from torch.nn import functional as F

from video_diffusion.sample import DiffusionPainter
from vlogger.body.parts import PARTS
from vlogger.build import build
from vlogger.framing import FINEST, crop, region_of
from vlogger.generate import picture
from vlogger.io import load_portrait
from vlogger.io_audio import load_audio
from vlogger.pipeline import SMALL, Vlogger, at_size, chance
from vlogger.stages import ControlSequence
from vlogger.types import Audio, Motion, Portrait, Subject, Video

EDGE = 10  # seconds that are compared, at either end
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
    short = vlogger.motion(lasting(speech, 8), subject, generator=chance(0, 0))
    print_flicker(vlogger, subject)
    if isinstance(vlogger.video, DiffusionPainter):
        print_overlap(vlogger, vlogger.video, subject, short)
    print_drift(vlogger, subject, portrait, lasting(speech, 60 * options.minutes))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech")
    parser.add_argument("--image", default="astronaut")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--size", type=int, default=SMALL)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], help="arguments of vlogger.generate")
    return parser.parse_args()


def lasting(speech: Audio, seconds: float) -> Audio:
    """The speech, repeated."""
    wanted = round(seconds * speech.sample_rate)
    return Audio(speech.samples.repeat(-(-wanted // len(speech.samples)))[:wanted], speech.sample_rate)


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


def print_drift(vlogger: Vlogger, subject: Subject, portrait: Portrait, speech: Audio) -> None:
    """The finished video, from its clips; only the ends are kept."""
    clips = vlogger(portrait, speech, size=None, seed=0)
    head, tail = ends(clips, round(EDGE * 24))
    still = Motion(subject.rotations[None], subject.expression[None], subject.translation[None], 24.0)
    region, box = region_of(subject, vlogger.body), face_box(small_controls(vlogger, subject, still))
    zoom, corner = region.side / SMALL, (region.top, region.left)
    edges = [(corner[i] + zoom * box[i].start, corner[i] + zoom * box[i].stop) for i in (0, 1)]
    rows, columns = (slice(max(0, round(low)), round(high)) for low, high in edges)
    photo = subject.portrait.image[:, rows, columns].float()
    print(f"{'':18}{'first':>10}{'last':>10}{'change %':>10}")
    for name, measure in (("sharpness", sharpness), ("colour", lambda x: x.mean()), ("likeness", likeness(photo))):
        first, last = (float(measure(frames[..., rows, columns].float())) for frames in (head, tail))
        print(f"{name:18}{first:10.4f}{last:10.4f}{100 * (last / first - 1):10.2f}", flush=True)


def ends(clips: Iterable[Video], count: int) -> tuple[Tensor, Tensor]:
    """The first and the last frames of a video."""
    frames: Iterator[Tensor] = (frame for clip in clips for frame in clip.frames)
    head = torch.stack(list(islice(frames, count)))
    last: list[Tensor] = []
    for frame in frames:
        last = [*last[-count + 1 :], frame]
    return head, torch.stack(last or list(head))


def sharpness(frames: Tensor) -> Tensor:
    """Mean absolute Laplacian of grey frames (t 3 h w)."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return F.conv2d(frames.mean(1, keepdim=True), kernel).abs().mean()


def likeness(photo: Tensor):
    """frames (t 3 h w) -> mean correlation with the photo (3 h w)."""

    def measure(frames: Tensor) -> Tensor:
        pairs = (torch.corrcoef(torch.stack([frame.flatten(), photo.flatten()]))[0, 1] for frame in frames)
        return torch.stack(list(pairs)).mean()

    return measure


if __name__ == "__main__":
    main()

"""One picture of a person carried to the pose and expression of another: how close the warp comes to the true photo.

    python -m benchmarks.reenact FOLDER [--size 128] [--subjects CACHE] [--picture OUT.png]

Pictures of a person: FOLDER/PERSON_*.jpg or KIND_PERSON_*.jpg. Each is seen as `vlogger.generate` sees a portrait
(shape, camera and personal offsets from that picture alone); the first is carried to each of the others and each of
the others to it, by a motion that is tracked through the other picture as through a frame of a clip. Nothing is
painted. Rows: the photo as it is; the warp, its holes filled smoothly; the same without the guesses of the body model
(mouth, eyes, lids). PSNR dB / SSIM over face, mouth and the whole square, means over the pairs of a kind.

Pictures in which no face is found, or one narrower than `LEAST`, are left out. Pictures of another size than the first
are enlarged until the eyes are as far apart.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.painter import REGIONS, repaired
from render.controls import MeshControls
from render.evidence import eye_distance
from render.fit import FitPortrait
from render.landmarks import Face, detect
from render.track import track_stream
from render.window import speaker_of
from video_diffusion.network import filled
from vlogger.body.smplx import Body, load_body
from vlogger.curation.stills import pictures
from vlogger.diffusion.batch import Batch
from vlogger.errors import UserError
from vlogger.framing import crop, detail, region_of
from vlogger.io import load_portrait
from vlogger.io_values import load_subject, save_subject
from vlogger.pixels import resample, resize
from vlogger.stages import MotionToControls
from vlogger.types import Motion, Portrait, Subject

WIDEST = 1024  # pixels: larger pictures are shrunk before they are looked at
LEAST = 40  # pixels: narrower faces tell nothing
ALIKE = 4  # pixels: sizes that differ by no more are the same size, cut carelessly
EYES = (33, 263)  # MediaPipe's outer corners of the eyes
STILL_FPS = 0.01  # frames per second of stills: nothing ties neighbours together


@dataclass(frozen=True)
class Picture:
    """One picture (3 h w uint8) and the largest face in it."""

    name: str
    image: Tensor
    face: Face


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    body = load_body()
    see, draw = Seen(body, arguments.subjects), MeshControls(body)
    totals: dict[str, dict[str, list[Tensor]]] = {}
    shown = []
    for (kind, person), paths in sorted(groups(Path(arguments.folder)).items()):
        rows = totals.setdefault(kind, {"photo": [], "warp": [], "without guesses": []})
        before = len(rows["warp"])
        for truth, ways in pairs(alike([*faces(paths)]), see, draw, arguments.size):
            for name, picture in ways.items():
                found = repaired(picture, truth)
                rows[name] += torch.stack([found[place] for place in REGIONS], dim=1).unbind()
            shown.append(torch.cat([truth.clean, *ways.values()], dim=-2)[0, 0])
        print(f"{kind} {person}: {len(rows['warp']) - before} pairs, warp {line(rows['warp'][before:])}", flush=True)
    print_table(totals)
    if arguments.picture:
        save_picture(arguments.picture, shown)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--subjects", type=Path, help="a folder that keeps the fits for the next run")
    parser.add_argument("--picture", help="a PNG, a column for each pair: truth, photo, warp, warp without guesses")
    return parser.parse_args()


def groups(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """(kind, person) -> the pictures, by name; without a kind in the name it is the folder's name."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in pictures(folder):
        first, second = (path.stem + "_").split("_")[:2]
        found.setdefault((folder.name, first) if first.isdigit() else (first, second), []).append(path)
    return found


def faces(paths: list[Path]) -> Iterator[Picture]:
    """The pictures that show a face."""
    for path in paths:
        image = small(load_portrait(path).image)
        found = largest(image)
        if found is not None and np.ptp(found.points[:, 0]) >= LEAST:
            yield Picture(path.stem, image, found)
        else:
            print(f"{path.name}: no face", flush=True)


def small(image: Tensor) -> Tensor:
    """A picture (3 h w) no wider or higher than WIDEST."""
    height, width = image.shape[1:]
    zoom = min(1.0, WIDEST / max(height, width))
    return resize(image, round(height * zoom), round(width * zoom))


def largest(image: Tensor) -> Face | None:
    """The largest face in a picture (3 h w uint8)."""
    found = detect(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    return max(found, key=lambda face: face.side, default=None)


def alike(found: list[Picture]) -> list[Picture]:
    """The pictures with the first one's height and width: cut or continued by a few pixels, or enlarged."""
    return [fitted_to(found[0], one) for one in found]


def fitted_to(first: Picture, other: Picture) -> Picture:
    """The other picture, in the first one's size; its face where it was, or, enlarged, where the first one's is."""
    (height, width), (h, w) = first.image.shape[1:], other.image.shape[1:]
    if (height, width) == (h, w):
        return other
    zoom, centre, target = 1.0, torch.zeros(2), torch.zeros(2)
    if max(abs(height - h), abs(width - w)) > ALIKE:
        here, there = (torch.from_numpy(one.face.points) for one in (first, other))
        zoom = float(eye_distance(here) / eye_distance(there))
        centre, target = (points[list(EYES), :2].mean(0) for points in (there, here))
    left, top = (centre - target / zoom).tolist()
    image = resample(other.image, (top, left, height / zoom, width / zoom), height, width)
    face = largest(image)
    if face is None:
        raise UserError(f"{other.name}: its face is lost when it is brought to the size of {first.name}; leave it out.")
    return Picture(other.name, image, face)


class Seen:
    """What See makes of a picture, kept in a folder."""

    def __init__(self, body: Body, cache: Path | None):
        self.see, self.body, self.cache = FitPortrait(body, "largest"), body, cache
        if cache:
            cache.mkdir(parents=True, exist_ok=True)

    def __call__(self, picture: Picture) -> Subject:
        kept = self.cache / f"{picture.name}.npz" if self.cache else None
        if kept and kept.exists():
            known = load_subject(kept)
            return replace(known, portrait=Portrait(picture.image, known.portrait.matte))
        subject = self.see(Portrait(picture.image))
        if kept:
            save_subject(kept, subject)
        return subject


def motion_to(subject: Subject, picture: Picture, body: Body) -> Motion:
    """One frame: the subject as the other picture shows him or her."""
    rows = [picture.face.points.astype(np.float32)]
    return next(track_stream(rows, speaker_of(subject, body), STILL_FPS)).motion


def pairs(found: list[Picture], see: Seen, draw: MotionToControls, size: int):
    """The first picture with each of the others, both ways: the truth, and the rows of the table, (1 1 3 h w)."""
    for other in found[1:]:
        for reference, target in ((found[0], other), (other, found[0])):
            try:
                subject = see(reference)
            except UserError as error:
                print(f"{reference.name}: no portrait: {error}", flush=True)
                continue
            yield carried(subject, target, see.body, draw, size)


def carried(
    subject: Subject, target: Picture, body: Body, draw: MotionToControls, size: int
) -> tuple[Batch, dict[str, Tensor]]:
    """The subject's photo carried to the target, and the target itself."""
    region = region_of(subject, body, scale=1.6)
    sequence = draw(motion_to(subject, target, body), crop(subject, region, detail(size)), size=size)
    controls, truth = sequence[:], crop(replace(subject, portrait=Portrait(target.image)), region, size).portrait
    warps = {"warp": controls.visible > 0, "without guesses": controls.visible == 1}
    ways = {name: filled(controls.warped * 2 - 1, known.float())[None] for name, known in warps.items()}
    return (
        Batch(signed(truth), {"parts": controls.parts[None]}, torch.ones(1, 1, 1, size, size)),
        {"photo": sequence.photo[None, None] * 2 - 1, **ways},
    )


def signed(portrait: Portrait) -> Tensor:
    """(1 1 3 h w) in [-1, 1]."""
    return portrait.image[None, None].float() / 127.5 - 1


def print_table(totals: dict[str, dict[str, list[Tensor]]]) -> None:
    print(f"{'':27}" + "".join(f"{name:>16}" for name in REGIONS))
    for kind, rows in totals.items():
        print(f"{kind}, {len(rows['warp'])} pairs")
        for name, scores in rows.items():
            print(f"{name:27}{line(scores)}")


def line(scores: list[Tensor]) -> str:
    if not scores:
        return "-"
    means = torch.stack(scores).nanmean(dim=0)
    return "".join(f"{f'{ratio:.2f} / {similarity:.3f}':>16}" for ratio, similarity in means.tolist())


def save_picture(file: str, columns: list[Tensor]) -> None:
    from PIL import Image

    grid = torch.cat(columns, dim=-1).clamp(-1, 1)
    Image.fromarray(((grid + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(file)


if __name__ == "__main__":
    main()

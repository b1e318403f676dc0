"""One picture of a person carried to the pose and expression of another: how close the warp comes to the true photo.

    python -m benchmarks.reenact FOLDER [--size 128] [--picture OUT.png]

The pictures of a person (FOLDER/PERSON_*.jpg, or KIND_PERSON_*.jpg as `vlogger.curation.pairs` groups them) are fitted
together, with one shape. The first is carried to each of the others and each of the others to it, nothing is painted.
Rows: the photo as it is; the warp, its holes filled smoothly; the same without the guesses of the body model (mouth,
eyes, lids). PSNR dB / SSIM over face, mouth and the whole square, means over pairs.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.painter import REGIONS, scores_of
from render.controls import MeshControls
from render.track import fit_clip
from video_diffusion.network import filled
from vlogger.body.smplx import Body, load_body
from vlogger.curation.pairs import STILLNESS, Footage, landmarks_of, size_of
from vlogger.curation.stills import pictures
from vlogger.diffusion.batch import Batch
from vlogger.framing import crop, region_of
from vlogger.io import load_portrait
from vlogger.pixels import resize
from vlogger.stages import MotionToControls
from vlogger.types import Portrait

WIDEST = 1024  # pixels: larger pictures are shrunk before they are looked at


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    body = load_body()
    draw, shown = MeshControls(body), []
    totals: dict[str, list[Tensor]] = {}
    for footage in people(Path(arguments.folder), body):
        rows: dict[str, list[Tensor]] = {"photo": [], "warp": [], "without guesses": []}
        for truth, ways in pairs(footage, body, draw, arguments.size):
            for name, picture in ways.items():
                rows[name] += scores_of(picture, truth)
            shown.append(torch.cat([truth.clean, *ways.values()], dim=-2)[0, 0])
        for name, scores in rows.items():
            totals.setdefault(name, []).extend(scores)
        print(f"{footage.name:24}{len(rows['warp']):3} pairs, warp {line(rows['warp'])}", flush=True)
    print(f"{'':27}" + "".join(f"{name:>16}" for name in REGIONS))
    for name, scores in totals.items():
        print(f"{name:27}{line(scores)}")
    if arguments.picture:
        save_picture(arguments.picture, shown)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--picture", help="a PNG, a column for each pair: truth, photo, warp, warp without guesses")
    return parser.parse_args()


def people(folder: Path, body: Body) -> Iterator[Footage]:
    """The pictures of each person, those with a face, fitted with one shape."""
    groups: dict[str, list[Path]] = {}
    for path in pictures(folder):
        first, second = (path.stem + "_").split("_")[:2]
        groups.setdefault(first if first.isdigit() else f"{first}_{second}", []).append(path)
    for name, paths in sorted(groups.items()):
        images = [small(load_portrait(path).image) for path in paths]
        frames = torch.stack([image for image in images if image.shape == images[0].shape])
        landmarks = landmarks_of(frames)
        found = torch.isfinite(torch.from_numpy(landmarks[:, 0, 0]))
        if found.sum() >= 2:
            frames, landmarks = frames[found], landmarks[found.numpy()]
            yield Footage(name, frames, fit_clip(landmarks, size_of(frames), body, STILLNESS))


def small(image: Tensor) -> Tensor:
    """A picture (3 h w) no wider or higher than WIDEST."""
    height, width = image.shape[1:]
    zoom = min(1.0, WIDEST / max(height, width))
    return resize(image, round(height * zoom), round(width * zoom))


def pairs(footage: Footage, body: Body, draw: MotionToControls, size: int) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
    """The first picture with each of the others, both ways: the truth, and the rows of the table, (1 1 3 h w)."""
    others = range(1, len(footage.frames))
    for reference, target in [(0, t) for t in others] + [(t, 0) for t in others]:
        subject = footage.subject(reference)
        region = region_of(subject, body, scale=1.6)
        sequence = draw(footage.track.motion[target : target + 1], crop(subject, region, 2 * size), size=size)
        controls, truth = sequence[:], crop(footage.subject(target), region, size).portrait
        condition = {"parts": controls.parts[None]}
        warps = {"warp": controls.visible > 0, "without guesses": controls.visible == 1}
        ways = {name: filled(controls.warped * 2 - 1, known.float())[None] for name, known in warps.items()}
        yield (
            Batch(signed(truth), condition, torch.ones(1, 1, 1, size, size)),
            {"photo": sequence.photo[None, None] * 2 - 1, **ways},
        )


def signed(portrait: Portrait) -> Tensor:
    """(1 1 3 h w) in [-1, 1]."""
    return portrait.image[None, None].float() / 127.5 - 1


def line(scores: list[Tensor]) -> str:
    means = torch.stack(scores).nanmean(dim=0)
    return "".join(f"{f'{ratio:.2f} / {similarity:.3f}':>16}" for ratio, similarity in means.tolist())


def save_picture(file: str, columns: list[Tensor]) -> None:
    from PIL import Image

    grid = torch.cat(columns, dim=-1).clamp(-1, 1)
    Image.fromarray(((grid + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(file)


if __name__ == "__main__":
    main()

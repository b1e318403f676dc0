"""Pairs: two pictures of one person, so that one can be the reference and the other the truth.

People posing with many expressions (`curate dataset=people`) and people talking on video (`dataset=talking`): in both,
the pictures of one person are tracked together (`render.track`), with one shape and one camera, and laid onto one
another by their skin (`render.align`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from tqdm import tqdm

from render.align import ClipAligner
from render.landmarks import detect
from render.track import Track, fit_clip, shape_of
from render.window import subject_of
from vlogger.body.smplx import Body
from vlogger.curation.cycle import Framing, sample, square_of
from vlogger.curation.stills import pictures
from vlogger.errors import UserError
from vlogger.framing import Region, crop, detail
from vlogger.io import load_portrait
from vlogger.pools import PoolWriter
from vlogger.stages import MotionToControls
from vlogger.types import Subject

STILLNESS = 0.01  # frames per second of a set of stills: nothing ties neighbouring pictures together


@dataclass(frozen=True)
class Footage:
    """Pictures of one person (t 3 h w uint8) and the body tracked through them."""

    name: str
    frames: Tensor
    track: Track

    def subject(self, frame: int) -> Subject:
        """The person as one picture shows it."""
        return subject_of(self.frames[frame], self.track.betas, self.track.motion, frame, self.track.intrinsics)


def landmarks_of(frames: Tensor) -> np.ndarray:
    """MediaPipe's points of the largest face in each picture: (t, 478, 3) pixels, nan where there is none."""
    rows = np.full((len(frames), 478, 3), np.nan, np.float32)
    for row, frame in zip(rows, frames):
        faces = detect(np.ascontiguousarray(frame.permute(1, 2, 0).numpy()))
        if faces:
            row[:] = max(faces, key=lambda face: np.ptp(face.points[:, 0])).points
    return rows


def people(folder: Path, body: Body, draw: MotionToControls) -> Iterator[Footage]:
    """Pictures named KIND_PERSON_NUMBER_WORD: those of one person and one kind and size belong together."""
    groups: dict[str, list[Path]] = {}
    for path in pictures(folder):
        groups.setdefault("_".join(path.stem.split("_")[:2]), []).append(path)
    for name, paths in tqdm(sorted(groups.items()), desc="see"):
        images = [load_portrait(path).image for path in paths]
        same = torch.stack([image for image in images if image.shape == images[0].shape])
        landmarks = landmarks_of(same)
        found = np.isfinite(landmarks[:, 0, 0])
        if found.sum() >= 2:
            same = same[torch.from_numpy(found)]
            track = fit_clip(landmarks[found], size_of(same), body, STILLNESS, align=ClipAligner(same, body, draw))
            yield Footage(name, same, track)


def clip_frames(path: Path) -> tuple[Tensor, float]:
    """All frames of a short clip, t 3 h w uint8, and their rate."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        rate = float(stream.average_rate or 25)
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous(), rate


def talking(
    folder: Path, body: Body, draw: MotionToControls, every: int, known: Mapping[str, np.ndarray]
) -> Iterator[Footage]:
    """Every `every`-th clip (.mp4) of one speaker; the speaker's shape comes from the first of them.

    `known`: landmarks (t, 478, 3) that were found before, by the clip's name; the others are looked for.
    """
    paths = sorted(folder.glob("*.mp4"))[::every]
    if not paths:
        raise UserError(f"no clips (*.mp4) in '{folder}': give data=FOLDER that holds talking clips of one speaker")
    betas = None
    for path in tqdm(paths, desc="see"):
        frames, rate = clip_frames(path)
        landmarks = known[path.stem] if path.stem in known else landmarks_of(frames)
        betas = shape_from(landmarks, frames, body) if betas is None else betas
        align = ClipAligner(frames, body, draw)
        yield Footage(path.stem, frames, fit_clip(landmarks, size_of(frames), body, rate, betas, align))


def size_of(frames: Tensor) -> tuple[int, int]:
    """Height and width of pictures t 3 h w."""
    return frames.shape[-2], frames.shape[-1]


def shape_from(landmarks: np.ndarray, frames: Tensor, body: Body) -> Tensor:
    """The shape of the person in these frames."""
    from render.evidence import markers

    return shape_of([landmarks], size_of(frames), markers(body))


def pair(footage: Footage, reference: int, start: int, frames: int, region: Region, draw: MotionToControls, size: int):
    """One pool sample: `frames` pictures from `start` on as the truth, picture `reference` as the photo."""
    subject = crop(footage.subject(reference), region, detail(size))
    motion = footage.track.motion[start : start + frames]
    sequence = draw(motion, subject, size=size)
    targets = [crop(footage.subject(t), region, size).portrait.image for t in range(start, start + frames)]
    return sample(torch.stack(targets), sequence[0:frames], sequence)


@dataclass(frozen=True)
class Pairs:
    """`curate dataset=people|talking`: samples of `frames` pictures, `each` from every person or clip."""

    data: str
    out: str
    kind: str
    draw: MotionToControls
    body: Body
    each: int
    frames: int
    size: int
    seed: int
    licence: str
    every: int = 1
    landmarks: str | None = None
    framing: Framing = field(default_factory=Framing)
    see: object = None

    def __call__(self) -> None:
        folder = Path(self.data)
        known = np.load(self.landmarks) if self.landmarks else {}
        if self.kind == "people":
            footage = people(folder, self.body, self.draw)
        else:
            footage = talking(folder, self.body, self.draw, self.every, known)
        with PoolWriter(Path(self.out), {"source": folder.name, "licence": self.licence, "size": self.size}) as writer:
            for index, one in enumerate(footage):
                generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
                person = "_".join(one.name.split("_")[1:2]) if self.kind == "people" else folder.name
                for arrays in self.samples(one, generator):
                    writer.add(person=person, **arrays)

    def samples(self, footage: Footage, generator: Generator) -> Iterator[dict]:
        """References far from the truth: VLOGGER samples them so (3.2)."""
        last = len(footage.frames) - self.frames
        for _ in range(self.each if last > 0 else 0):
            start = int(torch.randint(last + 1, (), generator=generator))
            reference = far_from(start, self.frames, len(footage.frames), generator)
            region = square_of(footage.subject(reference), self.body, self.framing, generator)
            yield pair(footage, reference, start, self.frames, region, self.draw, self.size)


def far_from(start: int, frames: int, count: int, generator: Generator) -> int:
    """A picture that is not among the truth, the farther the likelier."""
    distance = (torch.arange(count) + 0.5 - (start + frames / 2)).abs() - (frames - 1) / 2
    return int(torch.multinomial(distance.clamp(min=0), 1, generator=generator))

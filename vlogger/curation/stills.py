"""Stills of many people: fit each once, then any number of cycle-warped samples of each (`vlogger.curation.cycle`)."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Generator
from tqdm import tqdm

from vlogger.body.smplx import Body
from vlogger.curation.cycle import Framing, cycle, framed
from vlogger.curation.wander import Wander
from vlogger.errors import UserError
from vlogger.framing import detail
from vlogger.io import load_portrait
from vlogger.io_values import load_subject, save_subject
from vlogger.pools import PoolWriter
from vlogger.stages import MotionToControls, PortraitToSubject
from vlogger.types import Portrait, Subject

PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, by name."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES) if folder.is_dir() else []
    if not found:
        raise UserError(f"no pictures ({', '.join(PICTURES)}) in '{folder}': give data=FOLDER that holds portraits")
    return found


def fitted(path: Path, see: PortraitToSubject, cache: Path) -> Subject | None:
    """The subject of a picture, fitted once and kept in `cache`; None where no single face can be fitted.

    Without its matte: a cycle warp takes a warped picture for a photo, and of that nobody knows what is the person.
    """
    kept = cache / f"{path.stem}.npz"
    if kept.exists():
        return unmatted(load_subject(kept))
    try:
        subject = see(load_portrait(path))
    except UserError as error:
        tqdm.write(f"left out: {error}")
        return None
    save_subject(kept, subject)
    return unmatted(subject)


def unmatted(subject: Subject) -> Subject:
    return replace(subject, portrait=Portrait(subject.portrait.image))


@dataclass(frozen=True)
class CycledStills:
    """`curate dataset=stills`: `count` samples of `size` pixels from the pictures in `data`."""

    data: str
    out: str
    cache: str
    see: PortraitToSubject
    draw: MotionToControls
    body: Body
    count: int
    size: int
    seed: int
    licence: str
    wander: Wander = field(default_factory=Wander)
    framing: Framing = field(default_factory=Framing)

    def __call__(self) -> None:
        cache = Path(self.cache)
        cache.mkdir(parents=True, exist_ok=True)
        found = [(path, fitted(path, self.see, cache)) for path in tqdm(pictures(Path(self.data)), desc="see")]
        subjects = [(path.stem, subject) for path, subject in found if subject is not None]
        meta = {"source": Path(self.data).name, "licence": self.licence, "size": self.size}
        with PoolWriter(Path(self.out), meta) as writer:
            for name, arrays in tqdm(self.samples(subjects), total=self.count, desc="draw"):
                writer.add(person=name, **arrays)

    def samples(self, subjects: list[tuple[str, Subject]]) -> Iterator[tuple[str, dict]]:
        """Each person in turn, in a new square and a new pose each time."""
        for index in range(self.count):
            generator: Generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
            name, subject = subjects[index % len(subjects)]
            square = framed(subject, self.body, self.framing, detail(self.size), generator)
            yield name, cycle(square, self.body.expression_names, self.draw, self.wander, self.size, generator)

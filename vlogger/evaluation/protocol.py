"""Which clips are measured: the parts of a protocol turn a folder into tasks. Counts and seconds stand in the yaml."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Shape

import numpy as np

from vlogger.curation.stills import PICTURES
from vlogger.errors import UserError
from vlogger.evaluation.memory import Memory
from vlogger.evaluation.tasks import VIDEOS, Finished, ReenactClip, ReenactStills, Talk, Task

VERSION = "4"  # of the instrument: a change of any definition raises it, and rows are measured anew
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus")


class Part(Shape):
    """What a protocol is made of."""

    def __call__(self, data: Path) -> list[Task]: ...


@dataclass(frozen=True)
class Protocol:
    """A name and its parts, in the order in which they are worked off."""

    name: str
    parts: Mapping[str, Part]

    def tasks(self, data: Path) -> list[Task]:
        """All tasks; UserError where a part finds nothing to do."""
        return [task for part in self.parts.values() for task in part(data)]


def files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """Files with these endings, by name; UserError where there are none."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in endings) if folder.is_dir() else []
    if not found:
        raise UserError(
            f"no {', '.join(endings)} in '{folder}': give data=FOLDER that holds them, or another protocol="
        )
    return found


def spread_over(paths: Sequence[Path], count: int | None) -> list[Path]:
    """At most `count` of the files, evenly spread over their order; None: all."""
    if count is None or count >= len(paths):
        return list(paths)
    return [paths[i] for i in np.linspace(0, len(paths) - 1, count).round().astype(int)]


@dataclass(frozen=True)
class ReenactClips:
    """True clips reenacted from their first frames."""

    folder: str
    seconds: float
    count: int | None = None

    def __call__(self, data: Path) -> list[Task]:
        paths = spread_over(files(data / self.folder, VIDEOS), self.count)
        return [ReenactClip(self.folder, path.stem, str(path), self.seconds) for path in paths]


@dataclass(frozen=True)
class ReenactPeople:
    """Pictures named with the person at place `person` of their words (split at _), the reference sorted first or
    holding the word `reference`; `only`: names that begin so. Each person's other pictures are reenacted from it."""

    folder: str
    person: int
    reference: str
    only: str = ""
    count: int | None = None
    pictures: int | None = None

    def __call__(self, data: Path) -> list[Task]:
        people: dict[str, list[Path]] = {}
        for path in files(data / self.folder, PICTURES):
            if path.stem.startswith(self.only):
                people.setdefault(path.stem.split("_")[self.person], []).append(path)
        names = [Path(name) for name in people]
        return [self.task(people[str(name)], str(name)) for name in spread_over(names, self.count)]

    def task(self, paths: list[Path], name: str) -> ReenactStills:
        first = [path for path in paths if self.reference in path.stem][:1]
        if not first:
            raise UserError(f"no picture of {name} in '{self.folder}' is called …{self.reference}…")
        others = spread_over([path for path in paths if path not in first], self.pictures)
        group = f"{self.folder} {self.only.strip('_')}".strip()
        return ReenactStills(group, f"{self.only}{name}", tuple(str(path) for path in (*first, *others)))


@dataclass(frozen=True)
class TalkClips:
    """The first frame of each clip speaks the clip's sound, with each of the seeds."""

    folder: str
    seconds: float
    count: int | None = None
    seeds: int = 1
    group: str | None = None

    def __call__(self, data: Path) -> list[Task]:
        paths = spread_over(files(data / self.folder, VIDEOS), self.count)
        group = self.group or self.folder
        return [
            Talk(group, path.stem, None, None, str(path), self.seconds, seed)
            for path in paths
            for seed in range(self.seeds)
        ]


@dataclass(frozen=True)
class TalkPortraits:
    """Portraits speak recordings, one each, in turn."""

    portraits: str
    audio: str
    seconds: float
    count: int | None = None
    sounds: int | None = None

    def __call__(self, data: Path) -> list[Task]:
        portraits = spread_over(files(data / self.portraits, PICTURES), self.count)
        sounds = spread_over(files(data / self.audio, SOUNDS), self.sounds)
        return [
            Talk(self.portraits, f"{path.stem}+{sound.stem}", str(path), str(sound), None, self.seconds)
            for path, sound in zip(portraits, (sounds * len(portraits))[: len(portraits)])
        ]


@dataclass(frozen=True)
class MemoryLengths:
    """Memory of videos of these lengths in seconds, of the first portrait and recording."""

    portraits: str
    audio: str
    lengths: Sequence[float]

    def __call__(self, data: Path) -> list[Task]:
        portrait, sound = files(data / self.portraits, PICTURES)[0], files(data / self.audio, SOUNDS)[0]
        return [Memory("memory", portrait.stem, str(portrait), str(sound), tuple(self.lengths))]


@dataclass(frozen=True)
class Triples:
    """NAME.jpg (or .png, .webp) speaks NAME.wav (or .flac, .mp3, …); NAME.mp4, where it is there, is the truth. A
    NAME.mp4 alone gives portrait (its first frame) and sound too."""

    seconds: float
    group: str = "folder"

    def __call__(self, data: Path) -> list[Task]:
        everything = files(data, (*PICTURES, *SOUNDS, *VIDEOS))
        return list(self.triples(sorted({path.stem for path in everything}), everything))

    def triples(self, names: list[str], everything: list[Path]) -> Iterable[Task]:
        for name in names:
            portrait, sound, video = (
                next((str(path) for path in everything if path.stem == name and path.suffix.lower() in kind), None)
                for kind in (PICTURES, SOUNDS, VIDEOS)
            )
            if not video and not (portrait and sound):
                there = portrait or sound
                raise UserError(f"{there} stands alone: give NAME.jpg and NAME.wav, and NAME.mp4 if the truth is known")
            yield Talk(self.group, name, portrait, sound, video, self.seconds)


@dataclass(frozen=True)
class Videos:
    """Finished videos; `references`: a folder with true videos or portraits of the same names."""

    seconds: float
    references: str | None = None
    group: str = "videos"

    def __call__(self, data: Path) -> list[Task]:
        known: dict[str, str] = {}
        if self.references:
            folder = Path(self.references).expanduser()
            known = {path.stem: str(path) for path in files(folder, (*PICTURES, *VIDEOS))}
        paths = files(data, VIDEOS)
        return [Finished(self.group, path.stem, str(path), known.get(path.stem), self.seconds) for path in paths]

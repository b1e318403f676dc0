"""The pieces of work of a protocol: each measures one clip (or one person's pictures) and returns rows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from vlogger.curation.pairs import STILLNESS, Footage
from vlogger.errors import UserError
from vlogger.evaluation.bench import Bench
from vlogger.evaluation.cost import Made, made
from vlogger.evaluation.films import Film, cut, load_film, shrunk
from vlogger.evaluation.identity import head_shape_distance
from vlogger.evaluation.measure import Arrays, Numbers, against_truth, measured, told_by_motion
from vlogger.evaluation.replay import Replayed, compared, replayed
from vlogger.evaluation.visible import visible_body
from vlogger.io import load_portrait
from vlogger.io_audio import load_audio
from vlogger.pixels import resize
from vlogger.types import Audio, Portrait

TRACKED_SIDE = 512  # pixels: the shorter side at which true clips are tracked
SAME_SIZE = 3  # pixels by which pictures of one size may differ
REENACTED_SHAPE = 3  # frames from which the shape of somebody who is reenacted is fitted
THUMBNAIL = 64  # pixels: of the pictures whose spread over seeds is measured


@dataclass(frozen=True)
class Row:
    """What was measured of one clip: numbers by name, arrays beside them, and what it is (`about`)."""

    name: str
    numbers: Numbers
    arrays: Arrays = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------------- reenactment


@dataclass(frozen=True)
class ReenactClip:
    """A true clip: its own motion drives its first frame."""

    kind: ClassVar[str] = "reenact"
    group: str
    name: str
    path: str
    seconds: float

    def __call__(self, bench: Bench) -> list[Row]:
        film = load_film(Path(self.path), bench.fps, self.seconds, TRACKED_SIDE)
        footage = Footage(self.name, film.frames, film.track(bench.vlogger.body, REENACTED_SHAPE, bench.vlogger.render))
        return [replay_row(bench, self.name, replayed(bench, footage, 0, slice(0, len(film.frames))))]


@dataclass(frozen=True)
class ReenactStills:
    """Pictures of one person: the first is the reference, every other one is reenacted from it."""

    kind: ClassVar[str] = "reenact"
    group: str
    name: str
    paths: tuple[str, ...]

    def __call__(self, bench: Bench) -> list[Row]:
        films = self.films()
        seen = [path for path, film in films.items() if film.has_face]
        if seen[:1] != [self.paths[0]] or len(seen) < 2:
            raise UserError(f"a face must be found in {self.paths[0]} and in another picture of its size")
        points = np.concatenate([films[path].points for path in seen])
        together = Film(torch.cat([films[path].frames for path in seen]), STILLNESS, points)
        track = together.track(bench.vlogger.body, REENACTED_SHAPE, bench.vlogger.render)
        footage = Footage(self.name, together.frames, track)
        pairs = enumerate(seen[1:], start=1)
        return [replay_row(bench, Path(path).stem, replayed(bench, footage, 0, slice(t, t + 1))) for t, path in pairs]

    def films(self) -> dict[str, Film]:
        """Each picture as a film; those whose size differs from the reference's by a few pixels lose their last ones,
        others are left out."""
        images = {path: shrunk(load_portrait(path).image, TRACKED_SIDE) for path in self.paths}
        sizes = {path: torch.tensor(image.shape[1:]) for path, image in images.items()}
        near = {path for path, size in sizes.items() if (size - sizes[self.paths[0]]).abs().max() <= SAME_SIZE}
        height, width = torch.stack([sizes[path] for path in near]).amin(0).tolist()
        return {
            path: Film(images[path][None, :, :height, :width].contiguous(), STILLNESS)
            for path in self.paths
            if path in near
        }


def replay_row(bench: Bench, name: str, result: Replayed) -> Row:
    middle = len(result.true) // 2
    shown = [result.true, result.made, result.warped, result.copied]
    picture = torch.cat([frames[min(middle, len(frames) - 1)] for frames in shown], dim=2)
    pixels = (picture * 255).round().byte().permute(1, 2, 0).numpy()
    return Row(name, compared(bench, result), pictures={"true, ours, warped, copied": pixels})


# ------------------------------------------------------------------------------------------------------- talking


@dataclass(frozen=True)
class Talk:
    """A portrait speaks. `video`: the true clip, whose first frame is the portrait where none is given and whose
    sound is spoken where no `audio` is given."""

    kind: ClassVar[str] = "talk"
    group: str
    name: str
    portrait: str | None
    audio: str | None
    video: str | None
    seconds: float
    seed: int = 0

    def __call__(self, bench: Bench) -> list[Row]:
        sound = self.audio or self.video
        assert sound is not None
        audio = cut(load_audio(sound), self.seconds)
        true = load_film(Path(self.video), bench.fps, self.seconds, bench.size) if self.video else None
        portrait = load_portrait(self.portrait) if self.portrait else first_frame(true)
        result = made(bench.vlogger, portrait, audio, bench.size, self.seed)
        return [talk_row(bench, self.name, result, true, audio)]


def first_frame(film: Film | None) -> Portrait:
    assert film is not None
    return Portrait(film.frames[0])


def talk_row(bench: Bench, name: str, result: Made, true: Film | None, audio: Audio) -> Row:
    """Everything about one made video."""
    film = Film(result.frames, bench.fps)
    reference = Film(shrunk(result.subject.portrait.image, bench.size)[None], bench.fps)
    numbers, arrays = measured(bench, film, "made", audio, reference)
    if true is not None:
        more, others = measured(bench, true, "true", audio, reference)
        numbers, arrays = numbers | more | against_truth(film, true), arrays | others
    numbers |= told_by_motion(bench, result.motion, result.subject, audio, true)
    numbers |= shape_errors(bench, result, arrays) | costs(result)
    arrays["thumbnails"] = resize(film.frames[:: round(bench.fps / 2)], THUMBNAIL, THUMBNAIL).numpy()
    about = {"visible": visible_body(result.subject, bench.vlogger.body)}
    return Row(name, numbers, arrays, about, {"reference, made": side_by_side(reference.frames[0], film.frames)})


def shape_errors(bench: Bench, result: Made, arrays: Arrays) -> Numbers:
    """Head shape of made and of true frames against the portrait's, mm."""
    head = head_at_rest(bench, result.subject.betas)
    return {
        f"{who}.head_shape": head_shape_distance(head_at_rest(bench, torch.from_numpy(arrays[f"{who}.betas"])), head)
        for who in ("made", "true")
        if f"{who}.betas" in arrays
    }


def head_at_rest(bench: Bench, betas: torch.Tensor) -> torch.Tensor:
    """(v, 3) the vertices of the head of a shape, metres."""
    body = bench.vlogger.body
    known = body.faces[body.mp_faces[body.mp_faces >= 0]].unique()
    return body.v_template[known] + body.shapedirs[known, :, : len(betas)] @ betas


def costs(result: Made) -> Numbers:
    lasts = len(result.frames) / result.motion.fps
    stages = {f"cost.{stage}": seconds / lasts for stage, seconds in result.seconds.items()}
    return stages | {
        "cost.first_frame": result.first_frame,
        "cost.seconds_per_second": result.seconds_per_second,
        "cost.length": lasts,
    }


def side_by_side(reference: torch.Tensor, frames: torch.Tensor) -> np.ndarray:
    """(h, 5 w, 3) uint8: the reference, then four frames spread over the clip."""
    at = torch.linspace(0, len(frames) - 1, 4).round().long()
    row = [resize(picture, frames.shape[-2], frames.shape[-1]) for picture in (reference, *frames[at])]
    return torch.cat(row, dim=2).permute(1, 2, 0).numpy()


# ------------------------------------------------------------------------------------------------- finished videos


@dataclass(frozen=True)
class Finished:
    """A video that somebody made. `reference`: the true video, or a portrait, where one is given."""

    kind: ClassVar[str] = "finished"
    group: str
    name: str
    video: str
    reference: str | None
    seconds: float

    def __call__(self, bench: Bench) -> list[Row]:
        film = load_film(Path(self.video), bench.fps, self.seconds, bench.size)
        true, portrait = self.truth(bench)
        audio = sound_of(self.video, self.seconds)
        numbers, arrays = measured(bench, film, "made", audio, portrait or Film(film.frames[:1], bench.fps))
        if true is not None:
            more, others = measured(bench, true, "true", audio, portrait)
            numbers, arrays = numbers | more | against_truth(film, true), arrays | others
        return [Row(self.name, numbers, arrays)]

    def truth(self, bench: Bench) -> tuple[Film | None, Film | None]:
        """The true film where the reference is a video, and the picture that identity is compared with."""
        if self.reference is None:
            return None, None
        if Path(self.reference).suffix.lower() in VIDEOS:
            true = load_film(Path(self.reference), bench.fps, self.seconds, bench.size)
            return true, Film(true.frames[:1], bench.fps)
        return None, Film(shrunk(load_portrait(self.reference).image, bench.size)[None], bench.fps)


VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi")


def sound_of(video: str, seconds: float) -> Audio | None:
    """The video's sound, None for a silent one."""
    import av

    with av.open(video) as container:
        if not container.streams.audio:
            return None
    return cut(load_audio(video), seconds)


Task = Callable[[Bench], list[Row]]

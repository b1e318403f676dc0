"""Known answers: what every metric says where the truth is known, on real clips (`protocol=sanity`).

Identical videos must give the ideal value, a known shift its lag, wrong sound less agreement, blur and noise must move
quality the right way, another face must move identity. Each row says what is expected and whether it came.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vlogger.evaluation import frechet, identity, lips, perceptual, quality, syncnet
from vlogger.evaluation.bench import Bench
from vlogger.evaluation.faces import aperture
from vlogger.evaluation.films import Film, cut, load_film, some
from vlogger.evaluation.measure import LOOKED_AT, Numbers
from vlogger.evaluation.reenactment import in_region, ssim_map
from vlogger.evaluation.silence import silence_of, speech_by_level
from vlogger.evaluation.tasks import Row
from vlogger.io_audio import load_audio
from vlogger.pixels import resize, to_uint8
from vlogger.types import Audio, seeded

SHIFT = 3  # frames
NOISE = 20.0  # grey levels
SMALL = 3  # a picture made so many times smaller and larger again is blurred


@dataclass(frozen=True)
class Sanity:
    """Two clips with sound; of different persons where `other_person` says so."""

    kind: ClassVar[str] = "sanity"
    group: str
    name: str
    clip: str
    other: str
    seconds: float
    other_person: bool

    def __call__(self, bench: Bench) -> list[Row]:
        films = [load_film(Path(path), bench.fps, self.seconds, bench.size) for path in (self.clip, self.other)]
        sounds = [cut(load_audio(path), self.seconds) for path in (self.clip, self.other)]
        checks = [*of_lips(films, sounds, bench), *of_pictures(films[0], bench)]
        if self.other_person:
            checks += of_identity(films, bench)
        return [Row(f"{self.name}: {check.what}", check.numbers()) for check in checks]


@dataclass(frozen=True)
class Check:
    """A value, what is expected of it in words, and whether it came."""

    what: str
    value: float
    expected: str
    held: bool

    def numbers(self) -> Numbers:
        return {"sanity.value": self.value, "sanity.held": float(self.held)}


def near(what: str, value: float, goal: float, tolerance: float) -> Check:
    return Check(f"{what} (expected {goal:g})", value, f"{goal:g}", abs(value - goal) <= tolerance)


def above(what: str, value: float, bound: float) -> Check:
    return Check(f"{what} (expected more than {bound:.3g})", value, f"> {bound:.3g}", value > bound)


def below(what: str, value: float, bound: float) -> Check:
    return Check(f"{what} (expected less than {bound:.3g})", value, f"< {bound:.3g}", value < bound)


def of_lips(films: list[Film], sounds: list[Audio], bench: Bench) -> Iterator[Check]:
    """A clip against itself, against itself late, against another; sound against the right and the wrong lips."""
    curve, other = (aperture(film.points) for film in films)
    late = np.concatenate([np.full(SHIFT, curve[0]), curve[:-SHIFT]])
    yield near("r of a clip with itself", lips.correlation(curve, curve), 1.0, 1e-6)
    yield near("lag of a clip that is 3 frames late", lips.best_lag(late, curve)[0], SHIFT, 0)
    yield near("LME of a clip with itself [mm]", lips.landmark_error(films[0].points, films[0].points), 0.0, 1e-3)
    yield above("LME of another clip [mm]", lips.landmark_error(films[1].points, films[0].points), 0.2)
    yield below("r with another clip", lips.correlation(other, curve), 0.95)
    said = bench.judges.lips(sounds[0], len(curve), films[0].fps)["aperture"]
    right = lips.correlation(curve, said)
    wrong = bench.judges.lips(sounds[1], len(curve), films[0].fps)["aperture"]
    yield above("judge's ceiling: r of the true lips with their sound", right, 0.3)
    yield below("judge: r of the true lips with another clip's sound", lips.correlation(curve, wrong), right)
    yield near("judge's lag on the true lips [frames]", lips.best_lag(curve, said)[0], 0, 2)
    moved = lips.best_lag(late, said)[0] - lips.best_lag(curve, said)[0]
    yield near("judge's lag of lips that are 3 frames late, less its own", moved, SHIFT, 1)
    if bench.judges.syncnet is not None:
        scores = [syncnet.lse(bench.judges.syncnet, films[0].frames, films[0].points, sound) for sound in sounds]
        yield above("LSE-C with its sound, against another's", scores[0]["lse_c"], scores[1]["lse_c"])
    speech = speech_by_level(sounds[0], len(curve), films[0].fps)
    gated = np.where(speech, curve, np.nanmin(curve))
    if np.isfinite(silence_of(curve, speech, films[0].fps)["silent_aperture"]):
        found = [silence_of(values, speech, films[0].fps)["silent_aperture"] for values in (gated, curve)]
        yield below("aperture in silence of lips closed there, against the true", found[0], found[1] + 1e-9)


def blurred(frames: Tensor) -> Tensor:
    height, width = frames.shape[-2:]
    return resize(resize(frames, height // SMALL, width // SMALL), height, width)


def noisy(frames: Tensor) -> Tensor:
    noise = torch.randn(frames.shape, generator=seeded(0))
    return to_uint8(frames.float() + NOISE * noise)


def of_pictures(film: Film, bench: Bench) -> Iterator[Check]:
    """Quality, reenactment scores and network distances of blurred and noisy copies."""
    frames = some(film.frames, LOOKED_AT)
    copies = {"blurred": blurred(frames), "noisy": noisy(frames)}
    sharp = quality.sharpness(frames)
    yield below("CPBD of a blurred clip, against its own", quality.sharpness(copies["blurred"]), sharp)
    if bench.judges.pristine is not None:
        own = quality.niqe(frames, bench.judges.pristine)
        for name, copy in copies.items():
            yield above(f"NIQE of a {name} clip, against its own", quality.niqe(copy, bench.judges.pristine), own)
    whole = torch.ones_like(frames[:, :1]).float()
    true = frames.float() / 255
    same = in_region(true, true, ssim_map(true, true), whole)
    yield near("SSIM of a clip with itself", same["ssim"], 1.0, 1e-4)
    yield near("L1 of a clip with itself", same["l1"], 0.0, 1e-6)
    made = copies["noisy"].float() / 255
    expected = 20 * np.log10(255 / NOISE)
    yield near(
        "PSNR of noise of 20 grey levels [dB]", in_region(made, true, ssim_map(made, true), whole)["psnr"], expected, 1
    )
    if bench.judges.mobilenet is not None:
        yield from of_networks(bench.judges.mobilenet, film.frames, copies, true)


def of_networks(
    network: perceptual.MobileNet, frames: Tensor, copies: dict[str, Tensor], true: Tensor
) -> Iterator[Check]:
    yield near(
        "MobileNet distance of a clip to itself",
        float(perceptual.mobilenet_distance(network, true, true).mean()),
        0.0,
        1e-5,
    )
    for name, copy in copies.items():
        apart = float(perceptual.mobilenet_distance(network, copy.float() / 255, true).mean())
        yield above(f"MobileNet distance of a {name} clip", apart, 0.05)
    with torch.inference_mode():
        features = {n: network.pooled(p.float() / 255).numpy() for n, p in {"own": frames[::5], **copies}.items()}
    own = frechet.frechet_distance(features["own"], features["own"])
    yield near("Fréchet distance of a clip to itself", own, 0.0, 1e-2)
    for name in copies:
        apart = frechet.frechet_distance(features[name], features["own"])
        yield above(f"Fréchet distance of a {name} clip", apart, own + 1)


def of_identity(films: list[Film], bench: Bench) -> Iterator[Check]:
    """Another moment of the same face, and another face."""
    network = bench.judges.embedding
    if network is None:
        return
    at = [0, len(films[0].frames) // 2, len(films[0].frames) - 1]
    own = identity.embeddings(network, films[0].frames[at], films[0].points[at])
    other = identity.embeddings(network, films[1].frames[at], films[1].points[at])
    yield near(
        "identity distance of a frame to itself", identity.compared(own[:1], own[0])["identity_distance"], 0.0, 1e-5
    )
    yield below(
        "identity distance of other moments of a face", identity.compared(own[1:], own[0])["identity_distance"], 0.51
    )
    yield above("identity distance of another face", identity.compared(other, own[0])["identity_distance"], 0.51)


@dataclass(frozen=True)
class SanityPairs:
    """Each clip of `folder` beside the next one; beside one of `others` where that is given: another person."""

    folder: str
    count: int
    seconds: float
    others: str | None = None

    def __call__(self, data: Path) -> list[Callable[[Bench], list[Row]]]:
        from vlogger.evaluation.protocol import VIDEOS, files, spread_over

        paths = spread_over(files(data / self.folder, VIDEOS), self.count)
        others = files(data / self.others, VIDEOS) if self.others else [*paths[1:], *paths[:1]]
        pairs = zip(paths, (others * len(paths))[: len(paths)])
        return [
            Sanity("sanity", path.stem, str(path), str(other), self.seconds, self.others is not None)
            for path, other in pairs
        ]

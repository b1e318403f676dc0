"""The shapes that the open body can take: random adults and random faces from MakeHuman's sliders, and their PCA."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlogger.body.makehuman import read_target

GENDERS, AGES, RACES = ("male", "female"), ("young", "old"), ("african", "asian", "caucasian")
MUSCLES = ("minmuscle", "averagemuscle", "maxmuscle")
WEIGHTS = ("minweight", "averageweight", "maxweight")
HEIGHTS = ("minheight", "maxheight")
PROPORTIONS = ("idealproportions", "uncommonproportions")
CUPS = ("mincup", "averagecup", "maxcup")
FIRMNESSES = ("minfirmness", "averagefirmness", "maxfirmness")
SIGNS = ("positive", "negative")
FACE_SECTIONS = ("head", "forehead", "eyebrows", "eyes", "nose", "cheek", "mouth", "chin", "ears")


@dataclass(frozen=True)
class Adults:
    """MakeHuman's macro targets: `keys` name the sliders whose product weighs each row of displacements (T, N*3)."""

    base: NDArray
    keys: list[tuple[str, ...]]
    displacements: NDArray

    def __call__(self, sliders: dict[str, float]) -> NDArray:
        """(N, 3) decimetres, in MakeHuman's A pose."""
        weights = np.array([np.prod([sliders[name] for name in key]) for key in self.keys], np.float32)
        return self.base + (weights @ self.displacements).reshape(-1, 3)


def read_adults(data: Path, base: NDArray) -> Adults:
    """All macro targets of adults that exist."""
    targets = [(key, path) for key, path in _macro_files(data / "mpfb2/targets") if path.exists()]
    rows = np.stack([read_target(path, len(base)).ravel() for _, path in targets])
    return Adults(base, [key for key, _ in targets], rows)


def _macro_files(folder: Path) -> list[tuple[tuple[str, ...], Path]]:
    """Sliders and file of each macro target that MakeHuman may have."""
    macro, files = folder / "macrodetails", []
    for g, a in itertools.product(GENDERS, AGES):
        files += [((g, a, r), macro / f"{r}-{g}-{a}.target.gz") for r in RACES]
        for m, w in itertools.product(MUSCLES, WEIGHTS):
            stem = f"{g}-{a}-{m}-{w}"
            files.append(((g, a, m, w), macro / f"universal-{stem}.target.gz"))
            files += [((g, a, m, w, h), macro / f"height/{stem}-{h}.target.gz") for h in HEIGHTS]
            files += [((g, a, m, w, p), macro / f"proportions/{stem}-{p}.target.gz") for p in PROPORTIONS]
            if g == "female":
                pairs = itertools.product(CUPS, FIRMNESSES)
                files += [((g, a, m, w, c, f), folder / f"breast/{stem}-{c}-{f}.target.gz") for c, f in pairs]
    return files


def neutral_sliders() -> dict[str, float]:
    """A young adult in the middle of everything."""
    return _sliders((0.5, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5), (1 / 3, 1 / 3, 1 / 3))


def random_sliders(rng: np.random.Generator) -> dict[str, float]:
    """An adult of any sex, age, build and origin."""

    def near_half(spread: float) -> float:
        return float(np.clip(rng.normal(0.5, spread), 0, 1))

    gender, age = near_half(0.35), float(rng.beta(1, 2.5))
    build = tuple(near_half(spread) for spread in (0.17, 0.17, 0.15, 0.2, 0.2))
    return _sliders((gender, age, *build), tuple(rng.dirichlet((0.6, 0.6, 0.6))))


def _sliders(values: tuple[float, ...], races: tuple[float, ...]) -> dict[str, float]:
    """Weights of all names for gender (1 female), age, muscle, weight, height, proportions, cup, each in [0, 1]."""
    gender, age, muscle, weight, height, proportions, cup = values
    weights = {"male": 1 - gender, "female": gender, "young": 1 - age, "old": age}
    weights |= dict(zip(HEIGHTS, (1 - height, height))) | dict(zip(PROPORTIONS, (1 - proportions, proportions)))
    for names, value in ((MUSCLES, muscle), (WEIGHTS, weight), (CUPS, cup), (FIRMNESSES, 0.5)):
        weights |= dict(zip(names, _hat(value)))
    return weights | dict(zip(RACES, races))


def _hat(value: float) -> tuple[float, float, float]:
    """Piecewise linear weights of the anchors 0, 0.5 and 1."""
    return max(0.0, 1 - 2 * value), 1 - abs(2 * value - 1), max(0.0, 2 * value - 1)


def read_face_sliders(data: Path, count: int) -> list[tuple[NDArray, NDArray]]:
    """What each face slider does at its two ends, (count, 3) decimetres, left and right moved together."""
    folder, ends = data / "mpfb2/targets", []
    sections = json.loads((folder / "target.json").read_text())
    for section in FACE_SECTIONS:
        for category in sections.get(section, {}).get("categories", []):
            names = category.get("opposites")
            if names:
                positive, negative = (_slider_end(folder / section, names, sign, count) for sign in SIGNS)
                ends.append((positive, negative))
    return [pair for pair in ends if pair[0].any() or pair[1].any()]


def _slider_end(folder: Path, names: dict[str, str], sign: str, count: int) -> NDArray:
    total = np.zeros((count, 3), np.float32)
    for side in ("left", "right", "unsided"):
        path = folder / f"{names[f'{sign}-{side}']}.target.gz"
        if names[f"{sign}-{side}"] and path.exists():
            total += read_target(path, count)
    return total


def random_faces(sliders: list[tuple[NDArray, NDArray]], count: int, rng: np.random.Generator) -> NDArray:
    """(count, V, 3) displacements of random faces."""
    faces = np.zeros((count, *sliders[0][0].shape), np.float32)
    for face in faces:
        values = np.clip(rng.normal(0, 0.3, len(sliders)), -1, 1)
        for (positive, negative), value in zip(sliders, values):
            face += (positive if value > 0 else negative) * abs(value)
    return faces


def principal_components(samples: NDArray, count: int) -> tuple[NDArray, NDArray]:
    """(S, V, 3) -> (count, V, 3), each one standard deviation long, and the part of the variance that each explains.

    An eigenvector's sign is free; here each component raises and advances the surface more than it lowers it (in the
    sum of cubes), so that a rebuild elsewhere gives the same body.
    """
    centred = (samples - samples.mean(0)).reshape(len(samples), -1)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(-values)[:count]
    components = ((vectors[:, order].T @ centred) / np.sqrt(len(samples))).reshape(count, -1, 3)
    skew = ((components[..., 1] + components[..., 2]).astype(np.float64) ** 3).sum(1)
    return components * np.where(skew < 0, -1, 1)[:, None, None], values[order] / values.sum()

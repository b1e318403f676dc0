"""What a big speech encoder hears, for the small one to learn: `python -m motion.teacher ENCODER OUT SOUND...`

ENCODER: a folder or a hub id for `motion.pretrained`, e.g. openai/whisper-base. SOUND: sound files, or training clips
(.npz with `samples` and `sample_rate`), or folders of them; a folder with a file `exclude.txt` leaves those names out.
Neighbours in a folder are joined to recordings of about 15 seconds, each played at a random tape speed. The features
of the layers 2 and 4, each measured in its own deviation, are projected on the main directions that they have over the
first recordings, scaled so that their deviation is 1 for the strongest, and for the others the square root of what it
was: weak ones are heard too. (Mouths of people that a regression was not fitted on are read off layer 2 as well as off
later ones, and their width much better: docs/motion.md.)

OUT gets `basis.npz` (mean, projection) and one .npz per recording: `samples` (s int16, 16 kHz), `features` (c, 192)
float16, 50 a second, the first at 0 s.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion.audio import SAMPLE_RATE, resample
from motion.pretrained import BLOCK, RATE, PretrainedEncoder
from vlogger.io_audio import load_audio

SECONDS = 15.0
GAP = 0.35  # seconds of silence between joined recordings
SOUNDS = (".g722", ".wav", ".flac", ".mp3", ".ogg", ".mp4", ".npz")
FIRST = 40  # recordings that the main directions are found on
DIRECTIONS = 192
LAYERS = (2, 4)  # of the encoder, of which the small one learns
PLACES = int(BLOCK * RATE)  # of a block of the encoder


def sound_of(path: Path) -> Tensor:
    """(s,) at 16 kHz."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            samples = torch.from_numpy(file["samples"].astype(np.float32) / 32768)
            return resample(samples, int(file["sample_rate"]))
    audio = load_audio(path)
    return resample(audio.samples, audio.sample_rate)


def files_of(source: Path) -> list[Path]:
    """A file, or all sounds below a folder, in the order of their paths, without what `exclude.txt` names."""
    if source.is_file():
        return [source]
    unwanted = source / "exclude.txt"
    names = set(unwanted.read_text().split()) if unwanted.exists() else set()
    found = (path for path in sorted(source.rglob("*")) if path.suffix in SOUNDS and path.is_file())
    return [path for path in found if path.stem not in names]


def groups(sources: list[Path]) -> list[list[Path]]:
    """Files to be joined: neighbours of one folder, by size about 15 s (of 16-bit sound or g722)."""
    joined: list[list[Path]] = []
    for source in sources:
        together, seconds = [], 0.0
        for path in files_of(source):
            if together and (path.parent != together[-1].parent or seconds > SECONDS):
                joined.append(together)
                together, seconds = [], 0.0
            together.append(path)
            seconds += length(path)
        joined += [together] if together else []
    return joined


def length(path: Path) -> float:
    """About how many seconds a file lasts, by its size where that tells."""
    if path.suffix == ".g722":
        return path.stat().st_size / 8000
    return len(sound_of(path)) / SAMPLE_RATE


def recordings(sources: list[Path], seed: int) -> Iterator[tuple[str, Tensor]]:
    """Name and 16 kHz sound of each group, in random order, half of them at another speed."""
    chance = random.Random(seed)
    parts = groups(sources)
    chance.shuffle(parts)
    for number, paths in enumerate(parts):
        speed = chance.choice((1.0, chance.uniform(0.87, 1.18)))
        gap = torch.zeros(round(GAP * SAMPLE_RATE))
        sound = torch.cat([piece for path in paths for piece in (sound_of(path), gap)])
        yield f"{number:05d}-{paths[0].stem}", resample(sound, round(SAMPLE_RATE * speed))


def basis_of(recordings: list[Tensor]) -> dict[str, np.ndarray]:
    """Features (c, d) of some recordings -> the mean at each place of a block (400, d), and the projection (d, 192).

    An encoder with absolute positions says where in its window a sound is; nobody else could know, so it is taken away.
    """
    places = torch.cat([torch.arange(len(features)) % PLACES for features in recordings])
    features = torch.cat(recordings)
    total = torch.zeros(PLACES, features.shape[1]).index_add_(0, places, features)
    mean = total / places.bincount(minlength=PLACES)[:, None].clamp(min=1)
    mean = F.avg_pool1d(F.pad(mean.T[None], (4, 4), mode="replicate"), 9, 1)[0].T
    centred = features - mean[places]
    own = centred.std(0)
    _, size, directions = torch.linalg.svd(centred / own, full_matrices=False)
    deviation = size[:DIRECTIONS] / len(features) ** 0.5
    scaled = directions[:DIRECTIONS].T / own[:, None] / (deviation * deviation[0]) ** 0.5
    return {"mean": mean.numpy(), "projection": scaled.numpy()}


def projected(features: Tensor, basis: dict[str, Tensor]) -> Tensor:
    """(c, d) of a whole recording -> (c, 192)."""
    return (features - basis["mean"][torch.arange(len(features)) % PLACES]) @ basis["projection"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("out", type=Path)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    teach(PretrainedEncoder(given.encoder, LAYERS, bfloat16=True), given.out, given.sounds, given.seed)


def teach(encoder: PretrainedEncoder, out: Path, sounds: list[Path], seed: int) -> None:
    """Write what is not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "basis.npz").exists():
        first = [encoder(sound) for _, (_, sound) in zip(range(FIRST), recordings(sounds, seed))]
        np.savez(out / "basis.npz", **basis_of(first))
    basis = {name: torch.from_numpy(value) for name, value in np.load(out / "basis.npz").items()}
    for name, sound in recordings(sounds, seed):
        path = out / f"{name}.rec.npz"
        if path.exists():
            continue
        features = projected(encoder(sound), basis)
        np.savez(
            path.with_suffix(".part.npz"),
            samples=(sound.clamp(-1, 1) * 32767).round().numpy().astype(np.int16),
            features=features.numpy().astype(np.float16),
        )
        path.with_suffix(".part.npz").rename(path)
        print(name, round(len(sound) / SAMPLE_RATE, 1), flush=True)


if __name__ == "__main__":
    main()

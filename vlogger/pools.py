"""Pools: folders of memory-mapped arrays that the painter and the sharpener learn from (docs/architecture.md).

Axis 0 counts samples, axis 1 the frames of a sample (1 for stills). A pool can be read while it is being written.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vlogger.body.parts import PARTS
from vlogger.errors import UserError

FIELDS = {
    "target": np.uint8,  # n t 3 h w: the truth
    "warped": np.uint8,  # n t 3 h w: the photo carried along the mesh, 0 where unknown
    "visible": np.uint8,  # n t 1 h w: 255 where `warped` is known, 128 a guess, 0 unknown
    "surface": np.int8,  # n t 3 h w: squashed template position * 127
    "parts": np.uint8,  # n t h w: index into PARTS, NO_BODY elsewhere
    "photo": np.uint8,  # n 3 h w: the reference picture
    "photo_surface": np.int8,  # n 3 h w
    "photo_parts": np.uint8,  # n h w
}
PAINTED = "painted"
"""n t 3 s s uint8, if there: the painter's pictures of the samples, `s` its size (`vlogger.curation.painted`)."""
NO_BODY = 255
_FLUSH_EVERY = 32  # samples


class Pool:
    """A pool that was written: one memory map for each of `FIELDS`, and `PAINTED` if it is there, as attributes."""

    target: NDArray
    warped: NDArray
    visible: NDArray
    surface: NDArray
    parts: NDArray
    photo: NDArray
    photo_surface: NDArray
    photo_parts: NDArray
    painted: NDArray | None = None

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        files = ["meta.json", *(f"{name}.npy" for name in FIELDS)]
        missing = [file for file in files if not (self.folder / file).exists()]
        if missing:
            raise UserError(f"{self.folder} is not a pool: {missing[0]} is missing; write one with vlogger.curate.")
        for name in FIELDS:
            setattr(self, name, np.load(self.folder / f"{name}.npy", mmap_mode="r"))
        if (extra := self.folder / f"{PAINTED}.npy").exists():
            self.painted = np.load(extra, mmap_mode="r")
        self.meta = json.loads((self.folder / "meta.json").read_text())

    def __len__(self) -> int:
        return min(len(getattr(self, name)) for name in FIELDS)

    @property
    def frames(self) -> int:
        """Frames of each sample."""
        return self.target.shape[1]

    def held_out(self, share: float) -> NDArray[np.bool_]:
        """(n,) the samples of a fixed `share` of its persons; of a single person, the last ones."""
        people = (self.meta["person"] + [""] * len(self))[: len(self)]
        order = sorted(set(people), key=lambda person: zlib.crc32(person.encode()))
        if len(order) == 1:
            return np.arange(len(self)) >= round(len(self) * (1 - share))
        kept_away = set(order[: max(1, round(len(order) * share))])
        return np.array([person in kept_away for person in people])


def pools_in(folder: str | Path) -> dict[str, Pool]:
    """The pool that a folder is, or the pools that lie in it, by name."""
    folder = Path(folder)
    if (folder / "meta.json").exists():
        return {folder.name: Pool(folder)}
    pools = {file.parent.name: Pool(file.parent) for file in sorted(folder.glob("*/meta.json"))}
    if not pools:
        raise UserError(
            f"There is no pool in {folder}: write one with vlogger.curate, or name its folder with data=FOLDER."
        )
    return pools


class PoolWriter:
    """Appends samples to a new pool; `meta` (source, licence, …) is kept with it. Also a context manager."""

    def __init__(self, folder: str | Path, meta: Mapping[str, Any]):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{PAINTED}.npy").unlink(missing_ok=True)  # of samples that were here before
        self.meta, self.people = dict(meta), []
        self.files = {name: open(self.folder / f"{name}.npy", "wb") for name in FIELDS}  # noqa: SIM115
        self.shapes: dict[str, tuple[int, ...]] = {}

    def add(self, *, person: str = "", **arrays: NDArray) -> None:
        """One sample: each of `FIELDS` without its first axis; `person` keeps people apart in validation."""
        assert arrays.keys() == FIELDS.keys(), f"a sample has {sorted(FIELDS)}, not {sorted(arrays)}"
        for name, array in arrays.items():
            assert array.dtype == FIELDS[name], f"{name} is {array.dtype}, not {np.dtype(FIELDS[name])}"
            assert self.shapes.setdefault(name, array.shape) == array.shape, f"{name} changed its shape"
        for name, array in arrays.items():
            if not self.people:
                self._write_header(name)
            self.files[name].write(np.ascontiguousarray(array).tobytes())
        self.people.append(person)
        if len(self.people) % _FLUSH_EVERY == 1:
            self.flush()

    def flush(self) -> None:
        """Make what was added so far readable: numbers of samples into the headers, meta.json."""
        if not self.people:
            return
        for name, file in self.files.items():
            file.flush()
            file.seek(0)
            self._write_header(name)
            file.seek(0, 2)
            file.flush()
        meta = {**self.meta, "part_names": list(PARTS), "person": self.people}
        (self.folder / "meta.json").write_text(json.dumps(meta))

    def _write_header(self, name: str) -> None:
        """An .npy header for the samples so far; numpy leaves room for the first axis to grow, so its length stays."""
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(FIELDS[name])),
            "fortran_order": False,
            "shape": (len(self.people), *self.shapes[name]),
        }
        np.lib.format.write_array_header_1_0(self.files[name], header)

    def close(self) -> None:
        self.flush()
        for file in self.files.values():
            file.close()

    def __enter__(self) -> "PoolWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_made_pool(folder: str | Path, n: int, t: int, size: int, generator: torch.Generator) -> Pool:
    """A small pool of a ball with a mouth that turns and talks: nobody's face, every field filled sensibly."""
    with PoolWriter(folder, {"source": "made", "licence": "CC0-1.0", "size": size}) as writer:
        for index in range(n):
            look = torch.rand(9, generator=generator).numpy()
            frames = [_made_frame(size, look, *torch.rand(2, generator=generator).numpy()) for _ in range(t + 1)]
            photo, *clip = frames
            fields = {name: np.stack([frame[name] for frame in clip]) for name in ("target", "surface", "parts")}
            visible = np.stack([_made_visible(frame, photo) for frame in clip])
            warped = np.where(visible > 0, np.stack([frame["still"] for frame in clip]), 0).astype(np.uint8)
            reference = {"photo": photo["target"], "photo_surface": photo["surface"], "photo_parts": photo["parts"]}
            writer.add(person=str(index), warped=warped, visible=visible, **fields, **reference)
    return Pool(folder)


def _made_frame(size: int, look: NDArray, turn: float, opening: float) -> dict[str, NDArray]:
    """A ball of colour look[:3] with stripes on a ground of look[3:6], turned, its mouth `opening`."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    inside = x**2 + y**2 < 0.5
    across = np.clip(x + 0.6 * (turn - 0.5), -1, 1)
    surface = np.where(inside, np.stack([across, -y, np.sqrt(np.clip(0.5 - x**2 - y**2, 0, None))]), 0)
    lips = inside & (across**2 / 0.06 + (y - 0.25) ** 2 / (0.01 + 0.03 * opening) < 1)
    teeth = lips & (across**2 / 0.04 + (y - 0.25) ** 2 / (0.001 + 0.02 * opening) < 1)
    stripes = 0.75 + 0.25 * np.sin(across * (6 + 10 * look[6]) + y * 8 * look[7])
    still = np.where(inside, look[:3, None, None] * stripes, look[3:6, None, None] * (0.7 + 0.3 * y))
    target = np.where(teeth, 0.2 + 0.7 * look[8], np.where(lips, np.array([0.7, 0.2, 0.2])[:, None, None], still))
    parts = np.full((size, size), NO_BODY)
    for region, name in ((inside, "head"), (lips, "lips"), (teeth, "teeth")):
        parts[region] = PARTS.index(name)
    return {
        "target": (target * 255).round().astype(np.uint8),
        "still": (still * 255).round().astype(np.uint8),
        "surface": (surface * 127).round().astype(np.int8),
        "parts": parts.astype(np.uint8),
    }


def _made_visible(frame: Mapping[str, NDArray], photo: Mapping[str, NDArray]) -> NDArray[np.uint8]:
    """1 h w: known except inside the open mouth and on the stripe of the ball that the photo does not show."""
    shown = photo["surface"][0][photo["parts"] != NO_BODY]
    hidden = (frame["surface"][0] < shown.min()) | (frame["surface"][0] > shown.max())
    unknown = (frame["parts"] == PARTS.index("teeth")) | (hidden & (frame["parts"] != NO_BODY))
    return np.where(unknown, 0, 255).astype(np.uint8)[None]

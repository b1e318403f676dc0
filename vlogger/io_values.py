"""Subject, motion and controls as files: plain numpy archives that a person can open and edit."""

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vlogger.errors import UserError
from vlogger.io import disk_errors, existing
from vlogger.stages import ControlSequence
from vlogger.types import Controls, Motion, Portrait, Subject

WINDOW = 16  # frames of controls that are stored, and read, together
SUBJECT_KEYS = ("betas", "rotations", "expression", "translation", "intrinsics")
CONTROL_KEYS = ("surface", "parts", "warped", "visible", "moved")


def save_subject(path: Path, subject: Subject) -> None:
    """An .npz: the fitted numbers, the photo as the bytes of a PNG, and its matte as those of a grey one."""
    values = {key: getattr(subject, key).numpy() for key in SUBJECT_KEYS}
    values["portrait_png"] = png(subject.portrait.image.permute(1, 2, 0))
    if subject.portrait.matte is not None:
        values["matte_png"] = png(subject.portrait.matte[0])
    if subject.offsets is not None:
        values["offsets"] = subject.offsets.numpy()
    with disk_errors(path), path.open("wb") as file:
        np.savez(file, **values)


def png(pixels: Tensor) -> np.ndarray:
    """(h,w,3) or (h,w) uint8 -> the bytes of a PNG."""
    out = BytesIO()
    Image.fromarray(pixels.numpy()).save(out, "PNG")
    return np.frombuffer(out.getvalue(), np.uint8)


def from_png(content: np.ndarray, mode: str) -> Tensor:
    """The bytes of a PNG -> (channels,h,w) uint8, of three colours (RGB) or one (L)."""
    pixels = np.array(Image.open(BytesIO(content.tobytes())).convert(mode))
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()


def load_subject(path: str | Path) -> Subject:
    """What `save_subject` wrote; a file without `offsets` or a matte has none."""
    arrays = read_arrays(path, (*SUBJECT_KEYS, "portrait_png"))
    matte = from_png(arrays["matte_png"], "L") if "matte_png" in arrays else None
    portrait = Portrait(from_png(arrays["portrait_png"], "RGB"), matte)
    values = [floats(arrays[key], key, path) for key in SUBJECT_KEYS]
    offsets = floats(arrays["offsets"], "offsets", path) if "offsets" in arrays else None
    return Subject(portrait, *values, offsets=offsets)


def save_motion(path: Path, motion: Motion, joint_names: Sequence[str], expression_names: Sequence[str]) -> None:
    """An .npz with the names of what moves beside the numbers."""
    with disk_errors(path), path.open("wb") as file:
        np.savez(
            file,
            rotations=motion.rotations.numpy(),
            expression=motion.expression.numpy(),
            translation=motion.translation.numpy(),
            fps=np.array(motion.fps),
            joint_names=np.array(joint_names),
            expression_names=np.array(expression_names),
        )


class MotionWriter:
    """A motion file that is written piece by piece: `add` takes pieces in order; memory does not grow.

    A context manager; the file at `path` is complete when the block has ended well. Beside what `save_motion` writes it
    holds any arrays whose first axis counts frames, as `add` names them.
    """

    def __init__(self, path: Path, fps: float, joint_names: Sequence[str], expression_names: Sequence[str]):
        self.path, self.fps = path, fps
        self.fixed = {"joint_names": np.array(joint_names), "expression_names": np.array(expression_names)}
        self.columns: dict[str, tuple[BinaryIO, np.ndarray]] = {}
        self.frames, self.stack = 0, ExitStack()

    def __enter__(self) -> "MotionWriter":
        return self

    def add(self, motion: Motion, **more: np.ndarray) -> None:
        """The next frames, and more arrays that are as long."""
        arrays = {name: getattr(motion, name).numpy() for name in ("rotations", "expression", "translation")} | more
        with disk_errors(self.path):
            for name, array in arrays.items():
                if name not in self.columns:
                    self.columns[name] = self.stack.enter_context(TemporaryFile()), array[:0]  # noqa: SIM115
                self.columns[name][0].write(np.ascontiguousarray(array).tobytes())
        self.frames += len(motion)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with self.stack:
            if kind is None:
                self.finish()

    def finish(self) -> None:
        """The file from its parts."""
        with disk_errors(self.path), zipfile.ZipFile(self.path, "w", allowZip64=True) as archive:
            for name, value in {"fps": np.array(self.fps), **self.fixed}.items():
                with archive.open(entry(f"{name}.npy"), "w") as out:
                    np.lib.format.write_array(out, value, allow_pickle=False)
            for name in self.columns:
                self.write(archive, name)

    def write(self, archive: zipfile.ZipFile, name: str) -> None:
        """One array from its temporary file."""
        file, like = self.columns[name]
        header = np.lib.format.header_data_from_array_1_0(like) | {"shape": (self.frames, *like.shape[1:])}
        file.seek(0)
        with archive.open(entry(f"{name}.npy"), "w", force_zip64=True) as out:
            np.lib.format.write_array_header_1_0(out, header)
            shutil.copyfileobj(file, out)


def load_motion(path: str | Path) -> tuple[Motion, tuple[str, ...]]:
    """A motion and its expression names. `rotations` may be matrices (t 55 3 3) or axis-angle vectors (t 55 3)."""
    arrays = read_arrays(path, ("rotations", "expression", "translation", "fps"))
    rotations = floats(arrays["rotations"], "rotations", path)
    if rotations.shape[1:] == (55, 3):
        rotations = matrices(rotations)
    expression, translation = (floats(arrays[key], key, path) for key in ("expression", "translation"))
    if rotations.shape[1:] != (55, 3, 3) or expression.ndim != 2 or translation.shape[1:] != (3,):
        raise UserError(f"{path}: rotations must be t x 55 x 3 x 3, expression t x e, translation t x 3")
    if not len(rotations) == len(expression) == len(translation) > 0:
        raise UserError(f"{path}: rotations, expression and translation must have the same number of frames")
    if arrays["fps"].size != 1 or not 0 < float(arrays["fps"]) < 1000:
        raise UserError(f"{path}: fps must be one number of frames per second")
    names = tuple(str(name) for name in arrays.get("expression_names", ()))
    motion = Motion(rotations, expression, translation, float(arrays["fps"]))
    times = arrays.get("times")
    return (motion if times is None else evened(motion, torch.from_numpy(times))), names


def evened(motion: Motion, times: Tensor) -> Motion:
    """A motion whose frames are shown at uneven `times` (t,), seconds, at an even pace: as many frames, the same
    duration. One that strays from its pace by less than half a frame is left as it is."""
    even = times[0] + torch.arange(len(times), dtype=times.dtype) / motion.fps
    if len(times) != len(motion) or len(times) < 2 or (times - even).abs().max() * motion.fps < 0.5:
        return motion
    after = torch.searchsorted(times, even).clamp(1, len(times) - 1)
    part = ((even - times[after - 1]) / (times[after] - times[after - 1]).clamp(min=1e-9)).clamp(0, 1).float()
    expression, translation = (
        torch.lerp(value[after - 1], value[after], part[:, None]) for value in (motion.expression, motion.translation)
    )
    rotations = between(motion.rotations[after - 1], motion.rotations[after], part)
    return Motion(rotations, expression, translation, motion.fps)


def between(first: Tensor, second: Tensor, part: Tensor) -> Tensor:
    """(t, 55, 3, 3) rotations, a part (t,) of the way from the first to the second (mean of matrices, made orthogonal:
    neighbouring frames differ little)."""
    mean = torch.lerp(first, second, part[:, None, None, None])
    u, _, vt = torch.linalg.svd(mean)
    return u @ vt


def matrices(axis_angle: Tensor) -> Tensor:
    """Axis-angle vectors (… 3) as rotation matrices (… 3 3)."""
    from scipy.spatial.transform import Rotation

    flat = Rotation.from_rotvec(axis_angle.reshape(-1, 3).numpy()).as_matrix()
    return torch.from_numpy(flat).float().reshape(*axis_angle.shape, 3)


def read_arrays(path: str | Path, keys: Sequence[str]) -> Mapping[str, np.ndarray]:
    """The arrays of an .npz, all `keys` among them."""
    path = existing(path, "an .npz file")
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not an .npz file of numbers; write it with numpy.savez") from error
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}; it is not the file that this stage reads")
    return arrays


def floats(array: np.ndarray, key: str, path: str | Path) -> Tensor:
    """Finite float32 numbers."""
    if not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
        raise UserError(f"{path}: {key} must be finite numbers")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def save_controls(path: Path, controls: ControlSequence) -> None:
    """Append a sequence to a zip, `WINDOW` frames an entry; one zip holds one sequence of each size."""
    about = {"size": controls.size, "fps": controls.fps, "frames": len(controls), "window": WINDOW}
    with disk_errors(path), zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(entry(f"{controls.size}/about.json"), json.dumps(about))
        put(archive, f"{controls.size}/reference.npz", controls.reference, photo=controls.photo.numpy())
        for start in range(0, len(controls), WINDOW):
            put(archive, f"{controls.size}/{start:08d}.npz", controls[start : start + WINDOW])


def entry(name: str) -> zipfile.ZipInfo:
    """A zip entry without a date, so that the same controls give the same bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def put(archive: zipfile.ZipFile, name: str, controls: Controls, **more: np.ndarray) -> None:
    """One window of controls as an .npz inside the zip; parts that are 0 or 1 as bytes."""
    arrays = {key: getattr(controls, key).numpy() for key in CONTROL_KEYS}
    if np.isin(arrays["parts"], (0, 1)).all():
        arrays["parts"] = arrays["parts"].astype(np.uint8)
    buffer = BytesIO()
    np.savez(buffer, **arrays, **more)
    archive.writestr(entry(name), buffer.getvalue())


class StoredControls:
    """A sequence of controls in a file: each slice is read when it is asked for."""

    def __init__(self, path: str | Path, size: int):
        self.path, self.size = existing(path, "a .zip of controls"), size
        try:
            about = json.loads(self.read("about.json"))
        except (zipfile.BadZipFile, ValueError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not a file of controls; write one with controls_out=") from error
        except KeyError as error:
            raise UserError(f"{path} has no controls of {size} pixels; save them again at this size=") from error
        self.fps, self.frames, self.window = float(about["fps"]), int(about["frames"]), int(about["window"])
        self.photo = torch.from_numpy(np.load(BytesIO(self.read("reference.npz")))["photo"])
        self.reference = self.load("reference.npz")

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, frames: slice) -> Controls:
        start, stop, step = frames.indices(self.frames)
        first = start - start % self.window
        windows = [self.load(f"{i:08d}.npz") for i in range(first, max(stop, first + 1), self.window)]
        joined = [torch.cat([getattr(window, key) for window in windows]) for key in CONTROL_KEYS]
        return Controls(*joined, fps=self.fps)[start - first : max(stop, start) - first : step]

    def read(self, name: str) -> bytes:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(f"{self.size}/{name}")

    def load(self, name: str) -> Controls:
        """The controls of one entry."""
        arrays = np.load(BytesIO(self.read(name)))
        return Controls(*(torch.from_numpy(arrays[key]).float() for key in CONTROL_KEYS), fps=self.fps)

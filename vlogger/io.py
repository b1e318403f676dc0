"""Files: outputs that appear whole or not at all, fingerprints, and pictures.

Sound is in `io_audio`, video in `io_video`, the values between the stages in `io_values`.
"""

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from vlogger.errors import UserError
from vlogger.types import Portrait

LARGEST_SIDE = 8192  # pixels; larger pictures are reduced
log = logging.getLogger(__name__)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """A full disk, a missing right, a folder in the way become a `UserError` that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {path}: {reason}; make room or choose another place") from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of `path`: it gets the final name when the block ends well, else it vanishes.

    Folders that are missing are made, and unmade when the block fails.
    """
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; name a file")
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
        yield part
        if part.stat().st_size:
            with disk_errors(path):
                os.replace(part, path)
        else:
            log.warning("%s is not written: the stage that makes it was not needed", path)
            part.unlink()
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise


def existing(path: str | Path, what: str) -> Path:
    """The path of a file that is there and is not empty."""
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path} does not exist; give the path of {what}")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the path of {what}")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes); give the path of {what}")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} may not be read; change its permissions or give the path of another file")
    return path


def sha256(path: Path) -> str:
    """Fingerprint of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_portrait(path: str | Path) -> Portrait:
    """The first picture of a file in any format that Pillow reads.

    Upright (EXIF), in sRGB (the file's colour profile is converted), transparency over white, 16 bits and grey to 8-bit
    RGB, at most `LARGEST_SIDE` pixels a side.
    """
    path = existing(path, "a picture")
    try:
        with warnings.catch_warnings(), Image.open(path) as file:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file.load()
            image = to_rgb(reduced(ImageOps.exif_transpose(file), path), path)
    except Image.DecompressionBombError as error:
        raise UserError(f"{path} has too many pixels; make it smaller than {LARGEST_SIDE} x {LARGEST_SIDE}") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not a picture that Pillow can read; convert it to PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise UserError(f"{path} is a broken picture ({error}); save it again as PNG or JPEG") from error
    return Portrait(torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous())


def reduced(image: Image.Image, path: Path) -> Image.Image:
    """The same picture, not larger than `LARGEST_SIDE`."""
    if max(image.size) <= LARGEST_SIDE:
        return image
    log.warning("%s is %d x %d pixels; it is reduced to %d", path, *image.size, LARGEST_SIDE)
    scale = LARGEST_SIDE / max(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    image = image.convert("RGBA") if image.mode in ("P", "PA") else image.convert("L") if image.mode == "1" else image
    return image.resize((size[0], size[1]), Image.Resampling.BOX)


def to_rgb(image: Image.Image, path: Path) -> Image.Image:
    """Any mode of Pillow to 8-bit sRGB, transparent pixels over white."""
    if image.mode.startswith("I") or image.mode == "F":
        return to_eight_bits(image).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        profile = image.info.get("icc_profile")
        image = white.convert("RGB")
        image.info["icc_profile"] = profile
    return in_srgb(image, path)


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or of floats, to 8 bits: 65535 (integers) and 1 (floats up to 1) are white."""
    values = np.nan_to_num(np.array(image, dtype=np.float64))
    top = values.max(initial=0)
    scale = 255 if image.mode == "F" and top <= 1 else 255 / 65535 if top > 255 else 1
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))


def in_srgb(image: Image.Image, path: Path) -> Image.Image:
    """Colours as sRGB: by the picture's own profile when it has one that is not sRGB already."""
    if not image.info.get("icc_profile"):
        return image.convert("RGB")
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        log.warning("the colour profile in %s cannot be used (%s); its colours are taken as sRGB", path, error)
        return image.convert("RGB")
    assert converted is not None
    return converted

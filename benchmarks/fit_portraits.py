"""How closely the body is fitted to portraits: python -m benchmarks.fit_portraits FOLDER [OVERLAYS.png]

One line a photo: mean distance of MediaPipe's landmarks from the mesh's, in percent of the distance between the eyes,
over all points but the face outline (what of it turns away from the viewer slides along the mesh: it has no fixed place
on it), over the 51 inner iBUG points, and the worst point; CPU seconds. Then means and maxima. With a
second argument the meshes are drawn over the photos.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from render.camera import project, scale_intrinsics
from render.evidence import markers
from render.fit import fit_person, landmark_error
from render.landmarks import choose, detect, person_of
from render.rasterize import interpolate, rasterize
from render.targets import INNER_IBUG, OVAL
from vlogger.body.smplx import Body, load_body
from vlogger.framing import pose_subject
from vlogger.io import load_portrait
from vlogger.types import Subject

SIDE, COLUMNS = 320, 5


def overlay(body: Body, subject: Subject) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: the photo with the mesh shaded over it, longer side SIDE."""
    height, width = subject.portrait.image.shape[1:]
    scale = SIDE / max(height, width)
    image = Image.fromarray(subject.portrait.image.permute(1, 2, 0).numpy())
    photo = np.zeros((SIDE, SIDE, 3))
    small = round(width * scale), round(height * scale)
    photo[: small[1], : small[0]] = image.resize(small)
    vertices = pose_subject(subject, body)
    pixels = project(vertices[None], scale_intrinsics(subject.intrinsics, scale, scale))
    seen = rasterize(pixels, body.faces, SIDE, SIDE)
    normals = interpolate(vertex_normals(vertices, body.faces), body.faces, seen)[0].numpy()
    shade = 255 * np.clip(normals @ (0.3, 0.4, 0.85), 0.1, 1)[..., None]
    return np.where(seen.mask[0].numpy()[..., None], 0.5 * photo + 0.5 * shade, photo).astype(np.uint8)


def vertex_normals(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """(V, 3) unit vectors."""
    a, b, c = vertices[faces].unbind(1)
    summed = torch.zeros_like(vertices)
    summed.index_add_(0, faces.flatten(), torch.linalg.cross(b - a, c - a).repeat_interleave(3, dim=0))
    return torch.nn.functional.normalize(summed, dim=-1)


def measure(body: Body, path: Path) -> tuple[Subject, list[float]]:
    """The subject, and its error in percent (without outline, iBUG, worst) and CPU seconds."""
    portrait = load_portrait(path)
    start = time.process_time()
    image = portrait.image.permute(1, 2, 0).contiguous().numpy()
    person = person_of(image, choose(detect(image), "largest", path.name))
    subject = fit_person(body, markers(body), person, portrait, steps=12)
    seconds = time.process_time() - start
    points = torch.from_numpy(person.face.points)
    inner, ibug = (
        100 * landmark_error(body, subject, points, torch.tensor(ids))
        for ids in ([i for i in range(468) if i not in OVAL and body.mp_faces[i] >= 0], INNER_IBUG)
    )
    return subject, [float(inner.mean()), float(ibug.mean()), float(inner.max()), seconds]


def main(folder: str, sheet: str | None = None) -> None:
    body, rows, pictures = load_body(), [], []
    print(f"{'photo':60} {'inner %':>8} {'iBUG %':>8} {'worst %':>8} {'seconds':>8}")
    for path in sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")):
        subject, row = measure(body, path)
        rows.append(row)
        pictures += [overlay(body, subject)] if sheet else []
        print(f"{path.name[:60]:60} " + " ".join(f"{value:8.2f}" for value in row), flush=True)
    for name, values in (("mean", np.mean(rows, axis=0)), ("max", np.max(rows, axis=0))):
        print(f"{name:60} " + " ".join(f"{value:8.2f}" for value in values))
    if sheet:
        pictures += [np.zeros_like(pictures[0])] * (-len(pictures) % COLUMNS)
        lines = [np.concatenate(pictures[i : i + COLUMNS], axis=1) for i in range(0, len(pictures), COLUMNS)]
        Image.fromarray(np.concatenate(lines)).save(sheet)


if __name__ == "__main__":
    main(*sys.argv[1:])

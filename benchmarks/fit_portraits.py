"""How closely the body is fitted to portraits: python -m benchmarks.fit_portraits FOLDER [OVERLAYS.png]

One line a photo, distances in the picture between MediaPipe's points and the mesh's: `shape` and `personal`: percent of
the distance between the eyes, mean over the face's points but the outline (what of it turns away from the viewer slides
along the mesh: it has no fixed place on it), before and after the personal offsets; `worst` point after them; `lips`
and `lids`: mean difference of their openings; `arms`, `hips`, `hands`: percent of the width of the shoulders, where
they are seen; CPU seconds, all in all. Then means and maxima. With a second argument the meshes are drawn over the
photos.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from render.camera import project, scale_intrinsics
from render.evidence import eye_distance
from render.fit import FitPortrait, fit_person, joint_errors, landmark_error
from render.landmarks import choose, detect, person_of
from render.rasterize import interpolate, rasterize
from render.targets import INNER_LIP_PAIRS, LID_PAIRS, OVAL
from vlogger.body.smplx import Body, load_body
from vlogger.errors import UserError
from vlogger.framing import pose_subject
from vlogger.io import load_portrait
from vlogger.types import Subject

SIDE, COLUMNS = 320, 5
NUMBERS = ("shape", "personal", "worst", "lips", "lids", "arms", "hips", "hands", "seconds")


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


def measure(stage: FitPortrait, path: Path) -> tuple[Subject, list[float]]:
    """The subject, and the numbers of its line (`NUMBERS`)."""
    body, marks, portrait = stage.body, stage.marks, load_portrait(path)
    start = time.process_time()
    image = portrait.image.permute(1, 2, 0).contiguous().numpy()
    person = person_of(image, choose(detect(image), "largest", path.name))
    subject = stage.of(person, portrait)
    seconds = time.process_time() - start
    shape, points = fit_person(body, marks, person, portrait, steps=12), torch.from_numpy(person.face.points)
    inner = torch.tensor([i for i in range(468) if i not in OVAL and body.mp_faces[i] >= 0])
    before, after = (100 * landmark_error(body, one, points, inner) for one in (shape, subject))
    joints = {name: 100 * float(error.mean()) for name, error in joint_errors(marks, subject, person).items()}
    gaps = [100 * gap_error(body, subject, points, pairs) for pairs in (INNER_LIP_PAIRS, LID_PAIRS)]
    faces = [float(before.mean()), float(after.mean()), float(after.max())]
    return subject, [*faces, *gaps, joints["arms"], joints["hips"], joints["hands"], seconds]


def gap_error(body: Body, subject: Subject, points: torch.Tensor, pairs: tuple[tuple[int, int], ...]) -> float:
    """Mean difference of the openings between pairs of landmarks, mesh and photo (478, 3), over the eyes' distance."""
    upper, lower = torch.tensor(pairs).T
    corners = pose_subject(subject, body)[body.faces[body.mp_faces]]
    mesh = project((corners * body.mp_bary[..., None]).sum(1), subject.intrinsics)
    openings = [rows[lower, :2] - rows[upper, :2] for rows in (mesh, points)]
    return float((openings[0] - openings[1]).norm(dim=-1).mean() / eye_distance(points))


def main(folder: str, sheet: str | None = None) -> None:
    stage, rows, pictures = FitPortrait(load_body(), "largest"), [], []
    print(f"{'photo':40}" + "".join(f"{name:>9}" for name in NUMBERS))
    for path in sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")):
        try:
            subject, row = measure(stage, path)
        except UserError as error:
            print(f"{path.name[:40]:40}  {error}")
            continue
        rows.append(row)
        pictures += [overlay(stage.body, subject)] if sheet else []
        print(line(path.name, row), flush=True)
    print(line("mean", np.nanmean(rows, axis=0)))
    print(line("max", np.nanmax(rows, axis=0)))
    if sheet:
        pictures += [np.zeros_like(pictures[0])] * (-len(pictures) % COLUMNS)
        lines = [np.concatenate(pictures[i : i + COLUMNS], axis=1) for i in range(0, len(pictures), COLUMNS)]
        Image.fromarray(np.concatenate(lines)).save(sheet)


def line(name: str, values: Sequence[float] | np.ndarray) -> str:
    """One line of the table; nothing where there is no number."""
    return f"{name[:40]:40}" + "".join(" " * 9 if np.isnan(value) else f"{value:9.2f}" for value in values)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Faces in finished videos: MediaPipe's points in every frame, and what they say about lips and lids.

Lengths are in units of the distance between the pupils, or in millimetres by the mean of adults, 63 mm (Dodgson 2004,
"Variation and extrema of human interpupillary distance").
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.evidence import markers
from render.landmarks import bounds, cut, detect, opened_models, square
from vlogger.body.landmarks import INNER_LIPS, OUTER_LIPS
from vlogger.body.smplx import Body, personal, pose
from vlogger.types import Motion, Subject

INTERPUPIL_MM = 63.0
RIGHT_PUPIL, LEFT_PUPIL = 468, 473
UPPER_LIP, LOWER_LIP = 13, 14
CORNERS = (61, 291)
NOSE_BASE, CHIN = 2, 152
RIGID = (
    10,
    109,
    338,
    168,
    6,
    197,
    33,
    133,
    362,
    263,
    127,
    356,
    234,
    454,
)  # forehead, nose bridge, eye corners, temples
LIDS = (((159, 145), (33, 133)), ((386, 374), (362, 263)))  # (upper, lower), (corners) of each eye
LIPS = tuple(dict.fromkeys((*OUTER_LIPS, *INNER_LIPS)))
MARGIN = 1.8  # side of the searched square over that of the face
SIDE = 256  # pixels of that square for the mesh model
LOST = 0.5  # jump of the face's middle, in its sides, that is not believed


def follow(frames: NDArray) -> NDArray:
    """MediaPipe's 478 points of the largest face: frames (t, h, w, 3) uint8 -> (t, 478, 3) pixels, nan without a face.

    The first face is searched in the whole picture (`render.landmarks`); from there on the mesh model looks around
    its own last result, and the whole picture is searched again where it loses the face.
    """
    rows = np.full((len(frames), 478, 3), np.nan, np.float32)
    with opened_models() as models:
        last = None
        for row, frame in zip(rows, frames):
            frame = np.ascontiguousarray(frame)
            points = None if last is None else _settled(models.mesh, frame, last)
            if points is None:
                points = _searched(models.mesh, frame)
            last = points
            if points is not None:
                row[:] = points
    return rows


def _searched(mesh: Any, frame: NDArray) -> NDArray | None:
    """The largest face of the whole picture, seen as `_settled` sees it."""
    faces = detect(frame)
    if not faces:
        return None
    best = max(faces, key=lambda face: face.side)
    settled = _settled(mesh, frame, best.points)
    return best.points if settled is None else settled


def _settled(mesh: Any, frame: NDArray, points: NDArray) -> NDArray | None:
    """The mesh (478, 3) found around earlier points, twice; None where it is not found near them."""
    start = bounds(points)
    for _ in range(2):
        patch, origin, scale = cut(frame, square(bounds(points), MARGIN), SIDE)
        found = list(_meshes(mesh.process(patch).multi_face_landmarks or [], origin, scale))
        middle = (bounds(points)[:2] + bounds(points)[2:]) / 2
        found = [rows for rows in found if np.abs(_middle(rows) - middle).max() < LOST * (start[2] - start[0])]
        if not found:
            return None
        points = max(found, key=lambda rows: np.ptp(rows[:, 0]))
    return points


def _meshes(found: Any, origin: NDArray, scale: float) -> Iterator[NDArray]:
    for one in found:
        yield np.array([(p.x, p.y, p.z) for p in one.landmark], np.float32) * SIDE / scale + (*origin, 0)


def _middle(points: NDArray) -> NDArray:
    box = bounds(points)
    return (box[:2] + box[2:]) / 2


def points_of_motion(motion: Motion, subject: Subject, body: Body) -> NDArray:
    """The same points on the subject's moving mesh, before any pixel: (t, 478, 3) metres in camera space, nan where the
    mesh has no such point."""
    marks = markers(personal(body, subject.offsets))
    frames = (motion.rotations.double(), motion.expression.double(), motion.translation.double())
    posed = pose(marks.body, subject.betas.double(), *frames).vertices.float().numpy()
    rows = np.full((len(motion), 478, 3), np.nan, np.float32)
    rows[:, marks.ids] = posed[:, : len(marks.ids)]
    rows[:, [RIGHT_PUPIL, LEFT_PUPIL]] = posed[:, marks.irises : marks.irises + 2]
    return rows


# ------------------------------------------------------------------------------------------------------ curves


def unit(points: NDArray) -> NDArray:
    """(t, 478, 3) -> (t,) distance of the pupils in the points' own unit, in depth too (a turned head is as wide)."""
    return np.linalg.norm(points[:, RIGHT_PUPIL] - points[:, LEFT_PUPIL], axis=1)


def aperture(points: NDArray) -> NDArray:
    """(t,) distance of the inner lips over that of the pupils: 0 where they touch."""
    return np.linalg.norm(points[:, UPPER_LIP, :2] - points[:, LOWER_LIP, :2], axis=1) / unit(points)


def width(points: NDArray) -> NDArray:
    """(t,) distance of the corners of the mouth over that of the pupils."""
    return np.linalg.norm(points[:, CORNERS[0]] - points[:, CORNERS[1]], axis=1) / unit(points)


def jaw(points: NDArray) -> NDArray:
    """(t,) distance of chin and nose base over that of the pupils."""
    return np.linalg.norm(points[:, CHIN] - points[:, NOSE_BASE], axis=1) / unit(points)


def mouth_curves(points: NDArray) -> dict[str, NDArray]:
    """The three curves of the mouth that are compared between videos, each (t,)."""
    return {"aperture": aperture(points), "width": width(points), "jaw": jaw(points)}


def lid_opening(points: NDArray) -> NDArray:
    """(t,) distance of the lids over that of the eye's corners, mean of both eyes (eye aspect ratio)."""
    ratios = [
        np.linalg.norm(points[:, upper, :2] - points[:, lower, :2], axis=1)
        / np.linalg.norm(points[:, outer, :2] - points[:, inner, :2], axis=1)
        for (upper, lower), (outer, inner) in LIDS
    ]
    return np.mean(ratios, axis=0)


def aligned(points: NDArray, target: NDArray) -> NDArray:
    """Points (t, 478, 3) turned, scaled and moved so that forehead, nose bridge, eye corners and temples lie on those
    of target (t, 478, 3) (Umeyama 1991, eq. 40-42); nan where either is unknown."""
    result = np.full_like(points, np.nan)
    rigid = list(RIGID)
    for i in np.flatnonzero(np.isfinite(points[:, 0, 0]) & np.isfinite(target[:, 0, 0])):
        a, b = points[i, rigid].mean(0), target[i, rigid].mean(0)
        source, goal = points[i, rigid] - a, target[i, rigid] - b
        u, s, vt = np.linalg.svd(goal.T @ source)
        sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
        scale = (s * sign).sum() / (source**2).sum()
        result[i] = scale * (points[i] - a) @ ((u * sign) @ vt).T + b
    return result


def in_millimetres(points: NDArray) -> NDArray:
    """(t, 478, 3) in pixels -> in millimetres, every frame by its own pupils."""
    return points * (INTERPUPIL_MM / unit(points))[:, None, None]


def found_share(points: NDArray) -> float:
    """Share of frames in which there is a face."""
    return float(np.isfinite(points[:, 0, 0]).mean())

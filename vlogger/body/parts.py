"""Which part of the body each triangle belongs to: the channels of VLOGGER's semantic mask (3.2, C^m).

"lips" is the skin inside the outer lip contour, "teeth" includes the skin inside the mouth, "legs" has the feet.
"""

import numpy as np
from numpy.typing import NDArray

from vlogger.body.skeleton import JOINTS, joint_index

PARTS = (
    "head",
    "lips",
    "neck",
    "torso",
    "left_arm",
    "right_arm",
    "left_hand",
    "right_hand",
    "legs",
    "eyes",
    "teeth",
    "tongue",
)

PLAIN, LIP, INSIDE = range(3)  # skin, values of a file's `mouth_region`
_OF_FACE_PART = {1: "eyes", 2: "eyes", 3: "tongue", 4: "teeth", 5: "teeth"}  # values of a file's `face_part`
_LIP_DEPTH = 0.012  # metres behind its contour that a lip reaches before it is the inside of the mouth
_MOUTH_DEPTH = 0.07  # metres


def part_of_faces(faces: NDArray, weights: NDArray, face_part: NDArray, region: NDArray) -> NDArray[np.int64]:
    """Index into `PARTS` of every triangle.

    faces (F, 3), weights (V, 55), face_part (F,) as in `smplx.Body`, region (F,): `LIP`, `INSIDE` the mouth or `PLAIN`.
    """
    scores = np.stack([weights[:, _joints_of(name)].sum(1) for name in PARTS], axis=1)
    part = scores[faces].sum(1).argmax(1)
    part[region == LIP] = PARTS.index("lips")
    part[region == INSIDE] = PARTS.index("teeth")
    for value, name in _OF_FACE_PART.items():
        part[face_part == value] = PARTS.index(name)
    return part.astype(np.int64)


def mouth_region(template: NDArray, faces: NDArray, face_part: NDArray, contour: NDArray) -> NDArray[np.int64]:
    """(F,) which skin is lip and which lies behind, told from points around the outer rim of the lips.

    template (V, 3) metres, contour (n, 3) in order. A guess for files that do not say it themselves.
    """
    middle = template[faces].mean(1)
    mouth = (face_part == 0) & _behind(middle, contour)
    lips = mouth & _near_contour(middle, contour)
    return np.where(lips, LIP, np.where(mouth, INSIDE, PLAIN))


def _joints_of(part: str) -> list[int]:
    """Joints whose skinning weights vote for a part; none for the parts that weights cannot tell."""
    names = {
        "head": ["head", "jaw"],
        "neck": ["neck"],
        "torso": ["pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"],
        "legs": [j for j in JOINTS if j.endswith(("hip", "knee", "ankle", "foot"))],
        "eyes": ["left_eye", "right_eye"],
    }
    for side in ("left", "right"):
        names[f"{side}_arm"] = [f"{side}_shoulder", f"{side}_elbow"]
        names[f"{side}_hand"] = [j for j in JOINTS[25:] if j.startswith(side)] + [f"{side}_wrist"]
    return [joint_index(name) for name in names.get(part, [])]


def _behind(points: NDArray, contour: NDArray) -> NDArray[np.bool_]:
    """(n,) points inside the contour as it is seen from the front, and no more than the mouth's depth behind it."""
    in_depth = (points[:, 2] > contour[:, 2].min() - _MOUTH_DEPTH) & (points[:, 2] < contour[:, 2].max() + 0.03)
    return in_depth & inside_polygon(points[:, :2], contour[:, :2])


def _near_contour(points: NDArray, contour: NDArray) -> NDArray[np.bool_]:
    """(n,) points less than `_LIP_DEPTH` behind the contour, whose depth is a parabola in x (lips bow forwards)."""
    bow = np.polynomial.Polynomial.fit(contour[:, 0], contour[:, 2], 2)
    return points[:, 2] > bow(points[:, 0]) - _LIP_DEPTH


def inside_polygon(points: NDArray, polygon: NDArray) -> NDArray[np.bool_]:
    """(n,) whether points (n, 2) lie inside the closed polygon (m, 2): the even-odd rule."""
    x, y = points[:, :1], points[:, 1:]
    a, b = polygon, np.roll(polygon, -1, axis=0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    at = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    return (crosses & (x < at)).sum(1) % 2 == 1

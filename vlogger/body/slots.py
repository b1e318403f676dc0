"""Vertex numbers that the `smplx` package takes for granted: nose, eyes, ears, finger tips, toes, heels."""

import numpy as np
from numpy.typing import NDArray

from vlogger.body.skeleton import joint_index

# smplx/vertex_ids.py, model "smplx"
SLOTS = {
    **{"nose": 9120, "right_eye": 9929, "left_eye": 9448, "right_ear": 616, "left_ear": 6},
    **{"right_thumb": 8079, "right_index": 7669, "right_middle": 7794, "right_ring": 7905, "right_pinky": 8022},
    **{"left_thumb": 5361, "left_index": 4933, "left_middle": 5058, "left_ring": 5169, "left_pinky": 5286},
    **{"left_big_toe": 5770, "left_small_toe": 5780, "left_heel": 8846},
    **{"right_big_toe": 8463, "right_small_toe": 8474, "right_heel": 8635},
}
_SIDES = (("left", 1), ("right", -1))  # and the sign of x there


def smplx_order(template: NDArray, joints: NDArray, weights: NDArray, piece: NDArray) -> NDArray:
    """(V,) which vertex comes at each place, so that every slot holds the right one; the others stay where they are.

    template (V, 3), joints (55, 3) metres, weights (V, 55), piece (V,): 0 skin, 1 left eye, 2 right eye.
    """
    picks = _head(template, joints, weights, piece)
    for side, sign in _SIDES:
        picks |= _finger_tips(template, joints, weights, side) | _foot(template, joints, weights, side, sign)
    order = np.arange(len(template))
    for name, slot in SLOTS.items():
        place = int(np.flatnonzero(order == picks[name])[0])
        order[[slot, place]] = order[[place, slot]]
    return order


def _head(template: NDArray, joints: NDArray, weights: NDArray, piece: NDArray) -> dict[str, int]:
    """Tip of the nose, fronts of the eyes, outermost points of the ears."""
    x, y, z = template.T
    _, eye_y, eye_z = joints[joint_index("left_eye")]
    skin = (weights[:, joint_index("head")] > 0.3) & (piece == 0)
    below = (np.abs(x) < 2e-3) & (y < eye_y - 0.015) & (y > eye_y - 0.07)
    picks = {"nose": _extreme(skin & below, z)}
    for value, (side, sign) in enumerate(_SIDES, start=1):
        picks[f"{side}_eye"] = _extreme(piece == value, z)
        picks[f"{side}_ear"] = _extreme(skin & (np.abs(y - eye_y + 0.02) < 0.03) & (z < eye_z - 0.05), sign * x)
    return picks


def _finger_tips(template: NDArray, joints: NDArray, weights: NDArray, side: str) -> dict[str, int]:
    """The farthest vertex of each last finger bone."""
    picks = {}
    for finger in ("thumb", "index", "middle", "ring", "pinky"):
        second, third = (joint_index(f"{side}_{finger}{bone}") for bone in (2, 3))
        picks[f"{side}_{finger}"] = _extreme(weights[:, third] > 0.5, template @ (joints[third] - joints[second]))
    return picks


def _foot(template: NDArray, joints: NDArray, weights: NDArray, side: str, sign: int) -> dict[str, int]:
    """Tips of the big and the small toe, and the heel."""
    _, y, z = template.T
    foot = joint_index(f"{side}_foot")
    outwards = sign * (template[:, 0] - joints[foot, 0])
    toes, ankle = weights[:, foot] > 0.3, weights[:, joint_index(f"{side}_ankle")] > 0.5
    return {
        f"{side}_big_toe": _extreme(toes & (outwards < -0.01), z),
        f"{side}_small_toe": _extreme(toes & (outwards > 0.02), z),
        f"{side}_heel": _extreme(ankle & (y < y[ankle].min() + 0.03), -z),
    }


def _extreme(mask: NDArray, value: NDArray) -> int:
    """The masked vertex with the largest value."""
    return int(np.where(mask, value, -np.inf).argmax())

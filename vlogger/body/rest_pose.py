"""From MakeHuman's A pose and 163 bones to SMPL-X's T pose and 55 joints."""

import numpy as np
from numpy.typing import NDArray

from vlogger.body.makehuman import Rig
from vlogger.body.skeleton import JOINTS

_FINGER_NUMBER = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
_LIMBS = {
    "hip": ("upperleg01",),
    "knee": ("lowerleg01",),
    "ankle": ("foot",),
    "foot": tuple(f"toe{n}-1" for n in range(1, 6)),
    "collar": ("clavicle",),
    "shoulder": ("upperarm01",),
    "elbow": ("lowerarm01",),
    "wrist": ("wrist",),
    "eye": ("eye",),
}
_MIDDLE = {"pelvis": "spine05", "spine1": "spine04", "spine2": "spine03", "spine3": "spine02", "neck": "neck01"}


def bone_names(joint: str) -> list[str]:
    """MakeHuman bones whose heads average to a joint's place."""
    side, _, name = joint.partition("_")
    if not name:
        return [_MIDDLE.get(joint, joint)]
    suffix = ".L" if side == "left" else ".R"
    if name in _LIMBS:
        return [bone + suffix for bone in _LIMBS[name]]
    return [f"finger{_FINGER_NUMBER[name[:-1]]}-{name[-1]}{suffix}"]


def bones_of_joints(rig: Rig) -> list[list[int]]:
    """For each of the 55 joints, the bones that place it."""
    return [[rig.bones.index(bone) for bone in bone_names(joint)] for joint in JOINTS]


def joint_of_each_bone(rig: Rig) -> list[int]:
    """(163,) the joint of each bone: its own, else that of its nearest ancestor that has one, else the pelvis."""
    own = {bone: joint for joint, bones in enumerate(bones_of_joints(rig)) for bone in bones}
    joints: list[int] = []
    for bone, parent in enumerate(rig.parents):
        joints.append(own.get(bone, joints[parent] if parent >= 0 else 0))
    return joints


def turns_to_t_pose(rig: Rig, heads: NDArray) -> NDArray:
    """(163, 3, 3) world rotations that bring the arms to +-x and the legs down; heads (163, 3) of a neutral body."""
    turns: list[NDArray] = []
    for bone, parent in zip(rig.bones, rig.parents):
        turn = _turn_of(bone, rig, heads)
        turns.append(turn if turn is not None else turns[parent] if bone[-2:] in (".L", ".R") else np.eye(3))
    return np.stack(turns)


def _turn_of(bone: str, rig: Rig, heads: NDArray) -> NDArray | None:
    """The world rotation of a bone that gets one of its own."""
    name, _, side = bone.partition(".")
    sign = 1 if side == "L" else -1
    if name in ("clavicle", "shoulder01"):
        return about_z(sign * np.deg2rad({"clavicle": 8.0, "shoulder01": 14.0}[name]))
    if name == "foot":
        return np.eye(3)
    aims = {
        "upperarm01": ("lowerarm01", (sign, 0, 0)),
        "lowerarm01": ("wrist", (sign, 0, 0)),
        "wrist": ("finger3-1", (sign, 0, 0)),
        "upperleg01": ("lowerleg01", (sign * 0.03, -1, 0)),
        "lowerleg01": ("foot", (0, -1, -0.04)),
    }
    if name not in aims:
        return None
    end, direction = aims[name]
    along = heads[rig.bones.index(f"{end}.{side}")] - heads[rig.bones.index(bone)]
    return shortest_turn(along, np.array(direction, float))


def t_pose(rig: Rig, turns: NDArray, vertices: NDArray) -> tuple[NDArray, NDArray]:
    """Vertices (N, 3) skinned to the T pose, and the bone heads (163, 3) there."""
    heads = rig.heads @ vertices
    posed = np.zeros_like(heads, dtype=float)
    for bone, parent in enumerate(rig.parents):
        posed[bone] = heads[bone] if parent < 0 else turns[parent] @ (heads[bone] - heads[parent]) + posed[parent]
    shifts = posed - np.einsum("bij,bj->bi", turns, heads)
    transforms = np.concatenate([turns, shifts[..., None]], 2).reshape(len(turns), 12)
    blended = (rig.weights @ transforms).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", blended[..., :3], vertices) + blended[..., 3], posed


def about_z(angle: float) -> NDArray:
    """(3, 3) rotation by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def shortest_turn(start: NDArray, end: NDArray) -> NDArray:
    """(3, 3) the rotation by the smallest angle that takes direction `start` to `end` (not opposite ones)."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    x, y, z = np.cross(a, b)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + a @ b)

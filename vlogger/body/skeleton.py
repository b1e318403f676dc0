"""The 55 joints of SMPL-X (Pavlakos et al., CVPR 2019), in the order of its files."""

_BODY_NAMES = """
    pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot
    neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
    jaw left_eye right_eye
"""
_BODY = _BODY_NAMES.split()
_FINGERS = ("index", "middle", "pinky", "ring", "thumb")

JOINTS: tuple[str, ...] = (
    *_BODY,
    *(f"{side}_{finger}{bone}" for side in ("left", "right") for finger in _FINGERS for bone in (1, 2, 3)),
)

_PARENT_OF_BODY = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15)


def _parent_of_finger(joint: int) -> int:
    """Three bones a finger, fifteen a hand: the first hangs on the wrist, the others on the one before."""
    is_first = (joint - len(_BODY)) % 3 == 0
    wrist = JOINTS.index("left_wrist" if joint < 40 else "right_wrist")
    return wrist if is_first else joint - 1


PARENTS: tuple[int, ...] = (*_PARENT_OF_BODY, *(_parent_of_finger(j) for j in range(len(_BODY), len(JOINTS))))


def joint_index(name: str) -> int:
    """Place of a joint in `JOINTS`; ValueError for a name that is none."""
    return JOINTS.index(name)

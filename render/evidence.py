"""What a picture says about a body, as weighted equations on its points: a person's landmarks -> `Evidence`.

Every weight is one over the standard deviation that is believed of that observation. Lengths in the picture are
measured in units of the distance between the eyes, so that nothing depends on the size of the picture.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from render.landmarks import Hand, Person, Pose
from render.targets import (
    FINGER_TIPS,
    FINGERS,
    LEFT_IRIS,
    LID_PAIRS,
    LIP_PAIRS,
    RIGHT_IRIS,
    at_vertices,
    finger_tips,
    iris_vertices,
    landmark_weights,
    points_body,
    with_point,
)
from vlogger.body.landmarks import LEFT_LIDS, RIGHT_LIDS
from vlogger.body.skeleton import JOINTS, joint_index
from vlogger.body.smplx import Body

FACE_SIGMA = 0.006  # of one of a hundred face points, in eye distances
GAP_SIGMA = 0.006  # of the opening of lips and lids
IRIS_SIGMA = 0.01
JOINT_SIGMA = 0.07  # of a body joint: a hundredth of the shoulders
HAND_SIGMA = 0.1  # of one of the 21 points of a hand: fingers differ in length
BONE_SIGMA = 0.6  # of a bone's direction in space (unit vectors)
FINGER_BONE_SIGMA = 0.6

# MediaPipe's pose point -> joint
POSE_JOINTS = {
    **{11: "left_shoulder", 12: "right_shoulder", 13: "left_elbow", 14: "right_elbow"},
    **{15: "left_wrist", 16: "right_wrist", 23: "left_hip", 24: "right_hip"},
}
# Pose points that are seen beside their joint: what carries them, metres towards the left and up from the joint.
# Shoulders: mean of a hundred portraits; hips: of people who stand (`render.calibrate_landmarks --hips`).
POSE_BESIDE = {
    **{11: ("left_collar", 0.0, 0.02), 12: ("right_collar", 0.0, 0.02)},
    **{23: ("pelvis", -0.015, 0.0), 24: ("pelvis", 0.015, 0.0)},
}
POSE_BONES = ((12, 11), (11, 13), (13, 15), (12, 14), (14, 16))  # the shoulders' line, upper arms, forearms


@dataclass(frozen=True)
class Evidence:
    """Equations on m points: the picture positions of some, the picture gaps and the space directions of some pairs."""

    at: Tensor  # (a,) points ...
    target: Tensor  # (a, 2) ... and where they are seen, pixels
    at_weight: Tensor  # (a,) per pixel
    gap: Tensor  # (g, 2) pairs ...
    opening: Tensor  # (g, 2) ... second minus first, pixels
    gap_weight: Tensor  # (g,) per pixel
    bone: Tensor  # (b, 2) pairs ...
    direction: Tensor  # (b, 3) ... unit vector from the first to the second, camera space
    bone_weight: Tensor  # (b,)

    def residuals(self, points: Tensor, pixels: Tensor) -> Tensor:
        """How far points (m, 3) seen at pixels (m, 2) are from the evidence, in standard deviations: (r,)."""
        seen = (pixels[self.at] - self.target) * self.at_weight[:, None]
        gaps = (pixels[self.gap[:, 1]] - pixels[self.gap[:, 0]] - self.opening) * self.gap_weight[:, None]
        bones = normalize(points[self.bone[:, 1]] - points[self.bone[:, 0]], dim=-1) - self.direction
        return torch.cat([seen.flatten(), gaps.flatten(), (bones * self.bone_weight[:, None]).flatten()])


@dataclass(frozen=True)
class Markers:
    """The points of a body that evidence is about, in order: known face landmarks, irises, finger tips, then joints."""

    body: Body  # of these points alone, and of the places beside joints (`POSE_BESIDE`)
    ids: Tensor  # (n,) MediaPipe's numbers of the first n points

    @property
    def irises(self) -> int:
        return len(self.ids)

    def tips(self, side: str) -> int:
        return len(self.ids) + 2 + 5 * (side == "right")

    def joint(self, name: str) -> int:
        return len(self.body.v_template) + joint_index(name)

    def pose_point(self, number: int) -> int:
        """Where MediaPipe sees a point of the pose: a joint, or a place beside it."""
        if number not in POSE_BESIDE:
            return self.joint(POSE_JOINTS[number])
        return len(self.body.v_template) - len(POSE_BESIDE) + list(POSE_BESIDE).index(number)


def markers(body: Body) -> Markers:
    """The markers of a body, in double precision."""
    ids = torch.nonzero(body.mp_faces[:468] >= 0)[:, 0]
    extra = torch.cat([iris_vertices(body), finger_tips(body, "left"), finger_tips(body, "right")])
    face, bary = at_vertices(body, extra)
    small = points_body(body, torch.cat([body.mp_faces[ids], face]), torch.cat([body.mp_bary[ids], bary]))
    for number, (parent, left, up) in POSE_BESIDE.items():
        small = with_point(small, POSE_JOINTS[number], parent, torch.tensor([left, up, 0.0]))
    fields = {name: value.double() for name, value in vars(small).items() if _is_real(value)}
    return Markers(replace(small, **fields), ids)


def _is_real(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def eye_distance(face_points: Tensor) -> Tensor:
    """Distance of the eyes' middles (each the mean of its lid points), pixels: face_points (..., 478, 2+) -> (...)."""
    eyes = [face_points[..., list(ring), :2].mean(-2) for ring in (RIGHT_LIDS, LEFT_LIDS)]
    return (eyes[1] - eyes[0]).norm(dim=-1)


def gather(person: Person, marks: Markers, size: tuple[int, int]) -> Evidence:
    """The evidence of one person in a picture of size (h, w)."""
    points = torch.from_numpy(person.face.points).double()
    unit = float(eye_distance(points))
    equations = [_face(points, marks, unit)]
    if person.pose is not None:
        equations.append(_pose(person.pose, marks, unit, size))
    for side, hand in (("left", person.left_hand), ("right", person.right_hand)):
        if hand is not None:
            equations.append(_hand(hand, side, marks, unit))
    return merge(equations)


def merge(parts: list[Evidence]) -> Evidence:
    """All equations together."""
    return Evidence(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def _evidence(at: tuple, gap: tuple, bone: tuple) -> Evidence:
    """From rows (point, target, weight), (pair, opening, weight), (pair, direction, weight), each possibly empty."""

    def stack(rows: tuple, index: int, *shape: int) -> Tensor:
        kind = torch.long if index == 0 else torch.double
        return torch.stack([torch.as_tensor(row[index], dtype=kind) for row in rows]) if rows else _none(kind, *shape)

    return Evidence(
        *(stack(at, 0), stack(at, 1, 2), stack(at, 2)),
        *(stack(gap, 0, 2), stack(gap, 1, 2), stack(gap, 2)),
        *(stack(bone, 0, 2), stack(bone, 1, 3), stack(bone, 2)),
    )


def _none(kind: torch.dtype, *shape: int) -> Tensor:
    return torch.zeros((0, *shape), dtype=kind)


def _face(points: Tensor, marks: Markers, unit: float) -> Evidence:
    """Landmarks, openings of lips and lids, irises."""
    place = {int(number): i for i, number in enumerate(marks.ids)}
    weight = landmark_weights(points, marks.ids) * (100 / len(marks.ids)) ** 0.5 / (FACE_SIGMA * unit)
    points = points[:, :2]
    at = [(i, points[number], weight[i]) for number, i in place.items()]
    for i, iris in enumerate((RIGHT_IRIS, LEFT_IRIS)):
        at.append((marks.irises + i, points[iris], torch.tensor(1 / (IRIS_SIGMA * unit))))
    gap = [
        ((place[upper], place[lower]), points[lower] - points[upper], 1 / (GAP_SIGMA * unit))
        for upper, lower in (*LIP_PAIRS, *LID_PAIRS)
        if upper in place and lower in place
    ]
    return _evidence(tuple(at), tuple(gap), ())


def _pose(pose: Pose, marks: Markers, unit: float, size: tuple[int, int]) -> Evidence:
    """Shoulders, arms and hips that are seen; only those inside the picture (the model imagines the others)."""
    trust = trust_of(pose, size)
    at = [
        (marks.pose_point(i), pose.points[i], trust[i] / (JOINT_SIGMA * unit * (2 if name.endswith("hip") else 1)))
        for i, name in POSE_JOINTS.items()
        if trust[i] > 0
    ]
    bone = [
        (
            (marks.joint(POSE_JOINTS[a]), marks.joint(POSE_JOINTS[b])),
            in_camera(pose.world[b] - pose.world[a]),
            1 / BONE_SIGMA,
        )
        for a, b in POSE_BONES
        if min(trust[a], trust[b]) > 0
    ]
    return _evidence(tuple(at), (), tuple(bone))


def trust_of(pose: Pose, size: tuple[int, int]) -> Tensor:
    """(33,) visibility of the pose points, 0 outside the picture and where it is low."""
    inside = torch.from_numpy(((pose.points > 0) & (pose.points < (size[1], size[0]))).all(1))
    visibility = torch.from_numpy(pose.visibility).double()
    needed = torch.full((33,), 0.7, dtype=torch.double)  # limbs are imagined more boldly than shoulders
    needed[[11, 12]] = 0.5
    return torch.where(inside & (visibility > needed), visibility, 0.0)


def _hand(hand: Hand, side: str, marks: Markers, unit: float) -> Evidence:
    """The 21 points of a hand, and the directions of its bones."""
    chain = hand_points(marks, side)
    at = [(chain[i], hand.points[i], 1 / (HAND_SIGMA * unit)) for i in range(21)]
    bone = []
    for tip in FINGER_TIPS:
        for a, b in ((0, tip - 3), (tip - 3, tip - 2), (tip - 2, tip - 1), (tip - 1, tip)):
            bone.append(((chain[a], chain[b]), in_camera(hand.world[b] - hand.world[a]), 1 / FINGER_BONE_SIGMA))
    return _evidence(tuple(at), (), tuple(bone))


def hand_points(marks: Markers, side: str) -> list[int]:
    """(21) points of the body in the order of MediaPipe's hand."""
    chain = [marks.joint(f"{side}_wrist")]
    for i, finger in enumerate(FINGERS):
        chain += [marks.joint(f"{side}_{finger}{k}") for k in (1, 2, 3)] + [marks.tips(side) + i]
    return chain


def in_camera(direction) -> Tensor:
    """MediaPipe's world axes (x right, y down, z away) -> unit vector in camera space."""
    return normalize(torch.as_tensor(direction, dtype=torch.double) * torch.tensor([1.0, -1.0, -1.0]).double(), dim=-1)


assert len(JOINTS) == 55

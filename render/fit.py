"""See: fit the body to a photo (the paper takes its body parameters from a model-based fit, VLOGGER section 3).

The unknowns are shape, expression, pose, place and focal length; the equations are landmarks of face, body and hands
(`render.evidence`) and Gaussian priors around a person who stands upright with hanging arms (SMPLify, Bogo et al. 2016,
eq. 1, with one dense least-squares solve in the place of its optimiser). Three stages: first the head as a rigid thing
and the camera, then all unknowns, then all again with the outline.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from render.camera import project
from render.evidence import (
    POSE_JOINTS,
    Evidence,
    Markers,
    eye_distance,
    gather,
    hand_points,
    in_camera,
    markers,
    trust_of,
)
from render.landmarks import FaceChoice, Person, choose, detect, is_seen_from_the_front, person_of
from render.matte import with_matte
from render.personal import Posture, closed_lips, field_of, joined, offsets_of, seen_landmarks
from render.solve import Ranges, least_squares
from render.surface import HeadField
from vlogger.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from vlogger.body.skeleton import JOINTS, joint_index
from vlogger.body.smplx import Body, personal, pose
from vlogger.framing import pose_subject
from vlogger.types import Portrait, Subject

FIELD_OF_VIEW = 35.0  # degrees across the diagonal, where nothing else is known
FOCAL_SIGMA = 0.15  # of the logarithm of the focal length
EXPRESSION_SIGMA = 0.4
RANGE_SIGMA = 0.05  # how far expressions stray from [0, 1], betas from the range of people
BETA_RANGE = 2.5  # standard deviations: beyond, bodies get misshapen
GAZE_SIGMA = 0.05  # radians between the two eyes
FIRST_FINGER = joint_index("left_index1")
REFITS, REFIT_STEPS = 1, 4  # after personal offsets were found


class Unknowns(NamedTuple):
    """All that is fitted: axis-angle vectors (55, 3), the logarithm of the focal length over the picture's diagonal."""

    betas: Tensor  # (n,)
    expression: Tensor  # (e,)
    angles: Tensor  # (55, 3)
    translation: Tensor  # (3,)
    focal: Tensor  # (1,)


def pack(unknowns: Unknowns) -> Tensor:
    """All unknowns in one vector."""
    return torch.cat([value.flatten() for value in unknowns])


def unpack(vector: Tensor, body: Body) -> Unknowns:
    """The inverse of `pack`."""
    sizes = [body.shapedirs.shape[-1], body.exprdirs.shape[-1], 3 * len(JOINTS), 3, 1]
    betas, expression, angles, translation, focal = vector.split(sizes)
    return Unknowns(betas, expression, angles.unflatten(0, (-1, 3)), translation, focal)


# ------------------------------------------------------------------------------------------------------- priors


def rest_angles() -> Tensor:
    """(55, 3) axis-angle: standing, arms hanging a hand's breadth from the hips, elbows and fingers a little bent."""
    angles = torch.zeros(len(JOINTS), 3, dtype=torch.double)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        angles[joint_index(f"{side}_collar"), 2] = -0.1 * sign
        angles[joint_index(f"{side}_shoulder"), 2] = -1.15 * sign
        angles[joint_index(f"{side}_elbow"), 1] = -0.25 * sign
        for finger in ("index", "middle", "ring", "pinky"):
            for i in (1, 2, 3):
                angles[joint_index(f"{side}_{finger}{i}"), 2] = -0.25 * sign
    return angles


def angle_sigmas() -> Tensor:
    """(55, 3) radians: how far each joint is believed to turn from rest about x, y, z; 0 for joints that stay."""
    spread = {
        "pelvis": (0.3, 1.0, 0.15),
        "spine1": (0.2, 0.2, 0.12),
        "spine2": (0.2, 0.2, 0.12),
        "spine3": (0.2, 0.2, 0.12),
        "neck": (0.2, 0.3, 0.15),
        "head": (0.3, 0.4, 0.2),
        "eye": (0.2, 0.3, 0.0),
        "collar": (0.05, 0.12, 0.15),
        "shoulder": (0.6, 0.8, 0.6),
        "elbow": (0.5, 1.0, 0.1),
        "wrist": (0.3, 0.3, 0.5),
        "finger": (0.08, 0.15, 0.5),
        "thumb": (0.3, 0.4, 0.4),
    }
    names = [name.removeprefix("left_").removeprefix("right_") for name in JOINTS]
    kinds = ["thumb" if "thumb" in n else "finger" if n[-1] in "123" and n not in spread else n for n in names]
    return torch.tensor([spread.get(kind, (0.0, 0.0, 0.0)) for kind in kinds], dtype=torch.double)


def prior(body: Body, person: Person, focal_sigma: float) -> tuple[Unknowns, Unknowns]:
    """Means and standard deviations of all unknowns; a deviation of 0 keeps what is not seen at its mean."""
    shape, expressions = body.shapedirs.shape[-1], body.exprdirs.shape[-1]
    focal = torch.tensor([focal_of_view()]).log()
    means = Unknowns(torch.zeros(shape), torch.zeros(expressions), rest_angles(), torch.zeros(3), focal)
    spread = Unknowns(
        torch.ones(shape),
        EXPRESSION_SIGMA * told_by_landmarks(body),
        angle_sigmas() * _seen(person)[:, None],
        torch.full((3,), 10.0),
        torch.tensor([focal_sigma]),
    )
    return Unknowns(*(value.double() for value in means)), Unknowns(*(value.double() for value in spread))


def told_by_landmarks(body: Body) -> Tensor:
    """(e,) 1 for expressions that landmarks can tell, 0 for the tongue: a fit would shape the lips with it."""
    return torch.tensor([0.0 if name.startswith("tongue") else 1.0 for name in body.expression_names])


def _seen(person: Person) -> Tensor:
    """(55,) 1 for joints that the evidence can tell about."""
    hands = {"left": person.left_hand, "right": person.right_hand}
    arms = ("collar", "shoulder", "elbow", "wrist")
    keep = [
        person.pose is not None
        if name.endswith(arms)
        else hands[name.split("_")[0]] is not None
        if i >= FIRST_FINGER
        else True
        for i, name in enumerate(JOINTS)
    ]
    return torch.tensor(keep).double()


def focal_of_view() -> float:
    """Focal length over the picture's diagonal."""
    return 0.5 / float(torch.tensor(FIELD_OF_VIEW / 2).deg2rad().tan())


# ------------------------------------------------------------------------------------------------------ problem


@dataclass(frozen=True)
class Problem:
    """One person, one picture of size (h, w), one body: what has to be solved."""

    marks: Markers
    evidence: Evidence
    means: Unknowns
    sigmas: Unknowns
    size: tuple[int, int]

    def intrinsics(self, focal: Tensor) -> Tensor:
        """(3, 3) in pixels; the axis meets the picture's middle."""
        height, width = self.size
        scale = torch.zeros(3, 3, dtype=focal.dtype)
        scale[0, 0] = scale[1, 1] = (height**2 + width**2) ** 0.5
        offset = torch.tensor([[0, 0, width / 2], [0, 0, height / 2], [0, 0, 1]], dtype=focal.dtype)
        return scale * focal.exp() + offset

    def residuals(self, unknowns: Unknowns) -> Tensor:
        """Evidence and agreement of the eyes (priors and ranges are added by `solve`)."""
        points = self.points(unknowns)
        pixels = project(points, self.intrinsics(unknowns.focal))[..., :2]
        eyes = (unknowns.angles[joint_index("left_eye")] - unknowns.angles[joint_index("right_eye")]) / GAZE_SIGMA
        return torch.cat([self.evidence.residuals(points, pixels), eyes])

    def points(self, unknowns: Unknowns) -> Tensor:
        """(m, 3) markers and joints in camera space, metres."""
        turns = axis_angle_to_matrix(unknowns.angles)[None]
        posed = pose(self.marks.body, unknowns.betas, turns, unknowns.expression[None], unknowns.translation[None])
        return torch.cat([posed.vertices[0], posed.joints[0]])


def solve(problem: Problem, start: Unknowns, free: Unknowns, steps: int) -> Unknowns:
    """The unknowns that fit best, moving only those whose flag in `free` (and whose deviation) is not 0."""
    sigma, mean, origin = pack(problem.sigmas), pack(problem.means), pack(start)
    moving = torch.nonzero((pack(free) != 0) & (sigma > 0))[:, 0]
    spread = one_hot(moving, len(origin)).double()

    def residuals(values: Tensor) -> Tensor:
        unknowns = unpack(origin + (values - origin[moving]) @ spread, problem.marks.body)
        return torch.cat([problem.residuals(unknowns), (values - mean[moving]) / sigma[moving]])

    low, high = (pack(values)[moving] for values in ranges_of(start))
    best = least_squares(residuals, origin[moving], steps, Ranges(low, high, RANGE_SIGMA))
    return unpack(origin + (best - origin[moving]) @ spread, problem.marks.body)


def ranges_of(like: Unknowns) -> tuple[Unknowns, Unknowns]:
    """Lowest and highest values: of betas and expressions; the others go where they like."""
    ends = []
    for end, beta, weight in ((-torch.inf, -BETA_RANGE, 0.0), (torch.inf, BETA_RANGE, 1.0)):
        free = Unknowns(*(torch.full_like(value, end) for value in like))
        ends.append(
            free._replace(betas=torch.full_like(like.betas, beta), expression=torch.full_like(like.expression, weight))
        )
    return ends[0], ends[1]


# --------------------------------------------------------------------------------------------------------- start


def start_of(problem: Problem, person: Person) -> Unknowns:
    """The head turned and placed as the landmarks' own relative depth says; arms aimed along the seen bones."""
    marks, means = problem.marks, problem.means
    seen = torch.from_numpy(person.face.points).double()[marks.ids] * torch.tensor([1.0, -1.0, -1.0]).double()
    template = marks.body.v_template[: len(marks.ids)]
    turn, scale = procrustes(template, seen)
    angles = means.angles.clone()
    trunk = aim_trunk(person, problem.size)
    whole = matrix_to_axis_angle(axis_angle_to_matrix(trunk).T @ turn)
    angles[joint_index("pelvis")] = trunk
    angles[joint_index("neck")], angles[joint_index("head")] = 0.4 * whole, 0.6 * whole
    aim_arms(angles, person, marks.body, problem.size)
    here = problem.points(means._replace(angles=angles))[: len(marks.ids)].mean(0)
    camera = problem.intrinsics(means.focal)
    depth = camera[0, 0] / scale
    middle = torch.from_numpy(person.face.points[marks.ids.numpy(), :2]).double().mean(0) - camera[:2, 2]
    place = torch.stack([middle[0] / camera[0, 0] * depth, -middle[1] / camera[1, 1] * depth, -depth])
    return means._replace(angles=angles, translation=place - here)


def aim_trunk(person: Person, size: tuple[int, int]) -> Tensor:
    """(3,) axis-angle of the trunk's turn about the vertical, as the shoulders' line has it; 0 where it is not seen."""
    if person.pose is None or trust_of(person.pose, size)[[11, 12]].min() == 0:
        return torch.zeros(3, dtype=torch.double)
    right_to_left = in_camera(person.pose.world[11] - person.pose.world[12])
    return torch.stack(
        [torch.tensor(0.0), torch.atan2(-right_to_left[2], right_to_left[0]), torch.tensor(0.0)]
    ).double()


def aim_arms(angles: Tensor, person: Person, body: Body, size: tuple[int, int]) -> None:
    """Turn shoulders and elbows in `angles` (55, 3) so that the bones which are seen point as MediaPipe says."""
    if person.pose is None:
        return
    trust = trust_of(person.pose, size)
    for side, points in (("left", (11, 13, 15)), ("right", (12, 14, 16))):
        names = [f"{side}_{name}" for name in ("collar", "shoulder", "elbow", "wrist")]
        parent = axis_angle_to_matrix(angles[joint_index("pelvis")]) @ axis_angle_to_matrix(
            angles[joint_index(names[0])]
        )
        for k in (0, 1):
            start, end = points[k], points[k + 1]
            if min(trust[start], trust[end]) == 0:
                break
            here, child = joint_index(names[k + 1]), joint_index(names[k + 2])
            bone = axis_angle_to_matrix(angles[here]) @ (body.J_template[child] - body.J_template[here])
            wanted = parent.T @ in_camera(person.pose.world[end] - person.pose.world[start])
            turn = shortest_arc(bone, wanted) @ axis_angle_to_matrix(angles[here])
            angles[here] = matrix_to_axis_angle(turn)
            parent = parent @ turn


def shortest_arc(source: Tensor, target: Tensor) -> Tensor:
    """The rotation (3, 3) by the smallest angle that brings one direction (3,) to another."""
    a, b = normalize(source, dim=0), normalize(target, dim=0)
    axis = torch.linalg.cross(a, b)
    angle = torch.atan2(axis.norm(), a @ b)
    return axis_angle_to_matrix(normalize(axis, dim=0) * angle)


def procrustes(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation (3, 3) and scale that bring source (n, 3) closest to target (n, 3) (Umeyama 1991, eq. 40-42)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = torch.linalg.svd(b.T @ a)
    sign = torch.ones(3, dtype=a.dtype)
    sign[2] = torch.linalg.det(u @ vt).sign()
    return u @ torch.diag(sign) @ vt, (s * sign).sum() / a.square().sum()


# ---------------------------------------------------------------------------------------------------------- stage


class FitPortrait:
    """The stage `PortraitToSubject`: one person of the picture as a posed body.

    `face`: "only" (a picture of several people is an error), "largest", or its number from the left. `steps`: solver
    steps of each stage. `name`: what error messages call the picture. UserError when there is no such face.
    """

    def __init__(self, body: Body, face: FaceChoice = "only", steps: int = 12, name: str = "portrait") -> None:
        self.body, self.face, self.steps, self.name = body, face, steps, name
        self.marks = markers(body)
        self.field = field_of(body, self.marks)

    def __call__(self, portrait: Portrait) -> Subject:
        image = portrait.image.permute(1, 2, 0).contiguous().numpy()
        person = person_of(image, choose(detect(image), self.face, self.name))
        if not is_seen_from_the_front(person, len(image)):
            choose([], self.face, self.name)
        return with_matte(self.of(person, portrait), self.body)

    def of(self, person: Person, portrait: Portrait) -> Subject:
        """The subject whose landmarks these are."""
        return fit_personal(self.body, self.marks, self.field, person, portrait, self.steps)


def fit_person(body: Body, marks: Markers, person: Person, portrait: Portrait, steps: int) -> Subject:
    """The subject whose landmarks these are, without personal offsets: `marks` may be those of a personal body."""
    person = shown_by(body, person)
    problem = problem_of(marks, person, (portrait.image.shape[1], portrait.image.shape[2]))
    return subject_of(problem, stages(problem, start_of(problem, person), steps), portrait)


def fit_personal(
    body: Body, marks: Markers, field: HeadField, person: Person, portrait: Portrait, steps: int
) -> Subject:
    """The subject whose landmarks these are: pose and shape first, then personal offsets and all again, twice."""
    person, seen = shown_by(body, person), torch.from_numpy(person.face.points).double()
    offsets = offsets_of(field, closed_lips(marks))
    problem = problem_of(markers(personal(body, offsets)), person, (portrait.image.shape[1], portrait.image.shape[2]))
    unknowns = stages(problem, start_of(problem, person), steps)
    everything = unpack(torch.ones_like(pack(unknowns)), body)
    for again in (REFITS * [True]) + [False]:
        posture = posture_of(problem, unknowns)
        offsets = offsets_of(field, joined(closed_lips(marks), seen_landmarks(marks, seen, posture)))
        problem = replace(problem, marks=markers(personal(body, offsets)))
        unknowns = solve(problem, unknowns, everything, REFIT_STEPS) if again else unknowns
    return replace(subject_of(problem, unknowns, portrait), offsets=offsets)


def shown_by(body: Body, person: Person) -> Person:
    """What of a person a body can show: of a FLAME head, whose arms have no length, the face alone."""
    arm = body.J_template[joint_index("left_wrist")] - body.J_template[joint_index("left_shoulder")]
    return person if arm.norm() > 0.05 else Person(person.face, None, None, None)


def posture_of(problem: Problem, unknowns: Unknowns) -> Posture:
    """The unknowns as one frame."""
    return Posture(
        unknowns.betas,
        axis_angle_to_matrix(unknowns.angles)[None],
        unknowns.expression[None],
        unknowns.translation[None],
        problem.intrinsics(unknowns.focal),
    )


def subject_of(problem: Problem, unknowns: Unknowns, portrait: Portrait) -> Subject:
    """The unknowns as the value that the other stages read."""
    betas, rotations, expression, translation, intrinsics = (v.float() for v in posture_of(problem, unknowns))
    return Subject(portrait, betas, rotations[0], expression[0], translation[0], intrinsics)


def problem_of(marks: Markers, person: Person, size: tuple[int, int], focal_sigma: float = FOCAL_SIGMA) -> Problem:
    """What has to be solved for a person in a picture of size (h, w)."""
    return Problem(marks, gather(person, marks, size), *prior(marks.body, person, focal_sigma), size)


def stages(problem: Problem, unknowns: Unknowns, steps: int) -> Unknowns:
    """First the head as a rigid thing, then trunk and arms, then shape, expression and camera too; fingers last.

    Fingers are short and bend far: solved along with the others, they would shorten everybody's steps.
    """
    nothing, everything = (unpack(torch.full_like(pack(unknowns), v), problem.marks.body) for v in (0.0, 1.0))
    rigid, bones, fingers = nothing.angles.clone(), everything.angles.clone(), nothing.angles.clone()
    rigid[[joint_index("neck"), joint_index("head")]] = 1
    bones[FIRST_FINGER:], fingers[FIRST_FINGER:] = 0, 1
    parts = [
        (nothing._replace(angles=rigid, translation=everything.translation), steps),
        (nothing._replace(angles=bones, translation=everything.translation), steps),
        (everything._replace(angles=bones), 2 * steps),
    ]
    if (problem.sigmas.angles * fingers > 0).any():
        parts += [(nothing._replace(angles=fingers), steps), (everything, steps // 2)]
    for free, count in parts:
        unknowns = solve(problem, unknowns, free, count)
    return unknowns


def landmark_error(body: Body, subject: Subject, face_points: Tensor, ids: Tensor) -> Tensor:
    """(k,) distance of these MediaPipe points from the mesh's, in the picture, over the distance of the eyes."""
    corners = pose_subject(subject, body)[body.faces[body.mp_faces[ids]]]
    pixels = project((corners * body.mp_bary[ids][..., None]).sum(1), subject.intrinsics)[..., :2]
    return (pixels - face_points[ids, :2]).norm(dim=-1) / eye_distance(face_points)


def joint_errors(marks: Markers, subject: Subject, person: Person) -> dict[str, Tensor]:
    """Distances in the picture of what MediaPipe sees from the mesh's, over the width of the seen shoulders.

    "arms" (shoulders, elbows, wrists) and "hips" (k,) that are trusted, "hands" (21,) of each that is seen; all empty
    for a person without a pose.
    """
    errors = {"arms": [], "hips": [], "hands": []}
    if person.pose is None:
        return {name: torch.zeros(0) for name in errors}
    frame = (subject.rotations[None], subject.expression[None], subject.translation[None])
    posed = pose(marks.body, subject.betas.double(), *(value.double() for value in frame))
    pixels = project(torch.cat([posed.vertices[0], posed.joints[0]]), subject.intrinsics.double())[:, :2]
    size = (subject.portrait.image.shape[1], subject.portrait.image.shape[2])
    seen, trust = torch.from_numpy(person.pose.points), trust_of(person.pose, size)
    for number, name in POSE_JOINTS.items():
        if trust[number] > 0:
            kind = "hips" if name.endswith("hip") else "arms"
            errors[kind].append((pixels[marks.pose_point(number)] - seen[number]).norm()[None])
    for side, hand in (("left", person.left_hand), ("right", person.right_hand)):
        if hand is not None:
            errors["hands"].append((pixels[hand_points(marks, side)] - torch.from_numpy(hand.points)).norm(dim=-1))
    width = (seen[11] - seen[12]).norm()
    return {name: torch.cat([torch.zeros(0), *parts]) / width for name, parts in errors.items()}

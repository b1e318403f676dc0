"""Correct where the face landmarks lie on the open body, by what fits of portraits leave unexplained.

    python -m render.calibrate_landmarks PORTRAITS vlogger/body/landmarks.json [--count 60] [--rounds 2]

`render.embed_landmarks` finds the landmarks on renderings of one face; on photographs MediaPipe sets some of them
elsewhere (brows, cheeks, outer lips), always in the same direction. Every round fits the body to portraits of
different people, asks for each landmark which shift of its place on the head would explain its misfits best (robustly),
and moves it there along the skin; left and right stay mirror images. Rims of lips and lids and the irises keep their
places: there the mesh itself says where they are. Then build the body again (`vlogger.body.build_open_body`).

    python -m render.calibrate_landmarks --hips PEOPLE_WHO_STAND

says how far from their joints MediaPipe sees hips: numbers for `render.evidence.POSE_BESIDE`.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from tqdm import tqdm

from render.camera import project, projection_slope
from render.embed_landmarks import MIDDLE_LIPS, closest, named_points, visible_skin
from render.evidence import eye_distance, markers, trust_of
from render.fit import fit_person
from render.landmarks import Face, Person, detect, person_of
from render.targets import OVAL
from vlogger.body.landmarks import INNER_LIPS, IRIS, LEFT_LIDS, RIGHT_LIDS, points_on_faces
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import OPEN_BODY, Body, load_body, pose
from vlogger.framing import pose_subject
from vlogger.io import load_portrait
from vlogger.types import Portrait

KEPT = sorted({*LEFT_LIDS, *RIGHT_LIDS, *INNER_LIPS, *MIDDLE_LIPS, *IRIS})
SPINE = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
OUTLIER = 0.03  # eye distances: a misfit of this size counts half
STIFF = (
    0.3  # (eye distances per metre)^2 for each portrait: holds the depth, which portraits from the front do not tell
)
STEPS = 8


class Misfit(NamedTuple):
    """One portrait: misfit (478, 2) in eye distances, and how it changes by a shift on the head, per metre."""

    miss: NDArray
    slope: NDArray  # (478, 2, 3)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", type=Path, help="a folder of pictures of different people, one face each")
    parser.add_argument("json", type=Path, nargs="?", help="landmarks.json to correct")
    parser.add_argument("--hips", action="store_true")
    parser.add_argument("--body", type=Path, default=OPEN_BODY)
    parser.add_argument("--count", type=int, default=60, help="portraits, spread over the folder")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    body, people = load_body(args.body), seen_people(args.portraits, args.count)
    if args.hips:
        left, up = np.mean([row for person in tqdm(people, desc="fit") for row in hips_beside(body, *person)], axis=0)
        print(f"hips are seen {left:+.4f} m outwards and {up:+.4f} m above where they are thought to be seen")
        return
    for _ in range(args.rounds):
        body = calibrated(body, people)
    named, file = json.loads(args.json.read_text()), np.load(args.body)
    triangles = file["makehuman_vertex"][file["f"]]
    named["mediapipe"] = named_points(triangles, body.mp_faces.numpy(), body.mp_bary.numpy())
    args.json.write_text(json.dumps(named))


def seen_people(folder: Path, count: int) -> list[tuple[Portrait, Face]]:
    """`count` pictures, spread over the folder's, that show one face."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    people = []
    for path in tqdm(paths[:: max(1, len(paths) // count)][:count], desc="detect"):
        portrait = load_portrait(path)
        faces = detect(pixels_of(portrait))
        if len(faces) == 1:
            people.append((portrait, faces[0]))
    return people


def pixels_of(portrait: Portrait) -> NDArray:
    """(h, w, 3) uint8."""
    return portrait.image.permute(1, 2, 0).contiguous().numpy()


def calibrated(body: Body, people: list[tuple[Portrait, Face]]) -> Body:
    """The body with landmarks where these people's pictures have them."""
    misfits = [misfit(body, *person) for person in tqdm(people, desc="fit")]
    inner = [i for i in range(468) if i not in OVAL]
    print(
        f"mean misfit {100 * np.mean([np.linalg.norm(m.miss[inner], axis=-1) for m in misfits]):.2f} % of eye distance"
    )
    return moved(body, mirrored(shifts(misfits), landmark_places(body)))


def misfit(body: Body, portrait: Portrait, face: Face) -> Misfit:
    """What the fit of a portrait's face alone leaves."""
    subject = fit_person(body, markers(body), Person(face, None, None, None), portrait, STEPS)
    corners = pose_subject(subject, body)[body.faces[body.mp_faces]]
    points, seen = (corners * body.mp_bary[..., None]).sum(1), torch.from_numpy(face.points).float()
    head = torch.linalg.multi_dot([subject.rotations[joint_index(name)] for name in SPINE])
    unit = eye_distance(seen)
    miss = (project(points, subject.intrinsics)[:, :2] - seen[:, :2]) / unit
    return Misfit(miss.numpy(), (projection_slope(points, subject.intrinsics) @ head / unit).numpy())


def hips_beside(body: Body, portrait: Portrait, face: Face) -> list[NDArray]:
    """(2,) for each hip that is seen: metres outwards and upwards from where its marker is, the pelvis upright."""
    person, marks = person_of(pixels_of(portrait), face), markers(body)
    if person.pose is None:
        return []
    subject, (height, width) = fit_person(body, marks, person, portrait, 4 * STEPS), portrait.image.shape[1:]
    frame = (subject.rotations[None], subject.expression[None], subject.translation[None])
    posed = pose(marks.body, subject.betas.double(), *(value.double() for value in frame))
    points, trust = torch.cat([posed.vertices[0], posed.joints[0]]), trust_of(person.pose, (height, width))
    rows = []
    for number, outwards in ((23, 1.0), (24, -1.0)):
        if trust[number] > 0:
            point = points[marks.pose_point(number)]
            miss = person.pose.points[number] - project(point[None], subject.intrinsics.double())[0, :2].numpy()
            metres = miss * (outwards, -1.0) * float(-point[2] / subject.intrinsics[0, 0])
            rows.append(metres)
    return rows


def shifts(misfits: Iterable[Misfit], rounds: int = 10) -> NDArray:
    """(478, 3) metres on the head: the shift that leaves the least misfit of each landmark, by Cauchy weights."""
    miss, slope = (np.stack(values).astype(float) for values in zip(*misfits))
    weight, shift = np.ones(miss.shape[:2]), np.zeros((miss.shape[1], 3))
    for _ in range(rounds):
        normal = np.einsum("nlij,nlik,nl->ljk", slope, slope, weight) + STIFF * len(miss) * np.eye(3)
        shift = -np.linalg.solve(normal, np.einsum("nlij,nli,nl->lj", slope, miss, weight)[..., None])[..., 0]
        left = np.linalg.norm(miss + np.einsum("nlij,lj->nli", slope, shift), axis=-1)
        weight = 1 / (1 + (left / OUTLIER) ** 2)
    return shift


def landmark_places(body: Body) -> NDArray:
    """(478, 3) the landmarks of the resting body, metres."""
    arrays = (body.v_template, body.faces, body.mp_faces, body.mp_bary)
    return points_on_faces(*(array.numpy() for array in arrays))


def mirrored(shift: NDArray, places: NDArray) -> NDArray:
    """(478, 3) the mean of each shift and the mirror image of its partner's on the other side."""
    partner = linear_sum_assignment(cdist(places, places * (-1, 1, 1)))[1]
    return (shift + shift[partner] * (-1, 1, 1)) / 2


def moved(body: Body, shift: NDArray) -> Body:
    """The body with its landmarks, but for the rims and irises, shifted along the skin."""
    face, bary = closest(landmark_places(body) + shift, body.v_template.numpy(), body.faces.numpy(), visible_skin(body))
    face[KEPT], bary[KEPT] = body.mp_faces.numpy()[KEPT], body.mp_bary.numpy()[KEPT]
    return replace(body, mp_faces=torch.from_numpy(face), mp_bary=torch.from_numpy(bary))


if __name__ == "__main__":
    main()

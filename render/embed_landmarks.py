"""Where the face landmarks lie on the open body: render it, detect, look the pixels up. Run once; the result ships.

    python -m render.embed_landmarks vlogger/body/landmarks.json [--picture overlay.png]

Points of the face are looked up in five turned views of the resting face; the lips in a face with its mouth half open,
the lids where skin meets eyeball, the irises by construction. Left and right are made mirror images of each other.
The file names triangles by MakeHuman vertex numbers, so that it outlives a new build of the body.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, distance_transform_edt
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from render.camera import project
from render.landmarks import detect
from render.rasterize import Fragments, interpolate, rasterize
from vlogger.body.landmarks import INNER_LIPS, IRIS, LEFT_LIDS, MEDIAPIPE_OF_IBUG, OUTER_LIPS, RIGHT_LIDS
from vlogger.body.parts import PARTS
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import OPEN_BODY, Body, load_body

SIDE, DISTANCE, WIDTH = 1024, 2.2, 0.36  # pixels, metres from the camera, metres across the picture
YAWS = (0, -20, 20, -40, 40)
IRIS_RADIUS, PUPIL_RADIUS = 0.0059, 0.0018  # metres, of an adult
MIDDLE_LIPS = (
    *(76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408),
    *(62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407),
)  # the two rings between outer and inner rim
LIPS = (*OUTER_LIPS, *MIDDLE_LIPS, *INNER_LIPS)
LIDS = (*RIGHT_LIDS, *LEFT_LIDS)
EYE_OF = {1: "left_eye", 2: "right_eye"}  # values of `face_part`


@dataclass(frozen=True)
class View:
    """One picture of the body: colours (h, w, 3) uint8, what each pixel shows, the points (478, 2) px or None."""

    image: NDArray
    fragments: Fragments
    points: NDArray | None

    @property
    def face_id(self) -> NDArray[np.int64]:
        """(h, w) triangle that each pixel shows, -1 for none."""
        return self.fragments.face_id[0].numpy()

    def found(self) -> NDArray:
        """The points of a view that must show a face."""
        if self.points is None:
            raise RuntimeError("the detector does not see the face of this body")
        return self.points


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="landmarks.json to write")
    parser.add_argument("--body", type=Path, default=OPEN_BODY)
    parser.add_argument("--picture", type=Path, help="where to draw what was found")
    args = parser.parse_args()
    body, file = load_body(args.body), np.load(args.body)
    face, bary = embed(body)
    contours = [contour(body, yaw) for yaw in range(-39, 40, 3)]
    args.out.write_text(json.dumps(_named(file["makehuman_vertex"][file["f"]], face, bary, contours)))
    if args.picture:
        picture(body, face, bary).save(args.picture)


# ------------------------------------------------------------------------------------------------------ pictures


def shaped(body: Body, **expression: float) -> NDArray:
    """(V, 3) the resting body with an expression."""
    weights = torch.tensor([expression.get(name, 0.0) for name in body.expression_names])
    return (body.v_template + body.exprdirs @ weights).numpy()


def view(body: Body, vertices: NDArray, yaw: float) -> View:
    """The head turned by `yaw` degrees about the vertical, seen from the front."""
    points = torch.from_numpy(_turned(body, vertices, yaw))
    fragments = _drawn_pixels(body, points)
    image = _coloured(body, points, fragments)
    faces = detect(image)
    return View(image, fragments, faces[0].points[:, :2] if faces else None)


def _drawn_pixels(body: Body, points: torch.Tensor) -> Fragments:
    """Which triangle each pixel of a view shows; points (V, 3) in camera space."""
    focal = SIDE * DISTANCE / WIDTH
    intrinsics = torch.tensor([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1]])
    return rasterize(project(points, intrinsics)[None], body.faces, SIDE, SIDE)


def _turned(body: Body, vertices: NDArray, yaw: float, pitch: float = 0.0) -> NDArray:
    """Vertices about the middle of the face, turned (degrees; pitch < 0 looks up), `DISTANCE` before the camera."""
    eye = body.J_template[joint_index("left_eye")].numpy()
    middle = np.array([0, eye[1] - 0.03, eye[2] - 0.03])
    turn = Rotation.from_euler("xy", [pitch, yaw], degrees=True).as_matrix()
    return ((vertices - middle) @ turn.T - (0, 0, DISTANCE)).astype(np.float32)


def visible_skin(body: Body) -> NDArray:
    """(F,) the skin of the resting head that somebody in front of it sees: not what lies in nostrils and mouth."""
    seen = np.zeros(len(body.faces), bool)
    for yaw, pitch in ((0, 0), (-40, 0), (40, 0), (0, -25)):
        shown = _drawn_pixels(body, torch.from_numpy(_turned(body, shaped(body), yaw, pitch))).face_id[0].numpy()
        seen[shown[shown >= 0]] = True
    return seen & _face_skin(body)


def _coloured(body: Body, points: torch.Tensor, fragments: Fragments) -> NDArray:
    """(h, w, 3) uint8: skin, lips, teeth, painted eyes and cropped hair under soft light from the front and above."""
    face_id = fragments.face_id[0].numpy()
    rest = interpolate(body.v_template, body.faces, fragments)[0].numpy()
    normal = interpolate(_normals(points, body.faces), body.faces, fragments)[0].numpy()
    colour = _skin_colour(body, rest)
    colour[body.part_of_face.numpy()[face_id] == PARTS.index("lips")] = (0.70, 0.36, 0.34)
    part = body.face_part.numpy()[face_id]
    colour[part == 3], colour[part >= 4] = (0.62, 0.28, 0.28), (0.92, 0.9, 0.84)
    for value, name in EYE_OF.items():
        colour[part == value] = _eye_colour(rest[part == value] - body.J_template[joint_index(name)].numpy())
    light = np.clip(normal @ (0.0, 0.45, 0.9), 0, 1) * 0.75 + 0.28
    colour = np.clip(colour * light[..., None], 0, 1)
    colour[face_id < 0] = 0.9
    return (colour ** (1 / 1.6) * 255).astype(np.uint8)


def _skin_colour(body: Body, rest: NDArray) -> NDArray:
    """(h, w, 3) skin with brows and hair, by the place in the template that each pixel shows."""
    eye = body.J_template[joint_index("left_eye")].numpy()
    x, y, z = np.abs(rest[..., 0]), rest[..., 1] - eye[1], rest[..., 2] - eye[2]
    colour = np.full((*rest.shape[:2], 3), (0.82, 0.62, 0.52))
    brow = (x > 0.014) & (x < 0.052) & (np.abs(y - 0.024 - 0.004 * np.sin((x - 0.014) / 0.038 * np.pi)) < 0.0035)
    colour[brow & (z > -0.03)] = (0.4, 0.27, 0.2)
    colour[(y > 0.085) | ((z < -0.085) & (y > -0.05))] = (0.22, 0.14, 0.08)
    return colour


def _eye_colour(offset: NDArray) -> NDArray:
    """(n, 3) white, iris and pupil about the eye's forward axis; offset (n, 3) from its centre, metres."""
    radius = np.linalg.norm(offset[:, :2], axis=1)
    colour = np.full((len(offset), 3), 0.93)
    colour[radius < IRIS_RADIUS], colour[radius < PUPIL_RADIUS] = (0.3, 0.24, 0.16), 0.03
    return colour


def _normals(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """(V, 3) unit vertex normals."""
    mesh = trimesh.Trimesh(vertices.numpy(), faces.numpy(), process=False)
    return torch.from_numpy(np.array(mesh.vertex_normals, np.float32))


# ------------------------------------------------------------------------------------------------------ embedding


def embed(body: Body) -> tuple[NDArray, NDArray]:
    """MediaPipe's points on the body: triangles (478,) and barycentrics (478, 3)."""
    resting, opened = shaped(body), shaped(body, jawOpen=0.5)
    views, mouth = [view(body, resting, yaw) for yaw in YAWS], view(body, opened, 0)
    pairs, skin = mirror_pairs(mouth.found()), _face_skin(body)
    lids = rim_points(views[0], resting, body, np.isin(body.face_part, (1, 2)), skin)
    rims = rim_points(mouth, opened, body, _mouth_inside(body), skin)
    lips = pixel_points(mouth, opened, body, skin & ~_mouth_inside(body))
    others = sorted(set(range(len(pairs))) - {*LIPS, *LIDS, *IRIS})
    plans = [
        (others, facing_mean(views, resting, body, skin), resting, skin),
        ([*OUTER_LIPS, *MIDDLE_LIPS], lips, opened, _seen(mouth, skin)),
        (INNER_LIPS, rims, opened, _seen(mouth, skin)),
        (LIDS, lids, resting, _seen(views[0], skin)),
    ]
    face, bary = np.full(len(pairs), -1), np.zeros((len(pairs), 3), np.float32)
    for ids, points, vertices, allowed in plans:
        index = np.array(ids)
        symmetric = (points[index] + points[pairs[index]] * (-1, 1, 1)) / 2
        face[index], bary[index] = closest(symmetric, vertices, body.faces.numpy(), allowed)
    for value, five in ((2, slice(468, 473)), (1, slice(473, 478))):
        points = iris_points(body, EYE_OF[value], views[0].found()[five])
        face[five], bary[five] = closest(points, resting, body.faces.numpy(), body.face_part.numpy() == value)
    return face, bary


def pixel_points(seen: View, vertices: NDArray, body: Body, allowed: NDArray) -> NDArray:
    """(478, 3) what the nearest pixel that shows an allowed triangle (F,) shows at each point."""
    return _looked_up(seen, vertices, body, (seen.face_id >= 0) & allowed[seen.face_id])


def rim_points(seen: View, vertices: NDArray, body: Body, hole: NDArray, allowed: NDArray) -> NDArray:
    """(478, 3) as `pixel_points`, at the nearest allowed pixel on the border of a hole (F,): eyeball, open mouth."""
    inside = (seen.face_id >= 0) & hole[seen.face_id]
    border = np.asarray(binary_dilation(inside, iterations=2), bool) & ~inside
    border &= (seen.face_id >= 0) & allowed[seen.face_id]
    return _looked_up(seen, vertices, body, border)


def _looked_up(seen: View, vertices: NDArray, body: Body, pixels: NDArray) -> NDArray:
    nearest = np.asarray(distance_transform_edt(~pixels, return_indices=True, return_distances=False))
    x, y = np.clip(np.floor(seen.found()).astype(int), 0, SIDE - 1).T
    row, column = nearest[:, y, x]
    bary = seen.fragments.bary[0].numpy()[row, column]
    corners = vertices[body.faces.numpy()[seen.face_id[row, column]]]
    return np.einsum("nkc,nk->nc", corners, bary)


def facing_mean(views: list[View], vertices: NDArray, body: Body, allowed: NDArray) -> NDArray:
    """(478, 3) the mean over the turned views, weighted by how straight each point is looked at (cosine to the 4th).

    A turned head hides one side; the points of that side are taken from the other views only.
    """
    mesh = trimesh.Trimesh(vertices, body.faces.numpy(), process=False)
    front = pixel_points(views[0], vertices, body, allowed)[:, 0]
    total, weight = np.zeros((478, 3)), np.zeros((478, 1))
    for seen, yaw in zip(views, YAWS):
        if seen.points is None:
            continue
        points = pixel_points(seen, vertices, body, allowed)
        normal = mesh.face_normals[closest(points, vertices, body.faces.numpy(), allowed)[0]]
        angle = np.deg2rad(yaw)
        cosine = np.clip(normal @ (-np.sin(angle), 0, np.cos(angle)), 0.05, 1) ** 4
        visible = front * np.sign(yaw) < 0.005
        total, weight = total + (visible * cosine)[:, None] * points, weight + (visible * cosine)[:, None]
    return total / weight


def iris_points(body: Body, eye: str, found: NDArray) -> NDArray:
    """(5, 3) centre and four ends of the painted iris, each in the direction in which it was found (5, 2) px."""
    centre = body.J_template[joint_index(eye)].numpy()
    steps = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    away = (found[1:] - found[0]) * (1, -1)
    ring = steps[(away @ steps.T).argmax(1)] * IRIS_RADIUS
    return centre + np.array([(0, 0, 0.016), *((x, y, 0.015) for x, y in ring)])


def mirror_pairs(points: NDArray) -> NDArray:
    """(478,) the point that lies where the mirror shows each one, from a face seen straight on."""
    flipped = points * (-1, 1) + (2 * points[4, 0], 0)
    cost = np.linalg.norm(points[:, None] - flipped[None], axis=-1)
    return linear_sum_assignment(cost + cost.T)[1]


def closest(points: NDArray, vertices: NDArray, faces: NDArray, allowed: NDArray) -> tuple[NDArray, NDArray]:
    """Nearest place on the allowed (F,) triangles: triangle (n,), barycentrics (n, 3)."""
    ids = np.flatnonzero(allowed)
    corners = vertices[faces[ids]]
    near = np.asarray(KDTree(corners.mean(1)).query(points, min(24, len(ids)))[1])
    candidates = corners[near].reshape(-1, 3, 3)
    on = trimesh.triangles.closest_point(candidates, np.repeat(points, near.shape[1], 0))
    best = np.linalg.norm(on.reshape(*near.shape, 3) - points[:, None], axis=-1).argmin(1)
    pick = np.arange(len(points)) * near.shape[1] + best
    bary = np.clip(trimesh.triangles.points_to_barycentric(candidates[pick], on[pick]), 0, 1)
    return ids[near[np.arange(len(points)), best]], (bary / bary.sum(1, keepdims=True)).astype(np.float32)


def contour(body: Body, yaw: int) -> tuple[int, NDArray, NDArray]:
    """iBUG's 17 contour points of a head turned by `yaw` degrees: yaw, triangles (17,), barycentrics (17, 3)."""
    vertices, skin, ids = shaped(body), _face_skin(body), list(MEDIAPIPE_OF_IBUG[:17])
    points = pixel_points(view(body, vertices, yaw), vertices, body, skin)[ids]
    return yaw, *closest(points, vertices, body.faces.numpy(), skin)


def _face_skin(body: Body) -> NDArray:
    """(F,) the skin of the head, without what lies inside the mouth."""
    joints = [joint_index(name) for name in ("head", "jaw", "neck")]
    on_head = body.weights[:, joints].sum(1).numpy()[body.faces.numpy()].min(1) > 0.5
    return on_head & np.isin(body.part_of_face.numpy(), [PARTS.index(name) for name in ("head", "lips", "neck")])


def _mouth_inside(body: Body) -> NDArray:
    """(F,) teeth, tongue, and the skin between lips and throat."""
    return np.isin(body.part_of_face.numpy(), [PARTS.index("teeth"), PARTS.index("tongue")])


def _seen(seen: View, allowed: NDArray) -> NDArray:
    """(F,) the allowed triangles that the view shows."""
    mask = np.zeros(len(allowed), bool)
    mask[seen.face_id[seen.face_id >= 0]] = True
    return mask & allowed


# --------------------------------------------------------------------------------------------------------- results


def _named(triangles: NDArray, face: NDArray, bary: NDArray, contours: list[tuple[int, NDArray, NDArray]]) -> dict:
    """The json: points as [MakeHuman vertex numbers, barycentrics]; contour rows in SMPL-X's order of neck yaws."""

    rows = {yaw: named_points(triangles, f, b) for yaw, f, b in contours}
    wanted = [-row if row <= 39 else row - 39 for row in range(79)]
    return {
        "mediapipe": named_points(triangles, face, bary),
        "contour79": [rows[min(rows, key=lambda yaw: abs(yaw - want))] for want in wanted],
    }


def named_points(triangles: NDArray, face: NDArray, bary: NDArray) -> list:
    """Points as [MakeHuman vertex numbers, barycentrics]; triangles (F, 3) of such numbers."""
    return [[triangles[f].tolist(), [round(float(w), 6) for w in b]] for f, b in zip(face, bary)]


def picture(body: Body, face: NDArray, bary: NDArray) -> Image.Image:
    """Rest, open mouth, blink and smile: embedded points in green, what the detector finds there in red."""
    poses = [{}, {"jawOpen": 0.6}, {"eyeBlinkLeft": 1, "eyeBlinkRight": 1}, {"mouthSmileLeft": 1, "mouthSmileRight": 1}]
    tiles = [_drawn(body, shaped(body, **weights), face, bary) for weights in poses]
    return Image.fromarray(np.concatenate([np.concatenate(tiles[:2], 1), np.concatenate(tiles[2:], 1)], 0))


def _drawn(body: Body, vertices: NDArray, face: NDArray, bary: NDArray) -> NDArray:
    seen = view(body, vertices, 0)
    places = np.einsum("nkc,nk->nc", _turned(body, vertices, 0)[body.faces.numpy()[face]], bary)
    focal = SIDE * DISTANCE / WIDTH
    image = Image.fromarray(seen.image)
    pen = ImageDraw.Draw(image)
    pixels = places[:, :2] / -places[:, 2:] * (focal, -focal) + SIDE / 2
    dots = [(pixels, (0, 220, 0)), *([(seen.points, (255, 0, 0))] if seen.points is not None else [])]
    for points, colour in dots:
        for x, y in points:
            pen.ellipse([x - 1.5, y - 1.5, x + 1.5, y + 1.5], fill=colour)
    return np.asarray(image)


if __name__ == "__main__":
    main()

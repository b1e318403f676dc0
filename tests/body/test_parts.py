import numpy as np
import torch

from vlogger.body.landmarks import INNER_LIPS, OUTER_LIPS, points_on_faces
from vlogger.body.parts import INSIDE, LIP, PARTS, inside_polygon, mouth_region
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body


def test_every_part_is_there_and_every_face_has_one():
    body = load_body()
    assert body.part_of_face.shape == (len(body.faces),)
    assert set(body.part_of_face.tolist()) == set(range(len(PARTS)))


def test_sides_are_mirror_images():
    body = load_body()
    count = {name: int((body.part_of_face == i).sum()) for i, name in enumerate(PARTS)}
    assert count["left_arm"] == count["right_arm"] and count["left_hand"] == count["right_hand"]
    left = body.faces[body.part_of_face == PARTS.index("left_hand")].unique()
    assert (body.v_template[left, 0] > 0.4).all()


def test_parts_follow_their_joints():
    body = load_body()
    middle = body.v_template[body.faces].mean(1)
    for part, joint in (("left_hand", "left_index2"), ("legs", "right_knee"), ("torso", "spine2"), ("neck", "neck")):
        nearest = torch.linalg.vector_norm(middle - body.J_template[joint_index(joint)], dim=-1).argmin()
        assert PARTS[body.part_of_face[nearest]] == part


def test_lip_landmarks_enclose_the_lips():
    body = load_body()
    arrays = body.v_template.numpy(), body.faces.numpy()
    outer, inner = (
        points_on_faces(*arrays, body.mp_faces[list(ring)].numpy(), body.mp_bary[list(ring)].numpy())
        for ring in (OUTER_LIPS, INNER_LIPS)
    )
    middle = arrays[0][arrays[1]].mean(1)[body.part_of_face.numpy() == PARTS.index("lips")]
    assert inside_polygon(middle[:, :2], outer[:, :2]).mean() > 0.9
    assert np.abs(inner[:, 0]).max() < np.abs(outer[:, 0]).max()


def test_guess_of_the_lips_agrees_with_the_file():
    body = load_body()
    template, faces, part = (value.numpy() for value in (body.v_template, body.faces, body.face_part))
    mouth = slice(48, 60)
    contour = points_on_faces(template, faces, body.lmk68_faces[mouth].numpy(), body.lmk68_bary[mouth].numpy())
    region = mouth_region(template, faces, part, contour)
    lips = body.part_of_face.numpy() == PARTS.index("lips")
    assert (lips & (region == LIP)).sum() > 0.8 * lips.sum()
    assert not (lips & (region == INSIDE)).any()


def test_polygon_by_hand():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
    points = np.array([[1, 1], [3, 1], [-1, 1], [1, 3], [0.1, 1.9]], float)
    assert inside_polygon(points, square).tolist() == [True, False, False, False, True]

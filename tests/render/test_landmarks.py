import numpy as np
import pytest
import skimage.data
from skimage.transform import resize

from render.landmarks import (
    Face,
    Person,
    Pose,
    _under_the_head,
    bounds,
    choose,
    cut,
    detect,
    is_seen_from_the_front,
    overlap,
    person_of,
    square,
)
from vlogger.errors import UserError


@pytest.fixture(scope="module")
def astronaut():
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def two(astronaut):
    """Two of her side by side, the right one larger."""
    small = (resize(astronaut, (400, 400)) * 255).astype(np.uint8)
    return np.concatenate([np.pad(small, ((112, 0), (0, 0), (0, 0))), astronaut], axis=1)


@pytest.fixture(scope="module")
def pair(two):
    return detect(two)


def test_one_face_where_it_is(astronaut):
    (face,) = detect(astronaut)
    assert face.points.shape == (478, 3)
    assert overlap(face.box, np.array([178, 68, 272, 180])) > 0.7
    assert abs(face.points[4, 0] - 229) < 12  # the tip of her nose


def test_no_face_is_an_error_that_names_the_picture():
    nothing = np.full((200, 300, 3), 90, np.uint8)
    assert detect(nothing) == []
    with pytest.raises(UserError, match=r"wall\.png"):
        choose([], "largest", "wall.png")


def test_several_faces_must_be_chosen(pair):
    assert len(pair) == 2 and pair[0].box[0] < 400 < pair[1].box[0]
    with pytest.raises(UserError, match=r"pair.png shows 2 faces: set face=largest or face=N"):
        choose(pair, "only", "pair.png")
    with pytest.raises(UserError, match="face=2 does not exist"):
        choose(pair, 2, "pair.png")
    assert choose(pair, "largest", "") is pair[1]
    assert choose(pair, 0, "") is pair[0]


def test_the_body_belongs_to_the_chosen_face(two, pair):
    noses = [person_of(two, face).pose.points[0, 0] for face in pair]
    assert noses[0] < 400 < noses[1]


def test_small_face_in_a_large_picture(astronaut):
    small = (resize(astronaut, (150, 150), anti_aliasing=True) * 255).astype(np.uint8)
    large = np.full((1500, 2200, 3), 200, np.uint8)
    large[700:850, 1500:1650] = small
    (face,) = detect(large)
    assert overlap(face.box, np.array([1550, 718, 1581, 757])) > 0.5


def test_cut_keeps_places():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 30:40] = 255
    box = square(np.array([28, 8, 42, 22]), 2.0)
    patch, origin, scale = cut(image, box, 112)
    bright = np.argwhere(patch[..., 0] > 128)
    assert patch.shape == (112, 112, 3) and scale == 4.0
    found = bounds(bright[:, ::-1]) / scale + np.tile(origin, 2)
    assert np.allclose(found, [30, 10, 40, 20], atol=0.6)


def test_cut_is_grey_outside_the_picture():
    patch, _, _ = cut(np.full((10, 10, 3), 255, np.uint8), np.array([-20, -20, 20, 20]), 40)
    assert (patch[:15, :15] == 127).all() and (patch[22:28, 22:28] == 255).all()


def test_overlap_of_boxes():
    box = np.array([0.0, 0.0, 2.0, 2.0])
    assert overlap(box, box) == pytest.approx(1)
    assert overlap(box, box + 1) == pytest.approx(1 / 7)
    assert overlap(box, box + 5) == 0


@pytest.mark.parametrize("shoulders, fits", [([[40, 150], [160, 150]], True), ([[99, 90], [101, 90]], False)])
def test_a_pose_that_lies_in_the_mouth_is_refused(shoulders, fits):
    points = np.zeros((478, 3))
    points[10], points[152] = (100, 0, 0), (100, 100, 0)
    pose = np.zeros((33, 2))
    pose[[11, 12]] = shoulders
    assert _under_the_head(pose, Face(points, 1.0, bounds(points))) == fits


def test_backs_are_no_faces():
    points = np.zeros((478, 3), np.float32)
    points[0, :2] = 40
    faint, clear = (Face(points, score, bounds(points)) for score in (0.6, 0.9))
    assert not is_seen_from_the_front(Person(faint, None, None, None), 800)
    assert is_seen_from_the_front(Person(faint, None, None, None), 300)
    assert is_seen_from_the_front(Person(clear, None, None, None), 800)
    for left, right, front in (((0.2, 0, 0), (-0.2, 0, 0), True), ((-0.2, 0, 0.02), (0.2, 0, 0), False)):
        world = np.zeros((33, 3))
        world[11], world[12] = left, right
        pose = Pose(np.zeros((33, 2)), np.ones(33), world)
        assert is_seen_from_the_front(Person(clear, pose, None, None), 800) is front

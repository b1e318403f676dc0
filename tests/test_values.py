import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from vlogger.errors import UserError
from vlogger.io_values import StoredControls, load_motion, load_subject, save_controls, save_motion, save_subject
from vlogger.types import Controls, Motion, Portrait, Subject, frame_count, seeded


def generator():
    return torch.Generator().manual_seed(0)


def some_motion(t=5, e=3):
    g = generator()
    return Motion(
        torch.randn(t, 55, 3, 3, generator=g), torch.rand(t, e, generator=g), torch.randn(t, 3, generator=g), 24.0
    )


def some_subject():
    g = generator()
    image = torch.randint(0, 256, (3, 7, 9), dtype=torch.uint8, generator=g)
    shapes = [(10,), (55, 3, 3), (52,), (3,), (3, 3)]
    return Subject(Portrait(image), *(torch.randn(shape, generator=g) for shape in shapes))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values()) if isinstance(x, torch.Tensor))


class SomeControls:
    """A sequence of random controls, soft parts from frame 20 on."""

    fps, size = 25.0, 8

    def __init__(self, t=37):
        g = generator()
        parts = torch.eye(12)[torch.randint(0, 12, (t, 8, 8), generator=g)].movedim(-1, 1)
        parts[20:] *= 0.5
        rest = [torch.rand(t, c, 8, 8, generator=g) for c in (3, 3, 1, 1)]
        self.whole = Controls(rest[0], parts, *rest[1:], fps=self.fps)
        self.photo, self.reference = torch.rand(3, 8, 8, generator=g), self.whole[:1]

    def __len__(self):
        return len(self.whole)

    def __getitem__(self, frames):
        return self.whole[frames]


def test_a_subject_comes_back_bit_by_bit(tmp_path):
    subject = some_subject()
    save_subject(tmp_path / "s.npz", subject)
    again = load_subject(tmp_path / "s.npz")
    assert same(subject, again) and torch.equal(subject.portrait.image, again.portrait.image)
    assert again.offsets is None


def test_personal_offsets_come_back_with_the_subject(tmp_path):
    subject = replace(some_subject(), offsets=torch.randn(20, 3, generator=generator()))
    save_subject(tmp_path / "s.npz", subject)
    offsets = load_subject(tmp_path / "s.npz").offsets
    assert offsets is not None and torch.equal(offsets, subject.offsets)


def test_a_motion_comes_back_bit_by_bit_with_its_names(tmp_path):
    motion = some_motion()
    save_motion(tmp_path / "m.npz", motion, [f"joint{i}" for i in range(55)], ["a", "b", "c"])
    again, names = load_motion(tmp_path / "m.npz")
    assert same(motion, again) and again.fps == 24.0 and names == ("a", "b", "c")
    assert np.load(tmp_path / "m.npz")["joint_names"][54] == "joint54"


def test_same_motion_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        save_motion(tmp_path / name, some_motion(), ["joint"] * 55, ["a", "b", "c"])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_axis_angles_may_stand_for_matrices(tmp_path):
    angles = np.zeros((2, 55, 3))
    angles[1, 15] = [0, np.pi / 2, 0]  # the head turns by 90 degrees: z goes to x
    np.savez(tmp_path / "m.npz", rotations=angles, expression=np.zeros((2, 3)), translation=np.zeros((2, 3)), fps=25)
    motion, names = load_motion(tmp_path / "m.npz")
    assert names == () and torch.allclose(motion.rotations[0], torch.eye(3).expand(55, 3, 3))
    assert torch.allclose(motion.rotations[1, 15] @ torch.tensor([0.0, 0, 1]), torch.tensor([1.0, 0, 0]), atol=1e-6)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"translation": None}, "lacks translation"),
        ({"translation": np.zeros((4, 3))}, "same number of frames"),
        ({"rotations": np.zeros((5, 54, 3, 3))}, "55"),
        ({"expression": np.full((5, 3), np.nan)}, "finite"),
        ({"expression": np.array(["smile"] * 5)}, "finite"),
        ({"fps": np.array(0)}, "fps"),
    ],
)
def test_a_wrong_motion_file_is_refused(tmp_path, change, says):
    motion = some_motion()
    arrays = {key: np.asarray(getattr(motion, key)) for key in ("rotations", "expression", "translation", "fps")}
    np.savez(tmp_path / "m.npz", **{key: value for key, value in {**arrays, **change}.items() if value is not None})
    with pytest.raises(UserError, match=says) as error:
        load_motion(tmp_path / "m.npz")
    assert "m.npz" in str(error.value)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04nothing"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "m.npz").write_bytes(content)
    for load in (load_motion, load_subject):
        with pytest.raises(UserError, match="not an"):
            load(tmp_path / "m.npz")


def test_one_array_is_no_npz(tmp_path):
    with (tmp_path / "m.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="not an"):
        load_motion(tmp_path / "m.npz")


def test_controls_come_back_bit_by_bit_in_any_slice(tmp_path):
    controls = SomeControls()
    save_controls(tmp_path / "c.zip", controls)
    stored = StoredControls(tmp_path / "c.zip", 8)
    assert len(stored) == 37 and stored.fps == 25.0 and stored.size == 8
    assert torch.equal(stored.photo, controls.photo) and same(stored.reference, controls.reference)
    for frames in (slice(None), slice(0, 1), slice(15, 17), slice(16, 32), slice(30, 99), slice(-3, None), slice(3, 3)):
        assert same(stored[frames], controls[frames]) and len(stored[frames]) == len(controls[frames])


def test_controls_are_read_a_window_at_a_time(tmp_path):
    save_controls(tmp_path / "c.zip", SomeControls())
    stored = StoredControls(tmp_path / "c.zip", 8)
    read = []
    load = stored.load
    stored.load = lambda name: (read.append(name), load(name))[1]  # type: ignore[method-assign]
    stored[17:20]
    assert read == ["00000016.npz"]


def test_controls_of_another_size_or_file_are_refused(tmp_path):
    save_controls(tmp_path / "c.zip", SomeControls())
    with pytest.raises(UserError, match="no controls of 256 pixels"):
        StoredControls(tmp_path / "c.zip", 256)
    (tmp_path / "d.zip").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a file of controls"):
        StoredControls(tmp_path / "d.zip", 8)


def test_same_controls_same_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        save_controls(tmp_path / name, SomeControls())
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "a.zip").testzip() is None


def test_values_refuse_wrong_shapes():
    with pytest.raises(Exception, match="translation"):
        Motion(torch.zeros(5, 55, 3, 3), torch.zeros(5, 3), torch.zeros(4, 3), 24.0)


@pytest.mark.parametrize("duration, fps, frames", [(1.0, 24, 24), (0.5, 25, 12), (10.02, 24, 240), (0.001, 24, 1)])
def test_frames_of_a_duration(duration, fps, frames):
    assert frame_count(duration, fps) == frames


def test_chance_is_the_seed():
    assert torch.equal(torch.randn(3, generator=seeded(5)), torch.randn(3, generator=seeded(5)))
    assert not torch.equal(torch.randn(3, generator=seeded(5)), torch.randn(3, generator=seeded(6)))

"""Pieces of work on pictures of one person."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from vlogger.errors import UserError
from vlogger.evaluation.bench import Bench, Judges
from vlogger.evaluation.judge import load_judge
from vlogger.evaluation.tasks import ReenactStills
from vlogger.pipeline import Vlogger

sys.path.insert(0, str(Path(__file__).parents[1] / "tiny"))
from tiny_stages import Enlarge, Flat, LoudJaw, PaintWarped, Standing


@pytest.fixture
def bench(body):
    stages = (Standing(body), LoudJaw(body, 25.0), Flat(), PaintWarped(), Enlarge())
    return Bench(Vlogger(*stages, body), Judges(load_judge()), 256, 25.0, "")


@pytest.fixture
def pictures(tmp_path, film):
    """Two of nearly one size that show a face, one without, one of another size."""
    image = Image.fromarray(film.frames[0].permute(1, 2, 0).numpy())
    image.save(tmp_path / "a.png")
    image.crop((0, 0, 255, 254)).save(tmp_path / "b.png")
    Image.new("RGB", (256, 256), "grey").save(tmp_path / "c.png")
    image.resize((200, 200)).save(tmp_path / "d.png")
    return tuple(str(tmp_path / f"{name}.png") for name in "abcd")


def test_every_other_picture_with_a_face_is_reenacted(bench, pictures):
    task = ReenactStills("g", "p", pictures)
    assert [film.frames.shape[2:] for film in task.films().values()] == [(254, 255)] * 3
    (row,) = task(bench)
    assert row.name == "b" and row.numbers["copied.full.psnr"] > 45  # the same picture, but for its rim
    assert (
        row.pictures["true, ours, warped, copied"].shape[1] == 4 * row.pictures["true, ours, warped, copied"].shape[0]
    )


def test_nothing_to_reenact_is_said(bench, pictures):
    with pytest.raises(UserError, match=r"c\.png"):
        ReenactStills("g", "p", pictures[2:])(bench)

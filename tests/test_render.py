"""`vlogger.render`: the video of the controls, and what it says when something is missing."""

import subprocess
import sys
from dataclasses import replace

import av
import pytest
import torch

from vlogger import render
from vlogger.body.skeleton import JOINTS
from vlogger.body.smplx import load_body
from vlogger.io_values import save_motion, save_subject
from vlogger.types import Motion, Portrait, Subject


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A saved subject in a small picture, and a saved motion of three frames."""
    folder, body = tmp_path_factory.mktemp("render"), load_body()
    rotations, expression = torch.eye(3).repeat(55, 1, 1), torch.zeros(len(body.expression_names))
    image = torch.randint(256, (3, 80, 60), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    camera = torch.tensor([[120.0, 0, 30], [0, 120.0, 40], [0, 0, 1]])
    subject = Subject(Portrait(image), torch.zeros(10), rotations, expression, torch.tensor([0.0, -0.4, -1.0]), camera)
    save_subject(folder / "subject.npz", subject)
    opening = expression.expand(3, -1).clone()
    opening[2, 0] = 0.5
    motion = Motion(rotations.expand(3, -1, -1, -1).clone(), opening, subject.translation.expand(3, 3).clone(), 12.5)
    save_motion(folder / "motion.npz", motion, JOINTS, body.expression_names)
    return folder


def command(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["render", *arguments])
    render.main()


def test_writes_four_pictures_side_by_side(files, monkeypatch, capsys):
    out = files / "controls, all.mp4"
    given = ("subject=from_file", f"subject.path={files / 'subject.npz'}", f"motion={files / 'motion.npz'}")
    command(monkeypatch, *given, f"out={out}", "size=128", "threads=1")
    with av.open(str(out)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 12.5
    assert len(frames) == 3 and frames[0].shape == (128, 512, 3)
    assert "3 frames at 12.5 fps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "no motion is given"),
        (("motion=m.npz",), "no picture is given"),
        (("motion=m.npz", "image=astronaut", "size=100"), "none of 128, 256, 512"),
        (("motion=m.npz", "image=astronaut", "out=x.avi"), "must end in .mp4"),
    ],
)
def test_says_what_is_missing(arguments, sentence, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        command(monkeypatch, *arguments)
    assert stopped.value.code == 2 and sentence in capsys.readouterr().err


def test_a_long_motion_is_drawn_a_window_at_a_time(files):
    from render.controls import MeshControls
    from vlogger.io_values import load_motion, load_subject

    body, subject = load_body(), load_subject(files / "subject.npz")
    motion, _ = load_motion(files / "motion.npz")
    names = ("rotations", "expression", "translation")
    fields = {name: torch.cat([getattr(motion, name)] * 7) for name in names}
    clips = render.shown(body, subject, replace(motion, **fields), MeshControls(body), 128)
    assert [len(clip) for clip in clips] == [16, 5]


def test_help_does_not_load_torch():
    code = "import sys, vlogger.render; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

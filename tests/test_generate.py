"""The command line, with small stages: `--config-dir tests/tiny`."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from vlogger import generate
from vlogger.io import load_portrait, sha256
from vlogger.io_audio import load_audio, save_audio
from vlogger.io_video import load_video
from vlogger.types import Audio

TINY = Path(__file__).parent / "tiny"
STAGES = [f"{group}=tiny" for group in ("subject", "motion", "render", "video", "superres")]
sys.path.insert(0, str(TINY))


@pytest.fixture(autouse=True)
def inputs(tmp_path, monkeypatch):
    """An empty folder to stand in, with a photo and half a second of speech."""
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    Image.fromarray(image).resize((120, 160), Image.Resampling.BICUBIC).save("photo.png")
    wave = 0.3 * torch.randn(8000, generator=torch.Generator().manual_seed(0))
    save_audio(Path("speech.wav"), Audio(wave.clamp(-1, 1), 16000))


@pytest.fixture
def vlogger(monkeypatch, capsys):
    """Runs the command in this process; returns exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["vlogger.generate", "--config-dir", str(TINY), *STAGES, *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        before = signal.getsignal(signal.SIGTERM)
        try:
            generate.main()
            code = 0
        except SystemExit as end:
            code = end.code
        finally:
            signal.signal(signal.SIGTERM, before)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


BASIC = ("image=photo.png", "audio=speech.wav", "out=a.mp4")


def frames(path):
    return torch.cat([clip.frames for clip in load_video(path)])


def test_a_photo_and_a_recording_become_a_video(vlogger):
    code, out, err = vlogger(*BASIC)
    assert code == 0, err
    with av.open("a.mp4") as container:
        assert container.streams.video[0].frames == 12 and len(container.streams.audio) == 1
    assert frames("a.mp4").shape == (12, 3, 160, 120)
    assert abs(load_audio("a.mp4").duration - 0.5) < 0.07
    assert len(out.splitlines()) == 1
    for word in ("a.mp4: 12 frames", "0.50 s", "24 fps", "peak memory", "seed 0"):
        assert word in out
    for stage in ("see", "hear", "paint", "sharpen"):
        assert stage in err
    assert sorted(os.listdir()) == ["a.json", "a.mp4", "photo.png", "speech.wav"]


def test_the_record_beside_it_says_how_to_repeat_it(vlogger):
    assert vlogger(*BASIC, "seed=5", "fps=10")[0] == 0
    record = json.loads(Path("a.json").read_text())
    assert (record["seed"], record["frames"], record["fps"]) == (5, 5, 10.0)
    assert record["inputs"]["image"]["sha256"] == sha256(Path("photo.png"))
    assert record["inputs"]["audio"]["sha256"] == sha256(Path("speech.wav"))
    assert record["config"]["motion"]["fps"] == 10.0 and record["packages"]["torch"] and record["vlogger"]
    assert "subject.body" in record["weights"] and "encoded as aac at 16000 Hz" in record["audio"]
    assert record["command"][-5:-2] == ["image='photo.png'", "audio='speech.wav'", "out='a.mp4'"]


def test_same_seed_same_bytes(vlogger):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert vlogger("image=photo.png", "audio=speech.wav", f"out={name}.mp4", f"seed={seed}")[0] == 0
    a, b, c = (Path(f"{name}.mp4").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("size, shape", [("128", (170, 128)), ("source", (160, 120))])
def test_sizes(vlogger, size, shape):
    assert vlogger(*BASIC, f"size={size}")[0] == 0
    assert tuple(frames("a.mp4").shape[-2:]) == shape


def test_a_sentence_instead_of_a_recording(vlogger):
    code, _, err = vlogger("image=photo.png", "text=Hello, it's (a) test: 5% = \\ one.", "out=a.mp4", "fps=5")
    assert code == 0, err
    assert json.loads(Path("a.json").read_text())["config"]["text"] == "Hello, it's (a) test: 5% = \\ one."
    assert load_audio("a.mp4").duration > 1


def test_names_with_spaces_commas_and_equal_signs(vlogger):
    os.rename("photo.png", "my photo, [1]=2.png")
    code, _, err = vlogger("image=my photo, [1]=2.png", "audio=speech.wav", "out=new folder/a (1).mp4")
    assert code == 0, err
    assert sorted(os.listdir("new folder")) == ["a (1).json", "a (1).mp4"]


def test_the_embedded_portrait(vlogger):
    assert vlogger("image=astronaut", "audio=speech.wav", "out=a.mp4", "size=128", "fps=4")[0] == 0
    assert json.loads(Path("a.json").read_text())["inputs"]["image"]["path"].endswith("astronaut.png")


def test_pixels_outside_the_moving_square_are_the_sources(vlogger):
    assert vlogger(*BASIC)[0] == 0
    difference = (frames("a.mp4").float() - load_portrait("photo.png").image.float()).abs()
    assert difference[:, :, 140:].mean() < 6  # what the codec does to a picture of noise


OUTS = ("subject_out=s.npz", "motion_out=m.npz", "controls_out=c.zip", "video_out=v.mkv", "superres_out=l.mkv")


def test_every_value_is_saved_and_used(vlogger):
    """Each stage in turn is its own saved file: the same bytes come out."""
    assert vlogger(*BASIC, *OUTS)[0] == 0
    files = {"subject": "s.npz", "motion": "m.npz", "render": "c.zip", "video": "v.mkv", "superres": "l.mkv"}
    for stage, path in files.items():
        rest = [argument for argument in BASIC[:2] if not (stage == "subject" and argument.startswith("image"))]
        code, _, err = vlogger(*rest, "out=b.mp4", f"{stage}=from_file", f"{stage}.path={path}")
        assert code == 0, err
        assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes(), stage


def test_a_motion_without_sound_is_a_silent_video(vlogger):
    assert vlogger(*BASIC, "motion_out=m.npz")[0] == 0
    code, _, err = vlogger("image=photo.png", "out=b.mp4", "motion=from_file", "motion.path=m.npz")
    assert code == 0, err
    with av.open("b.mp4") as container:
        assert container.streams.video[0].frames == 12 and not container.streams.audio


WRONG = [
    (("audio=speech.wav",), "no picture is given"),
    (("image=photo.png",), "no speech is given"),
    (("image=none.png", "audio=speech.wav"), "none.png does not exist"),
    (("image=speech.wav", "audio=speech.wav"), "speech.wav is not a picture"),
    (("image=photo.png", "audio=photo.png"), "photo.png has no sound"),
    (("image=photo.png", "audio=speech.wav", "text=hello"), "exclude each other"),
    ((*BASIC, "size=100"), "size=100 is none of"),
    ((*BASIC, "seed=-1"), "seed=-1"),
    ((*BASIC, "seed=x"), "seed=x"),
    ((*BASIC, "fps=0"), "fps=0"),
    ((*BASIC[:2], "out=a.avi"), "must end in .mp4"),
    ((*BASIC, "motion_out=m.txt"), "must end in .npz"),
    ((*BASIC[:2], "out=photo.png/a.mp4"), "cannot write"),
    ((*BASIC, "colour=red"), "colour"),
    ((*BASIC, "motion=nonsense"), "nonsense"),
    ((*BASIC, "motion=from_file"), "motion.path"),
    ((*BASIC, "motion=from_file", "motion.path=none.npz"), "none.npz does not exist"),
    ((*BASIC, "seed=1,2"), "seed"),
    ((*BASIC, "motion._target_=nobody.knows"), "nobody"),
]


@pytest.mark.parametrize("arguments, says", WRONG, ids=[says for _, says in WRONG])
def test_mistakes_are_one_sentence_and_leave_nothing(vlogger, arguments, says):
    before = sorted(os.listdir())
    code, out, err = vlogger(*arguments)
    lines = [line for line in err.splitlines() if line.startswith("vlogger.generate: ")]
    assert code == 2 and out == "" and len(lines) == 1 and says in lines[0] and "Traceback" not in err
    assert sorted(os.listdir()) == before


def test_an_output_may_not_overwrite_an_input(vlogger):
    assert vlogger(*BASIC)[0] == 0
    kept = Path("a.mp4").read_bytes()
    code, _, err = vlogger("image=photo.png", "audio=a.mp4", "out=a.mp4")
    assert code == 2 and "name of an input" in err and Path("a.mp4").read_bytes() == kept


def test_a_failure_midway_leaves_nothing_and_keeps_the_old_video(vlogger, monkeypatch):
    import tiny_stages

    assert vlogger(*BASIC)[0] == 0
    kept, before = Path("a.mp4").read_bytes(), sorted(os.listdir())
    painted = tiny_stages.PaintWarped.__call__

    def breaks(self, controls, *, generator):
        yield next(painted(self, controls, generator=generator))
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny_stages.PaintWarped, "__call__", breaks)
    code, out, err = vlogger(*BASIC, "video_out=v.mkv", "motion_out=m.npz")
    assert code == 130 and out == "" and "stopped" in err
    assert sorted(os.listdir()) == before and Path("a.mp4").read_bytes() == kept


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr("vlogger.resume.SEGMENT", 4)


def interrupted(monkeypatch, clips: int):
    """The tiny painter is stopped after so many clips, once."""
    import tiny_stages

    painted = tiny_stages.PaintWarped.__call__

    def breaks(self, controls, *, generator):
        yield from islice(painted(self, controls, generator=generator), clips)
        monkeypatch.setattr(tiny_stages.PaintWarped, "__call__", painted)
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny_stages.PaintWarped, "__call__", breaks)


def test_an_interrupted_run_goes_on_and_makes_the_same_bytes(vlogger, monkeypatch, short_segments, caplog):
    assert vlogger(*BASIC)[0] == 0
    whole, before = Path("a.mp4").read_bytes(), sorted(os.listdir())
    interrupted(monkeypatch, 2)
    assert vlogger(*BASIC)[0] == 130 and "kept in .a.mp4.part" in caplog.text
    assert sorted(os.listdir()) == [".a.mp4.part", *before]
    assert Path("a.mp4").read_bytes() == whole
    code, _, err = vlogger(*BASIC)
    assert code == 0, err
    assert Path("a.mp4").read_bytes() == whole and sorted(os.listdir()) == before
    assert json.loads(Path("a.json").read_text())["resumed_at"] == 8


@pytest.mark.parametrize("other", ["seed=1", "resume=false", "video_out=v.mkv"])
def test_what_another_run_left_is_not_used(vlogger, monkeypatch, short_segments, other):
    assert vlogger(*BASIC[:2], "out=b.mp4", other)[0] == 0
    interrupted(monkeypatch, 2)
    assert vlogger(*BASIC)[0] == 130 and Path(".a.mp4.part").exists()
    assert vlogger(*BASIC, other)[0] == 0 and not Path(".a.mp4.part").exists()
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()
    assert json.loads(Path("a.json").read_text())["resumed_at"] == 0


def test_nothing_is_kept_when_nothing_shall_be(vlogger, monkeypatch, short_segments):
    before = sorted(os.listdir())
    interrupted(monkeypatch, 2)
    assert vlogger(*BASIC, "resume=false")[0] == 130 and sorted(os.listdir()) == before


def command(*arguments):
    environment = {**os.environ, "PYTHONPATH": f"{TINY.parent.parent}{os.pathsep}{TINY}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "vlogger.generate", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # even where the tests run in the background
    )


def test_help_needs_nothing_heavy():
    heavy = "torch", "numpy", "av", "PIL", "mediapipe", "diffusers", "transformers", "pytorch_lightning", "scipy"
    code = (
        "import sys, vlogger.generate as g; sys.argv[1:] = ['--help']\n"
        f"try: g.main()\nfinally: assert not [m for m in {heavy} if m in sys.modules], sys.modules.keys()"
    )
    environment = {**os.environ, "PYTHONPATH": str(TINY.parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "image=" in done.stdout and "motion=from_file" in done.stdout and os.listdir() == ["photo.png", "speech.wav"]


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_process_leaves_nothing(number, code):
    save_audio(Path("long.wav"), Audio(torch.rand(16000 * 60), 16000))
    stages = [*STAGES, "image=photo.png", "audio=long.wav", "out=a.mp4", "motion_out=m.npz"]
    before = sorted(os.listdir())
    process = command("--config-dir", str(TINY), *stages)
    deadline = time.monotonic() + 240
    while not any(name.endswith(".part.npz") and os.path.getsize(name) for name in os.listdir()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == code and sorted(os.listdir()) == before


def test_a_killed_process_leaves_what_the_next_one_needs(vlogger):
    save_audio(Path("long.wav"), Audio(torch.rand(16000 * 16, generator=torch.Generator().manual_seed(0)), 16000))
    arguments = ["image=photo.png", "audio=long.wav", "size=128", "threads=1"]
    process = command("--config-dir", str(TINY), *STAGES, *arguments, "out=a.mp4")
    deadline = time.monotonic() + 240
    while not Path(".a.mp4.part/point.npz").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=60)
    assert not Path("a.mp4").exists()
    for name in ("a", "b"):
        code, _, err = vlogger(*arguments, f"out={name}.mp4")
        assert code == 0, err
    assert json.loads(Path("a.json").read_text())["resumed_at"] >= 240
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()
    assert not [name for name in os.listdir() if name.startswith(".")]

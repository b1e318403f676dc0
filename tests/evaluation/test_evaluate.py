"""The command line, with small stages: `--config-dir tests/tiny`."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from vlogger import evaluate
from vlogger.io_audio import save_audio
from vlogger.io_video import write_video
from vlogger.types import Audio, Video

TINY = Path(__file__).parents[1] / "tiny"
STAGES = [f"{group}=tiny" for group in ("subject", "motion", "render", "video", "superres")]
sys.path.insert(0, str(TINY))


@pytest.fixture
def data(tmp_path, film):
    """A portrait, half a second of sound, and the truth."""
    sound = Audio((0.3 * torch.randn(8000, generator=torch.Generator().manual_seed(0))).clamp(-1, 1), 16000)
    folder = tmp_path / "data, with comma"
    folder.mkdir()
    save_audio(folder / "a.wav", sound)
    Image.fromarray(film.frames[0].permute(1, 2, 0).numpy()).save(folder / "a.png")
    frames = torch.cat([film.frames, film.frames.flip(0)])
    write_video(folder / "a.mp4", [Video(frames, 25.0)], folder / "a.wav")
    return folder


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["vlogger.evaluate", "--config-dir", str(TINY), *STAGES, *arguments])
    evaluate.main()


def test_a_folder_becomes_a_report(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "report"
    given = ("protocol=folder", f"data={data}", f"out={out}", "processes=1", "pictures=true")
    command(monkeypatch, *given)
    assert "1 of 1 tasks" in capsys.readouterr().out
    told = json.loads((out / "report.json").read_text())
    titles = [table["title"] for table in told["tables"]]
    assert {"Lips", "Quality", "Motion", "Motion as made", "Cost"} <= set(titles) and not told["errors"]
    assert set(told["not_measured"]) == {"identity", "mobilenet", "vad", "niqe", "syncnet", "lpips", "fid", "fvd"}
    assert len(list((out / "pictures").glob("*/*.jpg"))) == 1 and (out / "report.html").exists()
    rows = sorted((out / "rows").glob("*.json"))
    before = [path.stat().st_mtime_ns for path in rows]
    command(monkeypatch, *given)
    assert [path.stat().st_mtime_ns for path in rows] == before and len(rows) == 1


def test_finished_videos_against_their_truth(data, tmp_path, monkeypatch, capsys):
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "b.mp4").write_bytes((data / "a.mp4").read_bytes())
    out = tmp_path / "report"
    command(
        monkeypatch,
        *(
            "protocol=videos",
            f"data={videos}",
            f"protocol.parts.videos.references={videos}",
            f"out={out}",
            "processes=1",
        ),
    )
    rows = json.loads(next((out / "rows").glob("*.json")).read_text())
    assert rows["error"] is None
    numbers = rows["rows"][0]["numbers"]
    assert numbers["made.lip_r_aperture"] == pytest.approx(1) and numbers["made.lme"] == pytest.approx(0, abs=1e-3)
    assert numbers["made.lip_lag"] == 0 and numbers["made.cpbd"] == numbers["true.cpbd"]


def test_what_is_missing_is_said_in_one_sentence(tmp_path, monkeypatch, capsys):
    for arguments in (["protocol=folder"], ["protocol=folder", f"data={tmp_path}"]):
        with pytest.raises(SystemExit) as end:
            command(monkeypatch, *arguments)
        assert end.value.code == 2
        assert "data=FOLDER" in capsys.readouterr().err


def test_help_answers_at_once():
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "vlogger.evaluate", "--help"], capture_output=True, text=True)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import hydra"])
    assert done.returncode == 0 and "protocol=dev" in done.stdout
    assert bare - begin < 4 * (time.perf_counter() - bare) + 1.5

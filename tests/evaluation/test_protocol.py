"""Folders become tasks."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from vlogger.errors import UserError
from vlogger.evaluation import protocol

CONFIGS = Path(__file__).parents[2] / "conf"


def made(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_triples(tmp_path):
    data = made(tmp_path, "a.jpg", "a.wav", "b.png", "b.flac", "b.mp4", "c.mp4")
    a, b, c = protocol.Triples(5.0)(data)
    assert (a.name, a.portrait, a.audio, a.video) == ("a", str(data / "a.jpg"), str(data / "a.wav"), None)
    assert b.video == str(data / "b.mp4") and b.audio == str(data / "b.flac")
    assert c.portrait is None and c.audio is None and c.video == str(data / "c.mp4")
    made(tmp_path, "d.jpg")
    with pytest.raises(UserError, match=r"d\.jpg stands alone"):
        protocol.Triples(5.0)(data)


def test_people_are_grouped_and_the_reference_comes_first(tmp_path):
    data = made(tmp_path, "l/001_smiling.jpg", "l/001_neutral.jpg", "l/002_neutral.jpg", "l/002_smiling.jpg")
    tasks = protocol.ReenactPeople("l", 0, "neutral")(data)
    assert [task.name for task in tasks] == ["001", "002"]
    assert [Path(path).stem for path in tasks[0].paths] == ["001_neutral", "001_smiling"]
    with pytest.raises(UserError, match="called …front…"):
        protocol.ReenactPeople("l", 0, "front")(data)


def test_counts_are_spread_and_seeds_repeat(tmp_path):
    data = made(tmp_path, *(f"v/{i}.mp4" for i in range(9)))
    tasks = protocol.TalkClips("v", 1.0, count=3, seeds=2, group="seeds")(data)
    assert [(task.name, task.seed) for task in tasks] == [(n, s) for n in "048" for s in (0, 1)]
    assert {task.group for task in tasks} == {"seeds"}


def test_references_of_finished_videos(tmp_path):
    made(tmp_path, "made/a.mp4", "made/b.mp4", "made/c.mp4", "true/a.mp4", "true/b.jpg")
    a, b, c = protocol.Videos(5.0, str(tmp_path / "true"))(tmp_path / "made")
    assert a.reference.endswith("a.mp4") and b.reference.endswith("b.jpg") and c.reference is None


def test_an_empty_folder_is_said(tmp_path):
    for part in (protocol.Triples(1.0), protocol.Videos(1.0), protocol.TalkClips("x", 1.0)):
        with pytest.raises(UserError, match="data=FOLDER"):
            part(tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "protocol").glob("*.yaml")))
def test_every_protocol_builds(name):
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("evaluate", [f"protocol={name}"])
    built = instantiate(cfg.protocol, _convert_="all")
    assert built.name == name and all(callable(part) for part in built.parts.values())


def test_the_stages_are_those_of_generate():
    with initialize_config_module("conf", version_base="1.3"):
        ours, theirs = compose("evaluate", ["protocol=folder"]), compose("generate")
    for stage in ("body", "subject", "motion", "render", "video", "superres"):
        kept = {key: value for key, value in theirs[stage].items() if key not in ("face", "fps", "name")}
        assert {key: ours[stage][key] for key in kept} == kept

"""Rows become the right tables, and the report says what it does not know."""

import json

import numpy as np
import pytest

from vlogger.evaluation import published
from vlogger.evaluation.report import Report, figure, write_report
from vlogger.evaluation.summary import Line, tables_of


def line(kind, group, name, seed=0, arrays=None, visible="", **numbers):
    named = {key.replace("__", "."): value for key, value in numbers.items()}
    return Line(kind, group, name, seed, named, arrays or {}, {"visible": visible} if visible else {})


def table(lines, title):
    return next(found for found in tables_of(lines) if found.title == title)


def test_gain_is_taken_clip_by_clip():
    lines = [
        line(
            "reenact",
            "g",
            str(i),
            made__face__psnr=20.0 + i,
            warped__face__psnr=19.0 + i,
            copied__face__psnr=10.0,
            alone__face__psnr=8.0,
        )
        for i in range(5)
    ]
    (name, cells) = table(lines, "Reenactment: g").rows[0]
    assert name.startswith("face: PSNR") and cells[0].mean == 22 and cells[2].mean == 10
    assert cells[5].mean == 1 and cells[5].low == cells[5].high == 1  # though the clips differ by 4 dB
    assert cells[3].mean == 8 and cells[6].mean == 14


def test_gains_of_all_groups_together_count_every_clip():
    numbers = [("a", 20.0, 1.0), ("a", 22.0, 1.0), ("b", 30.0, 4.0)]
    lines = [
        line(
            "reenact",
            group,
            str(i),
            made__face__psnr=ratio + 2,
            mesh__face__psnr=ratio,
            made__face__mobilenet_distance=0.5 * distance,
            mesh__face__mobilenet_distance=distance,
        )
        for i, (group, ratio, distance) in enumerate(numbers)
    ]
    found = table(lines, "Reenactment: gains")
    rows = dict(found.rows)
    assert list(rows) == ["a (2)", "b (1)", "all (3)"]
    told = dict(zip(found.columns, rows["all (3)"]))
    assert told["over VLOGGER's C^w over the photo: face [dB]"] == 2
    assert told["over VLOGGER's C^w over the photo: face, distance [%]"] == 50
    assert told["over warped reference alone: face [dB]"] is None


def test_best_of_k_takes_the_first_k_seeds_of_each_clip():
    lines = [
        line("talk", "seeds", name, seed, made__lme=float(value))
        for name, values in (("a", "531"), ("b", "246"))
        for seed, value in enumerate(values)
    ]
    found = table(lines, "Best of K")
    assert list(found.columns) == ["K = 1", "K = 3"]
    (_, cells) = found.rows[0]
    assert cells[0].mean == 3.5 and cells[1].mean == 1.5


def test_classes_of_visible_body():
    lines = [
        line("talk", "g", "a", visible="tight face", made__lme=3.0),
        line("talk", "g", "b", visible="torso+hands", made__lme=1.0),
    ]
    rows = dict(table(lines, "By visible body").rows)
    assert rows["tight face (1)"][0].mean == 3 and rows["torso+hands (1)"][0].mean == 1


def test_shared_rhythm_and_sets():
    chance = np.random.default_rng(0)
    lines = []
    for i in range(6):
        curve = chance.standard_normal(40)
        arrays = {"made.aperture": curve, "true.aperture": curve, "made.said_aperture": curve}
        arrays |= {"made.mobilenet": chance.standard_normal((9, 4)), "true.mobilenet": chance.standard_normal((9, 4))}
        lines.append(line("talk", "g", str(i), arrays=arrays))
    (_, cells) = table(lines, "Lips and the wrong clip").rows[0]
    assert cells[0].mean == pytest.approx(1) and abs(cells[1].mean) < 0.3 and abs(cells[6].mean) < 0.3
    (name, cells) = table(lines, "Sets of frames").rows[0]
    assert name == "g: Fréchet MobileNet" and 0 < cells[0] < 2 and cells[2] == "54"


def test_seed_diversity_by_moment():
    same = np.full((2, 3, 4, 4), 100, np.uint8)
    lines = [line("talk", "seeds", "a", seed, arrays={"thumbnails": same + 10 * seed}) for seed in range(2)]
    assert [cell.mean for cell in table(lines, "Diversity over seeds").rows[0][1]] == [5, 5]


def test_the_report_names_what_is_missing_and_shows_no_zero_for_it(tmp_path):
    lines = [line("talk", "g", "a", made__cpbd=0.25, made__niqe=None)]
    curves = [("g a", {"truth": np.array([0, 1, np.nan, 1]), "ours": np.array([0, 0.5, 1, 1])})]
    report = Report(
        "t <1>",
        {"date": "today"},
        tables_of(lines),
        published.tables(),
        {"fid": "no weights"},
        {"x": "Error"},
        curves,
        [],
        {},
    )
    write_report(tmp_path, report)
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["not_measured"] == {"fid": "no weights"} and told["tables"][0]["title"] == "Quality"
    text = (tmp_path / "report.md").read_text()
    assert "fid: no weights" in text and "NIQE [" not in text and "0.250" in text and "not comparable with ours" in text
    page = (tmp_path / "report.html").read_text()
    assert "t &lt;1&gt;" in page and "<svg" in page and "no weights" in page and "x: Error" in page


def test_a_figure_leaves_gaps_out():
    assert figure("a", {"ours": np.array([0, np.nan, 1.0])}).count(",") >= 2

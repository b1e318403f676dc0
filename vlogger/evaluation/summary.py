"""Rows become tables: means over clips with their intervals, and what a group of clips says together."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vlogger.evaluation import frechet, lips
from vlogger.evaluation.bootstrap import Estimate, estimate
from vlogger.evaluation.liveliness import seed_diversity, velocity_table
from vlogger.evaluation.metrics import FAMILIES, REENACTMENT, Metric

ARROWS = {"up": "higher is better", "down": "lower is better", "truth": "near the truth is better", "0": "near 0"}
REGIONS = ("full", "face", "mouth", "hands", "body")
WAYS = {
    "made": "ours",
    "warped": "warped reference, guessed and filled",
    "copied": "reference copied",
    "alone": "warped reference alone",
    "mesh": "VLOGGER's C^w over the photo",
}
GAINS = {"warped": "ours minus guessed and filled", "alone": "ours minus warped alone", "mesh": "ours minus C^w"}
SUMMED_UP = {  # what a table of all groups tells of the gains: dB, or the share of a distance that is saved
    "face [dB]": "face.psnr",
    "mouth [dB]": "mouth.psnr",
    "face, distance [%]": "face.mobilenet_distance",
    "mouth, distance [%]": "mouth.mobilenet_distance",
}
BEST_OF = (1, 3, 5, 8)
CLASSES = ("tight face", "head+torso", "torso+hands")
CHOSEN = {"made.niqe": min, "made.cpbd": max, "made.lme": min, "made.lip_r_aperture": max, "made.lip_r_best": max}
CHOSEN |= {"made.judge_r_aperture": max, "made.identity_distance": min, "made.jitter": min}
CHOSEN |= {"made.expression_diversity": max, "made.lse_d": min}
SEEDS = "seeds"  # the group of clips that are made with several seeds

Cell = Estimate | float | str | None


@dataclass(frozen=True)
class Line:
    """One measured clip."""

    kind: str
    group: str
    name: str
    seed: int
    numbers: Mapping[str, float | None]
    arrays: Mapping[str, NDArray]
    about: Mapping[str, str]

    def get(self, key: str) -> float:
        value = self.numbers.get(key)
        return float("nan") if value is None else value


@dataclass(frozen=True)
class Table:
    """Title, what it says, names of columns, and rows of a name and cells."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    digits: Sequence[int] = field(default_factory=list)  # of each row


def read_lines(paths: Iterable[Path]) -> list[Line]:
    """The rows of all tasks that ended well."""
    lines = []
    for path in paths:
        told = json.loads(path.read_text())
        arrays = dict(np.load(path.with_suffix(".npz"))) if path.with_suffix(".npz").exists() else {}
        for index, row in enumerate(told["rows"]):
            own = {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{index}/")}
            seed = told["task"].get("seed", 0)
            lines.append(Line(told["kind"], told["group"], row["name"], seed, row["numbers"], own, row["about"]))
    return lines


def errors_of(paths: Iterable[Path]) -> dict[str, str]:
    """The last line of what went wrong, by task."""
    found = {path.stem: json.loads(path.read_text())["error"] for path in paths}
    return {name: error.strip().splitlines()[-1] for name, error in found.items() if error}


def tables_of(lines: Sequence[Line]) -> list[Table]:
    """Everything that the rows can tell."""
    talks = [line for line in lines if line.kind in ("talk", "finished") and line.group != SEEDS]
    tables = [*reenactments(lines), reenacted_together(lines)] + [
        family(name, metrics, talks) for name, metrics in FAMILIES.items()
    ]
    tables += [*shared_rhythm(talks), sets(talks), velocities(talks), by_visible(talks), from_motion(talks)]
    tables += [best_of(lines), diversity(lines), cost(talks), memory(lines)]
    return [table for table in [*tables, sanity(lines)] if table.rows]


def mean(lines: Iterable[Line], key: str) -> Estimate | None:
    return estimate([line.get(key) for line in lines])


def groups(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """By group, in order of appearance."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.group, []).append(line)
    return found


# ------------------------------------------------------------------------------------------------------- tables


def reenactments(lines: Sequence[Line]) -> list[Table]:
    """VLOGGER Table 3, a table for each group, beside its baselines; the gain over the warp clip by clip."""
    tables = []
    for group, members in groups([line for line in lines if line.kind == "reenact"]).items():
        rows, digits = [], []
        for region in REGIONS:
            for metric in REENACTMENT:
                key = f"{region}.{metric.key}"
                cells: list[Cell] = [mean(members, f"{who}.{key}") for who in WAYS]
                if any(cell is not None for cell in cells):
                    rows.append((f"{region}: {label(metric)}", [*cells, *gains(members, key)]))
                    digits.append(metric.digits)
        note = f"{len(members)} clips or pictures, true motion, first frame as reference; the generated square."
        tables.append(Table(f"Reenactment: {group}", note, (*WAYS.values(), *GAINS.values()), rows, digits))
    return tables


def reenacted_together(lines: Sequence[Line]) -> Table:
    """What ours gains over each baseline in each group, and in all of its clips and pictures."""
    told = [line for line in lines if line.kind == "reenact"]
    known = groups(told)
    members = {**known, "all": told} if len(known) > 1 else known
    columns = [f"over {WAYS[who]}: {name}" for who in GAINS for name in SUMMED_UP]
    rows = [
        (f"{name} ({len(own)})", [gained(own, who, key) for who in GAINS for key in SUMMED_UP.values()])
        for name, own in members.items()
    ]
    note = "PSNR: the mean difference of clips; distance: by how much its mean over clips is less than the baseline's."
    return Table("Reenactment: gains", note, columns, rows, [2] * len(members))


def gained(lines: Sequence[Line], who: str, key: str) -> Cell:
    """Of ours over a baseline, clips without the region left out; None where nothing is measured."""
    pairs = np.array([(line.get(f"made.{key}"), line.get(f"{who}.{key}")) for line in lines])
    pairs = pairs[np.isfinite(pairs).all(1)]
    if not len(pairs):
        return None
    ours, theirs = pairs.mean(0)
    return float(100 * (1 - ours / theirs)) if key.endswith("distance") else float(ours - theirs)


def gains(lines: Sequence[Line], key: str) -> list[Estimate | None]:
    """Ours minus each of `GAINS`."""
    return [estimate([line.get(f"made.{key}") - line.get(f"{who}.{key}") for line in lines]) for who in GAINS]


def family(title: str, metrics: Sequence[Metric], lines: Sequence[Line]) -> Table:
    """Ours and the truth for each group of clips."""
    rows, digits, columns = [], [], []
    known = groups(lines)
    columns = [f"{group}, {side}" for group in known for side in ("ours", "truth")]
    for metric in metrics:
        cells: list[Cell] = [
            mean(members, f"{who}.{metric.key}") for members in known.values() for who in ("made", "true")
        ]
        if any(cell is not None for cell in cells):
            rows.append((label(metric), cells))
            digits.append(metric.digits)
    return Table(title, "Mean over clips and its 95 % interval.", columns, rows, digits)


def label(metric: Metric) -> str:
    unit = f" [{metric.unit}]" if metric.unit else ""
    return f"{metric.title}{unit} ({ARROWS[metric.better]})"


def shared_rhythm(lines: Sequence[Line]) -> list[Table]:
    """Lips against the wrong clip's: raw, and without the mean curve of the group; and the judge's with wrong sound."""
    names = {
        "r": "own truth",
        "r_shuffled": "another clip's truth",
        "r_truth_shuffled": "truth against another's truth",
        "r_rest": "own truth, without the mean curves",
        "r_rest_shuffled": "another clip's truth, without the mean curves",
        "r_rest_truth_shuffled": "truth against another's, without the mean curves",
    }
    rows: list[tuple[str, Sequence[Cell]]] = []
    for group, members in groups([line for line in lines if "made.aperture" in line.arrays]).items():
        if len(members) < 2:
            continue
        made = [line.arrays["made.aperture"] for line in members]
        said = [line.arrays["made.said_aperture"] for line in members if "made.said_aperture" in line.arrays]
        cells: dict[str, Cell] = {}
        if all("true.aperture" in line.arrays for line in members):
            true = [line.arrays["true.aperture"] for line in members]
            cells = {name: estimate(values) for name, values in lips.matched_and_shuffled(made, true).items()}
        wrong = None
        if len(said) == len(made):
            wrong = estimate([lips.correlation(a, b) for a, b in zip(made, [*said[1:], *said[:1]])])
        rows.append((group, [*(cells.get(name) for name in names), wrong]))
    note = "r of the lip aperture. Sentences of one corpus share their rhythm: see truth against truth."
    return [Table("Lips and the wrong clip", note, (*names.values(), "the judge with another clip's sound"), rows)]


def sets(lines: Sequence[Line]) -> Table:
    """Fréchet distances of all made to all true frames of a group."""
    rows, kinds = [], {"mobilenet": "Fréchet MobileNet", "fid": "FID", "fvd": "FVD", "expression": "E-FID (tracked)"}
    for group, members in groups(lines).items():
        for kind, title in kinds.items():
            made, true = (stacked(members, f"{who}.{kind}") for who in ("made", "true"))
            if made is not None and true is not None:
                cells = [frechet.frechet_distance(made, true), frechet.halves_distance(true), f"{len(made)}"]
                rows.append((f"{group}: {title}", cells))
    note = "Lower is better. With few samples every such distance is too large: compare with two halves of the truth."
    return Table("Sets of frames", note, ("ours to the truth", "half of the truth to the other", "samples"), rows)


def stacked(lines: Sequence[Line], key: str) -> NDArray | None:
    found = [line.arrays[key] for line in lines if key in line.arrays]
    return np.concatenate(found) if found else None


def velocities(lines: Sequence[Line]) -> Table:
    """EMO's velocity table."""
    rows = []
    for group, members in groups(lines).items():
        for who, name in (("made", "ours"), ("true", "truth")):
            speeds = [line.arrays[f"{who}.head_speed"] for line in members if f"{who}.head_speed" in line.arrays]
            if speeds:
                rows.append((f"{group}, {name}", list(velocity_table(speeds).values())))
    note = "Degrees a frame at 30 fps (EMO Table 2 does not state its unit)."
    return Table("Head velocity", note, ("mean", "variance within a clip", "variance of the clips' means"), rows)


def by_visible(lines: Sequence[Line]) -> Table:
    """VLOGGER figure 3: what the portrait shows."""
    wanted = ("lme", "judge_r_aperture", "identity_distance", "niqe", "cpbd")
    rows = []
    for name in CLASSES:
        members = [line for line in lines if line.about.get("visible") == name]
        if members:
            rows.append((f"{name} ({len(members)})", [mean(members, f"made.{key}") for key in wanted]))
    titles = [
        metric.title for key in wanted for metrics in FAMILIES.values() for metric in metrics if metric.key == key
    ]
    return Table("By visible body", "Clips by what their portrait shows.", titles, rows)


def from_motion(lines: Sequence[Line]) -> Table:
    """The motion as it was made, before any pixel: its statistics, and its lips against the true video's."""
    rows, digits = [], []
    known = groups(lines)
    for metric in (*FAMILIES["Motion"], *FAMILIES["Lips"], *FAMILIES["Silence"]):
        cells: list[Cell] = [mean(members, f"motion.{metric.key}") for members in known.values()]
        if any(cell is not None for cell in cells):
            rows.append((label(metric), cells))
            digits.append(metric.digits)
    note = "Of the motion values themselves; the truth has no such values (hands of true clips are not measured: the "
    note += "tracker follows the face). Lips: on the mesh, against the true video's."
    return Table("Motion as made", note, list(known), rows, digits)


def best_of(lines: Sequence[Line]) -> Table:
    """VLOGGER Table 4: the best of K seeds of each clip, metric by metric; seeds are taken in order."""
    clips: dict[str, list[Line]] = {}
    for line in lines:
        if line.group == SEEDS:
            clips.setdefault(line.name, []).append(line)
    most = max((len(members) for members in clips.values()), default=0)
    counts = [count for count in BEST_OF if count <= most]
    rows = []
    for key, best in CHOSEN.items():
        cells: list[Cell] = [
            estimate([chosen(best, sorted(m, key=lambda line: line.seed)[:count], key) for m in clips.values()])
            for count in counts
        ]
        if any(cell is not None for cell in cells):
            rows.append((label_of(key), cells))
    note = f"{len(clips)} clips, each made with {most} seeds; chosen for each metric alone."
    return Table("Best of K", note, [f"K = {count}" for count in counts], rows)


def chosen(best: Callable, lines: Sequence[Line], key: str) -> float:
    known = [line.get(key) for line in lines if np.isfinite(line.get(key))]
    return best(known) if known else float("nan")


def label_of(key: str) -> str:
    name = key.split(".", 1)[1]
    return next(label(metric) for metrics in FAMILIES.values() for metric in metrics if metric.key == name)


def diversity(lines: Sequence[Line]) -> Table:
    """VLOGGER figure 5: deviation of colour over seeds at each half second."""
    clips: dict[str, list[Line]] = {}
    for line in lines:
        if line.group == SEEDS and "thumbnails" in line.arrays:
            clips.setdefault(line.name, []).append(line)
    shown = {name: [line.arrays["thumbnails"] for line in members] for name, members in clips.items()}
    shown = {name: pictures for name, pictures in shown.items() if len(pictures) > 1}
    if not shown:
        return Table("Diversity over seeds", "", (), [])
    moments = min(len(picture) for pictures in shown.values() for picture in pictures)
    cells = [
        estimate([seed_diversity([torch.from_numpy(p[at]) for p in pictures]) for pictures in shown.values()])
        for at in range(moments)
    ]
    note = f"Deviation of colour over {max(map(len, shown.values()))} seeds, mean over pixels (of 255)."
    return Table("Diversity over seeds", note, [f"{at / 2:g} s" for at in range(moments)], [("deviation", cells)])


def cost(lines: Sequence[Line]) -> Table:
    """Seconds of compute per second of video by stage."""
    stages = list(dict.fromkeys(key for line in lines for key in line.numbers if key.startswith("cost.")))
    rows = [(key.removeprefix("cost."), [mean(m, key) for m in groups(lines).values()]) for key in stages]
    note = "CPU seconds of one core for a second of video, by stage (see: once, over the clip's length); "
    note += "first_frame: CPU seconds until the first frames are there; length of the clips in seconds."
    return Table("Cost", note, list(groups(lines)), rows)


def memory(lines: Sequence[Line]) -> Table:
    """Peak memory against length."""
    rows = [
        (line.name, [line.get("memory.peak_mb"), line.get("memory.seconds"), line.get("memory.frames")])
        for line in lines
        if line.kind == "memory"
    ]
    note = "Each length in a process of its own."
    return Table("Memory against length", note, ("peak [MB]", "CPU seconds", "frames"), rows)


def curves_of(lines: Sequence[Line], count: int) -> list[tuple[str, dict[str, NDArray]]]:
    """Lip apertures of the first clips whose truth is known: title, and curves by name."""
    found = [line for line in lines if "made.aperture" in line.arrays and "true.aperture" in line.arrays]
    return [
        (f"{line.group} {line.name}", {"truth": line.arrays["true.aperture"], "ours": line.arrays["made.aperture"]})
        for line in found[:count]
    ]


def as_json(table: Table) -> dict[str, Any]:
    """Numbers in full."""
    rows = {name: [cell_json(cell) for cell in cells] for name, cells in table.rows}
    return {"title": table.title, "note": table.note, "columns": list(table.columns), "rows": rows}


def cell_json(cell: Cell) -> Any:
    if isinstance(cell, Estimate):
        return {"mean": cell.mean, "low": finite(cell.low), "high": finite(cell.high), "count": cell.count}
    return finite(cell) if isinstance(cell, float) else cell


def finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def sanity(lines: Sequence[Line]) -> Table:
    """Known answers."""
    held = {1.0: "yes", 0.0: "NO"}
    rows = [
        (line.name, [line.get("sanity.value"), held[line.get("sanity.held")]])
        for line in lines
        if line.kind == "sanity"
    ]
    return Table(
        "Known answers", "On real clips; blur: a third of the pixels; noise: 20 grey levels.", ("value", "held"), rows
    )

"""The report: report.json with every number, report.md and report.html with the tables; curves as inline SVG."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlogger.evaluation.bootstrap import Estimate
from vlogger.evaluation.summary import Cell, Table, as_json
from vlogger.io import whole

COLOURS = {"truth": "#2a7", "ours": "#c33"}
WIDTH, HEIGHT = 640, 120  # of a curve, SVG units
STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:.6em 0;font-size:13px}
td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}
th{background:#f4f4f4}.ci{color:#777;font-size:11px}img{max-width:100%}figure{margin:1em 0}figcaption{font-size:13px}"""


@dataclass(frozen=True)
class Report:
    """`facts`: name -> text; `absent`: metric -> why it is not measured; `errors`: task -> what went wrong."""

    title: str
    facts: Mapping[str, str]
    tables: Sequence[Table]
    published: Sequence[Table]
    absent: Mapping[str, str]
    errors: Mapping[str, str]
    curves: Sequence[tuple[str, Mapping[str, NDArray]]]
    pictures: Sequence[Path]
    details: Mapping[str, Any]


def write_report(folder: Path, report: Report) -> None:
    """All three files."""
    told = {
        "title": report.title,
        **report.facts,
        "tables": [as_json(table) for table in report.tables],
        "published": [as_json(table) for table in report.published],
        "not_measured": dict(report.absent),
        "errors": dict(report.errors),
        **report.details,
    }
    texts = {
        "report.json": json.dumps(told, indent=1, ensure_ascii=False, default=str),
        "report.md": markdown(report),
        "report.html": page(report, folder),
    }
    for name, text in texts.items():
        with whole(folder / name) as part:
            part.write_text(text + "\n", encoding="utf-8")


def shown(cell: Cell, digits: int) -> str:
    """A cell as text: mean [low, high], or a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Estimate):
        if not np.isfinite(cell.low):
            return f"{cell.mean:.{digits}f}"
        return f"{cell.mean:.{digits}f} [{cell.low:.{digits}f}, {cell.high:.{digits}f}]"
    return f"{cell:.{digits}f}" if np.isfinite(cell) else "–"


def digits_of(table: Table, row: int) -> int:
    return table.digits[row] if table.digits else 3


# ----------------------------------------------------------------------------------------------------- markdown


def markdown(report: Report) -> str:
    """Plain tables."""
    parts = [f"# {report.title}", "\n".join(f"- {name}: {text}" for name, text in report.facts.items())]
    parts += [markdown_table(table) for table in report.tables]
    parts += [
        "## Not measured",
        "\n".join(f"- {name}: {reason}" for name, reason in report.absent.items()) or "nothing",
    ]
    if report.errors:
        parts += ["## Tasks that failed", "\n".join(f"- {name}: {error}" for name, error in report.errors.items())]
    parts += ["## Published by others"] + [markdown_table(table) for table in report.published]
    return "\n\n".join(parts)


def markdown_table(table: Table) -> str:
    lines = [f"## {table.title}", "", table.note, "", "| | " + " | ".join(table.columns) + " |"]
    lines.append("|---" * (len(table.columns) + 1) + "|")
    for index, (name, cells) in enumerate(table.rows):
        lines.append(f"| {name} | " + " | ".join(shown(cell, digits_of(table, index)) for cell in cells) + " |")
    return "\n".join(lines)


# --------------------------------------------------------------------------------------------------------- HTML


def page(report: Report, folder: Path) -> str:
    """One file without scripts; pictures are linked, relative to the folder."""
    facts = "".join(f"<li>{html.escape(name)}: {html.escape(text)}</li>" for name, text in report.facts.items())
    absent = "".join(f"<li>{html.escape(name)}: {html.escape(why)}</li>" for name, why in report.absent.items())
    failed = "".join(f"<li>{html.escape(name)}: {html.escape(why)}</li>" for name, why in report.errors.items())
    body = [f"<h1>{html.escape(report.title)}</h1><ul>{facts}</ul>"]
    body += [html_table(table) for table in report.tables]
    body += [figure(title, curves) for title, curves in report.curves]
    body += [html_picture(path.relative_to(folder)) for path in report.pictures]
    body += [f"<h2>Not measured</h2><ul>{absent}</ul>"] + ([f"<h2>Failed</h2><ul>{failed}</ul>"] if failed else [])
    body += ["<h2>Published by others</h2>"] + [html_table(table) for table in report.published]
    head = f"<meta charset='utf-8'><title>{html.escape(report.title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html><head>{head}</head><body>{''.join(body)}</body></html>"


def html_table(table: Table) -> str:
    columns = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = []
    for index, (name, cells) in enumerate(table.rows):
        texts = [html.escape(shown(cell, digits_of(table, index))) for cell in cells]
        rows.append(f"<tr><th>{html.escape(name)}</th>" + "".join(f"<td>{text}</td>" for text in texts) + "</tr>")
    return (
        f"<h2>{html.escape(table.title)}</h2><p>{html.escape(table.note)}</p>"
        f"<table><tr><th></th>{columns}</tr>{''.join(rows)}</table>"
    )


def html_picture(path: Path) -> str:
    name = html.escape(str(path))
    return f"<figure><img src='{name}'><figcaption>{html.escape(path.stem)}</figcaption></figure>"


def figure(title: str, curves: Mapping[str, NDArray]) -> str:
    """Curves over time as SVG, one scale for all."""
    known = np.concatenate([curve[np.isfinite(curve)] for curve in curves.values()])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    lines = "".join(polyline(curve, low, high, COLOURS.get(name, "#36c")) for name, curve in curves.items())
    names = ", ".join(f"<span style='color:{COLOURS.get(name, '#36c')}'>{html.escape(name)}</span>" for name in curves)
    return (
        f"<figure><svg viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}'>{lines}</svg>"
        f"<figcaption>{html.escape(title)}, lip aperture: {names}</figcaption></figure>"
    )


def polyline(curve: NDArray, low: float, high: float, colour: str) -> str:
    x = np.linspace(0, WIDTH, len(curve))
    y = HEIGHT - (curve - low) / max(high - low, 1e-9) * HEIGHT
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y) if np.isfinite(b))
    return f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.5'/>"

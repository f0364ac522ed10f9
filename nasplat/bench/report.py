"""The report of a folder: tables and curves of runs, races and predictors, as HTML and as Markdown.

The page of HTML stands by itself; the Markdown refers to drawings beside it. It reads what was stored and
measures nothing.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasplat.bench import measured, race, runs, standings, summary
from nasplat.bench.drawing import Curves, draw
from nasplat.bench.predictors import Measured
from nasplat.errors import NotFoundError

HEADINGS: Mapping[str, str] = {
    "to_optimum": "to the optimum, median",
    "to_optimum_p95": "95th percentile",
    "found": "runs that met it",
    "seconds_per_proposal": "seconds per proposal",
    "hypervolume_log": "hypervolume, costs on a log scale",
    "time_to_best_other": "time to the best other's end",
}
"""What columns are called where a name is not its own words."""


@dataclass(frozen=True)
class Section:
    """One part of a report: a title, a line on it, a table, and curves where there are any."""

    title: str
    note: str
    rows: Sequence[Mapping[str, Any]]
    curves: Curves | None = None


def sections(folder: Path) -> list[Section]:
    """The parts of the report of a folder and of the folders in it.

    Raises:
        NotFoundError: None of them holds anything that was measured.
    """
    found: list[Section] = []
    for place in (folder, *sorted(item for item in folder.glob("*") if item.is_dir())):
        if (place / runs.FILE).is_file():
            found += [_of_runs(one) for one in runs.read(place)]
        if (place / race.FILE).is_file():
            found += [_of_race(*one) for one in race.read(place)]
        if (place / measured.FILE).is_file():
            found += [_of_predictors(*item) for item in measured.read(place).items()]
    if not found:
        raise NotFoundError(
            f"{folder} holds neither runs nor races nor figures of predictors",
            hint="Make some: nasplat bench run TABLE --out FOLDER",
        )
    return found


def write(folder: Path, out: Path | None = None) -> list[Path]:
    """Write ``report.html``, ``report.md`` and the drawings of the latter.

    Args:
        folder: What is reported on.
        out: Folder to write into; the same one by default.

    Returns:
        The files, the two pages first.

    Raises:
        NotFoundError: There is nothing to report on.
    """
    parts = sections(folder)
    target = out or folder
    target.mkdir(parents=True, exist_ok=True)
    drawings = [None if part.curves is None else draw(part.curves) for part in parts]
    pages = [target / "report.html", target / "report.md"]
    pages[0].write_text(to_html(parts, drawings), encoding="utf-8")
    pages[1].write_text(to_markdown(parts), encoding="utf-8")
    for number, drawing in enumerate(drawings):
        if drawing is not None:
            file = target / f"curves-{number + 1}.svg"
            file.write_text(drawing, encoding="utf-8")
            pages.append(file)
    return pages


def _of_runs(known: runs.Runs) -> Section:
    problem = known.problem
    costs, met = summary.curves(known)
    unit = "evaluations" if len(problem.fidelities) == 1 else "trainings at the last fidelity"
    if problem.single:
        up = f"regret of {problem.objectives[0]}, mean"
    else:
        up = "1 - share of the true hypervolume, mean"
        met = {name: 1.0 - table for name, table in met.items()}
    told = [f"{problem.size:,} architectures"]
    told += [
        f"{name} {direction}"
        for name, direction in zip(problem.objectives, problem.directions, strict=True)
    ]
    if not problem.single:
        told.append(f"{len(problem.front)} on the true front")
    if problem.reference:
        told.append(problem.reference)
    rows = summary.rows(known)
    return Section(
        problem.name,
        f"{problem.title}: {'; '.join(told)}.",
        rows,
        Curves(
            np.array(costs, dtype=float),
            {row["strategy"]: met[row["strategy"]] for row in rows},
            unit,
            up,
            log=True,
        ),
    )


def _of_race(course: race.Course, laps: Sequence[race.Lap]) -> Section:
    moments, met = standings.curves(course, laps)
    rows = [
        {name: value for name, value in row.items() if name != "hypervolumes"}
        for row in standings.rows(course, laps)
    ]
    return Section(
        course.name,
        f"Real training, trials of {course.epochs} epochs; hypervolume of all models so far.",
        rows,
        Curves(
            np.array(moments),
            {name: np.array(table) for name, table in met.items()},
            course.unit,
            "hypervolume, mean",
        ),
    )


def _of_predictors(title: str, met: Sequence[Measured]) -> Section:
    return Section(
        title,
        f"Kendall's tau on {met[-1].test_rows} rows that were not fitted on, by training rows, mean of "
        f"{met[-1].seeds} draws; the shares of results inside intervals for 50 % and 90 %, and the "
        "seconds of a fit, are those at the most rows.",
        measured.rows(met),
    )


def cell(name: str, value: Any) -> str:
    """One value as a table of a report shows it."""
    if value is None:
        return "-" if name.startswith(("tau_", "regret_", "hypervolume_")) else "not met"
    if isinstance(value, str):
        return value
    if name in ("found", "time_to_best_other", "inside_50", "inside_90"):
        return f"{100 * value:.0f} %"
    if isinstance(value, int) or (name.startswith("to_optimum") and value == int(value)):
        return f"{int(value):,}"
    if name.startswith("hypervolume"):
        return f"{value:.4f}"
    if name.startswith("tau_"):
        return f"{value:.3f}"
    return f"{value:.3g}" if math.isfinite(value) else "-"


def _table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    names = list(rows[0])
    heads = [HEADINGS.get(name, name.replace("_", " ")) for name in names]
    return heads, [[cell(name, row[name]) for name in names] for row in rows]


def to_markdown(parts: Sequence[Section]) -> str:
    """The report as Markdown; drawings are ``curves-1.svg`` and so on, by the number of the part."""
    lines = ["# Benchmarks", ""]
    for number, part in enumerate(parts):
        heads, cells = _table(part.rows)
        lines += [f"## {part.title}", "", part.note, ""]
        lines += [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
        lines += [f"| {' | '.join(row)} |" for row in cells]
        lines.append("")
        if part.curves is not None:
            lines += [f"![{part.curves.up}](curves-{number + 1}.svg)", ""]
    return "\n".join(lines)


def to_html(parts: Sequence[Section], drawings: Sequence[str | None]) -> str:
    """The report as a page of HTML that needs no other file."""
    body = []
    for part, drawing in zip(parts, drawings, strict=True):
        heads, cells = _table(part.rows)
        body += [f"<h2>{html.escape(part.title)}</h2>", f"<p>{html.escape(part.note)}</p>"]
        body.append("<table><thead><tr>")
        body += [f"<th>{html.escape(head)}</th>" for head in heads]
        body.append("</tr></thead><tbody>")
        for row in cells:
            body.append(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>")
        body.append("</tbody></table>")
        if drawing is not None:
            body.append(f"<figure>{drawing}</figure>")
    return _PAGE.replace("{body}", "\n".join(body))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Benchmarks</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; color: #1b232b; margin: 2rem auto; max-width: 60rem; }
h1 { font-size: 1.3rem; }
h2 { font-size: 1.1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #e3e8ec; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; }
svg { width: 100%; height: auto; }
</style>
</head>
<body>
<h1>Benchmarks</h1>
<p>Curves are means over runs; a band holds the mean with 95 %, from resampled runs.</p>
{body}
</body>
</html>
"""

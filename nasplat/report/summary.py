"""What a person reads before, at the end of and after a search: plan, front, next commands.

Works on the JSON of the reading verbs; fetches nothing.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nasplat.report import live, units
from nasplat.report.tables import Format, render

_COSTS_SHOWN = ("params", "macs", "weight_bytes")


def front_rows(
    front: Sequence[Mapping[str, Any]], objectives: Sequence[Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Rows of the front for a table: short digest, objectives first, then costs.

    Args:
        front: Rows of ``nasplat pareto --format json``.
        objectives: ``{"metric", "direction"}``, in the order of the study; the first one sorts.
    """
    rows = []
    for point in sorted_front(front, objectives):
        row: dict[str, Any] = {"digest": units.short(point["digest"])}
        known = {**point["costs"], **point["metrics"]}
        for objective in objectives:
            row[objective["metric"]] = known.get(objective["metric"])
        for name in _COSTS_SHOWN:
            if name in point["costs"]:
                row.setdefault(name, point["costs"][name])
        rows.append(row)
    return rows


def sorted_front(
    front: Sequence[Mapping[str, Any]], objectives: Sequence[Mapping[str, str]]
) -> list[Mapping[str, Any]]:
    """The front, best in its first objective first; what lacks the metric comes last."""
    if not objectives:
        return list(front)
    metric, sign = objectives[0]["metric"], -1 if objectives[0]["direction"] == "max" else 1

    def key(point: Mapping[str, Any]) -> tuple[bool, float]:
        value = {**point["costs"], **point["metrics"]}.get(metric)
        return (value is None, 0.0 if value is None else sign * float(value))

    return sorted(front, key=key)


def front_table(front: Sequence[Mapping[str, Any]], objectives: Sequence[Mapping[str, str]]) -> str:
    """The front as a table."""
    return render(front_rows(front, objectives), Format.TABLE)


def status_text(status: Mapping[str, Any]) -> str:
    """A study's status as `nasplat status` prints it."""
    objectives = "  ".join(f"{item['metric']}:{item['direction']}" for item in status["objectives"])
    lines = [
        f"study     {status['study']}  ({status['state']})",
        f"space     {status['space']}",
        f"task      {status['task']}",
        f"optimise  {objectives}",
    ]
    if status.get("constraints"):
        lines.append(f"subject to {'  '.join(map(str, status['constraints']))}")
    lines += [
        f"budget    {live.budget_text(status)}  {live.bar(live.share_used(status))}",
        f"trials    {live.trials_text(status)}",
        f"quality   {live.quality_text(status)}",
    ]
    return "\n".join(lines)


def program() -> str:
    """How this command line was called, so that the commands printed can be typed as they are."""
    if shutil.which("nasplat"):
        return "nasplat"
    called = Path(sys.argv[0])
    if called.name != "nasplat":
        return f"{sys.executable} -m nasplat"
    try:
        return str(called.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(called.absolute())


def command(*words: str) -> str:
    """A command line of nasplat, quoted for a shell."""
    return " ".join([program(), *(_quoted(word) for word in words)])


def _quoted(word: str) -> str:
    # SQL holds single quotes, for which double ones read better than shlex's form.
    if "'" in word and not any(sign in word for sign in '"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def labelled(label: str, lines: Iterable[str]) -> str:
    """Lines after a label in a column of its own."""
    return "\n".join(f"{label if index == 0 else '':<9} {line}" for index, line in enumerate(lines))

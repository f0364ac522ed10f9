"""What a person reads before, at the end of and after a search: plan, front, next commands.

Works on the JSON of the reading verbs; fetches nothing.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
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
        front: Rows of ``nasplat pareto --format json``, in their order.
        objectives: ``{"metric", "direction"}``, in the order of the study.
    """
    rows = []
    for point in front:
        row: dict[str, Any] = {"digest": units.short(point["digest"])}
        known = {**point["costs"], **point["metrics"]}
        for objective in objectives:
            row[objective["metric"]] = known.get(objective["metric"])
        for name in _COSTS_SHOWN:
            if name in point["costs"]:
                row.setdefault(name, point["costs"][name])
        rows.append(row)
    return rows


def front_table(front: Sequence[Mapping[str, Any]], objectives: Sequence[Mapping[str, str]]) -> str:
    """The front as a table."""
    return render(front_rows(front, objectives), Format.TABLE)


def status_text(status: Mapping[str, Any]) -> str:
    """A study's status as `nasplat status` prints it."""
    objectives = "  ".join(f"{item['metric']}:{item['direction']}" for item in status["objectives"])
    lines = {
        "study": f"{status['study']}  ({status['state']})",
        "space": status["space"],
        "task": status["task"],
        "optimise": objectives,
        "subject to": "  ".join(status.get("constraints") or []),
        "budget": f"{live.budget_text(status)}  {live.bar(live.share_used(status))}",
        "trials": live.trials_text(status),
        "quality": live.quality_text(status),
    }
    return "\n".join(f"{label:<10}  {text}" for label, text in lines.items() if text)


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


def result_text(
    status: Mapping[str, Any],
    front: Sequence[Mapping[str, Any]],
    database: str,
    at: Sequence[str] = (),
) -> str:
    """What a search ends with: budget, trials, front, where everything is, what to type next.

    Args:
        status: As of ``nasplat status --format json``.
        front: As of ``nasplat pareto --format json``.
        database: URL without password.
        at: Words that commands need to find the database.
    """
    name = status["study"]
    parts = [
        f"budget {live.budget_text(status)}  {live.bar(live.share_used(status))}   "
        f"{live.trials_text(status)}   {live.quality_text(status)}"
    ]
    if front:
        parts.append("\n".join(f" {line}" for line in _front_lines(status, front)))
    query = f"select digest, {', '.join(_columns(status))} from front where study = '{name}'"
    commands = [] if status["state"] == "complete" else [command("resume", name, *at)]
    if front:
        commands += [
            command("export", name, "--best", status["objectives"][0]["metric"], *at),
            command("pareto", name, "--plot", "front.html", *at),
            command("query", query, *at),
        ]
    else:
        commands.append(command("trials", name, *at))
    lines = [f"{'database':<9} {database}"]
    lines += [f"{'next' if not index else '':<9} {line}" for index, line in enumerate(commands)]
    return "\n".join([*parts, "\n".join(lines)])


def _front_lines(status: Mapping[str, Any], front: Sequence[Mapping[str, Any]]) -> list[str]:
    return front_table(front, status["objectives"]).splitlines()


def _columns(status: Mapping[str, Any]) -> list[str]:
    return [objective["metric"] for objective in status["objectives"]]

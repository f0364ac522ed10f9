"""The verbs about tasks: ``nasplat task list | show``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption
from nasplat.report.tables import Format, render, render_one

if TYPE_CHECKING:
    from nasplat.graph.types import TensorType
    from nasplat.tasks.base import Task

app = typer.Typer(
    help="Tasks: what there is to search for, and look into one.", no_args_is_help=True
)

TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help="As for a search: a name, a folder, a file, or openml:NAME."
    ),
]


@app.command("list")
def list_(form: FormatOption = Format.TABLE) -> None:
    """List the tasks that are known by name, and what can be made of files and folders."""
    from nasplat.tasks.load import KINDS, NAMES, OWN_TYPES, options_of

    rows: list[dict[str, Any]] = []
    for name, function in NAMES.items():
        task = function()
        metric = next(iter(task.metrics))
        rows.append(
            {
                "task": name,
                "types": f"{_types(task.inputs)} -> {_types(task.outputs)}",
                "metric": f"{metric}:{task.metrics[metric]}",
                "about": _about(function),
                "options": options_of(function),
            }
        )
    for kind, types in OWN_TYPES.items():
        name = "openml:NAME" if kind == "openml" else f"PATH?kind={kind}"
        rows.append(
            {
                "task": name,
                "types": types,
                "metric": None,
                "about": _about(KINDS[kind]),
                "options": options_of(KINDS[kind]),
            }
        )
    columns = ("task", "types", "metric", "about")
    shown = [{key: row[key] for key in columns} for row in rows]
    output.line(render(rows, form, shown=shown))
    output.note("kind= may be left out where a file or folder says itself what it is")
    output.note("next  nasplat task show TASK")


@app.command()
def show(task: TaskArgument, form: FormatOption = Format.TABLE) -> None:
    """Load a task and show its types, metrics, splits, classes and options."""
    from nasplat.tasks.load import KINDS, load_task, options_of

    loaded = load_task(task)
    kind = str(loaded.spec.get("kind"))
    record = {
        "task": task,
        "about": loaded.describe(),
        "inputs": {name: str(met) for name, met in loaded.inputs.items()},
        "outputs": {name: str(met) for name, met in loaded.outputs.items()},
        "metrics": dict(loaded.metrics),
        "sizes": dict(loaded.sizes),
        "classes": list(loaded.classes),
        "fingerprint": loaded.fingerprint,
        "options": {
            name: loaded.spec.get(name, default)
            for name, default in (options_of(KINDS[kind]) if kind in KINDS else {}).items()
        },
    }
    output.line(render_one(record, form, shown=_text(loaded, record)))


def _text(task: Task, record: Mapping[str, Any]) -> str:
    splits = ", ".join(f"{count:,} {name}" for name, count in task.sizes.items())
    lines = [
        ("about", record["about"]),
        ("types", f"{_types(task.inputs)} -> {_types(task.outputs)}"),
        ("outputs", ", ".join(task.outputs)),
        ("metrics", ", ".join(f"{name}:{way}" for name, way in task.metrics.items())),
        ("splits", splits),
    ]
    if task.classes:
        more = f" and {len(task.classes) - 20} more" if len(task.classes) > 20 else ""
        lines.append(("classes", ", ".join(task.classes[:20]) + more))
    lines.append(("hash", task.fingerprint))
    if record["options"]:
        told = " ".join(f"{name}={value}" for name, value in record["options"].items())
        lines.append(("options", told))
    return "\n".join(f"{word:<9}{text}" for word, text in lines)


def _types(types: Mapping[str, TensorType]) -> str:
    return ", ".join(map(str, types.values()))


def _about(function: Callable[..., Task]) -> str:
    """The first line of a function's docstring."""
    text = inspect.getdoc(function) or ""
    return text.partition("\n")[0].replace("``", "").rstrip(".")

"""The verbs about search spaces: ``nasplat space list | show | size | sample | check | presets | preset``."""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption, TaskOption
from nasplat.errors import UsageError
from nasplat.report import units
from nasplat.report.tables import Format, render, render_one

if TYPE_CHECKING:
    from nasplat.space.load import Types
    from nasplat.space.space import Space

app = typer.Typer(
    help="Search spaces: list, look into, count, draw from and check.", no_args_is_help=True
)

_RUN = 5
"""How many of the candidates that `check` builds are also run forward."""

SpaceArgument = Annotated[
    str, typer.Argument(metavar="SPACE", help="Name such as hybrid-vit, or a file of your own.")
]


def load(space: str, task: str | None) -> tuple[Space, str]:
    """The space, and the task that it is for: the space's own unless given."""
    from nasplat.space.load import default_task, load_space
    from nasplat.tasks.load import load_task

    chosen = task or default_task(space)
    return load_space(space, load_task(chosen)), chosen


@app.command("list")
def list_(form: FormatOption = Format.TABLE) -> None:
    """List the search spaces that are known by name, with their size on their own task."""
    from nasplat import content
    from nasplat.space.designs import designs
    from nasplat.space.load import Types, default_task, examples, load_space
    from nasplat.space.space import unchecked
    from nasplat.tasks.load import load_task

    rows: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for name in content.names("search_spaces"):
        file = content.find("space", name, "search_spaces")
        kinds = examples(name)
        if not kinds:
            own = load_task(default_task(name))
            kinds = {own.name: Types(own.inputs, own.outputs)}
        with unchecked():
            size = load_space(name, next(iter(kinds.values()))).size()
        row = {
            "space": name,
            "size": size,
            "takes": [str(types) for types in kinds.values()],
            "task": default_task(name),
            "designs": len(designs(name)),
            "about": _about(file),
            "file": str(file),
        }
        rows.append(row)
        shown.append(
            {
                "space": name,
                "size": units.size(size),
                "task": row["task"],
                "designs": row["designs"],
                "takes": _few(list(dict.fromkeys(_kinds(types) for types in kinds.values()))),
                "about": row["about"],
            }
        )
    output.line(render(rows, form, shown=shown))


def _few(kinds: Sequence[str], most: int = 3) -> str:
    """The first of some kinds, and how many more there are; ``nasplat space show`` tells them all."""
    more = len(kinds) - most
    return "; ".join(kinds[:most]) + (f"; {more} more" if more > 0 else "")


def _kinds(types: Types) -> str:
    """``Image -> Logits``: the kinds of types without their sizes."""
    inputs, outputs = (
        ", ".join(type(kind).__name__ for kind in kinds.values())
        for kinds in (types.inputs, types.outputs)
    )
    return f"{inputs} -> {outputs}"


@app.command()
def presets(form: FormatOption = Format.TABLE) -> None:
    """List the published models that are closed genotypes of the spaces, with their settings."""
    from nasplat.space import designs

    rows: list[dict[str, Any]] = [
        {
            "preset": name,
            "space": make().space,
            "settings": dict(designs.settings_of(name)),
        }
        for name, make in designs.presets().items()
    ]
    shown = [
        {**row, "settings": ", ".join(f"{key}={value}" for key, value in row["settings"].items())}
        for row in rows
    ]
    output.line(render(rows, form, shown=shown))


@app.command()
def preset(
    name: Annotated[str, typer.Argument(metavar="PRESET", help="Such as deit.")],
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SETTING=VALUE]...",
            help="Sizes that differ from the family's defaults, such as dim=384 heads=6.",
            show_default=False,
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show a published model of any size: its parameters, its costs and its genotype."""
    from nasplat.space.designs import load_preset

    candidate = load_preset(name, **dict(map(_setting, given or ())))
    graph = candidate.graph
    record = {
        "preset": name,
        "space": candidate.space,
        "digest": candidate.digest,
        "costs": candidate.cost.as_dict(),
        "nodes": len(graph.nodes),
        "genotype": dict(candidate.genotype),
    }
    costs = "\n".join(f"  {cost}  {number:,}" for cost, number in candidate.cost.as_dict().items())
    text = f"{name} in {candidate.space}, {len(graph.nodes)} nodes, {candidate.digest}\n{costs}"
    output.line(render_one(record, form, shown=text))


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"a setting is NAME=VALUE, such as dim=384; got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _about(file: Path) -> str:
    """The first line of a file's docstring, read without running the file."""
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


@app.command()
def show(space: SpaceArgument, task: TaskOption = None, form: FormatOption = Format.TABLE) -> None:
    """Show the decisions of a space for a task, its size, the range of every cost, and what it takes."""
    from nasplat.space.load import examples

    loaded, task = load(space, task)
    record = {
        **_facts(loaded, task),
        "takes": [str(types) for types in examples(space).values()],
        "decisions": [_decision(point) for point in loaded.decisions()],
    }
    taken = "".join(f"\ntakes   {types}" for types in record["takes"])
    listing = render(record["decisions"], Format.TABLE)
    output.line(render_one(record, form, shown=f"{_facts_text(record)}{taken}\n\n{listing}"))


@app.command()
def size(space: SpaceArgument, task: TaskOption = None, form: FormatOption = Format.TABLE) -> None:
    """Count the candidates of a space, exactly."""
    loaded, task = load(space, task)
    number = loaded.size()
    record = {"space": space, "task": task, "size": number}
    output.line(render_one(record, form, shown=str(number)))


@app.command()
def sample(
    space: SpaceArgument,
    task: TaskOption = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds draw the same.")] = 0,
    form: FormatOption = Format.TABLE,
) -> None:
    """Draw random candidates of a space, with their costs."""
    loaded, task = load(space, task)
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for _ in range(count):
        candidate = loaded.build(loaded.sample(rng))
        row = {
            "digest": candidate.digest,
            "costs": candidate.cost.as_dict(),
            "genotype": dict(candidate.genotype),
        }
        rows.append(row)
        shown.append({"digest": units.short(candidate.digest), "costs": row["costs"]})
    output.line(render(rows, form, shown=shown))
    if form is Format.TABLE and count == 1:
        output.line("")
        output.line(render_one(rows[0]["genotype"], Format.TABLE))


@app.command()
def check(
    space: SpaceArgument,
    task: TaskOption = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="How many random candidates to build.")
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds draw the same.")] = 0,
    form: FormatOption = Format.TABLE,
) -> None:
    """Check a space file: it loads, type-checks, and random candidates of it build and run."""
    loaded, task = load(space, task)
    rng = random.Random(seed)
    candidates = [loaded.build(loaded.sample(rng)) for _ in range(count)]
    for candidate in candidates[:_RUN]:
        candidate.module()(*(kind.example(2) for kind in candidate.graph.inputs.values()))
    distinct = len({candidate.digest for candidate in candidates})
    record = {"ok": True, **_facts(loaded, task), "built": count, "distinct": distinct}
    text = (
        f"ok      {count} random candidates built and type-checked, {distinct} of them distinct, "
        f"{min(count, _RUN)} run\n{_facts_text(record)}"
    )
    output.line(render_one(record, form, shown=text))


def _facts(space: Space, task: str) -> dict[str, Any]:
    return {
        "space": space.name,
        "version": space.version,
        "task": task,
        "size": space.size(),
        "ranges": {name: list(ends) for name, ends in space.cost_ranges().items()},
    }


def _facts_text(record: dict[str, Any]) -> str:
    lines = [
        f"space   {record['space']}  (version {record['version']}) for task {record['task']}",
        f"size    {units.size(record['size'])} candidates",
    ]
    for name, (low, high) in record["ranges"].items():
        lines.append(f"range   {name}  {units.value(name, low)} .. {units.value(name, high)}")
    return "\n".join(lines)


def _decision(point: Any) -> dict[str, Any]:
    return {"path": point.path, "values": str(point.decision)}

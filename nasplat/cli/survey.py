"""The verbs about published designs: ``nasplat survey list | find | show | axes``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption
from nasplat.errors import NotFoundError, UsageError, unknown
from nasplat.report import units
from nasplat.report.tables import Format, render, render_one

if TYPE_CHECKING:
    from nasplat.space.designs import Design

app = typer.Typer(
    help="Published designs: which there are, what they choose, and where they lie in the spaces.",
    no_args_is_help=True,
)

SpaceOption = Annotated[
    str | None,
    typer.Option("--space", metavar="SPACE", help="Only of this space.", show_default=False),
]


@app.command("list")
def list_(space: SpaceOption = None, form: FormatOption = Format.TABLE) -> None:
    """List the designs."""
    from nasplat.space.designs import designs

    _print(designs(space), form)


@app.command()
def find(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORD]...",
            help="Words that name, title, structure or choices must hold.",
            show_default=False,
        ),
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(metavar="AXIS", help="Only designs that choose on this axis."),
    ] = None,
    option: Annotated[
        str | None,
        typer.Option(metavar="OPTION", help="Only designs that choose this, on any axis."),
    ] = None,
    space: SpaceOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Find designs by words, axis, option and space; all that is given must hold."""
    from nasplat.space.designs import designs

    everything = designs(space)
    axes = {name for design in everything for name in design.axes}
    if axis is not None and axis not in axes:
        hint = "`nasplat survey axes` lists every axis with its options."
        raise unknown("axis", axis, sorted(axes), UsageError, hint=hint)
    words = [word.lower() for word in text or ()]
    met = [
        design
        for design in everything
        if all(word in design.text for word in words)
        and (axis is None or axis in design.axes)
        and (option is None or _chooses(design, axis, option))
    ]
    if not met:
        raise NotFoundError(
            f"none of {len(everything)} designs fits",
            hint="`nasplat survey axes` lists every axis with its options.",
        )
    _print(met, form)


@app.command()
def show(
    design: Annotated[str, typer.Argument(metavar="DESIGN", help="Its name, such as davit.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """Show what a design chooses, and how much of its space it leaves."""
    from nasplat.space.designs import find_design, narrowed
    from nasplat.space.load import default_task, examples, load_space
    from nasplat.space.space import unchecked

    met = find_design(design)
    kinds = examples(met.space)
    example = met.input or next(iter(kinds))
    with unchecked():
        whole = load_space(met.space, kinds[example])
    part = narrowed(whole, met)
    record = {
        **_record(met),
        "where": {pattern: list(values) for pattern, values in met.where.items()},
        "unheld": dict(met.unheld),
        "example": str(kinds[example]),
        "size": part.size(),
        "size_of_space": whole.size(),
    }
    lines = [f"{met.slug}  {met.title}", ""]
    if met.graph:
        lines += [met.graph, ""]
    width = max(map(len, met.axes), default=0)
    for axis, choices in met.axes.items():
        reason = f"   not held: {met.unheld[axis]}" if axis in met.unheld else ""
        lines.append(f"  {axis:<{width}}  {choices}{reason}")
    lines += [
        "",
        f"space {met.space} for {kinds[example]}: {units.size(part.size())} of "
        f"{units.size(whole.size())} candidates are such designs",
    ]
    if not met.input:
        start = f"nasplat search --space {met.space} --task {default_task(met.space)}"
        lines += [
            f"start from it:   {start} --like {met.slug} --budget 10min",
            f"stay inside it:  {start} --within {met.slug} --budget 10min",
        ]
    output.line(render_one(record, form, shown="\n".join(lines)))


@app.command()
def axes(space: SpaceOption = None, form: FormatOption = Format.TABLE) -> None:
    """List the axes and options that designs choose, with the number of designs."""
    from nasplat.space.designs import designs

    counts: dict[str, Counter[str]] = {}
    met: Counter[str] = Counter()
    for design in designs(space):
        for axis, choices in design.axes.items():
            met[axis] += 1
            counts.setdefault(axis, Counter()).update(map(str, choices.options))
    rows: list[dict[str, Any]] = [
        {"axis": axis, "designs": met[axis], "options": dict(counts[axis].most_common())}
        for axis, _ in met.most_common()
    ]
    shown = [
        {
            **row,
            "options": ", ".join(f"{name} {number}" for name, number in row["options"].items()),
        }
        for row in rows
    ]
    output.line(render(rows, form, shown=shown))


def _chooses(design: Design, axis: str | None, option: str) -> bool:
    chosen = [choices for name, choices in design.axes.items() if axis in (None, name)]
    return any(option in map(str, choices.options) for choices in chosen)


def _record(design: Design) -> dict[str, Any]:
    return {
        "design": design.slug,
        "space": design.space,
        "title": design.title,
        "axes": {axis: list(choices.options) for axis, choices in design.axes.items()},
        "graph": design.graph,
        "confidence": design.confidence,
    }


def _print(designs: list[Design], form: Format) -> None:
    rows = [_record(design) for design in designs]
    shown = [
        {
            "design": design.slug,
            "space": design.space,
            "axes": len(design.axes),
            "title": design.title,
        }
        for design in designs
    ]
    output.line(render(rows, form, shown=shown))

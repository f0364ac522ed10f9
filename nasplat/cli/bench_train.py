"""The verbs of benchmarks that train: ``nasplat bench race | make``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption, TaskOption, numbers, words
from nasplat.cli.study_file import option_values
from nasplat.report.tables import Format, render

if TYPE_CHECKING:
    from nasplat.bench.race import Lap


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (race, make):
        app.command()(verb)


def race(
    space: Annotated[
        str, typer.Option(metavar="SPACE", help="Name such as hybrid-vit, or a file of your own.")
    ],
    budget: Annotated[
        str,
        typer.Option(
            metavar="BUDGET",
            help="Of each search: 10min, 10cpu-min of device time, 40trials.",
        ),
    ],
    task: TaskOption = None,
    strategy: Annotated[
        list[str],
        typer.Option(metavar="NAME,...", help="Strategies; may be repeated."),
    ] = ["guided,optuna-nsga2,optuna-tpe"],  # noqa: B006  # typer copies it
    seeds: Annotated[int, typer.Option(metavar="K", help="Searches of each strategy.")] = 5,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC:max|min",
            help="What to optimise; may be repeated.  [default: the task's metric, macs:min]",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(metavar="N", help="Epochs of a complete trial.")] = 9,
    min_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Epochs of the first rung.  [default: trials are never ended early]",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A field of the training recipe; may be repeated.",
            show_default=False,
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(metavar="N", help="Searches side by side; they disturb each other's times."),
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where searches are kept and taken up again.  [default: bench/SPACE-TASK]",
            show_default=False,
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Race strategies by real training: equal budgets, one frame for the hypervolume."""
    from nasplat.bench.race import Course, run_race
    from nasplat.bench.report import cell
    from nasplat.bench.standings import rows

    course = Course(
        space=space,
        task=task or "",
        budget=budget,
        objectives=tuple(objective or ()),
        epochs=epochs,
        min_epochs=min_epochs,
        recipe=tuple(sorted(option_values(recipe or []).items())),
    ).settled()
    folder = out or Path("bench") / f"{_stem(course.space)}-{_stem(course.task)}"
    course, laps = run_race(
        course,
        words(strategy, "strategy"),
        seeds,
        processes=processes,
        out=folder,
        done=_progress,
    )
    found = rows(course, laps)
    shown = [
        {
            name.replace("_", " "): cell(name, value)
            for name, value in row.items()
            if name != "hypervolumes"
        }
        for row in found
    ]
    output.line(render(found, form, shown=shown))
    output.note(f"{course.name}; kept in {folder}: nasplat bench report {folder}")


def make(
    out: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="The table; an interrupted one goes on.")
    ],
    space: Annotated[
        str,
        typer.Option(metavar="SPACE", help="A small space: every network of it is trained."),
    ],
    task: Annotated[
        str, typer.Option(metavar="TASK", help="What the networks are trained on.")
    ] = "digits",
    epochs: Annotated[
        str, typer.Option(metavar="N,...", help="Epochs after which results are kept.")
    ] = "2,6",
    count: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="So many random networks.  [default: all]", show_default=False
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(metavar="N", help="Trainings of each, which are averaged.")
    ] = 1,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC:max|min",
            help="What the table is searched for; may be repeated.  [default: the task's metric]",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="One line on the table.")] = "",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of everything random.")] = 0,
) -> None:
    """Train every network of a small space and keep the results as a table."""
    from nasplat.bench.make import Plan, make_table

    plan = Plan(
        space=space,
        task=task,
        epochs=tuple(numbers(epochs, "epochs")),
        count=count,
        repeats=repeats,
        seed=seed,
        objectives=tuple(objective or ()),
        title=title,
    )
    output.line(str(make_table(plan, out, told=_made)))


def _made(done: int, total: int) -> None:
    if done % 10 == 0 or done == total:
        output.note(f"[{done}/{total}] networks trained")


def _progress(lap: Lap, done: int, total: int) -> None:
    output.note(f"[{done}/{total}] {lap.strategy}, seed {lap.seed}: {len(lap.points)} models")


def _stem(name: str) -> str:
    """The last part of a name or path, without its ending and options."""
    return Path(name.partition("?")[0].rpartition(":")[2]).stem

"""The verbs that measure strategies on tables: ``nasplat bench list | run | speed | report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat.cli import bench_predictors, bench_train, output
from nasplat.cli.options import (
    DataOption,
    EarlierTableOption,
    FormatOption,
    TableArgument,
    TableSpaceOption,
    numbers,
    words,
)
from nasplat.cli.study_file import option_values
from nasplat.errors import UsageError
from nasplat.report.tables import Format, render

if TYPE_CHECKING:
    from nasplat.bench.table import Table
    from nasplat.bench.trace import Trace

app = typer.Typer(
    help="Measures strategies and predictors on tables of known results, and by real training.",
    no_args_is_help=True,
)

STRATEGIES = "guided,optuna-random,optuna-tpe,optuna-nsga2,regularised-evolution,local-search"
EVALUATIONS = 200
FOLDER = Path("bench")

StrategyOption = Annotated[
    list[str],
    typer.Option(
        "--strategy",
        metavar="NAME,...",
        help="Strategies of `nasplat search` and peers, which are the methods of others used as they "
        "are: optuna-random, optuna-tpe, optuna-tpe-multivariate, optuna-gp, optuna-nsga2, "
        "regularised-evolution, local-search, bananas; may be repeated.",
    ),
]
ObjectiveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--objective",
        metavar="METRIC",
        help="Metric of the table that is searched for; may be repeated.  [default: the table's]",
        show_default=False,
    ),
]
BatchOption = Annotated[
    int, typer.Option("--batch", metavar="N", help="Candidates asked for at once.")
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="A setting of the strategies; may be repeated.",
        show_default=False,
    ),
]


@app.command("list")
def list_(data: DataOption = None, form: FormatOption = Format.TABLE) -> None:
    """List the tables, and whether their data are there."""
    from nasplat.bench.load import known_tables

    rows = [
        {
            "table": known.name,
            "available": known.available,
            "title": known.title,
            "reference": known.reference,
        }
        for known in known_tables(data)
    ]
    shown = [{name: row[name] for name in ("table", "available", "title")} for row in rows]
    output.line(render(rows, form, shown=shown))
    if missing := sum(not row["available"] for row in rows):
        output.note(f"{missing} need a folder of data: --data FOLDER or NASPLAT_BENCH_DATA")


@app.command()
def run(
    table: TableArgument,
    strategy: StrategyOption = [STRATEGIES],  # noqa: B006  # typer copies it
    evaluations: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Evaluations of each search, or with --fidelities its cost in trainings at the last "
            f"one.  [default: {EVALUATIONS}, or all of a smaller table]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="K", help="Searches of each strategy.")] = 20,
    objective: ObjectiveOption = None,
    fidelities: Annotated[
        str | None,
        typer.Option(
            metavar="N,...",
            help="Let trials report at these fidelities, such as 12,200, and count costs.",
            show_default=False,
        ),
    ] = None,
    batch: BatchOption = 5,
    option: SettingOption = None,
    transfer: EarlierTableOption = None,
    processes: Annotated[
        int, typer.Option(metavar="N", help="Searches that run side by side.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where runs are kept and taken up again.  [default: bench/TABLE]",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    space: TableSpaceOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Run strategies on a table, and tell how soon they find the best of it."""
    from nasplat.bench import summary
    from nasplat.bench.earlier import read_earlier
    from nasplat.bench.load import load_table
    from nasplat.bench.measures import Problem
    from nasplat.bench.runs import Plan, run_all
    from nasplat.bench.searchers import check_name

    names = words(strategy, "strategy")
    for name in names:  # before a table is read, which may take a while
        check_name(name)
    rungs = numbers(fidelities, "fidelities") if fidelities else None
    known = load_table(table, data, space=space)
    problem = Problem.of(known, metrics(known, objective), rungs)
    plan = Plan(
        names,
        seeds,
        min(EVALUATIONS, problem.size) if evaluations is None else evaluations,
        batch,
        option_values(option or []),
        read_earlier(transfer or [], data),
    )
    folder = FOLDER / known.name if out is None else out
    runs = run_all(known, problem, plan, processes=processes, out=folder, done=_progress)
    rows = [{"table": known.name, **row} for row in summary.rows(runs)]
    output.line(render(rows, form, shown=[shown_row(row) for row in rows]))
    output.note(f"{problem.name}; runs are kept in {folder}: nasplat bench report {folder}")


@app.command()
def speed(
    table: TableArgument,
    strategy: StrategyOption = ["guided"],  # noqa: B006  # typer copies it
    observations: Annotated[
        str, typer.Option(metavar="N,...", help="Results that are known before the question.")
    ] = "100,1000",
    objective: ObjectiveOption = None,
    batch: BatchOption = 5,
    option: SettingOption = None,
    data: DataOption = None,
    space: TableSpaceOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Time the question for one batch, by how many results are known."""
    from nasplat.bench.load import load_table
    from nasplat.bench.speed import round_seconds

    counts = numbers(observations, "observations")
    known = load_table(table, data, space=space)
    rows = []
    for name in words(strategy, "strategy"):
        for count in counts:
            first, second = round_seconds(
                known,
                name,
                count,
                objectives=metrics(known, objective),
                batch=batch,
                options=option_values(option or []),
            )
            row = {"table": known.name, "strategy": name, "observations": count}
            rows.append({**row, "seconds": second, "seconds_after_restart": first})
    shown = [
        {name: f"{value:.3f}" if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]
    output.line(render(rows, form, shown=shown))


@app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Folder of runs, or of folders of runs."),
    ] = FOLDER,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where to write.  [default: the same folder]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a report of what is in a folder: tables and curves, as HTML and as Markdown."""
    from nasplat.bench.report import write

    for file in write(folder, out)[:2]:
        output.line(str(file))


def metrics(table: Table, given: Sequence[str] | None) -> list[str] | None:
    """The metrics that options name; each may end with the direction that it has.

    Raises:
        UsageError: A direction is not that of the table.
    """
    if not given:
        return None
    found = []
    for word in words(given, "objective"):
        name, _, direction = word.partition(":")
        if direction and table.metrics.get(name, direction) != direction:
            raise UsageError(
                f"{name} of {table.name} is to be {table.metrics[name]}imised, got {word!r}"
            )
        found.append(name)
    return found


def shown_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a table shows it, under short headings."""
    from nasplat.bench.report import cell

    short = {"to_optimum": "optimum after", "to_optimum_p95": "95 %", "seconds_per_proposal": "s"}
    return {short.get(name, name.replace("_", " ")): cell(name, row[name]) for name in row}


def _progress(trace: Trace, done: int, total: int) -> None:
    seconds = sum(trace.seconds)
    output.note(f"[{done}/{total}] {trace.label}, seed {trace.seed}: {seconds:.1f} s of proposing")


bench_predictors.register(app)
bench_train.register(app)

"""The verbs that measure predictors: ``nasplat bench predictors | curves``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasplat.cli import output
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
from nasplat.report.tables import Format, render

MetricOption = Annotated[
    str | None,
    typer.Option(
        metavar="METRIC",
        help="What is predicted.  [default: the table's first objective]",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (predictors, curves):
        app.command()(verb)


def predictors(
    table: TableArgument,
    train: Annotated[
        str, typer.Option(metavar="N,...", help="Rows that predictors are fitted on.")
    ] = "16,32,64,128,512",
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="Recipes of predictors/, or files of your own; may be repeated.  [default: all]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="K", help="Draws of rows.")] = 5,
    metric: MetricOption = None,
    fidelity: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="One of the table's.  [default: the highest]", show_default=False
        ),
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DECISION=VALUE",
            help="Only rows where a decision has this value; may be repeated.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[int, typer.Option(metavar="N", help="Rows that are predicted at most.")] = 1000,
    transfer: EarlierTableOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where figures are kept.  [default: bench/TABLE]",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    space: TableSpaceOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Measure how well predictors order rows of a table that they were not fitted on."""
    from nasplat import content
    from nasplat.bench import measured
    from nasplat.bench.earlier import read_earlier
    from nasplat.bench.load import load_table
    from nasplat.bench.predictors import measure_predictors
    from nasplat.bench.report import cell

    known = load_table(table, data, space=space)
    recipes = words(recipe, "recipe") if recipe else content.names("predictors")
    part = option_values(within or [])
    before = read_earlier(transfer or [], data)
    folder = Path("bench") / known.name if out is None else out
    told = part if fidelity is None else {**part, "fidelity": fidelity}
    counts = numbers(train, "train")
    found = []
    for place, name in enumerate(recipes):
        met = measure_predictors(
            known,
            [name],
            counts,
            seeds,
            metric,
            test,
            fidelity=fidelity,
            within=part,
            transfer=before,
        )
        measured.keep(folder, met, told)
        found += met
        output.note(f"[{place + 1}/{len(recipes)}] {name}: tau {met[-1].kendall_tau:.3f}")
    shown = [
        {name.replace("_", " "): cell(name, value) for name, value in row.items()}
        for row in measured.rows(found)
    ]
    output.line(render([one.to_json() for one in found], form, shown=shown))


def curves(
    table: TableArgument,
    share: Annotated[
        float,
        typer.Option(metavar="PART", help="Part of each curve that is seen, above 0 and below 1."),
    ] = 0.2,
    finished: Annotated[
        str,
        typer.Option(metavar="N,...", help="Finished curves that are learned from."),
    ] = "50,100,200",
    seeds: Annotated[int, typer.Option(metavar="K", help="Draws of finished curves.")] = 10,
    metric: MetricOption = None,
    data: DataOption = None,
    space: TableSpaceOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Measure how well the ends of learning curves are told from their beginnings."""
    from nasplat.bench.curves import measure_curves
    from nasplat.bench.load import load_table
    from nasplat.bench.report import cell

    counts = numbers(finished, "finished")
    known = load_table(table, data, space=space)
    rows = [
        measure_curves(known, share=share, finished=count, seeds=seeds, metric=metric).to_json()
        for count in counts
    ]
    short = {"predicted": "tau predicted", "last": "tau of last", "best": "tau of best"}
    shown = [{short.get(name, name): cell(name, row[name]) for name in row} for row in rows]
    output.line(render(rows, form, shown=shown))

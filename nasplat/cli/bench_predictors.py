"""The verb that measures predictors: ``nasplat bench predictors``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption, numbers, words
from nasplat.cli.study_file import option_values
from nasplat.report.tables import Format, render


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(predictors)


def predictors(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="A name of `nasplat bench list`, or FILE.csv or FILE.parquet."
        ),
    ],
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
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="What is predicted.  [default: the table's first objective]",
            show_default=False,
        ),
    ] = None,
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
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Folder of published tables. Default: NASPLAT_BENCH_DATA.",
            show_default=False,
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            metavar="SPACE",
            help="Space file of a table of your own; else the one beside it.",
            show_default=False,
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Measure how well predictors order rows of a table that they were not fitted on."""
    from nasplat import content
    from nasplat.bench import measured
    from nasplat.bench.load import load_table
    from nasplat.bench.predictors import measure_predictors
    from nasplat.bench.report import cell

    known = load_table(table, data, space=space)
    recipes = words(recipe, "recipe") if recipe else content.names("predictors")
    part = option_values(within or [])
    folder = Path("bench") / known.name if out is None else out
    told = part if fidelity is None else {**part, "fidelity": fidelity}
    counts = numbers(train, "train")
    found = []
    for place, name in enumerate(recipes):
        met = measure_predictors(
            known, [name], counts, seeds, metric, test, fidelity=fidelity, within=part
        )
        measured.keep(folder, met, told)
        found += met
        output.note(f"[{place + 1}/{len(recipes)}] {name}: tau {met[-1].kendall_tau:.3f}")
    shown = [
        {name.replace("_", " "): cell(name, value) for name, value in row.items()}
        for row in measured.rows(found)
    ]
    output.line(render([one.to_json() for one in found], form, shown=shown))

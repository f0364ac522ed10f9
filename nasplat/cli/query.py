"""The verb ``nasplat query``: read-only SQL over the flat views, and named queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption, StorageOption, open_store
from nasplat.errors import UsageError
from nasplat.report.tables import Format, render


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        epilog="Parameters of a query are given by their names: "
        "nasplat query leaderboard --task digits.",
    )(query)


def query(
    context: typer.Context,
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL|NAME",
            help="One SELECT over the views, or the name of a query; left out: list those.",
            show_default=False,
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print every view and column with its meaning.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=0, help="At most so many rows.", show_default=False),
    ] = None,
    storage: StorageOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Ask the results database in SQL; it cannot be changed this way."""
    with open_store(storage) as store:
        if schema:
            columns = store.describe_views()
            rows = [
                {"view": item.view, "column": item.column, "meaning": item.meaning}
                for item in columns
            ]
            output.line(render(rows, form))
            return
        if sql is None:
            known = [
                {
                    "query": item.name,
                    "parameters": [f"--{name}" for name in item.parameters],
                    "answers": item.meaning,
                }
                for item in store.named_queries().values()
            ]
            output.line(render(known, form, columns=("query", "parameters", "answers")))
            return
        frame = store.query(sql, _parameters(context.args), limit)
        columns_found = [str(name) for name in frame.columns]
        found = [
            dict(zip(columns_found, row, strict=True))
            for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False)
        ]
    output.line(render(found, form, columns=columns_found))
    if frame.attrs.get("truncated"):
        output.note(f"only the first {limit} rows are shown")


def _parameters(words: Sequence[str]) -> dict[str, str]:
    """``--task digits --metric=accuracy`` as a mapping.

    Raises:
        UsageError: A word is no option, or an option has no value.
    """
    found: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, given, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name or not (given or left):
            raise UsageError(
                f"cannot read {word!r}; expected --NAME VALUE for each parameter of the query",
                hint="Put SQL into quotes: nasplat query 'select * from front'",
            )
        found[name.replace("-", "_")] = value if given else left.pop(0)
    return found

"""The verbs about the results database itself: ``nasplat db path | check | upgrade``."""

from __future__ import annotations

import typer

from nasplat import settings
from nasplat.cli import output
from nasplat.cli.options import FormatOption, StorageOption, open_store
from nasplat.report.tables import Format, render_one

app = typer.Typer(
    help="The results database: where it is, check it, upgrade it.", no_args_is_help=True
)


@app.command()
def path(storage: StorageOption = None, form: FormatOption = Format.TABLE) -> None:
    """Print where the results database is, with any password hidden."""
    from nasplat.store.url import parse

    location = parse(storage or settings.storage())
    record = {"storage": location.shown, "file": str(location.file) if location.file else None}
    output.line(render_one(record, form, shown=location.shown))


@app.command()
def check(storage: StorageOption = None, form: FormatOption = Format.TABLE) -> None:
    """Check file, schema, views and ledger; exit code 1 when something is wrong."""
    with open_store(storage, any_version=True) as store:
        problems = store.check()
        record = {
            "storage": store.url,
            "schema": store.version(),
            "ok": not problems,
            "problems": problems,
        }
    text = "\n".join(problems) or f"ok: {record['storage']}, schema {record['schema']}"
    output.line(render_one(record, form, shown=text))
    if problems:
        raise typer.Exit(1)


@app.command()
def upgrade(storage: StorageOption = None, form: FormatOption = Format.TABLE) -> None:
    """Bring the database to the newest schema; copy it before."""
    with open_store(storage, any_version=True) as store:
        before, after = store.upgrade()
        record = {"storage": store.url, "before": before, "after": after}
    text = f"schema {after}, nothing to do" if before == after else f"schema {before} -> {after}"
    output.line(render_one(record, form, shown=text))

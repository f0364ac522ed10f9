"""The verbs that take winners home: ``nasplat export | verify``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption, OutOption, StorageOption, StudyArgument
from nasplat.errors import ExportError
from nasplat.report import units
from nasplat.report.tables import Format, render, render_one

if TYPE_CHECKING:
    from nasplat.search.winners import Winner

_EXPORTS = Path("exports")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (export, verify):
        app.command()(verb)


def export(
    study: StudyArgument = None,
    best: Annotated[
        str | None,
        typer.Option(
            metavar="'METRIC [where BOUNDS]'",
            help="The best by a metric, such as 'accuracy where latency_ms<=10'.",
            show_default=False,
        ),
    ] = None,
    pareto: Annotated[bool, typer.Option("--pareto", help="Every point of the front.")] = False,
    arch: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="The one whose digest begins so.", show_default=False),
    ] = None,
    out: OutOption = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="How often each is trained; the best is exported.")
    ] = 1,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of the training; by default those of the study.", show_default=False
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export in the same folder.")
    ] = False,
    storage: StorageOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Retrain winners at full length, export them, and verify every artefact.

    Written to exports/STUDY/DIGEST, or with --out into that folder (with --pareto, one folder in it
    for each point).
    """
    from nasplat.search.study import Study
    from nasplat.search.winners import choose, export_winner

    loaded = Study.load(study, storage)
    chosen = choose(loaded, best=best, pareto=pareto, arch=arch)
    base = out or _EXPORTS / re.sub(r"[^\w.-]+", "-", loaded.name)
    folders = {trial.digest: base / units.short(trial.digest).replace(":", "-") for trial in chosen}
    if out is not None and not pareto:
        folders = {chosen[0].digest: out}
    if not overwrite and (existing := [str(path) for path in folders.values() if path.exists()]):
        raise ExportError(
            f"{', '.join(existing)} exists already",
            hint="Choose another folder with --out, or replace it with --overwrite.",
        )
    winners = [
        export_winner(
            loaded,
            trial,
            folders[trial.digest],
            seeds=seeds,
            epochs=epochs,
            overwrite=overwrite,
            say=output.note,
        )
        for trial in chosen
    ]
    rows = [_row(winner) for winner in winners]
    if form is Format.TABLE:
        output.line("\n".join(_line(row) for row in rows))
    else:
        output.line(render(rows, form))
    if not all(winner.verified for winner in winners):
        raise ExportError("an artefact differs from what was trained; see verify.json")


def _row(winner: Winner) -> dict[str, Any]:
    return {
        "digest": winner.digest,
        "folder": str(winner.folder),
        "files": sorted(path.name for path in winner.folder.iterdir()),
        "validation": dict(winner.validation),
        "test": dict(winner.test),
        "verified": winner.verified,
        "difference": winner.difference,
    }


def _line(row: dict[str, Any]) -> str:
    models = [name for name in row["files"] if name.startswith(("model.", "weights."))]
    name, value = next(iter(row["test"].items()))  # the task's main metric comes first
    verdict = "verified" if row["verified"] else "NOT VERIFIED"
    return (
        f"exported {units.short(row['digest'])} -> {row['folder']}  ({', '.join(models)})  "
        f"{verdict}: largest diff {row['difference']:.1e}, test {name} {units.value(name, value)}"
    )


def verify(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An exported model.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """Check an export again, here: every artefact against the weights; exit code 1 when one differs."""
    from nasplat.export.verify import verify_export

    record = verify_export(folder)
    rows = [
        {"check": name, "ok": check["ok"], "message": check["message"]}
        for name, check in record["checks"].items()
    ]
    verdict = "verified" if record["ok"] else "NOT verified"
    output.line(
        render_one(record, form, shown=f"{render(rows, Format.TABLE)}\n{folder}: {verdict}")
    )
    if not record["ok"]:
        raise typer.Exit(1)

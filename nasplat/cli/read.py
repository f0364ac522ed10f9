"""The reading verbs: ``nasplat studies | status | trials | pareto | show``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat.cli import output
from nasplat.cli.options import (
    FormatOption,
    StorageOption,
    StudyArgument,
    chosen_study,
    open_store,
)
from nasplat.errors import NotFoundError, UsageError, nearest_first
from nasplat.report import rows as report_rows
from nasplat.report import summary, units
from nasplat.report.tables import Format, render, render_one

if TYPE_CHECKING:
    from nasplat.store.records import StudyRecord, TrialRecord
    from nasplat.store.store import Store

_ANCESTORS = 50
"""Most ancestors that `show` lists."""

LimitOption = Annotated[
    int | None, typer.Option("--limit", "-n", min=0, help="At most so many.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (studies, status, trials, pareto, show):
        app.command()(verb)


def studies(storage: StorageOption = None, form: FormatOption = Format.TABLE) -> None:
    """List the studies of the database, the newest last."""
    with open_store(storage) as store:
        rows = [
            report_rows.study_row(record, store.counts(record.name)) for record in store.studies()
        ]
    shown = [{**row, "updated": None, "created": row["created"]} for row in rows]
    for row in shown:
        del row["updated"]
    output.line(render(rows, form, columns=report_rows.STUDY_FIELDS, shown=shown))


def status(
    study: StudyArgument = None, storage: StorageOption = None, form: FormatOption = Format.TABLE
) -> None:
    """Show where a study stands: budget, trials by state, front, hypervolume, predictor."""
    from nasplat.search.study import Study

    record = Study.load(study, storage).status()
    output.line(render_one(record, form, shown=summary.status_text(record)))


def trials(
    study: StudyArgument = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            "-s",
            metavar="FIELD",
            help="A field, metric or cost; objectives of the study come best first, all others "
            "smallest first.",
        ),
    ] = "number",
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="The other way round.")] = False,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only waiting, running, complete, stopped or failed ones; may be repeated.",
            show_default=False,
        ),
    ] = None,
    limit: LimitOption = None,
    storage: StorageOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List the trials of a study."""
    from nasplat.store.records import TrialState

    if wrong := sorted(set(state or ()) - {item.value for item in TrialState}):
        raise UsageError(
            f"unknown state {', '.join(wrong)}; known: {', '.join(TrialState)}",
        )
    with open_store(storage) as store:
        record = store.study(chosen_study(store, study))
        states = [TrialState(item) for item in state] if state else None
        rows = [report_rows.trial_row(trial) for trial in store.trials(record.name, states=states)]
    objectives = [objective["metric"] for objective in record.objectives]
    known = list(dict.fromkeys([*report_rows.fields_of(rows), *objectives]))
    if rows and sort not in known:
        raise UsageError(
            f"trials have no field {sort!r}; they have {', '.join(nearest_first(sort, known))}"
        )
    best_is_largest = {"metric": sort, "direction": "max"} in [
        dict(objective) for objective in record.objectives
    ]
    rows = report_rows.sort_rows(rows, sort, descending=best_is_largest != reverse)[:limit]
    measured = {name for row in rows for name in row["metrics"]}
    metrics = [name for name in dict.fromkeys([*objectives, sort]) if name in measured]
    shown = [report_rows.short_trial(row, metrics) for row in rows]
    output.line(render(rows, form, columns=report_rows.TRIAL_FIELDS, shown=shown))


def pareto(
    study: StudyArgument = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.png|FILE.html",
            help="Draw all trials and the front into a file.",
            show_default=False,
        ),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(help="Metric or cost across; the second objective unless told."),
    ] = None,
    y: Annotated[
        str | None, typer.Option(help="Metric or cost upwards; the first objective unless told.")
    ] = None,
    storage: StorageOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the Pareto front of a study, as rows or as a picture."""
    from nasplat.search.study import Study

    loaded = Study.load(study, storage)
    rows = loaded.pareto()
    if plot is not None:
        _draw(loaded.record, loaded.trials(), plot, x, y)
        output.note(f"plot written to {plot}")
    shown = summary.front_rows(rows, loaded.record.objectives)
    output.line(render(rows, form, columns=report_rows.FRONT_FIELDS, shown=shown))


def _draw(
    record: StudyRecord,
    trials: Sequence[TrialRecord],
    file: Path,
    x: str | None,
    y: str | None,
) -> None:
    from nasplat.report.plot import Point, save

    directions = {item["metric"]: item["direction"] for item in record.objectives}
    names = list(directions)
    up = y or names[0]
    across = x or next((name for name in names if name != up), "params")
    values: list[tuple[TrialRecord, Mapping[str, float]]] = [
        (trial, {**trial.costs, **trial.metrics}) for trial in trials if trial.state.ended
    ]
    points = [
        Point(
            x=float(known[across]),
            y=float(known[up]),
            front=trial.on_front,
            label=f"{trial.digest}  trial {trial.number}, {trial.state}",
            details=tuple(f"{name}  {units.value(name, value)}" for name, value in known.items()),
        )
        for trial, known in values
        if known.get(across) is not None and known.get(up) is not None
    ]
    if values and not points:
        names = sorted({name for _, known in values for name in known})
        raise UsageError(
            f"no trial has both {across!r} and {up!r}; trials have {', '.join(names)}",
            hint="Choose others with --x and --y.",
        )
    save(
        points,
        file,
        title=f"study {record.name}: {record.space.name} on {record.task}",
        x=(across, directions.get(across, "min")),
        y=(up, directions.get(up, "min")),
    )


def show(
    digest: Annotated[
        str, typer.Argument(metavar="DIGEST", help="Digest of an architecture, or its beginning.")
    ],
    storage: StorageOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show an architecture: its graph with types on every edge, costs, trials, lineage, exports."""
    with open_store(storage) as store:
        record = _architecture(store, digest)
        files = _op_files(store, record)
    if form is not Format.TABLE:
        output.line(render_one(record, form))
        return
    from nasplat.graph.serialise import graph_from_json
    from nasplat.ops.table import op_table
    from nasplat.report.tree import architecture

    graph = graph_from_json(record["graph"], op_table(files))
    output.line(architecture(report_rows.short_architecture(record), graph))


def _architecture(store: Store, prefix: str) -> dict[str, Any]:
    found = store.architecture(prefix)
    trials = store.trials(digest=found.digest)
    curves = [report for trial in trials for report in store.reports(trial.study, trial.number)]
    return report_rows.architecture_record(
        found,
        trials,
        _lineage(store, trials),
        curves,
        store.measurements(digest=found.digest),
        store.artifacts(digest=found.digest),
        {device.fingerprint: device.name for device in store.devices()},
    )


def _lineage(store: Store, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The ancestors of trials, parents before grandparents."""
    found: dict[tuple[str, int], TrialRecord] = {}
    generation = list(trials)
    while generation and len(found) < _ANCESTORS:
        wanted = dict.fromkeys(
            (trial.study, int(parent))
            for trial in generation
            for parent in trial.origin.get("parents") or []
        )
        generation = []
        for study, number in wanted:
            if (study, number) not in found:
                generation += store.trials(study, numbers=[number])
        found.update({(trial.study, trial.number): trial for trial in generation})
    return list(found.values())


def _op_files(store: Store, record: Mapping[str, Any]) -> list[Path]:
    """The files that define ops beyond the library's, of the studies that met an architecture."""
    files: dict[str, None] = {}
    for name in dict.fromkeys(trial["study"] for trial in record["trials"]):
        given = (store.study(name).settings or {}).get("op_files") or []
        files.update(dict.fromkeys(given))
    if missing := [file for file in files if not Path(file).is_file()]:
        raise NotFoundError(
            f"the graph has ops that are defined in {', '.join(missing)}, which does not exist",
            hint="Put it back, or read the graph with --format json.",
        )
    return [Path(file) for file in files]

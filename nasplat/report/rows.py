"""Records of the store as the JSON rows that the reading verbs print.

The names of the fields are a promise to scripts; new ones may be added, none is renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nasplat.report import units
from nasplat.report.tables import Row
from nasplat.report.tree import sparkline
from nasplat.store.records import (
    ArchitectureRecord,
    ArtifactRecord,
    MeasurementRecord,
    ReportRecord,
    StudyRecord,
    TrialRecord,
    TrialState,
)

STUDY_FIELDS = ("study", "state", "space", "task", "objectives", "trials", "created", "updated")
TRIAL_FIELDS = (
    "number",
    "digest",
    "state",
    "failure",
    "fidelity",
    "metrics",
    "device_seconds",
    "started",
    "ended",
    "proposed_by",
)
FRONT_FIELDS = ("digest", "metrics", "costs", "measured_on")


def study_row(record: StudyRecord, counts: Mapping[TrialState, int]) -> dict[str, Any]:
    """A study in a list of studies."""
    return {
        "study": record.name,
        "state": record.state,
        "space": record.space.name,
        "task": record.task,
        "objectives": [dict(objective) for objective in record.objectives],
        "trials": sum(counts.values()),
        "created": units.when(record.created),
        "updated": units.when(record.updated),
    }


def trial_row(record: TrialRecord) -> dict[str, Any]:
    """A trial."""
    return {
        "number": record.number,
        "digest": record.digest,
        "state": record.state,
        "failure": record.failure,
        "fidelity": record.fidelity,
        "metrics": dict(record.metrics),
        "device_seconds": round(record.device_seconds, 6),
        "started": units.when(record.started),
        "ended": units.when(record.ended),
        "proposed_by": record.proposed_by,
        "costs": dict(record.costs),
        "message": record.message,
        "on_front": record.on_front,
        "shared_from": list(record.shared_from) if record.shared_from else None,
    }


def short_trial(row: Row, metrics: Iterable[str] | None = None) -> dict[str, Any]:
    """A trial as a table shows it, with these metrics; None: with all."""
    shown = {name: row[name] for name in TRIAL_FIELDS if name not in ("started", "ended")}
    shown["digest"] = units.short(row["digest"])
    if metrics is not None:
        shown["metrics"] = {name: row["metrics"].get(name) for name in metrics}
    return {**shown, "params": row["costs"].get("params")}


def sort_rows(
    rows: Sequence[dict[str, Any]], field: str, *, descending: bool
) -> list[dict[str, Any]]:
    """Rows in the order of a field, a metric or a cost; rows that lack it come last."""

    def value(row: Row) -> Any:
        for holder in (row, row.get("metrics", {}), row.get("costs", {})):
            if holder.get(field) is not None:
                return holder[field]
        return None

    known = [row for row in rows if value(row) is not None]
    order: Callable[[Row], Any] = value
    return sorted(known, key=order, reverse=descending) + [
        row for row in rows if value(row) is None
    ]


def fields_of(rows: Iterable[Row]) -> list[str]:
    """Everything that rows can be sorted by."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(name for name in row if name not in ("metrics", "costs")))
        names.update(dict.fromkeys([*row.get("metrics", {}), *row.get("costs", {})]))
    return list(names)


def architecture_record(
    record: ArchitectureRecord,
    trials: Sequence[TrialRecord],
    lineage: Sequence[TrialRecord],
    curves: Sequence[ReportRecord],
    measurements: Sequence[MeasurementRecord],
    artifacts: Sequence[ArtifactRecord],
    devices: Mapping[str, str],
) -> dict[str, Any]:
    """Everything known of an architecture."""
    return {
        "digest": record.digest,
        "costs": dict(record.costs),
        "graph": record.graph,
        "trials": [{"study": trial.study, **trial_row(trial)} for trial in trials],
        "lineage": [
            {
                "study": trial.study,
                "number": trial.number,
                "digest": trial.digest,
                "proposed_by": trial.proposed_by,
                "parents": list(trial.origin.get("parents") or []),
                "metrics": dict(trial.metrics),
            }
            for trial in lineage
        ],
        "curves": [
            {
                "study": report.study,
                "number": report.number,
                "fidelity": report.fidelity,
                "metrics": dict(report.metrics),
                "device_seconds": report.device_seconds,
                "curve": list(report.curve or []),
            }
            for report in curves
        ],
        "measurements": [
            {
                "metric": item.metric,
                "value": item.value,
                "spread": item.spread,
                "method": item.method,
                "device": devices.get(item.device, item.device),
                "at": units.when(item.at),
            }
            for item in measurements
        ],
        "exports": [
            {
                "kind": item.kind,
                "path": item.path,
                "study": item.study,
                "number": item.number,
                "at": units.when(item.at),
            }
            for item in artifacts
        ],
    }


def short_architecture(record: Row) -> dict[str, Any]:
    """The same with the lists cut to what a table can show."""
    return {
        **record,
        "trials": [
            {"study": row["study"], **short_trial(row), "params": None} for row in record["trials"]
        ],
        "lineage": [{**row, "digest": units.short(row["digest"])} for row in record["lineage"]],
        "curves": [{**row, "curve": _spark(row["curve"])} for row in record["curves"]],
    }


def _spark(curve: Sequence[Row]) -> str:
    """A curve in one word: of its first quantity beside the epoch."""
    name = next((name for point in curve for name in point if name != "epoch"), None)
    if name is None:
        return ""
    return f"{name} {sparkline([float(point.get(name, float('nan'))) for point in curve])}"

"""Between rows and records: what a trial, a report and an architecture are in the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import aliased

from nasplat.errors import Failure
from nasplat.store.records import (
    JSON,
    Lease,
    NewReport,
    NewTrial,
    ReportRecord,
    TrialRecord,
    TrialState,
)
from nasplat.store.schema import MICRO, Architecture, Report, Space, Study, Trial

COSTS = ("params", "macs", "flops", "activation_bytes", "weight_bytes")
_Shared = aliased(Study)


def architecture_values(
    digest: str, graph: JSON, costs: Mapping[str, float], now: float
) -> dict[str, Any]:
    """The row of a distinct graph; the known costs become columns too."""
    known = {name: None if (cost := costs.get(name)) is None else int(cost) for name in COSTS}
    return {"digest": digest, "graph": graph, "costs": dict(costs), "created": now, **known}


def trial_values(
    trial: NewTrial, study: int, number: int, space: int, now: float, lease: Lease | None
) -> dict[str, Any]:
    """The row of a new trial: waiting, or running when it is leased at once."""
    row: dict[str, Any] = {
        "study_id": study,
        "number": number,
        "space_id": space,
        "digest": trial.digest,
        "state": TrialState.WAITING,
        "failure": None,
        "message": "",
        "genotype": trial.genotype,
        "recipe": trial.recipe,
        "recipe_key": trial.recipe_key,
        "seed": trial.seed,
        "proposed_by": trial.proposed_by,
        "origin": dict(trial.origin),
        "metrics": {},
        "fidelity": None,
        "device_micros": 0,
        "attempt_micros": 0,
        "device": None,
        "checkpoint": None,
        "on_front": False,
        "created": now,
        "started": None,
        "ended": None,
        "attempt": 0,
        "worker": None,
        "leased": None,
        "beat": None,
        "lease_seconds": None,
        "lease_share": None,
        "lease_until": None,
    }
    if lease is not None:
        row |= {
            "state": TrialState.RUNNING,
            "started": now,
            "attempt": 1,
            "worker": lease.worker,
            "leased": now,
            "beat": now,
            "lease_seconds": lease.ttl_seconds,
            "lease_share": lease.share,
            "lease_until": now + lease.ttl_seconds,
        }
    return row


def report_values(
    report: NewReport, study: int, number: int, micros: int, now: float
) -> dict[str, Any]:
    """The row of a report."""
    return {
        "study_id": study,
        "number": number,
        "fidelity": report.fidelity,
        "metrics": dict(report.metrics),
        "device_micros": micros,
        "checkpoint": report.checkpoint,
        "curve": report.curve,
        "device": report.device,
        "at": now,
    }


def _numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def report_query() -> Select[Any]:
    """Select what :func:`report_record` needs."""
    return (
        select(*Report.__table__.c, Study.name.label("study"))
        .select_from(Report)
        .join(Study, Study.id == Report.study_id)
    )


def report_record(row: Row[Any]) -> ReportRecord:
    """A stored report; metrics that were not finite come back as NaN."""
    return ReportRecord(
        fidelity=row.fidelity,
        metrics=_numbers(row.metrics),
        device_seconds=row.device_micros / MICRO,
        checkpoint=row.checkpoint,
        curve=row.curve,
        device=row.device,
        study=row.study,
        number=row.number,
        at=row.at,
    )


def trial_query(*, graphs: bool = False) -> Select[Any]:
    """Select what :func:`trial_record` needs, the graphs only where asked for."""
    query = (
        select(
            *Trial.__table__.c,
            Study.name.label("study"),
            Space.version.label("space_version"),
            Architecture.costs.label("costs"),
            _Shared.name.label("shared_study"),
        )
        .select_from(Trial)
        .join(Study, Study.id == Trial.study_id)
        .join(Space, Space.id == Trial.space_id)
        .join(Architecture, Architecture.digest == Trial.digest)
        .outerjoin(_Shared, _Shared.id == Trial.shared_study_id)
    )
    return query.add_columns(Architecture.graph.label("graph")) if graphs else query


def trial_record(row: Row[Any]) -> TrialRecord:
    """A stored trial; metrics that were not finite come back as NaN."""
    return TrialRecord(
        study=row.study,
        number=row.number,
        digest=row.digest,
        state=TrialState(row.state),
        genotype=row.genotype,
        recipe=row.recipe,
        recipe_key=row.recipe_key,
        seed=row.seed,
        proposed_by=row.proposed_by,
        origin=row.origin,
        costs=row.costs,
        metrics=_numbers(row.metrics),
        fidelity=row.fidelity,
        device_seconds=row.device_micros / MICRO,
        failure=None if row.failure is None else Failure(row.failure),
        message=row.message,
        attempt=row.attempt,
        worker=row.worker,
        lease_until=row.lease_until,
        checkpoint=row.checkpoint,
        created=row.created,
        started=row.started,
        ended=row.ended,
        device=row.device,
        shared_from=None if row.shared_study is None else (row.shared_study, row.shared_number),
        on_front=row.on_front,
        space_version=row.space_version,
        graph=getattr(row, "graph", None),
    )

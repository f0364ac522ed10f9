"""INSERT statements that say what happens on a conflict; made once for each database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy.dialects import postgresql, sqlite

from nasplat.store.schema import Base, Report

Insert = sqlite.Insert | postgresql.Insert


def _insert(model: type[Base], dialect: str) -> Insert:
    return postgresql.insert(model) if dialect == "postgresql" else sqlite.insert(model)


@cache
def insert_new(model: type[Base], dialect: str) -> Insert:
    """Insert rows, leaving those alone that are there already."""
    return _insert(model, dialect).on_conflict_do_nothing()


@cache
def insert_or_replace(
    model: type[Base], dialect: str, keys: tuple[str, ...], columns: tuple[str, ...]
) -> Insert:
    """Insert rows, replacing ``columns`` of those with the same ``keys``."""
    insertion = _insert(model, dialect)
    new = insertion.excluded
    return insertion.on_conflict_do_update(
        index_elements=list(keys), set_={column: new[column] for column in columns}
    )


@cache
def insert_report(dialect: str) -> Insert:
    """Insert a report; a second one at a fidelity replaces the first, its device time adds up."""
    insertion = _insert(Report, dialect)
    new = insertion.excluded
    replaced: Sequence[str] = ("metrics", "checkpoint", "curve", "device", "at")
    return insertion.on_conflict_do_update(
        index_elements=["study_id", "number", "fidelity"],
        set_={
            **{column: new[column] for column in replaced},
            "device_micros": Report.device_micros + new.device_micros,
        },
    )

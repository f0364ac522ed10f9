"""Statements that run thousands of times a second: made once, and on SQLite run by the driver.

SQLAlchemy compiles them; what it does at each execution would take several times as long as SQLite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import Insert as AnyInsert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate, Update

from nasplat.store.engine import encode
from nasplat.store.schema import Base, Report

Insert = sqlite.Insert | postgresql.Insert
Statement = AnyInsert | Update | ReturningInsert[Any] | ReturningUpdate[Any]
Row = Mapping[str, Any]
_NAMED = sqlite.dialect(paramstyle="named", json_serializer=encode)


@dataclass(frozen=True)
class _Prepared:
    """A statement as the driver of SQLite takes it.

    Args:
        sql: With ``:names``.
        fixed: Values that are part of the statement.
        writers: How values of some names are written: JSON, booleans.
    """

    sql: str
    fixed: Row
    writers: Mapping[str, Callable[[Any], Any]]

    def values(self, row: Row) -> dict[str, Any]:
        """All values of one execution."""
        found = {**self.fixed, **row}
        for name, write in self.writers.items():
            found[name] = write(found[name])
        return found


@cache
def _prepare(statement: Statement, names: tuple[str, ...]) -> _Prepared:
    keys = list(names) if isinstance(statement, AnyInsert) else None
    compiled = statement.compile(dialect=_NAMED, column_keys=keys)
    writers = {
        name: write
        for bind, name in compiled.bind_names.items()
        if (write := bind.type.dialect_impl(_NAMED).bind_processor(_NAMED)) is not None
    }
    return _Prepared(str(compiled), dict(compiled.params), writers)


def run(connection: Connection, statement: Statement, values: Row | Sequence[Row]) -> Sequence[Any]:
    """Execute a statement that is made once, for one row of values or for several of equal names.

    Returns:
        The rows that it returns, as tuples; none for several rows of values.
    """
    if connection.dialect.name != "sqlite":
        result = connection.execute(statement, values)
        return result.all() if result.returns_rows else ()
    raw: Any = connection.connection.driver_connection
    if isinstance(values, Mapping):
        prepared = _prepare(statement, tuple(values))
        found: Sequence[Any] = raw.execute(prepared.sql, prepared.values(values)).fetchall()
        return found
    prepared = _prepare(statement, tuple(values[0]))
    raw.executemany(prepared.sql, [prepared.values(row) for row in values])
    return ()


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

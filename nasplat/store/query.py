"""Read-only SQL over the views, named queries, and frames; nothing here can write.

SQLite: a connection opened ``mode=ro`` whose authoriser lets only reading pass, so that ``ATTACH``,
``VACUUM INTO`` and pragmas that change something are refused too. PostgreSQL: a read-only
transaction and one prepared statement, which cannot hold a second one. pandas is imported only when
a frame is made.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from nasplat import content
from nasplat.errors import UsageError, nearest_first, unknown
from nasplat.store.engine import make_engine
from nasplat.store.reading import Reading
from nasplat.store.records import NamedQuery, QueryParameter, ViewColumn
from nasplat.store.translate import reason, translate
from nasplat.store.views import TABLES, describe, stored_metrics

if TYPE_CHECKING:
    import pandas

_PARAMETER = re.compile(
    r"--\s*:(?P<name>\w+)\s+(?P<kind>text|integer|real)"
    r"(?:\s*=\s*(?P<default>\S+))?\s+--\s+(?P<meaning>.+)"
)
_KINDS: dict[str, type[str] | type[int] | type[float]] = {
    "text": str,
    "integer": int,
    "real": float,
}
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info"}
_MISSING = re.compile(
    r'no such (?P<kind>column|table): (?:\w+\.)?"?(?P<name>\w+)'
    r'|(?P<pg_kind>column|relation) "?(?:\w+\.)?(?P<pg_name>\w+)"? does not exist'
)
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def _authorise(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in _READING or (action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_DENY


def _plain(value: Any) -> Any:
    """PostgreSQL sums and means are decimals; frames and JSON want plain numbers."""
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return value


@contextmanager
def _only_reading(connection: Connection) -> Iterator[Any]:
    raw: Any = connection.connection.driver_connection
    raw.set_authorizer(_authorise)
    try:
        yield raw
    finally:
        raw.set_authorizer(None)


def read_named_query(file: Path) -> NamedQuery:
    """Read a ``.sql`` file: a comment on what it answers, one line per parameter, the SQL.

    Raises:
        UsageError: The header is missing or a parameter is not described.
    """
    meaning: list[str] = []
    parameters: dict[str, QueryParameter] = {}
    sql = file.read_text()
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        match = _PARAMETER.fullmatch(line.strip())
        if match is None:
            meaning.append(line.removeprefix("--").strip())
            continue
        kind, default = match["kind"], match["default"]
        value = None if default in (None, "null") else _KINDS[kind](default)
        parameters[match["name"]] = QueryParameter(
            match["name"], kind, match["meaning"], required=default is None, default=value
        )
    body = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    used = set(re.findall(r"(?<![:\w]):([a-z_]\w*)", body))
    if not meaning or used != set(parameters):
        raise UsageError(
            f"{file}: the header must say what the query answers and describe each parameter; "
            f"used: {sorted(used)}, described: {sorted(parameters)}",
            hint="-- :name type = default -- meaning, with type text, integer or real",
        )
    return NamedQuery(file.stem, " ".join(meaning), body.strip().rstrip(";"), parameters)


class Query(Reading):
    """What can be asked of a store in SQL."""

    def named_queries(self) -> dict[str, NamedQuery]:
        """The queries of ``db/queries`` by name."""
        folder = content.path("db") / "queries"
        return {file.stem: read_named_query(file) for file in sorted(folder.glob("*.sql"))}

    def describe_views(self) -> list[ViewColumn]:
        """Every column of every view with its meaning, the metrics stored so far included."""
        with self._read() as connection:
            return describe(stored_metrics(connection))

    def query(
        self, sql: str, params: Mapping[str, object] | None = None, limit: int | None = None
    ) -> pandas.DataFrame:
        """Run read-only SQL, or a named query, on what is committed.

        Args:
            sql: One statement with ``:parameters``, or the name of a query of ``db/queries``.
            params: Values of the parameters.
            limit: At most so many rows; ``frame.attrs["truncated"]`` says whether there were more.

        Returns:
            One row each, columns named as in the SQL.

        Raises:
            UsageError: It would write, is not SQL, names what is not there, or lacks values.
        """
        import pandas

        values = dict(params or {})
        if _NAME.fullmatch(sql.strip()):
            sql, values = self._named(sql.strip(), values)
        statement, bound = self._compile(sql, values)
        with self._cursor(statement, bound) as cursor:
            if cursor.description is None:
                raise self._writes("it returns no rows")
            columns = [str(column[0]) for column in cursor.description]
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
        frame = pandas.DataFrame.from_records(
            [tuple(map(_plain, row)) for row in rows[:limit]], columns=columns
        )
        frame.attrs["truncated"] = limit is not None and len(rows) > limit
        return frame

    def trials_dataframe(self, study: str) -> pandas.DataFrame:
        """The trials of a study, one column for each metric that it has, indexed by number.

        Raises:
            NotFoundError: No such study.
        """
        with self._read() as connection:
            self._study_id(connection, study)
            metrics = stored_metrics(connection)
        frame = self.query(
            "SELECT * FROM trials WHERE study = :study ORDER BY number", {"study": study}
        )
        empty = [column for column in metrics.values() if frame[column].isna().all()]
        return frame.drop(columns=empty).set_index("number")

    def _named(self, name: str, values: dict[str, object]) -> tuple[str, dict[str, object]]:
        known = self.named_queries()
        if name not in known:
            raise unknown(
                "query", name, known, UsageError, hint="Or give SQL: 'select * from front'"
            )
        query = known[name]
        for given in values:
            if given not in query.parameters:
                raise unknown(f"parameter of {name}", given, query.parameters, UsageError)
        complete: dict[str, object] = {}
        for parameter in query.parameters.values():
            value = values.get(parameter.name, parameter.default)
            if value is None and parameter.required:
                raise UsageError(
                    f"the query {name} needs --{parameter.name}: {parameter.meaning}",
                    hint=f"nasplat query {name} --{parameter.name} VALUE",
                )
            try:
                complete[parameter.name] = (
                    None if value is None else _KINDS[parameter.kind](str(value))
                )
            except ValueError as error:
                raise UsageError(
                    f"--{parameter.name} of the query {name} must be {parameter.kind}, "
                    f"got {value!r}"
                ) from error
        return query.sql, complete

    def _compile(self, sql: str, values: Mapping[str, object]) -> tuple[str, Any]:
        compiled = text(sql).compile(dialect=self.engine.dialect)
        names = set(compiled.params)
        if names != set(values):
            raise UsageError(
                f"the SQL has the parameters {sorted(names)}, given were {sorted(values)}",
                hint="Give each as --param name=value",
            )
        if compiled.positional:
            order = compiled.positiontup or []
            return str(compiled), tuple(values[name] for name in order)
        return str(compiled), dict(values)

    @contextmanager
    def _cursor(self, statement: str, bound: Any) -> Iterator[Any]:
        with self._reading_connection() as connection:
            cursor = connection.cursor()
            try:
                if self.postgresql:
                    cursor.execute("SET TRANSACTION READ ONLY")
                    # a prepared statement is one statement; the % of the SQL is doubled by compile
                    cursor.execute(statement, bound, prepare=True)
                else:
                    cursor.execute(statement, bound)
                yield cursor
            except self.engine.dialect.loaded_dbapi.Error as error:
                raise self._explain(error) from error
            finally:
                cursor.close()

    @contextmanager
    def _reading_connection(self) -> Iterator[Any]:
        """A connection of the driver that cannot write."""
        try:
            if self.postgresql:
                with self.engine.connect() as connection:
                    raw: Any = connection.connection.driver_connection
                    yield raw
                    raw.rollback()  # the driver began a transaction, not SQLAlchemy
            elif self.location.kind == "memory":
                # there is one connection alone, which an open batch goes on using
                with self._lock, self._read() as connection, _only_reading(connection) as raw:
                    yield raw
            else:
                engine = make_engine(self.location, read_only=True)
                try:
                    with engine.connect() as connection, _only_reading(connection) as raw:
                        yield raw
                finally:
                    engine.dispose()
        except SQLAlchemyError as error:
            raise translate(error, self.location) from error

    def _writes(self, said: str) -> UsageError:
        return UsageError(
            f"nasplat query only reads, and this statement does not ({said})",
            hint="Use SELECT; the views are " + ", ".join(TABLES),
        )

    def _explain(self, error: Exception) -> Exception:
        said = reason(error, self.location)
        low = said.lower()
        if any(
            sign in low
            for sign in (
                "not authorized",
                "authorization denied",
                "read-only transaction",
                "readonly",
            )
        ):
            return self._writes(said)
        if any(sign in low for sign in ("locked", "disk", "connection", "malformed", "terminat")):
            return translate(error, self.location)
        columns = self.describe_views()
        match = _MISSING.search(said)
        views = f"views: {', '.join(TABLES)}; columns: nasplat query --schema"
        if match is None:
            return UsageError(f"the SQL cannot be run: {said}", hint=views)
        name = (match["name"] or match["pg_name"]).lower()
        if (match["kind"] or match["pg_kind"]) == "column":
            nearest = nearest_first(name, {column.column for column in columns})[:5]
        else:
            nearest = nearest_first(name, TABLES)
        return UsageError(
            f"the SQL cannot be run: {said}; nearest: {', '.join(nearest)}", hint=views
        )

"""The transactions of a store: one manager that commits, rolls back and translates errors.

Knows no table. A handle can be pickled and used after a fork: it opens its own connections.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from nasplat.errors import StoreError
from nasplat.store.engine import WRITE, make_engine
from nasplat.store.translate import translate
from nasplat.store.url import Location

_YIELD_SECONDS = 0.005  # between groups of changes, so that waiting writers get their turn


class _Open(threading.local):
    """The write transaction that a thread has open, and its group of changes."""

    connection: Connection | None = None
    lost: bool = False
    """The database itself ended the transaction, as on a full disk."""
    depth: int = 0
    group_seconds: float | None = None
    since: float = 0.0


def _dispose(engine: Engine, pid: int) -> None:
    if os.getpid() == pid:  # the connections of a parent process are not ours to end
        engine.dispose()


class Database:
    """The engine of one location and the transactions on it; the base of the store.

    Safe to share between threads: writers of one handle take turns.
    """

    def __init__(self, location: Location, *, read_only: bool = False) -> None:
        self.location = location
        self.read_only = read_only
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._local = _Open()
        self._made = make_engine(self.location, read_only=self.read_only)
        # closed with the handle, so that no driver complains of connections left open
        weakref.finalize(self, _dispose, self._made, self._pid)
        self._forget()

    def _forget(self) -> None:
        """Drop what is remembered of rows that a rollback may have taken back."""
        self._study_ids: dict[str, int] = {}
        self._metric_names: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        """Where the store is, with the password hidden."""
        return self.location.shown

    @property
    def engine(self) -> Engine:
        """The engine of this process; made anew after a fork."""
        if self._pid != os.getpid():
            self._made.dispose(close=False)
            self._start()
        return self._made

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return "postgresql" if self.postgresql else "sqlite"

    @property
    def postgresql(self) -> bool:
        """Whether the database is a PostgreSQL."""
        return self.location.kind == "postgresql"

    def __getstate__(self) -> dict[str, Any]:
        if self.location.kind == "memory":
            raise StoreError(
                "a store in memory lives in one process and cannot be sent to another",
                hint="Use a file: --storage sqlite:///runs/nasplat.db",
            )
        return {"location": self.location, "read_only": self.read_only}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # the one way to rebuild the handles

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the handle opens new ones when it is used again."""
        self.engine.dispose()

    def _now(self, connection: Connection) -> float:
        """Epoch seconds by the clock that all writers share."""
        if self.postgresql:
            row = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())")
            return float(row.scalar_one())
        return time.time()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """A transaction that reads one consistent state, inside the open batch if there is one."""
        if self._local.connection is not None:
            yield self._local.connection
            return
        try:
            if self.location.kind == "memory":
                with self._lock, self.engine.connect() as connection:
                    yield connection
            else:
                with self.engine.connect() as connection:
                    yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise translate(error, self.location) from error

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction, committed as a whole or not at all; part of the open batch, if any."""
        self._refuse_when_read_only()
        local = self._local
        grouped = local.group_seconds is not None
        if local.connection is not None or grouped:
            if local.connection is None:
                self._begin()
            self._refuse_when_lost()
            with self._part() as connection:
                yield connection
            late = grouped and time.monotonic() - local.since >= (local.group_seconds or 0.0)
            if late and local.depth == 0:
                self._end(commit=True)
                if not self.postgresql:
                    time.sleep(_YIELD_SECONDS)
            return
        connection = self._begin()
        try:
            with self._translated():
                yield connection
        except BaseException:
            self._end(commit=False)
            raise
        self._end(commit=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise translate(error, self.location) from error

    def _begin(self) -> Connection:
        engine, local = self.engine, self._local
        self._lock.acquire()
        try:
            with self._translated():
                connection = engine.connect().execution_options(**WRITE)
                try:
                    connection.begin()
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            self._lock.release()
            raise
        local.connection, local.lost, local.since = connection, False, time.monotonic()
        return connection

    def _end(self, *, commit: bool) -> None:
        local = self._local
        connection, local.connection = local.connection, None
        if connection is None:
            return
        try:
            with self._translated():
                if commit and not local.lost:
                    connection.commit()
                else:
                    self._forget()
                    connection.rollback()
        except BaseException:
            self._forget()
            raise
        finally:
            connection.close()
            self._lock.release()

    @contextmanager
    def _part(self) -> Iterator[Connection]:
        """One change inside a batch: when it fails, it alone is taken back."""
        local = self._local
        connection = local.connection
        assert connection is not None
        self._savepoint(connection, "SAVEPOINT part")
        local.depth += 1
        try:
            with self._translated():
                yield connection
        except BaseException:
            self._forget()
            try:
                self._savepoint(connection, "ROLLBACK TO part")
            except (SQLAlchemyError, sqlite3.Error):
                local.lost = True
            raise
        finally:
            local.depth -= 1
        self._savepoint(connection, "RELEASE part")

    def _savepoint(self, connection: Connection, sql: str) -> None:
        if self.postgresql:
            connection.exec_driver_sql(sql)
        else:
            raw: Any = connection.connection.driver_connection
            raw.execute(sql)  # around SQLAlchemy, which would take ten times as long as SQLite

    def _refuse_when_read_only(self) -> None:
        if self.read_only:
            raise StoreError(
                f"{self.url} is read-only here: it can be queried, not written",
                hint=f"Make the file and its folder writable, or copy it and use the copy: "
                f"cp {self.location.file} .",
            )

    @contextmanager
    def batch(self, every_seconds: float | None = None) -> Iterator[None]:
        """Write many changes of this thread in few transactions.

        A change that fails is taken back alone; whoever catches its error may go on. What other
        handles and :meth:`query` see is what is committed.

        Args:
            every_seconds: None: everything inside is one transaction, taken back as a whole when
                the block raises. A number: changes are grouped, each stays whole, and the group is
                committed when it is this old and at the end, also when the block raises;
                0.2 suits evaluations of less than a millisecond.

        Raises:
            StoreError: The database ended the transaction by itself, as on a full disk: what was
                not committed before is lost.
        """
        local = self._local
        if every_seconds is None or local.group_seconds is not None:
            with self._write():
                yield
                self._refuse_when_lost()
            return
        local.group_seconds = every_seconds
        try:
            yield
            self._refuse_when_lost()
        finally:
            local.group_seconds = None
            self._end(commit=True)

    def _refuse_when_lost(self) -> None:
        if self._local.lost:
            raise StoreError(
                f"{self.url}: the database ended a transaction after an error; "
                "what it held is not stored",
                hint="Let the error of the change leave the batch",
            )

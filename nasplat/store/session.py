"""The connection of a store: one manager that commits, rolls back and translates errors.

SQLite: write-ahead log, foreign keys, 30 s of patience, one writer at a time (``BEGIN IMMEDIATE``,
so that a transaction never dies half way for a lock). A process that is killed loses nothing
committed; ``synchronous=NORMAL`` means that a crash of the whole machine may lose the last moments,
never the file.
Knows no table. A handle can be pickled and used after a fork: it opens its own connections.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from nasplat.errors import StoreError
from nasplat.store.translate import translate
from nasplat.store.url import Location

BUSY_SECONDS = 30.0
_WRITE = {"nasplat_write": True}
_YIELD_SECONDS = 0.005  # between grouped transactions, so that waiting writers get their turn


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def encode(value: Any) -> str:
    """The only place that writes JSON: compact, key order kept, NaN and infinities as null."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def make_engine(location: Location, *, read_only: bool = False) -> Engine:
    """Make the engine of a location; connects to nothing yet.

    Raises:
        StoreError: The driver is not installed.
    """
    options: dict[str, Any] = {"json_serializer": encode}
    if location.kind == "postgresql":
        try:
            return create_engine(
                location.url,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 10, "application_name": "nasplat"},
                **options,
            )
        except ImportError as error:
            raise StoreError(
                f"{location.shown} needs the driver psycopg, which is not installed",
                hint="pip install 'nasplat[postgres]'",
            ) from error
    if location.kind == "memory":
        options |= {"poolclass": StaticPool}
        url = "sqlite://"
    else:
        url = location.url
        if read_only:
            mode = _read_only_mode(location)
            url = f"sqlite:///file:{quote(str(location.file))}?{mode}&uri=true"
    engine = create_engine(
        url, connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS}, **options
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        elif location.kind == "sqlite":
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("nasplat_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _read_only_mode(location: Location) -> str:
    """``mode=ro``, or ``immutable=1`` where the shared memory of the log cannot be made."""
    assert location.file is not None
    log = location.file.with_name(location.file.name + "-wal")
    folder_writable = os.access(
        location.file.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids
    )
    return "mode=ro" if folder_writable or log.exists() else "mode=ro&immutable=1"


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
        self._local = threading.local()
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
        open_one: Connection | None = getattr(self._local, "connection", None)
        if open_one is not None:
            yield open_one
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
        engine = self.engine
        local = self._local
        if getattr(local, "connection", None) is not None:
            with self._part() as connection:
                yield connection
            return
        if getattr(local, "group_seconds", None) is not None:
            self._open_group()
            with self._part() as connection:
                yield connection
            if time.monotonic() - local.since >= local.group_seconds:
                self._end_group()
            return
        try:
            with self._lock, engine.connect() as plain:
                connection = plain.execution_options(**_WRITE)
                with connection.begin():
                    local.connection = connection
                    local.broken = False
                    try:
                        yield connection
                    finally:
                        local.connection = None
        except BaseException as error:
            self._forget()
            if isinstance(error, (SQLAlchemyError, sqlite3.Error)):
                raise translate(error, self.location) from error
            raise

    @contextmanager
    def _part(self) -> Iterator[Connection]:
        """One operation inside a batch; when it fails, the batch cannot be committed any more."""
        try:
            yield self._local.connection
        except BaseException as error:
            self._local.broken = True
            if isinstance(error, (SQLAlchemyError, sqlite3.Error)):
                raise translate(error, self.location) from error
            raise

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

        Args:
            every_seconds: None: everything inside is one transaction, taken back as a whole when
                the block raises. A number: changes are grouped, each stays whole, and the group is
                committed when it is this old and at the end, also when the block raises;
                0.2 suits evaluations of less than a millisecond.

        Raises:
            StoreError: A change inside failed and the error was swallowed: nothing of the
                transaction is stored.
        """
        if every_seconds is None or getattr(self._local, "group_seconds", None) is not None:
            with self._write():
                yield
                self._refuse_when_broken()
            return
        self._local.group_seconds = every_seconds
        try:
            yield
            self._refuse_when_broken()
        finally:
            self._local.group_seconds = None
            self._end_group()

    def _refuse_when_broken(self) -> None:
        if getattr(self._local, "broken", False):
            raise StoreError(
                f"{self.url}: a change in a batch failed, so the batch was taken back",
                hint="Let the error of the change leave the batch",
            )

    def _open_group(self) -> None:
        local = self._local
        self._lock.acquire()
        try:
            local.connection = self.engine.connect().execution_options(**_WRITE)
            local.connection.begin()
        except BaseException as error:
            local.connection = None
            self._lock.release()
            if isinstance(error, (SQLAlchemyError, sqlite3.Error)):
                raise translate(error, self.location) from error
            raise
        local.broken = False
        local.since = time.monotonic()

    def _end_group(self) -> None:
        local = self._local
        connection: Connection | None = getattr(local, "connection", None)
        if connection is None:
            return
        broken, local.broken = local.broken, False
        try:
            if not broken:
                connection.commit()
            else:
                connection.rollback()
                self._forget()
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._forget()
            raise translate(error, self.location) from error
        finally:
            local.connection = None
            connection.close()
            self._lock.release()
        if not self.postgresql:
            time.sleep(_YIELD_SECONDS)

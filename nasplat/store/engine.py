"""The engine of a location: how SQLite and PostgreSQL are opened, and how values become JSON.

SQLite: write-ahead log, foreign keys, 30 s of patience, one writer at a time (``BEGIN IMMEDIATE``,
so that a transaction never dies half way for a lock). A process that is killed loses nothing
committed; ``synchronous=NORMAL`` means that a crash of the whole machine may lose the last moments,
never the file.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

from nasplat.errors import StoreError
from nasplat.store.url import Location

BUSY_SECONDS = 30.0
WRITE = {"nasplat_write": True}
"""Options of a connection whose transactions write: they take their turn when they begin."""


def _plain(value: Any) -> Any:
    """Numbers of NumPy and torch, and mappings that are no dict, as what ``json`` knows."""
    if isinstance(value, Mapping):
        return dict(value)
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return _finite(_plain(value))


def encode(value: Any) -> str:
    """The only place that writes JSON: compact, key order kept, NaN and infinities as null."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def clean(text: str) -> str:
    """Text that every database takes: NUL and lone surrogates (of odd file names) written out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


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

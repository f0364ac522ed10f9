"""The results store: opening it, its version and its health.

    with Store.open("sqlite:///runs/nasplat.db") as store:
        store.create_study(NewStudy(...))
        numbers = store.add_trials("demo", [NewTrial(...)])

What it can do is told in the classes it is made of: :class:`~nasplat.store.studies.Studies`,
:class:`~nasplat.store.ledger.Ledger`, :class:`~nasplat.store.trials.Trials`,
:class:`~nasplat.store.results.Results`, :class:`~nasplat.store.archive.Archive`,
:class:`~nasplat.store.reading.Reading`, :class:`~nasplat.store.query.Query`.
"""

from __future__ import annotations

import warnings
from typing import Self

from sqlalchemy import case, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from nasplat.errors import NotFoundError, StoreError
from nasplat.store import migrate
from nasplat.store.query import Query
from nasplat.store.schema import HEAD, LedgerRow, Study, Trial
from nasplat.store.translate import translate
from nasplat.store.url import Location, network_type, parse, writable


class NetworkStorageWarning(UserWarning):
    """A SQLite file lies on a network file system."""


class Store(Query):
    """Every fact of every study; plain data in and out. Make one with :meth:`open`."""

    @classmethod
    def open(cls, url: str, *, create: bool = True, any_version: bool = False) -> Self:
        """Open a results database, or create it.

        Args:
            url: ``sqlite:///FILE``, ``postgresql+psycopg://USER@HOST/NAME``, or ``memory://``, which
                is this handle's alone and gone when it is closed.
            create: Create tables (and the file) where there are none.
            any_version: Open an older or newer schema too, for :meth:`version`, :meth:`check` and
                :meth:`upgrade` alone.

        Raises:
            UsageError: Not a supported URL.
            NotFoundError: There is no database and ``create`` is False.
            StoreError: It cannot be reached, belongs to something else, or has another schema.
        """
        location = parse(url)
        fresh = _prepare_file(location, create)
        read_only = not fresh and location.file is not None and not writable(location.file)
        store = cls(location, read_only=read_only)
        try:
            if store.version() is None:
                store._create(create)
            if not any_version:
                migrate.check_version(store.version() or "", store.url)
        except BaseException:
            store.close()
            raise
        return store

    def _create(self, create: bool) -> None:
        if not create:
            raise NotFoundError(
                f"{self.url} holds no results yet",
                hint="Start a search there (nasplat search), or give another --storage URL",
            )
        with self._write() as connection:
            migrate.lock(connection)
            # another process may have been faster while this one waited for the lock
            if migrate.stored_version(connection) is None:
                migrate.create(connection, self.url)

    def version(self) -> str | None:
        """The schema of the database, such as ``0001``; None when it has none of ours."""
        with self._read() as connection:
            return migrate.stored_version(connection)

    def upgrade(self) -> tuple[str, str]:
        """Bring an older schema to the newest, as a whole or not at all.

        Returns:
            The versions before and after.

        Raises:
            StoreError: The schema is newer than this nasplat.
        """
        before = self.version() or ""
        if before > HEAD or not before.isdigit():
            migrate.check_version(before, self.url)
        if before == HEAD:
            return before, before
        self._refuse_when_read_only()
        try:
            with self.engine.connect() as connection:
                raw = connection.connection.driver_connection
                if not self.postgresql and raw is not None:
                    # tables are rebuilt under rows that refer to them; checked before the commit
                    raw.execute("PRAGMA foreign_keys=OFF")
                with connection.execution_options(nasplat_write=True).begin():
                    migrate.lock(connection)
                    migrate.upgrade(connection)
                    if not self.postgresql:
                        _refuse_orphans(connection, self.url)
                connection.detach()  # its pragma must not come back to the pool
        except SQLAlchemyError as error:
            raise translate(error, self.location) from error
        return before, self.version() or ""

    def check(self) -> list[str]:
        """What is wrong with the database, one sentence each; empty when all is well.

        File integrity and orphans (SQLite), tables and views against the models, and the ledger
        against the device time of the trials.
        """
        with self._read() as connection:
            version = migrate.stored_version(connection)
            if version != HEAD:
                return [f"the schema is {version}, this nasplat needs {HEAD}"]
            found = [] if self.postgresql else _file_problems(connection)
            found += migrate.differences(connection)
            found += _ledger_problems(connection)
        return found


def _prepare_file(location: Location, create: bool) -> bool:
    """Make the folder of a new SQLite file; say whether the file is new."""
    file = location.file
    if file is None:
        return True
    if file.is_dir():
        raise StoreError(f"{location.shown}: {file} is a folder", hint="Name a file in it")
    fresh = not file.exists()
    if fresh and not create:
        raise NotFoundError(
            f"there is no database at {file}",
            hint="Start a search (nasplat search), or say where the results are: --storage URL",
        )
    if fresh:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{location.shown}: its folder cannot be made ({error.strerror or error})",
                hint="Use a folder in which you may write: --storage sqlite:///runs/nasplat.db",
            ) from error
    kind = network_type(file)
    if kind is not None:
        warnings.warn(
            f"{file} is on a network file system ({kind}), where SQLite can lose data when several "
            "machines write. Use a local disk or PostgreSQL. To silence: "
            "python -W ignore::nasplat.store.store.NetworkStorageWarning",
            NetworkStorageWarning,
            stacklevel=3,
        )
    return fresh


def _refuse_orphans(connection: Connection, shown: str) -> None:
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        raise StoreError(
            f"{shown}: {len(orphans)} rows refer to rows that are missing; nothing was changed",
            hint="See them with: nasplat db check",
        )


def _file_problems(connection: Connection) -> list[str]:
    lines = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
    found = [f"integrity: {line}" for line in lines if line != "ok"]
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        found.append(f"row {row} of {table} refers to a row that {parent} lacks")
    return found


def _ledger_problems(connection: Connection) -> list[str]:
    used = (
        select(
            func.coalesce(
                func.sum(case((LedgerRow.settled.is_(None), 0), else_=LedgerRow.used_micros)),
                0,
            )
        )
        .where(LedgerRow.study_id == Trial.study_id, LedgerRow.number == Trial.number)
        .scalar_subquery()
    )
    open_now = case((Trial.state == "running", Trial.attempt_micros), else_=0)
    rows = connection.execute(
        select(Study.name, Trial.number, Trial.device_micros, used + open_now)
        .join_from(Trial, Study, Study.id == Trial.study_id)
        .where(Trial.device_micros != used + open_now)
    )
    return [
        f"trial {number} of {study!r} took {spent / 1e6} device seconds, "
        f"its ledger says {int(booked) / 1e6}"
        for study, number, spent, booked in rows
    ]

"""The version of a database: created at the newest, checked at open, upgraded only when asked.

Revisions are counted ``0001``, ``0002``, ... and kept in the table ``nasplat_version``. The
migrations themselves are in ``db/versions``. Alembic is imported only by what needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from nasplat import content
from nasplat.errors import StoreError
from nasplat.store.schema import HEAD, Base
from nasplat.store.views import TABLES, create_views, definitions, drop_views, stored_metrics

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "nasplat_version"
_LOCK = 0x6E6173706C  # PostgreSQL advisory lock: one process creates or migrates at a time


def stored_version(connection: Connection) -> str | None:
    """The revision of a database; None when nasplat never used it."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return None if row is None else str(row)


def check_version(version: str, shown: str) -> None:
    """Refuse a database that this nasplat does not understand as it is.

    Raises:
        StoreError: Older or newer than :data:`HEAD`.
    """
    if version == HEAD:
        return
    if version.isdigit() and version < HEAD:
        raise StoreError(
            f"{shown} has schema {version}, this nasplat needs {HEAD}",
            hint="Copy the database, then run: nasplat db upgrade",
        )
    raise StoreError(
        f"{shown} has schema {version}, newer than {HEAD} of this nasplat",
        hint="Upgrade nasplat (pip install --upgrade nasplat) or use another --storage",
    )


def lock(connection: Connection) -> None:
    """Let one process at a time create or migrate; SQLite's write transaction does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def create(connection: Connection, shown: str) -> None:
    """Create all tables at :data:`HEAD`; a test proves it equal to running the migrations.

    Raises:
        StoreError: Tables or views of these names belong to something else.
    """
    inspector = inspect(connection)
    present = {*inspector.get_table_names(), *inspector.get_view_names()}
    foreign = sorted(present & {*Base.metadata.tables, *TABLES})
    if foreign:
        raise StoreError(
            f"{shown} is the database of something else: it has {', '.join(foreign)} "
            f"but no {VERSION_TABLE}",
            hint="Use another file or database: --storage sqlite:///runs/nasplat.db",
        )
    Base.metadata.create_all(connection, checkfirst=False)
    create_views(connection)
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
        f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{HEAD}')")


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(content.path("db")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations of ``db/versions`` inside the open transaction, views included."""
    from alembic import command

    drop_views(connection)
    command.upgrade(_config(connection), revision)
    create_views(connection)


def differences(connection: Connection) -> list[str]:
    """Where tables and views differ from what this nasplat expects, one sentence each."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables,
        },
    )
    found = [f"schema: {item!r}" for item in compare_metadata(context, Base.metadata)]
    inspector = inspect(connection)
    expected = definitions(stored_metrics(connection), connection.dialect.name)
    present = set(inspector.get_view_names())
    found += [f"the view {view} is missing" for view in expected if view not in present]
    return found

"""Runs the migrations inside the transaction that `nasplat db upgrade` opened; opens none."""

from __future__ import annotations

from alembic import context

from nasplat.errors import UsageError
from nasplat.store.migrate import VERSION_TABLE
from nasplat.store.schema import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise UsageError(
        "migrations run through nasplat, which finds the database and keeps it whole",
        hint="nasplat db upgrade",
    )
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()

"""The tables of the store as SQLAlchemy models; knows no query and no view.

A change here comes with a migration in ``db/versions`` and a new :data:`HEAD`; tests compare both.
Times are epoch seconds. Device time is kept in whole microseconds, so that sums are exact.
Trials are identified by study and number, architectures by digest, devices by fingerprint.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HEAD = "0001"
"""The revision that these models are at."""

NAME = 255
"""Names that people give: the longest file name of common file systems, so that paths fit too."""
KEY = 96
"""Digests and fingerprints: a prefix or two and up to 64 hex digits."""
WORD = 24
"""States, failures, methods, units: one word of our own."""

_JSON = JSON(none_as_null=True)
MICRO = 1_000_000


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can drop it on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Double()}


class Space(Base):
    """A version of a search space."""

    __tablename__ = "space"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    version: Mapped[str] = mapped_column(String(KEY))
    size: Mapped[str | None] = mapped_column(Text)  # decimal digits: sizes exceed 64 bits
    definition: Mapped[Any | None] = mapped_column(_JSON)


class Study(Base):
    """One search, its settings and its state."""

    __tablename__ = "study"
    __table_args__ = (UniqueConstraint("name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    space_id: Mapped[int] = mapped_column(ForeignKey("space.id"))
    task: Mapped[str] = mapped_column(Text)  # a name or a path
    task_fingerprint: Mapped[str] = mapped_column(String(KEY))
    task_spec: Mapped[Any | None] = mapped_column(_JSON)
    objectives: Mapped[Any] = mapped_column(_JSON)
    constraints: Mapped[Any | None] = mapped_column(_JSON)
    budget: Mapped[Any | None] = mapped_column(_JSON)
    settings: Mapped[Any | None] = mapped_column(_JSON)
    seed: Mapped[int] = mapped_column(BigInteger)
    environment: Mapped[Any] = mapped_column(_JSON)
    state: Mapped[str] = mapped_column(String(WORD))
    created: Mapped[float]
    updated: Mapped[float]
    next_number: Mapped[int] = mapped_column(Integer)


class Architecture(Base):
    """A distinct graph, whichever studies met it."""

    __tablename__ = "architecture"
    digest: Mapped[str] = mapped_column(String(KEY), primary_key=True)
    graph: Mapped[Any] = mapped_column(_JSON)
    costs: Mapped[Any] = mapped_column(_JSON)
    params: Mapped[int | None] = mapped_column(BigInteger)
    macs: Mapped[int | None] = mapped_column(BigInteger)
    flops: Mapped[int | None] = mapped_column(BigInteger)
    activation_bytes: Mapped[int | None] = mapped_column(BigInteger)
    weight_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created: Mapped[float]


class Device(Base):
    """A device with its runtime and settings."""

    __tablename__ = "device"
    fingerprint: Mapped[str] = mapped_column(String(KEY), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    data: Mapped[Any] = mapped_column(_JSON)
    created: Mapped[float]


class Trial(Base):
    """One candidate in one study, with its newest result and its lease."""

    __tablename__ = "trial"
    __table_args__ = (
        Index(None, "study_id", "state", "number"),
        Index(None, "digest", "recipe_key", "seed"),
        Index(None, "study_id", "on_front"),
    )
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    space_id: Mapped[int] = mapped_column(ForeignKey("space.id"))
    digest: Mapped[str] = mapped_column(ForeignKey("architecture.digest"))
    state: Mapped[str] = mapped_column(String(WORD))
    failure: Mapped[str | None] = mapped_column(String(WORD))
    message: Mapped[str] = mapped_column(Text)
    genotype: Mapped[Any] = mapped_column(_JSON)
    recipe: Mapped[Any | None] = mapped_column(_JSON)
    recipe_key: Mapped[str] = mapped_column(String(KEY))
    seed: Mapped[int] = mapped_column(BigInteger)
    proposed_by: Mapped[str] = mapped_column(String(NAME))
    origin: Mapped[Any] = mapped_column(_JSON)
    metrics: Mapped[Any] = mapped_column(_JSON)
    fidelity: Mapped[int | None] = mapped_column(Integer)
    device_micros: Mapped[int] = mapped_column(BigInteger)
    attempt_micros: Mapped[int] = mapped_column(BigInteger)
    device: Mapped[str | None] = mapped_column(ForeignKey("device.fingerprint"))
    checkpoint: Mapped[str | None] = mapped_column(Text)
    shared_study_id: Mapped[int | None] = mapped_column(Integer)
    shared_number: Mapped[int | None] = mapped_column(Integer)
    on_front: Mapped[bool] = mapped_column(Boolean)
    created: Mapped[float]
    started: Mapped[float | None]
    ended: Mapped[float | None]
    attempt: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str | None] = mapped_column(String(NAME))
    leased: Mapped[float | None]
    beat: Mapped[float | None]
    lease_seconds: Mapped[float | None]
    lease_share: Mapped[float | None]
    lease_until: Mapped[float | None]


class Report(Base):
    """One row of a trial's learning curve."""

    __tablename__ = "report"
    __table_args__ = (
        ForeignKeyConstraint(["study_id", "number"], ["trial.study_id", "trial.number"]),
    )
    study_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    fidelity: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    metrics: Mapped[Any] = mapped_column(_JSON)
    device_micros: Mapped[int] = mapped_column(BigInteger)
    checkpoint: Mapped[str | None] = mapped_column(Text)
    curve: Mapped[Any | None] = mapped_column(_JSON)
    device: Mapped[str | None] = mapped_column(ForeignKey("device.fingerprint"))
    at: Mapped[float]


class Metric(Base):
    """A metric name that was stored once, and its column in the views; never deleted."""

    __tablename__ = "metric"
    __table_args__ = (UniqueConstraint("name"), UniqueConstraint("column"))
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    column: Mapped[str] = mapped_column(String(NAME))


class LedgerRow(Base):
    """Device time reserved and used by one attempt, or by the study itself (no number)."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        ForeignKeyConstraint(["study_id", "number"], ["trial.study_id", "trial.number"]),
        UniqueConstraint("study_id", "number", "attempt"),
        Index(None, "study_id", "settled"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int | None] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    unit: Mapped[str] = mapped_column(String(WORD))
    reserved_micros: Mapped[int] = mapped_column(BigInteger)
    used_micros: Mapped[int] = mapped_column(BigInteger)
    opened: Mapped[float]
    settled: Mapped[float | None]
    note: Mapped[str] = mapped_column(Text)


class Measurement(Base):
    """A value of an architecture on a device, one for each metric and method."""

    __tablename__ = "measurement"
    digest: Mapped[str] = mapped_column(ForeignKey("architecture.digest"), primary_key=True)
    device: Mapped[str] = mapped_column(ForeignKey("device.fingerprint"), primary_key=True)
    metric: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    method: Mapped[str] = mapped_column(String(WORD), primary_key=True)
    value: Mapped[float]
    spread: Mapped[float | None]
    protocol: Mapped[Any] = mapped_column(_JSON)
    at: Mapped[float]


class Predictor(Base):
    """The state of a predictor after one fit."""

    __tablename__ = "predictor"
    __table_args__ = (Index(None, "study_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    name: Mapped[str] = mapped_column(String(NAME))
    target: Mapped[str] = mapped_column(String(NAME))
    fitted_on: Mapped[int] = mapped_column(Integer)
    kendall_tau: Mapped[float | None]
    data: Mapped[Any] = mapped_column(_JSON)
    at: Mapped[float]


class Artifact(Base):
    """A file or folder made from an architecture."""

    __tablename__ = "artifact"
    __table_args__ = (Index(None, "digest", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(ForeignKey("architecture.digest"))
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int | None] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(WORD))
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(String(KEY))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    data: Mapped[Any] = mapped_column(_JSON)
    at: Mapped[float]


class Event(Base):
    """One line of the append-only log."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "study_id", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int | None] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(WORD))
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[Any] = mapped_column(_JSON)
    at: Mapped[float]

"""The plain data that goes into the store and comes out of it; knows nothing of SQL.

Times are seconds since the epoch (UTC). Device time is in device seconds: one second of one whole
device; half a GPU for ten seconds is five device seconds. ``JSON`` is anything ``json`` can write;
numbers that JSON lacks (NaN, infinities) are stored as null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nasplat.errors import Failure

JSON = Any


class StudyState(StrEnum):
    """What a study is doing; ``stopping`` asks its driver to launch nothing more."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETE = "complete"


class TrialState(StrEnum):
    """Where a trial is: waiting <-> running -> complete | stopped (early, by a rung) | failed."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self in (TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED)


class Method(StrEnum):
    """How a value came about; values of different methods are never mixed silently."""

    MEASURED = "measured"
    PREDICTED = "predicted"
    ANALYTIC = "analytic"


@dataclass(frozen=True)
class SpaceRecord:
    """A search space as one study knew it."""

    name: str
    version: str
    """Digest of the definition."""
    size: int | None = None
    """Exact number of candidates."""
    definition: JSON = None


@dataclass(frozen=True)
class NewStudy:
    """What is fixed when a study is created."""

    name: str
    space: SpaceRecord
    task: str
    """The name shown to people: ``digits``, ``./flowers``."""
    task_fingerprint: str
    """Hash of data and split: results are shared only where it is equal."""
    objectives: Sequence[Mapping[str, str]]
    """``{"metric": "accuracy", "direction": "max"}``, in order."""
    task_spec: JSON = None
    constraints: JSON = None
    budget: JSON = None
    settings: JSON = None
    """Strategy, rungs, evaluator, recipe ...: whatever a resume needs."""
    seed: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyRecord(NewStudy):
    """A study as stored."""

    state: StudyState = StudyState.WAITING
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True)
class NewTrial:
    """A proposed candidate."""

    digest: str
    genotype: JSON
    graph: JSON
    costs: Mapping[str, float] = field(default_factory=dict)
    """``params``, ``macs``, ``flops``, ``activation_bytes``, ``weight_bytes`` and any other."""
    recipe: JSON = None
    recipe_key: str = ""
    """Hash of everything in the recipe that changes the result."""
    seed: int = 0
    proposed_by: str = ""
    origin: Mapping[str, JSON] = field(default_factory=dict)
    """Why it was proposed: ``parents`` (numbers of trials), ``predicted``, ``acquisition`` ..."""
    shared_from: tuple[str, int] | None = None
    """Study and number of the trial whose result this one takes over."""


@dataclass(frozen=True)
class Lease:
    """The terms on which trials are taken.

    Args:
        worker: Who takes them; free text, unique among the living.
        ttl_seconds: A lease without a heartbeat for this long has lapsed; > 0.
        unit: The kind of device that is charged, such as ``cpu`` or ``gpu``.
        seconds: Device seconds to reserve for each trial; >= 0.
        share: How many devices one trial holds; > 0. It turns the seconds between heartbeats of
            a lapsed lease into device seconds.
    """

    worker: str
    ttl_seconds: float = 60.0
    unit: str = "cpu"
    seconds: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class TrialRecord:
    """A trial as stored; a study's name and the number are its identity."""

    study: str
    number: int
    digest: str
    state: TrialState
    genotype: JSON
    recipe: JSON
    recipe_key: str
    seed: int
    proposed_by: str
    origin: Mapping[str, JSON]
    costs: Mapping[str, float]
    metrics: Mapping[str, float]
    """Of the report with the highest fidelity."""
    fidelity: int | None
    device_seconds: float
    """Of all attempts together."""
    failure: Failure | None
    message: str
    attempt: int
    """How many leases it has had; 0 before the first."""
    worker: str | None
    lease_until: float | None
    checkpoint: str | None
    created: float
    started: float | None
    ended: float | None
    device: str | None
    """Fingerprint of the device it was evaluated on."""
    shared_from: tuple[str, int] | None
    on_front: bool
    space_version: str
    graph: JSON = None
    """Only where it was asked for."""


@dataclass(frozen=True)
class NewReport:
    """What a trial reached at one fidelity.

    Args:
        fidelity: Cumulative, such as epochs; reports of one trial differ in it.
        metrics: Name to value.
        device_seconds: Spent since the previous report; >= 0.
        checkpoint: Where to continue from.
        curve: Points within the rung.
        device: Fingerprint of a stored device.
    """

    fidelity: int
    metrics: Mapping[str, float]
    device_seconds: float = 0.0
    checkpoint: str | None = None
    curve: JSON = None
    device: str | None = None


@dataclass(frozen=True)
class ReportRecord(NewReport):
    """A report as stored: one row of a trial's learning curve."""

    study: str = ""
    number: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that is recorded in one go with its reports and its end."""

    trial: NewTrial
    reports: Sequence[NewReport] = ()
    state: TrialState = TrialState.COMPLETE
    failure: Failure | None = None
    message: str = ""


@dataclass(frozen=True)
class ArchitectureRecord:
    """A distinct graph."""

    digest: str
    graph: JSON
    costs: Mapping[str, float] = field(default_factory=dict)
    created: float = 0.0


@dataclass(frozen=True)
class DeviceRecord:
    """A device with the settings that matter for what is measured on it."""

    fingerprint: str
    name: str
    data: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasurementRecord:
    """One value of an architecture on a device, with how it came about."""

    digest: str
    device: str
    """Fingerprint."""
    metric: str
    value: float
    method: Method = Method.MEASURED
    spread: float | None = None
    """Interquartile range of repeats, or the standard deviation of a prediction."""
    protocol: Mapping[str, JSON] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True)
class PredictorRecord:
    """A predictor inside a study: what it was fitted on and how good it is."""

    study: str
    name: str
    target: str
    fitted_on: int
    """Number of observations."""
    kendall_tau: float | None
    """Held-out rank correlation, -1..1; None before it is known."""
    data: Mapping[str, JSON] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True)
class ArtifactRecord:
    """A file or folder made from an architecture: an export, a checkpoint, weights."""

    digest: str
    kind: str
    path: str
    study: str | None = None
    number: int | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    data: Mapping[str, JSON] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True)
class EventRecord:
    """One line of the append-only log."""

    kind: str
    message: str = ""
    study: str | None = None
    number: int | None = None
    data: Mapping[str, JSON] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True)
class LedgerEntry:
    """Device time of one attempt of a trial, or of the study itself (``number`` is None)."""

    study: str
    number: int | None
    attempt: int
    unit: str
    reserved: float
    """Device seconds."""
    used: float
    """Device seconds; grows with reports until the entry is settled."""
    opened: float
    settled: float | None
    note: str = ""


@dataclass(frozen=True)
class LedgerTotal:
    """The sum of a study's ledger in one unit, in device seconds."""

    reserved: float
    """Held by open entries beyond what they have used."""
    used: float


@dataclass(frozen=True)
class ViewColumn:
    """One documented column of a view."""

    view: str
    column: str
    meaning: str


@dataclass(frozen=True)
class NamedQuery:
    """A query of ``db/queries``."""

    name: str
    meaning: str
    sql: str
    parameters: Mapping[str, QueryParameter]


@dataclass(frozen=True)
class QueryParameter:
    """A ``:parameter`` of a named query."""

    name: str
    kind: str
    """``text``, ``integer`` or ``real``."""
    meaning: str
    required: bool
    default: str | int | float | None = None

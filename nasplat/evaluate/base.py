"""What travels to a worker and what comes back: jobs, reports and the evaluator's contract.

Everything here is plain data, JSON both ways, so that a worker rebuilds graph, task and recipe
from it; no torch, no Ray and no database is known here.
"""

from __future__ import annotations

import importlib
import itertools
import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from nasplat.errors import Failure, TrialFailure, UsageError, unknown


class _Plain:
    """Data classes that go to JSON and back; unknown and missing fields are named at once."""

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        listed = fields(cls)  # type: ignore[arg-type]  # every subclass is a dataclass
        return tuple(item.name for item in listed)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON data (tuples as lists)."""
        values = {name: getattr(self, name) for name in self._names()}
        data: dict[str, Any] = json.loads(json.dumps(values, default=dict))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_json`` data.

        Raises:
            UsageError: Fields are missing or not known; all are named.
        """
        known = cls._names()
        if surplus := sorted(set(data) - set(known)):
            raise UsageError(
                f"a {cls.__name__} has no field {', '.join(surplus)}; "
                f"its fields are {', '.join(sorted(known))}"
            )
        try:
            return cls(**data)
        except TypeError as error:
            raise UsageError(f"a {cls.__name__} cannot be read: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Job(_Plain):
    """One trial as a worker gets it.

    Attributes:
        trial: Number of the trial, the caller's own.
        digest: Digest of the candidate's graph.
        graph: ``graph_to_json`` of the candidate.
        recipe: The candidate's closed recipe decisions; paths may start with ``recipe.``.
        task: ``Task.spec``, from which the worker rebuilds the task.
        fidelities: Rungs in cumulative epochs, rising; schedules end with the last one.
        seed: Every random choice of the evaluation follows from it.
        metrics: Names of metrics that the reports must hold; empty: all of the task's.
        latency: Device settings under which latency is measured before training; None: not at all.
        limits: Bounds of measured constraints, by metric; for evaluators that can stop early.
        checkpoint: Folder of the checkpoint to continue from; None: start afresh.
        op_files: Files that define ops beyond the library's.
        timeout: Seconds after which the executor ends the trial; None: never.
    """

    trial: int
    digest: str
    graph: Mapping[str, Any]
    task: Mapping[str, Any]
    fidelities: tuple[int, ...]
    seed: int
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    latency: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    op_files: tuple[str, ...] = ()
    timeout: float | None = None

    def __post_init__(self) -> None:
        for name in ("fidelities", "metrics", "op_files"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        rungs = self.fidelities
        rising = all(a < b for a, b in itertools.pairwise(rungs))
        if not rungs or rungs[0] < 1 or not rising:
            raise UsageError(
                f"fidelities must be rising whole numbers of epochs from 1, got {list(rungs)}"
            )


@dataclass(frozen=True, kw_only=True)
class Report(_Plain):
    """What an evaluator found at one rung.

    Attributes:
        fidelity: Cumulative epochs trained; 0: measured before any training.
        metrics: Values by name, on the validation split.
        seconds: Device time since the previous report (or since the start).
        checkpoint: Folder from which a later job continues; None: no checkpoint was kept.
        final: Whether this was the last rung of the job.
        curve: Points of the learning curve since the previous report, each with its ``epoch``
            (1, 2, ...) and what was seen in it.
        measurements: How measured metrics came about (device, spread, repeats), by metric.
    """

    fidelity: int
    metrics: Mapping[str, float]
    seconds: float
    checkpoint: str | None = None
    final: bool = False
    curve: tuple[Mapping[str, float], ...] = ()
    measurements: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", tuple(self.curve))


class Context:
    """What the executor lends to one evaluation.

    Args:
        scratch: Folder that belongs to this trial; checkpoints are written into it.
        beat: Called to say that the trial is alive, at most once in ``interval`` seconds.
        deadline: ``time.monotonic()`` time after which the trial has failed; None: never.
        interval: Smallest number of seconds between two calls of ``beat``.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        beat: Callable[[], None] | None = None,
        deadline: float | None = None,
        interval: float = 1.0,
    ) -> None:
        self.scratch = Path(scratch)
        self.deadline = deadline
        self._beat = beat
        self._interval = interval
        self._last = float("-inf")

    def heartbeat(self) -> None:
        """Say that the trial is alive; evaluators call it between steps.

        Raises:
            TrialFailure: ``Failure.TIMEOUT`` when the deadline has passed.
        """
        now = time.monotonic()
        if self.deadline is not None and now > self.deadline:
            raise TrialFailure(
                Failure.TIMEOUT, f"the deadline passed {now - self.deadline:.1f} s ago"
            )
        if self._beat is not None and now - self._last >= self._interval:
            self._last = now
            self._beat()


@runtime_checkable
class Evaluator(Protocol):
    """Turns a job into reports, one for each rung.

    ``nasplat.testing.evaluator.EvaluatorConformance`` is this contract as tests.
    """

    kind: ClassVar[str]

    @property
    def spec(self) -> dict[str, Any]:
        """JSON (``kind`` and options) from which ``evaluator_from_spec`` makes the same one."""
        ...

    def evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        """Yield one report per rung of ``job.fidelities``, fidelities rising.

        A report of fidelity 0 may come first, with what was measured before training. Rungs that
        ``job.checkpoint`` already holds are not repeated. The caller stops the trial by closing
        the generator. Equal jobs give equal metrics.

        A checkpoint that is not on this machine is not missed: the trial starts afresh, and repeats
        its first reports with equal metrics.

        Raises:
            TrialFailure: The trial failed; ``failure`` is its class. Nothing else is raised.
        """
        ...


KINDS: Mapping[str, str] = {
    "train": "nasplat.evaluate.train:TrainEvaluator",
    "tabular": "nasplat.evaluate.tabular:TabularEvaluator",
    "proxies": "nasplat.evaluate.proxies.evaluator:ProxyEvaluator",
}


def evaluator_from_spec(spec: Mapping[str, Any]) -> Evaluator:
    """Make the evaluator that ``spec`` describes.

    Args:
        spec: ``kind`` (a name of ``KINDS``, or ``package.module:Class`` of one's own) and the
            keyword arguments of its class.

    Raises:
        UsageError: The kind is not known or its options are wrong.
    """
    options = dict(spec)
    kind = options.pop("kind", None)
    if not isinstance(kind, str):
        raise UsageError(f"an evaluator's spec needs a 'kind', got {dict(spec)!r}")
    target = kind if ":" in kind else KINDS.get(kind)
    if target is None:
        raise unknown("evaluator", kind, KINDS, UsageError)
    module, _, name = target.partition(":")
    try:
        made: Evaluator = getattr(importlib.import_module(module), name)(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise UsageError(f"evaluator {kind!r} cannot be made from {options}: {error}") from error
    return made

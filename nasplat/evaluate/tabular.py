"""Look results up instead of training: for tabular benchmarks and for tests of search strategies.

A table is JSON: ``{digest: {epochs: {metric: value, ..., "seconds": device seconds}}}``. ``seconds``
is what the row's training cost when it was made, up to these epochs; without it a look-up costs what
it takes. It knows no graph: the digest is all it reads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import Context, Job, Report

SECONDS = "seconds"
Table = Mapping[str, Mapping[int, Mapping[str, float]]]


class TabularEvaluator:
    """Reports what a table says about a digest, at once.

    Args:
        path: A JSON file with the table.
        table: The table itself, as above. Exactly one of the two is given.

    Raises:
        UsageError: None or both are given, or the table is malformed (the first bad entries are
            named).
    """

    kind: ClassVar[str] = "tabular"

    def __init__(self, *, path: str | None = None, table: Mapping[str, Any] | None = None) -> None:
        if (path is None) == (table is None):
            raise UsageError("a tabular evaluator needs either a path or a table")
        self._path = None if path is None else str(Path(path).expanduser().resolve())
        self._table = _read(self._path) if self._path is not None else _parse(table or {}, "table")

    @property
    def spec(self) -> dict[str, Any]:
        """JSON from which the same evaluator is made."""
        if self._path is not None:
            return {"kind": self.kind, "path": self._path}
        rows = {
            digest: {str(epochs): dict(row) for epochs, row in by_epochs.items()}
            for digest, by_epochs in self._table.items()
        }
        return {"kind": self.kind, "table": rows}

    def evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        """Report every rung of the job from the table; there are no checkpoints."""
        rows = self._table.get(job.digest)
        if rows is None:
            raise TrialFailure(Failure.INVALID, f"the table has no row for {job.digest}")
        if absent := [rung for rung in job.fidelities if rung not in rows]:
            raise TrialFailure(
                Failure.INVALID,
                f"the table has {job.digest} at {sorted(rows)} epochs, not at {absent}",
            )
        spent = 0.0
        for rung in job.fidelities:
            begun = time.perf_counter()
            context.heartbeat()
            metrics = dict(rows[rung])
            total = metrics.pop(SECONDS, None)
            now = time.perf_counter() - begun
            yield Report(
                fidelity=rung,
                metrics=metrics,
                seconds=now if total is None else max(0.0, total - spent),
                final=rung == job.fidelities[-1],
            )
            spent = total or 0.0


@lru_cache(maxsize=2)
def _read(path: str) -> Table:
    try:
        data = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"the table {path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"the table {path} must be a JSON object by digest")
    return _parse(data, path)


def _parse(data: Mapping[str, Any], where: str) -> Table:
    table: dict[str, dict[int, Mapping[str, float]]] = {}
    bad: list[str] = []
    for digest, rows in data.items():
        try:
            table[digest] = {
                int(epochs): MappingProxyType({name: float(value) for name, value in row.items()})
                for epochs, row in rows.items()
            }
        except (AttributeError, TypeError, ValueError):
            bad.append(digest)
    if bad:
        raise UsageError(
            f"{len(bad)} rows of {where} are malformed: {', '.join(bad[:5])}",
            hint="expected {digest: {epochs: {metric: number}}}",
        )
    return table

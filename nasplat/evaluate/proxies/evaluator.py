"""The evaluator whose results are zero-cost proxies; nothing is trained."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.base import Context, Job, Report
from nasplat.evaluate.jobs import as_failure, ops_of, task_of
from nasplat.evaluate.proxies.measure import BATCH_SIZE, check_names, measure_proxies
from nasplat.evaluate.training import threads
from nasplat.graph.serialise import graph_from_json


class ProxyEvaluator:
    """Reports zero-cost proxies once, as the job's last rung; nothing is trained.

    The seconds of each are beside it in the report's ``measurements``.

    Args:
        names: Which proxies beside parameters and MACs; empty: all.
        batch_size: Examples in the one batch, at least 2.
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: Threads of torch on the processor; None: as many as torch has.

    Raises:
        UsageError: A name is not known, or the batch is too small.
    """

    kind: ClassVar[str] = "proxies"

    def __init__(
        self,
        *,
        names: Sequence[str] = (),
        batch_size: int = BATCH_SIZE,
        device: str = "cpu",
        threads: int | None = 1,
    ) -> None:
        if batch_size < 2:
            raise UsageError(f"batch_size must be at least 2, got {batch_size}")
        self.names = check_names(names)
        self.batch_size = batch_size
        self.device = device
        self.threads = threads

    @property
    def spec(self) -> dict[str, Any]:
        """JSON from which the same evaluator is made."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "batch_size": self.batch_size,
            "device": self.device,
            "threads": self.threads,
        }

    def evaluate(self, job: Job, context: Context) -> Generator[Report, None, None]:
        """Yield one report with every proxy, final."""
        begun = time.perf_counter()
        context.heartbeat()
        try:
            with threads(self.threads):
                found = measure_proxies(
                    graph_from_json(job.graph, ops_of(job.op_files)),
                    task_of(job),
                    job.seed,
                    names=self.names,
                    batch_size=self.batch_size,
                    device=self.device,
                )
            if bad := [name for name, value in found.values.items() if not math.isfinite(value)]:
                raise TrialFailure(Failure.DIVERGED, f"no number: {', '.join(bad)}")
        except TrialFailure:
            raise
        except Exception as error:
            raise as_failure(error) from error
        yield Report(
            fidelity=job.fidelities[-1],
            metrics=found.values,
            seconds=time.perf_counter() - begun,
            final=True,
            measurements={name: {"seconds": spent} for name, spent in found.seconds.items()},
        )

"""Counts trivial evaluations per second through the inline executor.

Three times: with a driver in memory (what the executor costs), with every trial proposed, reported and
finished in a SQLite file (the figure to meet: 1,000 per second), and as a whole study (random search
in the cells of NAS-Bench-201: candidates are sampled, built and digested besides).

    python benchmarks/inline_overhead.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from nasplat.evaluate.base import Job, Report
from nasplat.execute.base import Verdict
from nasplat.execute.inline import InlineExecutor
from nasplat.search.study import Study
from nasplat.store.records import Lease, NewReport, NewStudy, NewTrial, SpaceRecord
from nasplat.store.store import Store
from nasplat.testing.driver import MemoryDriver, make_job
from nasplat.testing.formula import FormulaEvaluator
from nasplat.testing.scripted import ScriptedEvaluator

NAME = "overhead"


class StoreDriver(MemoryDriver):
    """Records each trial in a store, and decides nothing."""

    def __init__(self, store: Store, count: int) -> None:
        super().__init__(
            (make_job(trial, fidelities=(1,)) for trial in range(count)), keep_calls=False
        )
        self._store = store
        self._lease = Lease("benchmark")

    def next(self) -> Job | None:
        """Propose a trial and take its lease."""
        job = super().next()
        if job is not None:
            genotype = {f"stages.{place}.blocks.0.mixer": job.trial % 5 for place in range(10)}
            new = NewTrial(digest=job.digest, genotype=genotype, graph={}, recipe_key="benchmark")
            self._store.add_trials(NAME, [new], lease=self._lease)
        return job

    def report(self, trial: int, report: Report) -> Verdict:
        """Record the report."""
        metrics = {"accuracy": report.metrics["accuracy"]}
        self._store.report(NAME, trial, NewReport(report.fidelity, metrics, report.seconds))
        return super().report(trial, report)

    def finish(self, trial: int) -> None:
        """Record the end."""
        self._store.finish(NAME, trial)
        super().finish(trial)


def in_memory(count: int) -> float:
    """Evaluations per second without a store."""
    jobs = (make_job(trial, fidelities=(1,)) for trial in range(count))
    driver = MemoryDriver(jobs, keep_calls=False)
    began = time.perf_counter()
    InlineExecutor(ScriptedEvaluator()).run(driver)
    assert len(driver.finished) == count
    return count / (time.perf_counter() - began)


def recorded(count: int, url: str) -> float:
    """Evaluations per second with every trial in a store."""
    store = Store.open(url)
    space = SpaceRecord(NAME, "s1:0", count)
    store.create_study(NewStudy(NAME, space, "digits", "d1:0", [{"metric": "accuracy"}]))
    driver = StoreDriver(store, count)
    began = time.perf_counter()
    with store.batch(every_seconds=0.2):
        InlineExecutor(ScriptedEvaluator()).run(driver)
    seconds = time.perf_counter() - began
    done = sum(str(trial.state) == "complete" for trial in store.trials(NAME))
    assert done == count, f"{done} of {count} trials recorded"
    return count / seconds


def as_study(count: int, url: str) -> float:
    """Evaluations per second with strategy and candidates as well."""
    study = Study.create(
        NAME,
        space="nasbench201",
        task="digits",
        budget=f"{count}trials",
        storage=url,
        strategy="random",
        objectives=["accuracy:max", "params:min"],
        epochs=1,
        min_epochs=1,
        executor="inline",
        evaluator=FormulaEvaluator().spec,
    )
    began = time.perf_counter()
    study.run()
    seconds = time.perf_counter() - began
    done = sum(str(trial.state) == "complete" for trial in study.trials())
    assert done == count, f"{done} of {count} trials recorded"
    return count / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--study", type=int, default=500, help="trials of the whole study")
    options = parser.parse_args()
    count = options.count
    with tempfile.TemporaryDirectory() as folder:
        urls = [f"sqlite:///{Path(folder) / name}.db" for name in ("recorded", "study")]
        print(f"driver in memory:    {in_memory(count):8,.0f} evaluations per second")
        print(f"recorded in SQLite:  {recorded(count, urls[0]):8,.0f} evaluations per second")
        print(
            f"whole study:         {as_study(options.study, urls[1]):8,.0f} evaluations per second"
        )


if __name__ == "__main__":
    main()

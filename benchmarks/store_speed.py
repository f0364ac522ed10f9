"""How many trivial evaluations per second the store records: python benchmarks/store_speed.py

Each evaluation is a trial proposed, leased, reported with two metrics and finished, as the inline
executor does it; ``bulk`` is :meth:`Store.record`. SQLite in a temporary folder, one process; give
another URL as the argument. The figure to reach is 1,000 per second in groups.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from nasplat.store.records import (
    FinishedTrial,
    Lease,
    NewReport,
    NewStudy,
    NewTrial,
    SpaceRecord,
)
from nasplat.store.store import Store

COUNT = 3000


def candidates(start: int, count: int) -> Iterator[NewTrial]:
    """Distinct candidates with a genotype of ten decisions and a graph of about 2 kB."""
    for index in range(start, start + count):
        yield NewTrial(
            digest=f"g1:{index:032x}",
            genotype={f"stages.{place}.blocks.0.mixer": index % 5 for place in range(10)},
            graph={"nodes": [{"name": f"node{node}", "op": "conv"} for node in range(50)]},
            costs={"params": index, "macs": 2 * index},
            recipe_key="benchmark",
            proposed_by="random",
        )


def one_by_one(store: Store, start: int, count: int) -> None:
    """Propose, report and finish trial by trial."""
    lease = Lease("benchmark")
    for index, new in enumerate(candidates(start, count)):
        (number,) = store.add_trials("speed", [new], lease=lease)
        report = NewReport(1, {"accuracy": index / count, "latency_ms": 1.0}, 0.0005)
        store.report("speed", number, report)
        store.finish("speed", number)


def grouped(store: Store, start: int, count: int) -> None:
    """The same with one transaction for each 0.2 s."""
    with store.batch(every_seconds=0.2):
        one_by_one(store, start, count)


def bulk(store: Store, start: int, count: int) -> None:
    """All at once, in one transaction for each 500."""
    done = [
        FinishedTrial(new, [NewReport(1, {"accuracy": 0.5, "latency_ms": 1.0}, 0.0005)])
        for new in candidates(start, count)
    ]
    for first in range(0, count, 500):
        store.record("speed", done[first : first + 500])


def main(url: str) -> None:
    """Print one line for each way of writing."""
    ways: tuple[tuple[str, Callable[[Store, int, int], None], int], ...] = (
        ("one by one, a transaction each", one_by_one, COUNT // 5),
        ("grouped, batch(every_seconds=0.2)", grouped, COUNT),
        ("bulk, record()", bulk, COUNT),
    )
    with Store.open(url) as store:
        store.create_study(
            NewStudy(
                "speed",
                SpaceRecord("benchmark", "1"),
                task="none",
                task_fingerprint="none",
                objectives=[{"metric": "accuracy", "direction": "max"}],
            )
        )
        start = 0
        for name, way, count in ways:
            began = time.perf_counter()
            way(store, start, count)
            seconds = time.perf_counter() - began
            print(f"{name:36} {count / seconds:8.0f} evaluations per second ({count})")
            start += count


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/speed.db")

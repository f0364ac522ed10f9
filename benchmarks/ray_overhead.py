"""Measures how much worker time the Ray executor loses between trials.

Runs trials that sleep on two workers and prints the part of worker time in which no trial ran:
(wall x workers - sum of trial seconds) / (wall x workers). The start of Ray and of the worker
processes is paid once per run and told apart. Knows the executor only; nothing is trained or stored.

    python benchmarks/ray_overhead.py                    # 24 trials of 10 s, two workers: 2 minutes
    python benchmarks/ray_overhead.py --trials 60 --seconds 2
"""

from __future__ import annotations

import argparse
import time

from nasplat.evaluate.base import Report
from nasplat.execute.base import Verdict
from nasplat.execute.engine import RayExecutor
from nasplat.execute.profile import Profile
from nasplat.testing.driver import MemoryDriver, make_job
from nasplat.testing.scripted import SPEC


class Clock(MemoryDriver):
    """Sums what trials took and notes when the first of them began."""

    spent = 0.0
    first: float | None = None
    last = 0.0

    def report(self, trial: int, report: Report) -> Verdict:
        """Take the time of one rung."""
        self.spent += report.seconds
        self.last = time.monotonic()
        if self.first is None:
            self.first = self.last - report.seconds
        return super().report(trial, report)


def measure(trials: int, seconds: float, workers: int) -> dict[str, float]:
    """Run and return seconds (wall, start-up, first worker, end) and the share that is lost."""
    rungs = 3
    driver = Clock([make_job(trial, seconds=seconds / rungs) for trial in range(trials)])
    executor = RayExecutor(Profile(name="overhead", cpus=0.5, concurrent=workers), SPEC)
    began = time.monotonic()
    executor.run(driver)
    ended = time.monotonic()
    assert len(driver.finished) == trials and driver.first is not None
    wall = driver.last - driver.first
    total = ended - began
    return {
        "wall": wall,
        "spent": driver.spent,
        "lost": (wall * workers - driver.spent) / (wall * workers),
        "ray_start": executor.startup_seconds,
        "worker_start": driver.first - began - executor.startup_seconds,
        "ray_end": ended - driver.last,
        "total": total,
        "lost_with_start": (total * workers - driver.spent) / (total * workers),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seen = measure(options.trials, options.seconds, options.workers)
    print(
        f"{options.trials} trials of {options.seconds:g} s, three rungs, {options.workers} workers"
    )
    print(
        f"worker time lost between trials {100 * seen['lost']:.2f} %"
        f"  (wall {seen['wall']:.1f} s, trials {seen['spent']:.1f} s; to meet: 5 %)"
    )
    print(
        f"once per run: Ray starts in {seen['ray_start']:.1f} s, the first worker in "
        f"{seen['worker_start']:.1f} s, the end takes {seen['ray_end']:.1f} s; "
        f"with these {100 * seen['lost_with_start']:.1f} % of {seen['total']:.1f} s"
    )


if __name__ == "__main__":
    main()

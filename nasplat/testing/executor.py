"""What every executor must do, as tests: inherit `ExecutorConformance` and say how yours is made.

    class TestMine(ExecutorConformance):
        @pytest.fixture
        def make(self, tmp_path):
            return lambda **options: MyExecutor(SPEC, scratch=tmp_path, **options)

The driver used here is strict: a call out of order fails the test by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import pytest

from nasplat.errors import Failure, StoreError
from nasplat.evaluate.base import Report
from nasplat.execute.base import Driver, Executor, Verdict
from nasplat.execute.interrupt import Interrupts
from nasplat.testing.driver import Call, MemoryDriver, make_job


class Interruptible(Executor, Protocol):
    """An executor whose Ctrl-C can be pressed by a test."""

    interrupts: Interrupts


Make = Callable[..., Interruptible]


def _names(calls: list[Call]) -> list[str]:
    return [call.name for call in calls]


def _failures(driver: MemoryDriver, trial: int) -> list[tuple[Failure, str]]:
    return [call.value for call in driver.of(trial) if call.name == "fail"]


def _reports(driver: MemoryDriver, trial: int) -> list[Report]:
    return [call.value for call in driver.of(trial) if call.name == "report"]


class ExecutorConformance:
    """The contract of `nasplat.execute.base.Executor`."""

    @pytest.fixture
    def make(self) -> Make:
        """Make an executor of the scripted evaluator; options: ``timeout``, ``grace``, ``heartbeat``
        in seconds. Checkpoints are kept between two of them.
        """
        raise NotImplementedError("override the fixture `make` with one that makes your executor")

    def test_is_an_executor(self, make: Make) -> None:
        assert isinstance(make(), Executor)
        assert isinstance(MemoryDriver([]), Driver)

    def test_every_trial_reports_each_rung_in_order_and_is_finished_once(self, make: Make) -> None:
        driver = MemoryDriver([make_job(trial) for trial in range(5)])
        make().run(driver)
        assert sorted(driver.finished) == [0, 1, 2, 3, 4]
        for trial in range(5):
            assert _names(driver.of(trial)) == ["next", "report", "report", "report", "finish"]
            assert [report.fidelity for report in _reports(driver, trial)] == [1, 3, 9]
            assert _reports(driver, trial)[-1].metrics["accuracy"] == 0.5

    def test_flush_is_the_last_call(self, make: Make) -> None:
        driver = MemoryDriver([make_job(0)])
        make().run(driver)
        assert _names(driver.calls)[-1] == "flush"

    def test_a_driver_without_jobs_ends_the_run(self, make: Make) -> None:
        driver = MemoryDriver([])
        make().run(driver)
        assert _names(driver.calls) == ["flush"]

    def test_a_verdict_stops_a_trial_at_its_rung_and_it_is_finished(self, make: Make) -> None:
        driver = MemoryDriver(
            [make_job(trial) for trial in range(3)],
            verdict=lambda trial, report: (
                Verdict.STOP if trial == 1 and report.fidelity == 3 else Verdict.CONTINUE
            ),
        )
        make().run(driver)
        assert _names(driver.of(1)) == ["next", "report", "report", "finish"]
        assert sorted(driver.finished) == [0, 1, 2]

    @pytest.mark.parametrize("failure", [Failure.INVALID, Failure.DIVERGED, Failure.TIMEOUT])
    def test_a_failure_is_recorded_with_its_class_and_not_retried(
        self, make: Make, failure: Failure
    ) -> None:
        driver = MemoryDriver([make_job(0, fail=failure, fail_at=3), make_job(1)])
        make().run(driver)
        assert _names(driver.of(0)) == ["next", "report", "fail"]
        assert _failures(driver, 0) == [(failure, "failed by the script")]
        assert (driver.failed, driver.finished) == ([0], [1])

    def test_an_error_of_the_code_is_a_bug_and_its_place_is_recorded(self, make: Make) -> None:
        driver = MemoryDriver([make_job(0, fail="raise")])
        make().run(driver)
        ((failure, message),) = _failures(driver, 0)
        assert failure is Failure.BUG
        assert "raised by the script" in message
        assert "scripted.py" in message

    def test_out_of_memory_is_retried_once_with_half_the_batch(self, make: Make) -> None:
        jobs = [make_job(0, batch_size=64, fits=32), make_job(1, batch_size=64, fits=8)]
        driver = MemoryDriver(jobs)
        make().run(driver)
        sizes = [call.value.recipe["batch_size"] for call in driver.of(0) if call.name == "next"]
        assert sizes == [64, 32]
        assert [failure for failure, _ in _failures(driver, 1)] == [Failure.OOM, Failure.OOM]
        assert (driver.finished, driver.failed) == ([0], [1])

    def test_a_trial_past_its_deadline_fails_by_time_out(self, make: Make) -> None:
        driver = MemoryDriver([make_job(0, seconds=60, timeout=0.3), make_job(1)])
        began = time.monotonic()
        make().run(driver)
        assert time.monotonic() - began < 45
        assert [failure for failure, _ in _failures(driver, 0)] == [Failure.TIMEOUT]
        assert driver.of(0)[-1].seconds >= 0.3
        assert driver.finished == [1]

    def test_the_executors_time_out_holds_for_jobs_without_one(self, make: Make) -> None:
        driver = MemoryDriver([make_job(0, seconds=60)])
        make(timeout=0.3).run(driver)
        assert [failure for failure, _ in _failures(driver, 0)] == [Failure.TIMEOUT]

    def test_running_trials_are_beaten_for(self, make: Make) -> None:
        driver = MemoryDriver([make_job(0, seconds=0.5)])
        make(heartbeat=0.1).run(driver)
        beats = [call.value for call in driver.calls if call.name == "beat"]
        assert (0,) in beats

    def test_a_stop_from_outside_releases_running_trials_at_their_next_report(
        self, make: Make
    ) -> None:
        driver = MemoryDriver([make_job(trial, seconds=0.1) for trial in range(6)], stop_after=2)
        make().run(driver)
        assert driver.released
        assert not driver.running
        assert len(driver.finished) + len(driver.waiting) == 6

    def test_a_released_trial_goes_on_from_its_checkpoint(self, make: Make) -> None:
        driver = MemoryDriver([make_job(0)], stop_after=2)
        make().run(driver)
        assert _names(driver.of(0)) == ["next", "report", "report", "release"]
        again = driver.resumed()
        make().run(again)
        (last,) = _reports(again, 0)
        assert (last.fidelity, last.metrics["resumed_from"]) == (9, 3.0)
        assert again.finished == [0]

    def test_ctrl_c_stops_launching_and_releases_what_runs(self, make: Make) -> None:
        executor = make()
        driver = MemoryDriver([make_job(trial, seconds=0.4) for trial in range(20)])
        _press_when(driver, executor, lambda: driver.num_reports >= 1)
        executor.run(driver)
        assert _names(driver.calls).count("interrupt") == 1
        assert driver.released
        assert not driver.running

    def test_what_reaches_no_rung_in_its_grace_time_is_released(self, make: Make) -> None:
        executor = make(grace=0.3)
        driver = MemoryDriver([make_job(0, seconds=60)])
        _press_when(driver, executor, lambda: bool(driver.running))
        began = time.monotonic()
        executor.run(driver)
        assert time.monotonic() - began < 45
        assert _names(driver.of(0)) == ["next", "release"]

    @pytest.mark.parametrize("method", ["next", "report", "finish", "beat"])
    def test_an_error_of_the_driver_ends_the_run_as_itself(self, make: Make, method: str) -> None:
        def broken(*arguments: object) -> None:
            raise StoreError("the disk is full")

        driver = MemoryDriver([make_job(0, seconds=0.3), make_job(1, seconds=0.3)])
        setattr(driver, method, broken)
        with pytest.raises(StoreError, match="the disk is full"):
            make(heartbeat=0.1).run(driver)
        assert _names(driver.calls)[-1] == "flush"


def _press_when(driver: MemoryDriver, executor: Interruptible, ready: Callable[[], bool]) -> None:
    """Press Ctrl-C from another thread, a moment after ``ready`` holds."""

    def wait_and_press() -> None:
        until = time.monotonic() + 60
        while not ready() and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)
        executor.interrupts.press()

    threading.Thread(target=wait_and_press, daemon=True).start()

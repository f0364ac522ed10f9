"""The Ray executor against real processes: killed, hung, interrupted, and what is left of them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from nasplat.errors import BudgetError, Failure, UsageError
from nasplat.evaluate.base import Report
from nasplat.execute.engine import RayExecutor
from nasplat.execute.folder import PREFIX
from nasplat.execute.profile import Profile
from nasplat.execute.session import ray_session
from nasplat.testing.driver import MemoryDriver, make_job
from nasplat.testing.scripted import SPEC

PROFILE = Profile(name="test", concurrent=2)


@pytest.fixture(scope="class")
def ray() -> Iterator[None]:
    """One Ray for a class of tests that need none of their own."""
    with ray_session(PROFILE):
        yield


def reports(driver: MemoryDriver, trial: int) -> list[Report]:
    return [call.value for call in driver.of(trial) if call.name == "report"]


def failures(driver: MemoryDriver, trial: int) -> list[tuple[Failure, str]]:
    return [call.value for call in driver.of(trial) if call.name == "fail"]


@pytest.mark.usefixtures("ray")
class TestWorkers:
    def test_one_process_evaluates_many_trials(self, tmp_path: Path) -> None:
        driver = MemoryDriver([make_job(trial, seconds=0.05) for trial in range(12)])
        RayExecutor(PROFILE, SPEC, scratch=tmp_path).run(driver)
        processes = {
            report.metrics["process"] for trial in range(12) for report in reports(driver, trial)
        }
        assert len(driver.finished) == 12
        assert len(processes) <= 2
        assert os.getpid() not in processes

    def test_a_failed_trial_keeps_its_worker(self, tmp_path: Path) -> None:
        profile = Profile(name="one", concurrent=1)
        driver = MemoryDriver([make_job(0, fail="raise", fail_at=3), make_job(1)])
        RayExecutor(profile, SPEC, scratch=tmp_path).run(driver)
        before, after = reports(driver, 0)[0], reports(driver, 1)[0]
        assert before.metrics["process"] == after.metrics["process"]

    @pytest.mark.parametrize("kind", ["sleep", "c"])
    def test_a_hung_step_is_ended_even_in_a_c_call_that_holds_the_interpreter(
        self, tmp_path: Path, kind: str
    ) -> None:
        driver = MemoryDriver([make_job(0, hang=kind, timeout=0.5), make_job(1)])
        began = time.monotonic()
        RayExecutor(PROFILE, SPEC, scratch=tmp_path).run(driver)
        assert time.monotonic() - began < 40
        ((failure, message),) = failures(driver, 0)
        assert failure is Failure.TIMEOUT
        assert "0.5 s" in message
        assert driver.finished == [1]

    def test_a_killed_worker_is_noticed_and_its_trial_goes_on_from_its_last_checkpoint(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        class Killing(MemoryDriver):
            """Kills the worker with signal 9 once, after its second report."""

            killed = False

            def beat(self, trials: object) -> None:
                seen = reports(self, 0)
                if len(seen) == 2 and not self.killed:
                    self.killed = True
                    os.kill(int(seen[0].metrics["process"]), signal.SIGKILL)

        driver = Killing([make_job(0, seconds=0.5)])
        profile = Profile(name="beats", heartbeat=0.1)
        RayExecutor(profile, SPEC, scratch=tmp_path).run(driver)
        ((failure, message),) = failures(driver, 0)
        assert failure is Failure.LOST
        assert "the worker died" in message
        assert [report.fidelity for report in reports(driver, 0)] == [1, 3, 9]
        assert reports(driver, 0)[-1].metrics["resumed_from"] == 3
        assert driver.finished == [0]
        assert "".join(capfd.readouterr()) == ""

    @pytest.mark.slow
    def test_a_trial_that_loses_every_worker_fails_after_two_retries(self, tmp_path: Path) -> None:
        class Forgetful(MemoryDriver):
            """Removes the mark by which the script dies only once."""

            def fail(self, trial: int, failure: Failure, message: str, seconds: float) -> None:
                (tmp_path / f"trial-{trial}" / "died").unlink()
                super().fail(trial, failure, message, seconds)

        driver = Forgetful([make_job(0, die=True)])
        RayExecutor(PROFILE, SPEC, scratch=tmp_path).run(driver)
        assert [failure for failure, _ in failures(driver, 0)] == [Failure.LOST] * 3
        assert driver.failed == [0]

    def test_a_checkpoint_that_is_not_here_means_starting_afresh(self, tmp_path: Path) -> None:
        job = dataclasses.replace(make_job(0), checkpoint=str(tmp_path / "elsewhere"))
        driver = MemoryDriver([job])
        RayExecutor(PROFILE, SPEC, scratch=tmp_path).run(driver)
        assert [report.fidelity for report in reports(driver, 0)] == [1, 3, 9]

    def test_an_evaluator_that_cannot_be_made_fails_trials_with_the_reason(
        self, tmp_path: Path
    ) -> None:
        driver = MemoryDriver([make_job(0)])
        RayExecutor(PROFILE, {"kind": "no_such_module:Thing"}, scratch=tmp_path).run(driver)
        ((failure, message),) = failures(driver, 0)
        assert failure is Failure.INVALID
        assert "no_such_module" in message

    @pytest.mark.slow
    def test_two_trials_share_a_processor_when_each_asks_for_half(self, tmp_path: Path) -> None:
        driver = MemoryDriver([make_job(trial, seconds=0.3) for trial in range(2)])
        RayExecutor(Profile(name="half", cpus=0.5), SPEC, scratch=tmp_path).run(driver)
        assert sorted(driver.finished) == [0, 1]


@pytest.mark.slow
class TestJoining:
    def test_a_machine_that_joins_while_a_search_runs_is_used(self, tmp_path: Path) -> None:
        """A second node on this machine, by the command that a user types on another one."""
        profile = Profile(name="joins", resources={"lane": 1.0}, heartbeat=0.2)
        executor = RayExecutor(profile, SPEC, scratch=tmp_path)
        joined: list[subprocess.Popen[bytes]] = []

        class Joining(MemoryDriver):
            """Starts the second node when the first trial has reported."""

            most = 0

            def beat(self, trials: Collection[int]) -> None:
                self.most = max(self.most, len(trials))
                if self.num_reports and not joined:
                    command = [
                        str(Path(sys.executable).with_name("ray")),
                        "start",
                        f"--address={executor.address}",
                        "--num-cpus=1",
                        '--resources={"lane": 1}',
                        "--block",
                    ]
                    joined.append(
                        subprocess.Popen(
                            command,
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL,
                            start_new_session=True,
                        )
                    )

        driver = Joining([make_job(trial, seconds=1.0) for trial in range(20)])
        try:
            executor.run(driver)
        finally:
            for process in joined:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert len(driver.finished) == 20
        assert driver.most == 2


class TestPreflight:
    def test_a_budget_that_can_never_be_spent_is_refused_before_ray_starts(self) -> None:
        driver = MemoryDriver([make_job(0)])
        executor = RayExecutor(Profile(name="test"), SPEC, budget=[("gpu-h", 100.0)])
        with pytest.raises(BudgetError, match="a budget of 100 gpu-h can never be spent"):
            executor.run(driver)
        assert driver.calls == []
        assert executor.startup_seconds == 0.0

    def test_a_trial_that_never_fits_is_refused(self) -> None:
        with pytest.raises(UsageError, match="can never be scheduled"):
            RayExecutor(Profile(name="huge", cpus=100_000), SPEC).run(MemoryDriver([]))

    def test_an_address_where_no_cluster_answers_is_named(self) -> None:
        profile = Profile(name="far", address="127.0.0.1:1")
        began = time.monotonic()
        with pytest.raises(UsageError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
            RayExecutor(profile, SPEC).run(MemoryDriver([]))
        assert time.monotonic() - began < 60


SCRIPT = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from nasplat.execute.engine import RayExecutor
    from nasplat.execute.profile import Profile
    from nasplat.testing.driver import MemoryDriver, make_job
    from nasplat.testing.scripted import SPEC

    folder = Path(sys.argv[1])

    class Telling(MemoryDriver):
        def report(self, trial, report):
            print("report", int(report.metrics["process"]), file=sys.stderr, flush=True)
            return super().report(trial, report)

    driver = Telling([make_job(i, seconds=float(sys.argv[2])) for i in range(8)])
    killed = False
    try:
        RayExecutor(Profile(name="test", grace=20), SPEC, scratch=folder).run(driver)
    except KeyboardInterrupt:
        killed = True
    released = sorted(driver.released)
    print(json.dumps({"killed": killed, "released": released, "running": sorted(driver.running),
                      "finished": sorted(driver.finished), "last": driver.calls[-1].name}))
    """
)


@contextlib.contextmanager
def started(folder: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Run the script in a session of its own; whatever is left of it is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_worker(process: subprocess.Popen[str]) -> int:
    """Wait for the first report and return the process that it came from."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("report"), line + process.stderr.read()
    return int(line.split()[1])


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class TestProcess:
    """A whole process with a Ray of its own, as a user's terminal sees it."""

    def run_and_press(
        self, tmp_path: Path, seconds: float, presses: int
    ) -> tuple[dict[str, Any], list[int]]:
        with started(tmp_path, seconds) as process:
            workers = [first_worker(process)]
            for _ in range(presses):
                # To the whole group, as a terminal does.
                os.killpg(process.pid, signal.SIGINT)
                time.sleep(1.0)
            out, err = process.communicate(timeout=120)
        workers += [int(line.split()[1]) for line in err.splitlines() if line.startswith("report")]
        noise = [line for line in err.splitlines() if not line.startswith("report")]
        assert noise == []
        return json.loads(out), workers

    def test_ctrl_c_once_checkpoints_what_runs_and_leaves_nothing_behind(
        self, tmp_path: Path
    ) -> None:
        state, workers = self.run_and_press(tmp_path, 1.0, presses=1)
        assert not state["killed"]
        assert state["released"]
        assert state["running"] == []
        assert state["last"] == "flush"
        assert not any(alive(worker) for worker in workers)

    @pytest.mark.slow
    def test_ctrl_c_twice_kills_and_releases_what_ran(self, tmp_path: Path) -> None:
        state, workers = self.run_and_press(tmp_path, 4.0, presses=2)
        assert state["killed"]
        assert state["released"]
        assert state["running"] == []
        assert state["last"] == "flush"
        assert not any(alive(worker) for worker in workers)

    @pytest.mark.slow
    def test_a_killed_driver_leaves_no_workers(self, tmp_path: Path) -> None:
        with started(tmp_path, 2.0) as process:
            worker = first_worker(process)
            assert alive(worker)
            process.kill()
            process.communicate()
        until = time.monotonic() + 60
        while alive(worker) and time.monotonic() < until:
            time.sleep(0.2)
        assert not alive(worker)

    @pytest.mark.slow
    def test_a_run_prints_nothing_and_leaves_no_folders(self, tmp_path: Path) -> None:
        with started(tmp_path, 0.0) as process:
            out, err = process.communicate(timeout=120)
        assert json.loads(out)["finished"] == list(range(8))
        assert [line for line in err.splitlines() if not line.startswith("report")] == []
        assert list(Path("/tmp").glob(f"{PREFIX}{process.pid}-*")) == []

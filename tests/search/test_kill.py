"""Kill -9 at random moments: the driver, its workers. Nothing completed is lost or repeated, resume ends."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from nasplat.search.study import Study
from nasplat.store.records import TrialRecord, TrialState
from nasplat.testing.formula import KIND

KILLS = 20
TRIALS = 160
START_SECONDS = 300.0


@pytest.fixture
def study(space_file: str, storage: str) -> Study:
    """A study on two Ray workers whose trials last a quarter of a second."""
    return Study.create(
        "killed",
        space=space_file,
        task="digits",
        budget=f"{TRIALS}trials",
        storage=storage,
        strategy="random",
        epochs=9,
        evaluator={"kind": KIND, "seconds": 0.03, "checkpoints": True},
    )


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'killed.db'}"


@contextmanager
def resume(storage: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A driver that goes on with the study; it does not outlive the block."""
    command = [sys.executable, "-m", "nasplat", "resume", "killed", "--storage", storage]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def trial_workers(driver: psutil.Process) -> list[psutil.Process]:
    """The driver's Ray workers that run trials; those that end meanwhile are left out."""
    found: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        for child in driver.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                command = " ".join(child.cmdline())
                if child.name().startswith("ray::") and "Trainable" in command:
                    found.append(child)
    return found


def wait_for_progress(
    study: Study, process: subprocess.Popen[bytes], log: Path, ended: int
) -> None:
    """Wait until a run records something new, or ends."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if sum(trial.state.ended for trial in study.trials()) > ended:
            return
        time.sleep(0.02)
    assert process.poll() == 0, log.read_text()


def ended_trials(study: Study) -> dict[int, TrialRecord]:
    return {trial.number: trial for trial in study.trials() if trial.state.ended}


def check_ledger(study: Study) -> None:
    used = study.store.ledger_totals(study.name)["cpu"].used
    spent = sum(trial.device_seconds for trial in study.trials())
    assert used == pytest.approx(spent, rel=0.01)


def check_complete(study: Study, before: dict[int, TrialRecord]) -> None:
    trials = study.trials()
    assert study.state == "complete"
    assert len(trials) == TRIALS
    assert all(trial.state.ended for trial in trials)
    assert len({trial.digest for trial in trials}) == TRIALS
    after = ended_trials(study)
    assert {number: after[number] for number in before}.keys() == before.keys()
    for number, trial in before.items():
        now = after[number]
        assert (now.state, now.ended, now.attempt, now.metrics) == (
            trial.state,
            trial.ended,
            trial.attempt,
            trial.metrics,
        )
    check_ledger(study)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killed_driver_loses_and_repeats_nothing(
    study: Study, storage: str, tmp_path: Path
) -> None:
    rng, log = random.Random(0), tmp_path / "log"
    before: dict[int, TrialRecord] = {}
    kills = 0
    while kills < KILLS and len(ended_trials(study)) < TRIALS:
        with resume(storage, log) as process:
            wait_for_progress(study, process, log, len(ended_trials(study)))
            time.sleep(rng.uniform(0.0, 0.6))
            kills += process.poll() is None
        for number, trial in before.items():
            assert ended_trials(study)[number].ended == trial.ended
        before = ended_trials(study)
        check_ledger(study)
    assert kills == KILLS
    with resume(storage, log) as process:
        assert process.wait(timeout=300) == 0, log.read_text()
    check_complete(study, before)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killed_worker_loses_and_repeats_nothing(
    study: Study, storage: str, tmp_path: Path
) -> None:
    rng, log = random.Random(1), tmp_path / "log"
    with resume(storage, log) as process:
        driver = psutil.Process(process.pid)
        kills = 0
        deadline = time.monotonic() + 600
        while kills < KILLS and process.poll() is None and time.monotonic() < deadline:
            workers = trial_workers(driver)
            if workers and any(trial.state is TrialState.RUNNING for trial in study.trials()):
                with suppress(psutil.NoSuchProcess):
                    rng.choice(workers).kill()
                    kills += 1
            time.sleep(rng.uniform(0.2, 2.0))
        assert process.wait(timeout=600) == 0, log.read_text()
    assert kills == KILLS
    check_complete(study, {})
    lost = [trial for trial in study.trials() if trial.attempt > 1]
    assert lost

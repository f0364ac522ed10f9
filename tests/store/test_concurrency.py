"""Several processes on one database: nothing is leased twice, nothing committed is lost."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nasplat.errors import StoreError
from nasplat.store.records import Lease, NewReport, TrialState
from nasplat.store.store import Store
from nasplat.testing.store_given import make_study, make_trials

LEASER = """
import sys
from nasplat.store.records import Lease, NewReport
from nasplat.store.store import Store
with Store.open(sys.argv[1]) as store:
    while taken := store.lease("demo", Lease(sys.argv[2], seconds=1.0), 2, limit_seconds=60.0):
        for trial in taken:
            store.report("demo", trial.number, NewReport(1, {"accuracy": 0.5}, 1.0))
            store.finish("demo", trial.number)
            print(trial.number)
"""
ADDER = """
import sys
from nasplat.store.records import Lease, NewReport
from nasplat.store.store import Store
from nasplat.testing.store_given import make_trials
with Store.open(sys.argv[1]) as store:
    while True:
        with store.batch():
            numbers = store.add_trials("demo", make_trials(3), lease=Lease("w"))
            for number in numbers:
                store.report("demo", number, NewReport(1, {"accuracy": 0.5}, 1.0))
            store.finish("demo", numbers[0])
        print(*numbers, flush=True)
"""
CREATOR = """
import sys
from nasplat.store.store import Store
with Store.open(sys.argv[1]) as store:
    print(store.version())
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/results.db"
    else:
        yield request.getfixturevalue("postgres_url")


def test_each_trial_is_leased_by_exactly_one_process_and_within_the_budget(url: str) -> None:
    with Store.open(url) as store:
        store.create_study(make_study())
        store.add_trials("demo", make_trials(80))
        workers = [start(LEASER, url, f"worker{index}") for index in range(4)]
        printed = [worker.communicate(timeout=100)[0].split() for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * 4
        numbers = sorted(int(number) for numbers in printed for number in numbers)
        assert numbers == list(range(60))
        assert store.counts("demo")[TrialState.COMPLETE] == 60
        assert store.ledger_totals("demo")["cpu"].used == 60.0
        assert all(trial.attempt == 1 for trial in store.trials("demo", after=-1, limit=60))
        assert store.check() == []


def test_a_killed_process_loses_nothing_committed_and_leaves_no_half_change(url: str) -> None:
    seen: set[int] = set()
    with Store.open(url) as store:
        store.create_study(make_study())
        for delay in (0.0, 0.013, 0.037):
            worker = start(ADDER, url)
            assert worker.stdout is not None
            first = worker.stdout.readline()
            time.sleep(delay)
            os.kill(worker.pid, signal.SIGKILL)
            rest, _ = worker.communicate(timeout=30)
            complete = [line for line in (first + rest).splitlines() if len(line.split()) == 3]
            seen |= {int(number) for line in complete for number in line.split()}
        deadline = time.monotonic() + 10
        stored = store.trials("demo")
        while len(stored) < len(seen) and time.monotonic() < deadline:
            time.sleep(0.05)
            stored = store.trials("demo")
        assert seen <= {trial.number for trial in stored}
        assert len(stored) % 3 == 0
        assert all(trial.metrics == {"accuracy": 0.5} for trial in stored)
        assert store.counts("demo")[TrialState.COMPLETE] == len(stored) // 3
        store.reclaim("demo", everything=True)
        assert store.check() == []
        used = sum(total.used for total in store.ledger_totals("demo").values())
        assert used == pytest.approx(sum(trial.device_seconds for trial in store.trials("demo")))


def test_processes_that_create_one_database_together_all_find_it(url: str) -> None:
    workers = [start(CREATOR, url) for _ in range(3)]
    assert [worker.communicate(timeout=60)[0].split() for worker in workers] == [["0001"]] * 3


def test_another_writer_gets_its_turn_while_changes_are_grouped(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/results.db"
    with Store.open(url) as store, Store.open(url) as other:
        store.create_study(make_study())
        done = threading.Event()

        def stop() -> None:
            other.charge("demo", "cpu", 1.0, "from elsewhere")
            done.set()

        thread = threading.Thread(target=stop)
        deadline = time.monotonic() + 25
        with store.batch(every_seconds=0.1):
            store.add_trials("demo", make_trials(1))
            thread.start()
            while not done.is_set() and time.monotonic() < deadline:
                store.add_trials("demo", make_trials(1))
            assert done.is_set()
        thread.join(timeout=30)


def test_threads_share_one_handle(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
        store.create_study(make_study())
        store.add_trials("demo", make_trials(40))
        taken: list[int] = []

        def work(name: str) -> None:
            while trials := store.lease("demo", Lease(name)):
                store.report("demo", trials[0].number, NewReport(1, {"accuracy": 0.5}))
                store.finish("demo", trials[0].number)
                taken.append(trials[0].number)

        threads = [threading.Thread(target=work, args=(f"t{index}",)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert sorted(taken) == list(range(40))


def test_a_handle_works_after_pickling(url: str) -> None:
    with Store.open(url) as store:
        store.create_study(make_study())
        with pickle.loads(pickle.dumps(store)) as again:
            assert again.study("demo") == store.study("demo")
            assert again.add_trials("demo", make_trials(1)) == [0]


def test_a_handle_in_memory_cannot_be_sent_elsewhere() -> None:
    with Store.open("memory://") as store, pytest.raises(StoreError, match="lives in one process"):
        pickle.dumps(store)


def test_a_handle_works_in_a_forked_child_and_in_the_parent_after_it(url: str) -> None:
    with Store.open(url) as store:
        store.create_study(make_study())
        child = os.fork()
        if child == 0:
            try:
                store.add_trials("demo", make_trials(2))
                store.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.add_trials("demo", make_trials(1)) == [2]

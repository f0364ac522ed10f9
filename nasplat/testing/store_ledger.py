"""Part of the conformance suite of stores: the ledger of device time, and what a transaction keeps."""

from __future__ import annotations

import math
import random
import time

import pytest

from nasplat.errors import Failure, StoreError, UsageError
from nasplat.store.records import Lease, NewReport, TrialState
from nasplat.store.store import Store
from nasplat.testing.store_given import WORKER, GivenStore, make_study, make_trials


class LedgerRules(GivenStore):
    """Rules of the ledger and transactions."""

    def test_the_ledger_reserves_when_leased_and_settles_when_ended(self, running: Store) -> None:
        running.lease("demo", WORKER, 2)
        assert vars(running.ledger_totals("demo")["cpu"]) == {"reserved": 20.0, "used": 0.0}
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 4.0))
        assert vars(running.ledger_totals("demo")["cpu"]) == {"reserved": 16.0, "used": 4.0}
        running.finish("demo", 0, TrialState.FAILED, failure=Failure.DIVERGED, device_seconds=0.25)
        assert vars(running.ledger_totals("demo")["cpu"]) == {"reserved": 10.0, "used": 4.25}
        running.reserve("demo", 1, 30.0)
        assert running.ledger_totals("demo")["cpu"].reserved == 30.0
        with pytest.raises(StoreError, match="nothing is reserved"):
            running.reserve("demo", 0, 1.0)

    def test_a_lapsed_attempt_is_charged_for_reports_and_heartbeats(self, running: Store) -> None:
        running.lease("demo", Lease("dead", ttl_seconds=0.1, share=0.5), 1)
        time.sleep(0.05)
        running.beat("demo", [0])
        running.reclaim("demo", everything=True)
        charged = running.trial("demo", 0).device_seconds
        assert 0.025 <= charged < 0.5
        running.lease("demo", WORKER, 1)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 3.0))
        running.reclaim("demo", everything=True)
        first, second = running.ledger("demo")
        assert (first.attempt, first.used, second.attempt, second.used) == (1, charged, 2, 3.0)
        assert running.trial("demo", 0).device_seconds == pytest.approx(charged + 3.0, abs=1e-9)

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_the_ledger_equals_the_device_time_whatever_happens(
        self, store: Store, seed: int
    ) -> None:
        rng = random.Random(seed)
        store.create_study(make_study())
        for step in range(60):
            trials = store.trials("demo")
            live = [t.number for t in trials if t.state is TrialState.RUNNING]
            action = rng.choice(["add", "lease", "report", "finish", "fail", "release", "lapse"])
            seconds = rng.random()
            if action == "add":
                store.add_trials("demo", make_trials(2, start=2 * step))
            elif action == "lease":
                store.lease("demo", Lease("w", unit=rng.choice(["cpu", "gpu"])), 2)
            elif action == "lapse":
                store.reclaim("demo", everything=True)
            elif live:
                number = rng.choice(live)
                if action == "report":
                    store.report("demo", number, NewReport(step, {"accuracy": 0.1}, seconds))
                elif action == "finish":
                    store.finish("demo", number, device_seconds=seconds)
                elif action == "fail":
                    store.finish(
                        "demo",
                        number,
                        TrialState.FAILED,
                        failure=Failure.OOM,
                        device_seconds=seconds,
                    )
                else:
                    store.release("demo", [number], device_seconds=seconds)
        used = sum(total.used for total in store.ledger_totals("demo").values())
        spent = sum(trial.device_seconds for trial in store.trials("demo"))
        assert spent > 0
        assert used == pytest.approx(spent, abs=1e-9)
        assert store.check() == []

    @pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
    def test_device_time_is_a_finite_number_of_seconds(
        self, running: Store, seconds: float
    ) -> None:
        with pytest.raises(UsageError, match="device time must be 0 or more seconds"):
            running.charge("demo", "cpu", seconds, "nothing")

    def test_device_time_without_a_lease_is_refused(self, running: Store) -> None:
        with pytest.raises(StoreError, match="is waiting"):
            running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 1.0))
        with pytest.raises(StoreError, match="is waiting"):
            running.finish("demo", 0, device_seconds=1.0)
        assert running.trial("demo", 0).device_seconds == 0.0

    # transactions

    def test_a_batch_that_raises_leaves_nothing(self, running: Store) -> None:
        with pytest.raises(ZeroDivisionError), running.batch():
            running.add_trials("demo", make_trials(2, start=10), lease=WORKER)
            running.report("demo", 4, NewReport(1, {"brand_new": 1.0}, 1.0))
            assert running.counts("demo")[TrialState.RUNNING] == 1 + 1
            raise ZeroDivisionError
        assert len(running.trials("demo")) == 4
        assert "brand_new" not in {column.column for column in running.describe_views()}
        assert running.add_trials("demo", make_trials(1, start=10)) == [4]
        assert running.check() == []

    @pytest.mark.parametrize("every_seconds", [None, 60.0])
    def test_a_change_that_fails_in_a_batch_is_taken_back_alone(
        self, running: Store, every_seconds: float | None
    ) -> None:
        running.lease("demo", WORKER, 2)
        with running.batch(every_seconds=every_seconds):
            running.add_trials("demo", make_trials(1, start=10))
            running.finish("demo", 0)
            with pytest.raises(StoreError):
                running.release("demo", [1, 0])
            running.add_trials("demo", make_trials(1, start=11))
        assert len(running.trials("demo")) == 6
        assert running.trial("demo", 1).state is TrialState.RUNNING
        assert running.check() == []

    def test_a_group_is_committed_when_it_is_old_enough(self, running: Store) -> None:
        with running.batch(every_seconds=0.05):
            running.add_trials("demo", make_trials(1, start=10))
            assert len(running.query("select number from trials")) in (4, 5)
            time.sleep(0.06)
            running.add_trials("demo", make_trials(1, start=11))
            assert len(running.query("select number from trials")) == 6

    def test_a_group_keeps_whole_changes_when_the_block_raises(self, running: Store) -> None:
        with pytest.raises(KeyboardInterrupt), running.batch(every_seconds=60):
            running.add_trials("demo", make_trials(2, start=10))
            raise KeyboardInterrupt
        assert len(running.trials("demo")) == 6

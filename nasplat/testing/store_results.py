"""Part of the conformance suite of stores: leases, in real time, reports, and how trials end."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nasplat.errors import Failure, NotFoundError, StoreError, UsageError
from nasplat.store.records import (
    DeviceRecord,
    EventRecord,
    FinishedTrial,
    Lease,
    NewReport,
    NewTrial,
    TrialState,
)
from nasplat.store.store import Store
from nasplat.testing.store_given import WORKER, GivenStore, make_study, make_trials


class ResultRules(GivenStore):
    """Rules of leases and results."""

    def test_each_waiting_trial_is_leased_once_with_its_graph(self, running: Store) -> None:
        first = running.lease("demo", WORKER, 3)
        second = running.lease("demo", Lease("other"), 3)
        assert [t.number for t in first] == [0, 1, 2] and [t.number for t in second] == [3]
        assert first[1].graph == {"nodes": 1} and first[1].state is TrialState.RUNNING
        assert (first[0].worker, first[0].attempt, second[0].worker) == ("worker", 1, "other")
        assert running.lease("demo", WORKER) == []

    def test_a_lease_that_lapsed_goes_to_the_next_worker(self, running: Store) -> None:
        running.lease("demo", Lease("dead", ttl_seconds=0.05), 4)
        time.sleep(0.1)
        again = running.lease("demo", WORKER, 1)
        assert [(t.number, t.attempt, t.worker) for t in again] == [(0, 2, "worker")]
        assert running.counts("demo")[TrialState.WAITING] == 3
        assert [event.kind for event in running.events(study="demo")] == ["lapsed"] * 4

    def test_heartbeats_keep_a_lease_and_tell_what_was_lost(self, running: Store) -> None:
        running.lease("demo", Lease("worker", ttl_seconds=0.3), 2)
        for _ in range(4):
            time.sleep(0.1)
            assert running.beat("demo", [0], worker="worker") == []
        assert running.reclaim("demo") == [1]
        assert running.beat("demo", [0, 1, 2], worker="worker") == [1, 2]
        assert running.beat("demo", [0], worker="other") == [0]

    def test_a_resume_can_take_back_living_leases(self, running: Store) -> None:
        running.lease("demo", WORKER, 2)
        assert running.reclaim("demo") == []
        assert running.reclaim("demo", everything=True) == [0, 1]
        assert running.counts("demo")[TrialState.WAITING] == 4

    def test_the_attempt_tells_a_late_worker_apart(self, running: Store) -> None:
        running.lease("demo", Lease("late"), 1)
        running.reclaim("demo", everything=True)
        running.lease("demo", WORKER, 1)
        late = r"attempt 2 \(worker\), attempt 1 lost its lease"
        with pytest.raises(StoreError, match=late):
            running.report("demo", 0, NewReport(1, {"accuracy": 0.5}), attempt=1)
        with pytest.raises(StoreError, match=late):
            running.finish("demo", 0, attempt=1)
        running.finish("demo", 0, attempt=2)

    def test_no_more_is_leased_than_the_budget_allows(self, running: Store) -> None:
        running.charge("demo", "cpu", 5.0, "warming up")
        taken = running.lease("demo", WORKER, 4, limit_seconds=26.0)
        assert [t.number for t in taken] == [0, 1]
        assert running.lease("demo", WORKER, 4, limit_seconds=26.0) == []
        running.finish("demo", 0, device_seconds=1.0)
        assert [t.number for t in running.lease("demo", WORKER, 4, limit_seconds=26.0)] == [2]

    # results

    def test_reports_are_the_learning_curve_and_the_newest_is_the_trials(
        self, running: Store
    ) -> None:
        running.put_device(DeviceRecord("d1:cpu", "a processor"))
        running.lease("demo", WORKER, 1)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 1.25, "one.pt", [0.1, 0.5]))
        running.report("demo", 0, NewReport(3, {"accuracy": 0.7}, 2.5, "three.pt", device="d1:cpu"))
        first, second = running.reports("demo", 0)
        assert (first.fidelity, first.metrics, first.curve) == (1, {"accuracy": 0.5}, [0.1, 0.5])
        assert (second.checkpoint, second.device_seconds) == ("three.pt", 2.5)
        trial = running.trial("demo", 0)
        assert (trial.fidelity, trial.metrics, trial.checkpoint) == (
            3,
            {"accuracy": 0.7},
            "three.pt",
        )
        assert (trial.device_seconds, trial.device) == (3.75, "d1:cpu")

    def test_a_report_repeated_after_a_restart_replaces_and_its_time_adds_up(
        self, running: Store
    ) -> None:
        running.lease("demo", WORKER, 1)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 1.0))
        running.report("demo", 0, NewReport(1, {"accuracy": 0.6}, 2.0))
        (report,) = running.reports("demo")
        assert (report.metrics, report.device_seconds) == ({"accuracy": 0.6}, 3.0)

    def test_numbers_that_json_lacks_are_null_in_sql_and_nan_in_python(
        self, running: Store
    ) -> None:
        running.lease("demo", WORKER, 1)
        running.report("demo", 0, NewReport(1, {"accuracy": math.nan, "loss": math.inf}))
        assert all(math.isnan(value) for value in running.trial("demo", 0).metrics.values())
        frame = running.query("select number from trials where number = 0 and accuracy is null")
        assert frame["number"].tolist() == [0]

    @pytest.mark.parametrize(
        ("state", "failure"),
        [
            (TrialState.COMPLETE, None),
            (TrialState.STOPPED, None),
            (TrialState.FAILED, Failure.DIVERGED),
        ],
    )
    def test_a_trial_ends_once(
        self, running: Store, state: TrialState, failure: Failure | None
    ) -> None:
        running.lease("demo", WORKER, 1)
        running.finish("demo", 0, state, failure=failure, message="so it was")
        trial = running.trial("demo", 0)
        assert (trial.state, trial.failure, trial.message) == (state, failure, "so it was")
        assert trial.ended is not None and trial.lease_until is None
        ended = f"trial 0 of 'demo' is {state}"
        with pytest.raises(StoreError, match=ended):
            running.finish("demo", 0)
        with pytest.raises(StoreError, match=ended):
            running.release("demo", [0])
        with pytest.raises(StoreError, match=ended):
            running.report("demo", 0, NewReport(1, {"accuracy": 1.0}))
        assert running.trial("demo", 0) == trial

    def test_a_failure_is_given_exactly_when_a_trial_failed(self, running: Store) -> None:
        for state, failure in (
            (TrialState.FAILED, None),
            (TrialState.COMPLETE, Failure.OOM),
            (TrialState.WAITING, None),
        ):
            with pytest.raises(UsageError, match="a trial ends as"):
                running.finish("demo", 0, state, failure=failure)

    def test_an_unknown_trial_is_not_found(self, running: Store) -> None:
        with pytest.raises(NotFoundError, match="has no trial 17"):
            running.finish("demo", 17)

    def test_a_released_trial_waits_and_keeps_its_checkpoint(self, running: Store) -> None:
        running.lease("demo", WORKER, 2)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 1.0, "one.pt"))
        running.release("demo", [0, 1], device_seconds=0.5, message="interrupted")
        (again,) = running.lease("demo", WORKER, 1)
        assert (again.number, again.attempt, again.checkpoint) == (0, 2, "one.pt")
        assert again.device_seconds == 1.5

    def test_the_front_is_replaced_in_the_transaction_of_the_finish(self, running: Store) -> None:
        running.lease("demo", WORKER, 4)
        running.finish("demo", 0, front=[0])
        running.finish("demo", 1, front=[0, 1])
        running.finish("demo", 2, front=[1, 2])
        assert [trial.number for trial in running.front("demo")] == [1, 2]
        with pytest.raises(StoreError):
            running.finish("demo", 2, front=[])
        assert [trial.number for trial in running.front("demo")] == [1, 2]
        running.set_front("demo", [3])
        assert running.query("select number from front")["number"].tolist() == [3]

    def test_what_was_trained_once_is_found_by_its_key_alone(self, running: Store) -> None:
        running.lease("demo", WORKER, 1)
        running.report("demo", 0, NewReport(3, {"accuracy": 0.9}, 4.0))
        key = (f"g1:{0:032x}", "t1:digits", "r1:0", 3, 7)
        found = running.find_result(*key)
        assert found is not None
        assert (found.study, found.number, found.metrics) == ("demo", 0, {"accuracy": 0.9})
        others: Sequence[object] = ("g1:other", "t1:other", "r1:other", 9, 8)
        for place, other in enumerate(others):
            changed = [*key[:place], other, *key[place + 1 :]]
            assert running.find_result(*changed) is None  # type: ignore[arg-type]  # one is changed

    @pytest.mark.parametrize("when", ["proposed", "reported"])
    def test_a_result_taken_over_says_from_where_and_is_no_source(
        self, running: Store, when: str
    ) -> None:
        running.create_study(make_study("other", task_fingerprint="t1:other"))
        new, source = make_trials(1)[0], ("demo", 0)
        shared = NewTrial(**(vars(new) | {"shared_from": source if when == "proposed" else None}))
        (number,) = running.add_trials("other", [shared])
        report = NewReport(3, {"accuracy": 0.9})
        running.report("other", number, report, shared_from=source if when == "reported" else None)
        running.finish("other", number)
        assert running.trial("other", number).shared_from == source
        assert running.find_result(new.digest, "t1:other", "r1:0", 3, 7) is None
        frame = running.query("duplicates-shared", {"study": "other"})
        assert frame[["shared_study", "shared_number"]].values.tolist() == [["demo", 0]]

    def test_odd_text_and_numbers_of_other_libraries_are_taken(self, running: Store) -> None:
        running.lease("demo", WORKER, 1)
        metrics: dict[str, Any] = {"accuracy": np.float32(0.5), "loss": np.float32("nan")}
        running.report("demo", 0, NewReport(1, metrics))
        odd = "a nul \0 and a file name \udcff"
        running.add_event(EventRecord("note", odd, data={"odd": odd, "size": np.int64(3)}))
        running.finish("demo", 0, TrialState.FAILED, failure=Failure.BUG, message=odd)
        trial = running.trial("demo", 0)
        assert trial.message == "a nul \\0 and a file name \\udcff"
        assert trial.metrics["accuracy"] == 0.5 and math.isnan(trial.metrics["loss"])
        (event,) = running.events()
        assert event.message == trial.message and event.data == {"odd": odd, "size": 3}

    def test_finished_trials_can_be_recorded_at_once(self, store: Store) -> None:
        store.create_study(make_study())
        reports = [NewReport(1, {"accuracy": 0.4}, 0.25), NewReport(3, {"accuracy": 0.8}, 0.5)]
        done = [FinishedTrial(new, reports) for new in make_trials(3)]
        failed = FinishedTrial(
            make_trials(1, 3)[0], (), TrialState.FAILED, Failure.OOM, "out of memory"
        )
        assert store.record("demo", [*done, failed], worker="inline") == [0, 1, 2, 3]
        trial = store.trial("demo", 1)
        assert (trial.state, trial.fidelity, trial.metrics, trial.device_seconds, trial.worker) == (
            TrialState.COMPLETE,
            3,
            {"accuracy": 0.8},
            0.75,
            "inline",
        )
        assert store.trial("demo", 3).failure is Failure.OOM
        assert len(store.reports("demo")) == 6
        assert store.ledger_totals("demo")["cpu"].used == 2.25
        assert store.check() == []

"""The conformance suite of stores: inherit it, supply the fixture ``store``, and yours is checked.

    class TestMine(StoreConformance):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            with Store.open("postgresql+psycopg://...") as store:
                yield store

The fixture gives an empty store for each test. Leases are tested in real time.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nasplat.errors import Failure, NotFoundError, StoreError, UsageError
from nasplat.store.records import (
    ArchitectureRecord,
    ArtifactRecord,
    DeviceRecord,
    EventRecord,
    FinishedTrial,
    Lease,
    MeasurementRecord,
    Method,
    NewReport,
    NewStudy,
    NewTrial,
    PredictorRecord,
    SpaceRecord,
    StudyState,
    TrialState,
)
from nasplat.store.store import Store

WORKER = Lease("worker", seconds=10.0)


def make_study(name: str = "demo", **changes: object) -> NewStudy:
    """A study of two objectives."""
    values: dict[str, object] = {
        "name": name,
        "space": SpaceRecord("hybrid-vit", "s1:1", 3 * 10**30, {"stages": 2}),
        "task": "digits",
        "task_fingerprint": "t1:digits",
        "objectives": [
            {"metric": "accuracy", "direction": "max"},
            {"metric": "latency_ms", "direction": "min"},
        ],
    }
    return NewStudy(**(values | changes))  # type: ignore[arg-type]  # the fields above, changed


def make_trials(count: int, start: int = 0) -> list[NewTrial]:
    """Distinct candidates; each was made from the one before it."""
    return [
        NewTrial(
            digest=f"g1:{index:032x}",
            genotype={"mixer": "conv", "depth": index},
            graph={"nodes": index},
            costs={"params": 100 + index, "macs": 200, "peak": 1.5},
            recipe={"lr": 0.1},
            recipe_key="r1:0",
            seed=7,
            proposed_by="random",
            origin={"parents": [index - 1] if index else []},
        )
        for index in range(start, start + count)
    ]


class StoreConformance:
    """The rules of :class:`nasplat.store.store.Store`."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError("override the fixture `store` with one that opens your store")

    @pytest.fixture
    def running(self, store: Store) -> Store:
        """The store with the study ``demo`` of four waiting trials."""
        store.create_study(make_study())
        store.add_trials("demo", make_trials(4))
        return store

    # studies

    def test_a_study_comes_back_as_it_was_given(self, store: Store) -> None:
        given = make_study(settings={"rungs": [1, 3]}, budget={"gpu": 3600.0}, seed=2**40)
        made = store.create_study(given)
        assert made == store.study("demo") == store.studies()[0]
        assert {name: getattr(made, name) for name in vars(given)} == vars(given)
        assert made.state is StudyState.WAITING and made.created > 1e9

    def test_an_unknown_study_lists_the_known_ones_nearest_first(self, store: Store) -> None:
        for name in ("zebra", "flowers"):
            store.create_study(make_study(name))
        with pytest.raises(NotFoundError, match="unknown study 'flower'; known: flowers, zebra"):
            store.study("flower")

    def test_a_second_study_of_a_name_says_what_differs_and_how_to_go_on(
        self, store: Store
    ) -> None:
        store.create_study(make_study())
        other = make_study(space=SpaceRecord("nasbench201", "s1:2"), task="./flowers")
        with pytest.raises(UsageError) as caught:
            store.create_study(other, exist_ok=True)
        text = str(caught.value)
        assert "space hybrid-vit s1:1 there, nasbench201 s1:2 here" in text
        assert "task digits there, ./flowers here" in text
        assert "objectives" not in text and "nasplat resume demo" in text

    def test_an_equal_study_is_taken_again_only_when_that_is_wanted(self, store: Store) -> None:
        first = store.create_study(make_study())
        assert store.create_study(make_study(), exist_ok=True) == first
        with pytest.raises(UsageError, match="exists already"):
            store.create_study(make_study())

    def test_a_study_changes_only_in_what_is_given(self, store: Store) -> None:
        store.create_study(make_study(settings={"a": 1}))
        changed = store.update_study("demo", state=StudyState.STOPPING, budget={"gpu": 1.0})
        assert (changed.state, changed.budget, changed.settings) == (
            StudyState.STOPPING,
            {"gpu": 1.0},
            {"a": 1},
        )
        assert store.study_state("demo") is StudyState.STOPPING

    def test_trials_keep_the_version_of_the_space_they_came_from(self, running: Store) -> None:
        running.update_study("demo", space=SpaceRecord("hybrid-vit", "s1:2"))
        (number,) = running.add_trials("demo", make_trials(1, start=9))
        versions = [trial.space_version for trial in running.trials("demo")]
        assert versions == ["s1:1"] * 4 + ["s1:2"] and number == 4

    @pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 256])
    def test_a_study_name_that_no_table_can_hold_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(UsageError, match="the study name"):
            store.create_study(make_study(name))

    # trials

    def test_trials_are_numbered_in_order_within_their_study(self, store: Store) -> None:
        store.create_study(make_study())
        store.create_study(make_study("other"))
        assert store.add_trials("demo", make_trials(3)) == [0, 1, 2]
        assert store.add_trials("other", make_trials(2)) == [0, 1]
        assert store.add_trials("demo", make_trials(1)) == [3]
        assert store.add_trials("demo", []) == []

    def test_a_trial_comes_back_as_it_was_given(self, running: Store) -> None:
        given = make_trials(3)[2]
        trial = running.trial("demo", 2)
        for name in ("digest", "genotype", "graph", "costs", "recipe", "recipe_key", "origin"):
            assert getattr(trial, name) == getattr(given, name), name
        assert trial.state is TrialState.WAITING and trial.metrics == {} and trial.attempt == 0

    def test_equal_graphs_are_one_architecture(self, running: Store) -> None:
        running.create_study(make_study("other"))
        running.add_trials("other", [*make_trials(2), *make_trials(2)])
        frame = running.query("select digest, trials, studies from architectures order by digest")
        assert frame["trials"].tolist() == [3, 3, 1, 1]
        assert frame["studies"].tolist() == [2, 2, 1, 1]

    def test_trials_can_be_selected(self, running: Store) -> None:
        running.lease("demo", WORKER)
        assert [t.number for t in running.trials("demo", states=[TrialState.WAITING])] == [1, 2, 3]
        assert [t.number for t in running.trials("demo", after=1, limit=1)] == [2]
        assert [t.number for t in running.trials("demo", numbers=[3, 0])] == [0, 3]
        assert [t.number for t in running.trials(digest=f"g1:{2:032x}")] == [2]
        with pytest.raises(NotFoundError, match="has no trial 9"):
            running.trial("demo", 9)

    # leases

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

    # the ledger

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

    # measurements, artifacts, predictors, events

    def test_measurements_of_different_methods_are_never_mixed(self, running: Store) -> None:
        running.put_device(DeviceRecord("d1:cpu", "old name"))
        running.put_device(DeviceRecord("d1:cpu", "a processor", {"threads": 1}))
        digest = f"g1:{0:032x}"
        slow = MeasurementRecord(digest, "d1:cpu", "latency_ms", 2.0, protocol={"repeats": 9})
        guess = MeasurementRecord(digest, "d1:cpu", "latency_ms", 3.0, Method.PREDICTED, spread=0.5)
        running.put_measurements([slow, guess])
        running.put_measurements([MeasurementRecord(digest, "d1:cpu", "latency_ms", 1.0)])
        measured = running.find_measurement(digest, "d1:cpu", "latency_ms")
        predicted = running.find_measurement(digest, "d1:cpu", "latency_ms", Method.PREDICTED)
        assert measured is not None and measured.value == 1.0 and measured.protocol == {}
        assert predicted is not None and (predicted.value, predicted.spread) == (3.0, 0.5)
        assert running.find_measurement(digest, "d1:cpu", "latency_ms", Method.ANALYTIC) is None
        assert running.find_measurement(digest, "d1:gpu", "latency_ms") is None
        assert running.device("d1:cpu") == DeviceRecord("d1:cpu", "a processor", {"threads": 1})
        frame = running.query("select device_name, method, value from measurements order by method")
        assert frame.values.tolist() == [
            ["a processor", "measured", 1.0],
            ["a processor", "predicted", 3.0],
        ]

    def test_a_measurement_of_something_unknown_is_refused(self, running: Store) -> None:
        record = MeasurementRecord("g1:unknown", "d1:unknown", "latency_ms", 1.0)
        with pytest.raises(StoreError, match="not stored"):
            running.put_measurements([record])
        with pytest.raises(NotFoundError, match="unknown device 'd1:unknown'"):
            running.device("d1:unknown")

    def test_an_architecture_is_found_by_the_beginning_of_its_digest(self, running: Store) -> None:
        running.add_architectures([ArchitectureRecord("g1:abc_1", {"n": 1}, {"params": 3})])
        running.add_architectures([ArchitectureRecord("g1:abc_1", {"n": 2})])
        found = running.architecture("g1:abc")
        assert (found.digest, found.graph, found.costs) == ("g1:abc_1", {"n": 1}, {"params": 3})
        with pytest.raises(UsageError, match=f"several digests: g1:{0:032x}, g1:{1:032x}"):
            running.architecture("g1:0")
        with pytest.raises(NotFoundError, match="begins with 'g1:f'"):
            running.architecture("g1:f")
        with pytest.raises(NotFoundError):
            running.architecture("g1_abc%")

    def test_predictors_artifacts_and_events_come_back_in_order(self, running: Store) -> None:
        for count, tau in ((10, None), (15, 0.7)):
            running.add_predictor(PredictorRecord("demo", "gp", "accuracy", count, tau))
        assert [(p.fitted_on, p.kendall_tau) for p in running.predictors("demo")] == [
            (10, None),
            (15, 0.7),
        ]
        digest = f"g1:{0:032x}"
        running.add_artifact(ArtifactRecord(digest, "export", "exports/a", "demo", 0))
        running.add_artifact(ArtifactRecord(digest, "weights", "w.safetensors", size_bytes=2**40))
        assert [a.path for a in running.artifacts(digest=digest)] == ["exports/a", "w.safetensors"]
        assert [a.number for a in running.artifacts(study="demo", kind="export")] == [0]
        for number in range(3):
            running.add_event(EventRecord("note", f"line {number}", "demo", number, {"n": number}))
        running.add_event(EventRecord("opened"))
        assert [e.message for e in running.events(study="demo", limit=2)] == ["line 1", "line 2"]
        assert [e.study for e in running.events(kind="opened")] == [None]

    # reading

    def test_metrics_become_columns_of_the_views_when_they_first_appear(
        self, running: Store
    ) -> None:
        running.lease("demo", WORKER, 2)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5, "latency_ms": 2.0}))
        running.finish("demo", 0, front=[0])
        frame = running.query("select digest, accuracy, latency_ms from front where study='demo'")
        assert frame.values.tolist() == [[f"g1:{0:032x}", 0.5, 2.0]]
        running.report("demo", 1, NewReport(1, {"top-5": 0.75, "Accuracy": 0.6, "digest": 1.0}))
        frame = running.query(
            "select accuracy_2, top_5, metric_digest, accuracy from trials where number = 1"
        )
        assert frame.iloc[0, :3].tolist() == [0.6, 0.75, 1.0] and frame["accuracy"].isna().all()
        frame = running.query(
            "select space, count(*) as count, max(accuracy) as best from trials group by space"
        )
        assert frame.values.tolist() == [["hybrid-vit", 4, 0.5]]

    def test_a_metric_name_that_no_view_can_carry_is_refused(self, running: Store) -> None:
        running.lease("demo", WORKER, 1)
        with pytest.raises(UsageError, match="metric name"):
            running.report("demo", 0, NewReport(1, {'"; drop table trial; --': 1.0}, 1.0))
        assert running.trial("demo", 0).device_seconds == 0.0

    def test_every_column_of_every_view_is_described(self, running: Store) -> None:
        running.lease("demo", WORKER, 1)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}))
        described = running.describe_views()
        for view in {column.view for column in described}:
            columns = [column.column for column in described if column.view == view]
            assert running.query(f"select * from {view}").columns.tolist() == columns
        assert all(column.meaning for column in described)

    def test_every_named_query_runs(self, running: Store) -> None:
        running.lease("demo", WORKER, 3)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 2.0))
        running.report("demo", 1, NewReport(1, {"accuracy": 0.7}, 2.0))
        running.finish("demo", 0)
        running.finish("demo", 1)
        running.finish("demo", 2, TrialState.FAILED, failure=Failure.OOM, message="too big")
        assert set(running.named_queries()) >= {"leaderboard", "failures", "budget", "lineage"}
        for name, query in running.named_queries().items():
            given = {"study": "demo", "number": "2"} if name == "lineage" else {}
            assert len(running.query(name, given).columns) > 1, name
            assert query.meaning
        board = running.query("leaderboard", {"task": "digits"})
        assert board["number"].tolist() == [1, 0] and board["place"].tolist() == [1, 2]
        assert running.query("leaderboard", {"direction": "min"})["number"].tolist() == [0, 1]
        assert running.query("leaderboard", {"task": "other"}).empty
        assert running.query("lineage", {"study": "demo", "number": 2})["number"].tolist() == [
            2,
            1,
            0,
        ]
        assert running.query("failures")["last_message"].tolist() == ["too big"]
        assert running.query("budget")["used_seconds"].tolist() == [4.0]

    def test_a_named_query_says_what_it_needs(self, store: Store) -> None:
        with pytest.raises(UsageError, match="unknown query 'leaderbord'; known: leaderboard"):
            store.query("leaderbord")
        with pytest.raises(UsageError, match="lineage needs --study: the study"):
            store.query("lineage", {"number": 1})
        with pytest.raises(UsageError, match="--number of the query lineage must be integer"):
            store.query("lineage", {"study": "demo", "number": "one"})
        with pytest.raises(UsageError, match="unknown parameter of budget 'studi'; known: study"):
            store.query("budget", {"studi": "demo"})

    @pytest.mark.parametrize(
        "sql",
        [
            "delete from trial",
            "update trial set number = 3",
            "drop view trials",
            "insert into metric (name) values ('x')",
            "create table mine (a integer)",
            "with x as (select 1 as a) delete from trial",
        ],
    )
    def test_a_query_that_writes_is_refused_and_says_so(self, running: Store, sql: str) -> None:
        with pytest.raises(UsageError, match="only reads"):
            running.query(sql)
        assert len(running.trials("demo")) == 4
        running.add_trials("demo", make_trials(1))  # the handle can still write

    @pytest.mark.parametrize("sql", ["select 1; drop table trial", "commit; drop table trial"])
    def test_a_second_statement_never_runs(self, running: Store, sql: str) -> None:
        with pytest.raises(UsageError):
            running.query(sql)
        assert len(running.trials("demo")) == 4

    def test_an_error_of_sql_shows_the_nearest_names(self, running: Store) -> None:
        with pytest.raises(UsageError, match="nearest: space, ") as caught:
            running.query("select spce from trials")
        assert "views: trials, front" in str(caught.value)
        with pytest.raises(UsageError, match="nearest: trials, "):
            running.query("select * from trails")
        with pytest.raises(UsageError, match="cannot be run"):
            running.query("select from where")

    def test_parameters_and_limits_of_sql(self, running: Store) -> None:
        sql = "select number, '50 % :x' as text from trials where number >= :low order by number"
        frame = running.query(sql.replace(":x", ""), {"low": 1}, limit=2)
        assert frame["number"].tolist() == [1, 2] and frame.attrs["truncated"]
        assert frame["text"].tolist() == ["50 % "] * 2
        assert not running.query("select number from trials", limit=4).attrs["truncated"]
        with pytest.raises(UsageError, match=r"has the parameters \['low'\], given were \[\]"):
            running.query("select :low as low")

    def test_the_frame_of_a_study_has_its_own_metrics_alone(self, running: Store) -> None:
        running.create_study(make_study("other"))
        for study in ("demo", "other"):
            running.add_trials(study, make_trials(1), lease=WORKER)
        running.report("demo", 4, NewReport(1, {"accuracy": 0.5}, 1.5))
        running.report("other", 0, NewReport(1, {"perplexity": 9.0}))
        frame = running.trials_dataframe("demo")
        assert frame.index.tolist() == [0, 1, 2, 3, 4]
        assert "accuracy" in frame and "perplexity" not in frame
        assert frame.loc[4, "device_seconds"] == 1.5
        with pytest.raises(NotFoundError, match="unknown study"):
            running.trials_dataframe("nobody")

    def test_a_new_store_is_healthy_and_at_the_newest_version(self, store: Store) -> None:
        assert store.check() == []
        version = store.version()
        assert store.upgrade() == (version, version)

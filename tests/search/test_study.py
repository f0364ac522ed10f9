"""Rules of studies: what is recorded, what is shared, what ends them, how they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nasplat.errors import (
    BudgetError,
    BudgetSpentError,
    ConstraintError,
    Failure,
    NotFoundError,
    UsageError,
)
from nasplat.search.study import Study
from nasplat.store.records import TrialState

Create = Callable[..., Study]


def fingerprint(study: Study) -> list[tuple[object, ...]]:
    return [(t.number, t.digest, t.state, t.fidelity, dict(t.metrics)) for t in study.trials()]


def test_a_search_ends_when_its_trials_are_spent(create: Create) -> None:
    study = create(budget="12trials")
    study.run()
    assert len(study.trials()) == 12
    assert study.state == "complete"
    assert study.status()["trials"]["running"] == 0
    assert len({trial.digest for trial in study.trials()}) == 12


@pytest.mark.parametrize("strategy", ["evolution", "nsga2", "local", "guided"])
def test_the_store_knows_what_each_trial_was_made_from(create: Create, strategy: str) -> None:
    study = create(budget="40trials", strategy=strategy)
    study.run()
    made_from = [
        (t.number, parent) for t in study.trials() for parent in t.origin.get("parents", [])
    ]
    assert made_from
    assert all(0 <= parent < number for number, parent in made_from)


def test_the_front_is_what_no_complete_trial_dominates(create: Create) -> None:
    study = create(budget="30trials")
    study.run()
    complete = [t for t in study.trials() if t.state is TrialState.COMPLETE]
    points = {t.number: (-t.metrics["accuracy"], t.metrics["latency_ms"]) for t in complete}
    expected = {
        number
        for number, (a, b) in points.items()
        if not any((c <= a and d <= b) and (c, d) != (a, b) for c, d in points.values())
    }
    assert {row["number"] for row in study.pareto()} == expected
    accuracies = [row["metrics"]["accuracy"] for row in study.pareto()]
    assert accuracies == sorted(accuracies, reverse=True)


def test_rungs_stop_trials_by_pareto_rank(create: Create) -> None:
    study = create(budget="40trials")
    study.run()
    counts = study.status()["trials"]
    assert counts["stopped"] > counts["complete"] > 0
    stopped = [t for t in study.trials() if t.state is TrialState.STOPPED]
    assert all("not among the best 1/3" in t.message for t in stopped)


CHOOSY = """
from nasplat.search.strategies.random import Random

class Choosy(Random):
    def promote(self, paused, count):
        return [number for number in paused if number % 4 == 0 and self.fidelities == (1, 3, 9)][:count]
"""


def test_a_strategy_may_decide_who_goes_on_at_rungs(create: Create, tmp_path: Path) -> None:
    file = tmp_path / "choosy.py"
    file.write_text(CHOOSY, encoding="utf-8")
    study = create(
        budget="12trials", strategy=f"{file}:Choosy", epochs=9, min_epochs=1, constraints=[]
    )
    study.run()
    trials = study.trials()
    complete = {t.number for t in trials if t.state is TrialState.COMPLETE}
    assert complete == {0, 4, 8}
    given_up = [t for t in trials if t.state is TrialState.STOPPED]
    assert len(given_up) == 9
    assert all(t.message == "given up at 1 epochs" and t.fidelity == 1 for t in given_up)


LISTENING = """
from pathlib import Path
from nasplat.search.strategies.random import Random

class Listening(Random):
    def tell(self, observation):
        with Path(__file__).with_suffix(".log").open("a") as log:
            print(observation.number, observation.fidelity, observation.seconds, file=log)
        super().tell(observation)
"""


@pytest.mark.parametrize(("budget", "more"), [("6trials", "7trials"), ("6trials,1h", "7trials,1h")])
def test_a_strategy_hears_how_long_trials_took_where_time_is_paid(
    create: Create, tmp_path: Path, storage: str, budget: str, more: str
) -> None:
    """So far, rung by rung, and the same again when the search is taken up."""
    file = tmp_path / "listening.py"
    file.write_text(LISTENING, encoding="utf-8")
    evaluator = {"seconds": 0.002}
    study = create(budget=budget, strategy=f"{file}:Listening", constraints=[], evaluator=evaluator)
    study.run()

    def heard() -> list[tuple[int, ...]]:
        lines = file.with_suffix(".log").read_text(encoding="utf-8").splitlines()
        file.with_suffix(".log").unlink()
        return sorted(tuple(round(1e6 * float(part)) for part in line.split()) for line in lines)

    before = heard()
    paid = {t.number: round(1e6 * t.device_seconds) for t in study.trials()}
    assert min(paid.values()) > 0
    for number, total in paid.items():
        told = [seconds for trial, _, seconds in before if trial == 1e6 * number]
        if "h" in budget:
            assert told[0] > 0 and told == sorted(told) and abs(told[-1] - total) <= len(told)
        else:
            assert set(told) == {0}
    again = Study.load("s", storage)
    again.extend(more)
    again.run()
    after = [line for line in heard() if line[0] < 6e6]
    assert [line[:2] for line in after] == [line[:2] for line in before]
    assert all(abs(a[2] - b[2]) <= 9 for a, b in zip(after, before, strict=True))


def test_one_seed_gives_one_search(create: Create, tmp_path: object) -> None:
    one = create("one", storage=f"sqlite:///{tmp_path}/1.db", seed=3)
    two = create("two", storage=f"sqlite:///{tmp_path}/2.db", seed=3)
    other = create("other", storage=f"sqlite:///{tmp_path}/3.db", seed=4)
    for study in (one, two, other):
        study.run()
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(other)


def test_what_was_trained_once_is_not_trained_again(create: Create, storage: str) -> None:
    trained = create("first", evaluator={"seconds": 0.002}, eta=1e9)
    trained.run()
    again = create("second", evaluator={"seconds": 0.002}, eta=1e9)
    again.run()
    assert sum(t.device_seconds for t in trained.trials()) > 0.1
    assert sum(t.device_seconds for t in again.trials()) == 0
    assert [t.metrics for t in again.trials()] == [t.metrics for t in trained.trials()]
    assert "result of trial 0 of 'first'" in again.trials()[0].message


def test_a_failure_is_recorded_with_its_class_and_the_search_goes_on(create: Create) -> None:
    study = create(budget="20trials", evaluator={"fail_every": 3})
    study.run()
    failed = [t for t in study.trials() if t.state is TrialState.FAILED]
    assert failed and all(t.failure is Failure.DIVERGED for t in failed)
    assert study.status()["failures"] == {"diverged": len(failed)}
    assert len(study.trials()) == 20


def test_cheap_constraints_refuse_candidates_before_they_cost_anything(create: Create) -> None:
    study = create(constraints=["params<=6k"], budget="8trials")
    study.run()
    assert study.trials() and all(t.costs["params"] <= 6000 for t in study.trials())


def test_a_measured_constraint_stops_a_trial_before_training(create: Create) -> None:
    study = create(constraints=["latency_ms<=0.5"], budget="20trials")
    study.run()
    slow = [t for t in study.trials() if t.metrics["latency_ms"] > 0.5]
    assert slow
    assert all(t.state is TrialState.STOPPED and t.fidelity == 0 for t in slow)
    assert all("breaks latency_ms<=0.5" in t.message for t in slow)
    assert all(row["metrics"]["latency_ms"] <= 0.5 for row in study.pareto())


def test_a_space_that_is_exhausted_ends_the_search(create: Create) -> None:
    study = create(budget="10000trials", constraints=["params<=2500"], epochs=1)
    study.run()
    digests = [t.digest for t in study.trials()]
    assert study.state == "complete"
    assert len(digests) == len(set(digests)) < 200


def test_a_budget_of_time_stops_the_search_and_keeps_all(create: Create) -> None:
    study = create(budget="1s", evaluator={"seconds": 0.01})
    start = time.monotonic()
    study.run()
    assert time.monotonic() - start < 5
    assert study.state == "complete"
    assert study.status()["budget"][0]["used"] == pytest.approx(1.0, abs=0.5)


def test_a_budget_of_device_hours_counts_all_device_time(create: Create) -> None:
    study = create(budget="0.0003cpu-h", evaluator={"seconds": 0.01})
    study.run()
    (limit,) = study.status()["budget"]
    seconds = sum(t.device_seconds for t in study.trials())
    assert limit["used"] * 3600 == pytest.approx(seconds, abs=0.004)
    assert 1.08 <= seconds < 2.5


def test_a_spent_budget_is_said_and_can_be_extended(create: Create, storage: str) -> None:
    study = create(budget="5trials")
    study.run()
    again = Study.load("s", storage)
    with pytest.raises(BudgetSpentError, match="the budget of study 's' is spent: 5 trials"):
        again.run()
    again.extend("9trials")
    again.run()
    assert len(again.trials()) == 9


@pytest.mark.parametrize("strategy", ["random", "nsga2", "guided", "optuna-tpe"])
def test_an_extended_search_proposes_what_one_long_search_does(
    create: Create, tmp_path: object, strategy: str
) -> None:
    long = create(
        "long", storage=f"sqlite:///{tmp_path}/long.db", budget="24trials", strategy=strategy
    )
    long.run()
    short = create(
        "short", storage=f"sqlite:///{tmp_path}/short.db", budget="15trials", strategy=strategy
    )
    short.run()
    resumed = Study.load("short", f"sqlite:///{tmp_path}/short.db")
    resumed.extend("24trials")
    resumed.run()
    assert fingerprint(resumed) == fingerprint(long)


def test_a_stop_from_outside_keeps_all(create: Create, storage: str) -> None:
    study = create(budget="500trials", evaluator={"seconds": 0.05})
    runner = threading.Thread(target=study.run)
    runner.start()
    other = Study.load("s", storage)
    while not other.trials():
        time.sleep(0.05)
    other.stop()
    runner.join(timeout=60)
    assert not runner.is_alive()
    assert other.state == "stopped"
    assert other.status()["trials"]["running"] == 0


def test_a_loop_of_ones_own_asks_and_tells(create: Create) -> None:
    study = create(budget="4trials")
    for number in range(3):
        asked = study.ask()
        study.tell(asked, {"accuracy": 0.5 + number / 10, "latency_ms": 1.0 + number}, seconds=2)
    failed = study.ask()
    with pytest.raises(UsageError, match="lacks latency_ms"):
        study.tell(failed, {"accuracy": 0.1})
    study.tell(failed, failure=Failure.DIVERGED, message="loss is NaN")
    with pytest.raises(BudgetSpentError, match="starts nothing more"):
        study.ask()
    assert [row["metrics"]["accuracy"] for row in study.pareto()] == [0.7, 0.6, 0.5]
    assert len(study.trials_dataframe()) == 4


def test_a_second_study_of_the_name_says_what_differs(create: Create) -> None:
    create("s")
    with pytest.raises(UsageError, match=r"study 's' exists already(.|\n)*objectives"):
        create("s", objectives=["accuracy:max", "params:min"])
    assert create("s", exist_ok=True).name == "s"


def test_a_changed_space_goes_on_when_it_holds_every_candidate(
    create: Create, storage: str, space_file: str
) -> None:
    from pathlib import Path

    study = create(budget="4trials")
    study.run()
    file = Path(space_file)
    file.write_text(file.read_text().replace("Choice(8, 16, 24)", "Choice(8, 16, 24, 32)"))
    grown = Study.load("s", storage)
    grown.extend("8trials")
    grown.run()
    assert len(grown.trials()) == 8
    file.write_text(file.read_text().replace("Choice(8, 16, 24, 32)", "Choice(64)"))
    with pytest.raises(UsageError, match="does not hold all its candidates any more: trial 0"):
        Study.load("s", storage).run()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"space": "hybrid-vitt"}, UsageError, "unknown space 'hybrid-vitt'; known: hybrid-vit"),
        ({"task": "digit"}, UsageError, "unknown task 'digit'; known: digits"),
        ({"strategy": "guidd"}, UsageError, "unknown strategy 'guidd'; known: guided"),
        ({"device": "cpus"}, UsageError, "unknown device 'cpus'; known: cpu"),
        ({"objectives": ["acc"]}, UsageError, "unknown objective 'acc'; known: "),
        ({"budget": "ten"}, BudgetError, "cannot be read"),
        ({"budget": "100gpu-h"}, BudgetError, "can never be spent"),
        ({"constraints": ["params<=10"]}, ConstraintError, "no candidate .* params goes from"),
        ({"workers": "labtop"}, UsageError, "unknown worker profile 'labtop'; known: laptop"),
        ({"epochs": 0}, UsageError, "epochs must be at least 1"),
        ({"executor": "rays"}, UsageError, "executor must be one of ray, inline"),
        ({"recipe": {"lrr": 1}}, UsageError, "a recipe has no field 'lrr'"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_stored(
    create: Create, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        create(**options)


def test_an_unknown_study_lists_the_known_ones(create: Create, storage: str) -> None:
    create("flowers")
    with pytest.raises(NotFoundError, match="unknown study 'flower'; known: flowers"):
        Study.load("flower", storage)

"""Models of long searches stay as large as they are and forget no good result."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from nasplat.predict.features import LOG_MACS, Features
from nasplat.search.strategies import surrogate
from nasplat.search.strategies.base import Observation
from nasplat.search.strategies.pool import Known
from nasplat.search.strategies.surrogate import Surrogate, most_telling
from nasplat.space.candidate import Candidate
from nasplat.testing.strategy import some_space


@cache
def candidates() -> list[Candidate]:
    return list(some_space().batch(90, random.Random(0)))


@cache
def features() -> Features:
    return Features(candidates()[:32])


def cost(candidate: Candidate) -> float:
    return float(np.log(candidate.cost.macs))


def learned(trials: list[list[Observation]]) -> Surrogate:
    return Surrogate(trials, features(), features().groups, 1, [])


def known(listed: list[Candidate]) -> list[Known]:
    rows = features()(listed)
    return [Known(one.genotype, row, {}, 0.0) for one, row in zip(listed, rows, strict=True)]


def test_the_best_are_always_among_what_is_learned_from() -> None:
    rng = np.random.default_rng(0)
    values, violations = rng.normal(size=(1000, 2)), np.zeros(1000)
    values[:40] -= 5.0  # the best of all were the first
    kept = most_telling(values, violations, 100)
    assert len(kept) == 100 == len(set(kept.tolist()))
    assert set(range(40)) <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    others = kept[kept >= 40]
    assert others.min() < 150 and others.max() > 850


def test_what_is_learned_from_changes_little_as_a_search_goes_on() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1005, 1))
    before = most_telling(values[:1000], np.zeros(1000), 100)
    after = most_telling(values, np.zeros(1005), 100)
    assert len(set(before.tolist()) & set(after.tolist())) >= 95


def test_feasible_results_come_before_others() -> None:
    violations = np.where(np.arange(200) < 30, 0.0, 1.0 + np.arange(200))
    kept = most_telling(-np.arange(200.0)[:, None], violations, 60)
    assert set(range(30)) <= set(kept.tolist())


def test_where_there_are_few_all_are_learned_from() -> None:
    assert most_telling(np.zeros((7, 1)), np.zeros(7), 10).tolist() == list(range(7))


def test_long_searches_remember_their_first_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "ROWS", 40)
    listed = sorted(candidates(), key=cost)
    trials = [[Observation(place, one, (cost(one),))] for place, one in enumerate(listed)]
    model = learned(trials)
    assert model.rows == 40
    mean = model.guess(known(listed)).mean[:, 0]
    assert set(np.argsort(mean)[:10].tolist()) <= set(range(20))


def test_of_rungs_the_last_reports_are_learned_from_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "ROWS", 100)
    trials = [
        [
            Observation(place, one, (cost(one) + 1.0,), fidelity=2, final=False),
            Observation(place, one, (cost(one),), fidelity=6),
        ]
        for place, one in enumerate(candidates())
    ]
    model = learned(trials)
    assert model.rows == 100
    assert len(model.taus) == 1 and model.taus[0] > 0.7


def test_models_of_feasibility_stay_small_and_still_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "ROWS", 40)
    limit = float(np.median([cost(one) for one in candidates()]))
    trials = [
        [Observation(place, one, (-cost(one),), max(0.0, cost(one) - limit))]
        for place, one in enumerate(candidates())
    ]
    trials[3] = [Observation(3, candidates()[3], None)]
    feasible = learned(trials).guess(known(candidates())).feasible
    allowed = np.array([cost(one) <= limit for one in candidates()])
    assert feasible[allowed].mean() > 0.6 > 0.4 > feasible[~allowed].mean()


def test_what_costs_more_than_all_results_so_far_is_worth_improving_on() -> None:
    listed = sorted(candidates(), key=cost)
    macs = [float(one.cost.macs) for one in listed]
    trials = [  # more is better, and costs more; only what costs least was met
        [Observation(place, one, (-cost(one), macs[place]))]
        for place, one in enumerate(listed[:20])
    ]
    asked = [replace(one, exact={1: macs[place]}) for place, one in enumerate(known(listed))]
    groups = features().groups
    unaware = Surrogate(trials, features(), groups, 2, [1])
    aware = Surrogate(trials, features(), groups, 2, [1], sample=asked[::3])
    dear = [one for one in asked if one.exact[1] > 1.2 * macs[19]]
    assert len(dear) > 10
    assert not unaware.guess(dear).gain().any()
    assert (aware.guess(dear).gain() > 0).all()


def test_what_computes_more_is_expected_to_go_on_as_what_was_met() -> None:
    listed = sorted(candidates(), key=cost)
    trials = [  # more is better on the whole; only what costs least was met
        [Observation(place, one, (-cost(one) + (0.3 if place % 2 else -0.3),))]
        for place, one in enumerate(listed[:12])
    ]
    trend = features().columns.index(LOG_MACS)
    plain = Surrogate(trials, features(), features().groups, 1, [])
    along = Surrogate(trials, features(), features().groups, 1, [], trends=[trend])
    largest, met = known(listed[-20:]), known(listed[:12])
    best = along.guess(met).mean.min()
    assert along.guess(largest).mean.max() < best  # minimised
    assert along.guess(largest).mean.mean() < plain.guess(largest).mean.mean() - 0.3


def test_a_trend_goes_on_to_twice_what_was_met() -> None:
    one = candidates()[0]
    trials = [[Observation(place, one, (-place / 8,))] for place in range(9)]
    rows = np.log(2.0) * np.arange(9.0)[:, None] / 2  # from 1 to 16
    along = Surrogate(trials, lambda seen: rows, [0], 1, [], trends=[0])
    asked = [Known(one.genotype, np.log([size]), {}, 0.0) for size in (16.0, 24.0, 32.0, 64.0, 1e4)]
    mean = along.guess(asked).mean[:, 0]
    assert mean[0] > mean[1] > mean[2] == pytest.approx(mean[3:])  # minimised


def test_whether_a_large_candidate_is_feasible_is_asked_at_its_own_size() -> None:
    one = candidates()[0]
    trials = [
        [Observation(place, one, (0.1 * place,), max(0.0, place - 6.0))] for place in range(9)
    ]
    rows = np.log(2.0) * np.arange(9.0)[:, None] / 2
    plain = Surrogate(trials, lambda seen: rows[: len(seen)], [0], 1, [])
    along = Surrogate(trials, lambda seen: rows[: len(seen)], [0], 1, [], trends=[0])
    asked = [Known(one.genotype, np.log([size]), {}, 0.0) for size in (8.0, 64.0, 1e4)]
    assert along.guess(asked).feasible == pytest.approx(plain.guess(asked).feasible)


def test_a_lucky_result_is_believed_as_far_as_its_error_allows() -> None:
    """Of candidates that are alike, one that was measured with a large error does not stand out."""
    listed = candidates()[:40]
    values = [cost(one) for one in listed]
    lucky = int(np.argsort(values)[20])
    values[lucky] = min(values) - 0.5

    def front(error: float) -> float:
        trials = [
            [Observation(number, one, (values[number],), errors=(error * (number == lucky),))]
            for number, one in enumerate(listed)
        ]
        return float(learned(trials)._values[lucky, 0])

    doubted, believed = front(5.0), front(0.0)
    assert doubted > believed
    assert doubted > sorted(values)[5]


def test_of_what_is_as_good_the_quicker_gains_more() -> None:
    middle = np.median([cost(one) for one in candidates()])
    seconds = {one.digest: 30.0 if cost(one) > middle else 3.0 for one in candidates()}
    untimed = [[Observation(place, one, (cost(one),))] for place, one in enumerate(candidates())]
    timed = [[replace(seen, seconds=seconds[seen.candidate.digest])] for (seen,) in untimed]
    asked = known(candidates()[::2])
    plain, quick = learned(untimed[1::2]).guess(asked), learned(timed[1::2]).guess(asked)
    slow = np.array([seconds[one.digest] > 10 for one in candidates()[::2]])
    assert np.median(quick.seconds[slow]) > 5 * np.median(quick.seconds[~slow])
    assert np.allclose(quick.gain() * quick.seconds, plain.gain())


@pytest.mark.parametrize("taken", [0.0, 7.0])
def test_where_nothing_is_known_of_time_all_take_as_long(taken: float) -> None:
    """Results that were taken over took none, and say nothing of those that will be trained."""
    trials = [
        [Observation(place, one, (cost(one),), seconds=0.0 if place % 2 else taken)]
        for place, one in enumerate(candidates())
    ]
    assert (learned(trials).guess(known(candidates())).seconds == 1.0).all()

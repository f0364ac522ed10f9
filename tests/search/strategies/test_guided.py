"""Guided learns what it is for: better than random at equal count, says so, and steps back when it fails."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import numpy as np
import pytest

from nasplat.errors import UsageError
from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.pareto import Frame
from nasplat.predict.transfer import Earlier
from nasplat.search.strategies.base import Observation
from nasplat.search.strategies.guided import Guided, _say
from nasplat.search.strategies.random import Random
from nasplat.space.candidate import Candidate
from nasplat.space.decisions import Choice, Float
from nasplat.space.space import Space
from nasplat.testing.strategy import Search, some_space, values_of

SMALL: dict[str, Any] = {"first": 6, "drawn": 32, "varied": 32, "refined": 16}


def volume(search: Search) -> float:
    frame = Frame((0.0, 0.0), (0.8, 0.25))
    return frame.hypervolume([one.values for one in search.told if one.values is not None])


def searched(make: Any, seed: int, count: int = 30, **options: Any) -> Search:
    search = Search(make(some_space(), objectives=2, seed=seed, **options), 2)
    search.run(count // 2)
    search.finish()
    return search


def test_it_beats_random_search_at_equal_count() -> None:
    seeds = range(3)
    guided = statistics.median(volume(searched(Guided, seed, **SMALL)) for seed in seeds)
    drawn = statistics.median(volume(searched(Random, seed)) for seed in seeds)
    assert guided > drawn


def test_none_of_the_first_is_among_what_costs_most() -> None:
    search = Search(Guided(some_space(), objectives=2, seed=0, first=10), 2)
    search.run(10)
    first = search.proposals[:10]
    cost = [one.candidate.cost.macs for one in first]
    spread = [one.origin["step"] == "first, spread" for one in first]
    assert spread == [False, True] * 5
    rng = random.Random(0)
    space = some_space()
    drawn = [space.build(space.sample(rng)).cost.macs for _ in range(400)]
    assert max(cost) <= statistics.quantiles(drawn, n=20)[16]


def test_it_says_how_well_it_predicts() -> None:
    search = searched(Guided, 0, **SMALL)
    quality = search.strategy.quality()
    assert quality is not None
    assert quality["kendall_tau"] == min(quality["kendall_tau_by_objective"]) > 0.4
    assert quality["fitted_on"] == len(search.told)
    assert quality["say"] == 0.9
    assert quality["target"] in ("objective 0", "objective 1")


def test_it_says_nothing_before_it_has_learned() -> None:
    assert Guided(some_space(), objectives=2).quality() is None


def test_a_model_that_predicts_nothing_loses_its_say() -> None:
    def noise(number: int, one: Candidate) -> Observation:
        return Observation(number, one, (hash_of(one.digest),))

    say = []
    for seed in range(3):
        search = Search(Guided(some_space(), objectives=1, seed=seed, **SMALL), 1)
        search.run(60, noise)
        quality = search.strategy.quality()
        assert quality is not None
        say.append(quality["say"])
        steps = [proposal.origin["step"] for proposal in search.proposals[30:]]
        assert {"variation of the best", "random"} & set(steps)
    assert statistics.median(say) < 0.5, say


def test_on_few_results_a_model_has_the_benefit_of_the_doubt() -> None:
    shares = [_say([0.0, 0.3], count) for count in (7, 20, 80, 400)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.6 and shares[-1] == 0.0
    assert _say([-0.5], 7) == 0.0
    assert _say([0.6], 400) == 0.9


def test_exact_objectives_are_computed_and_not_learned() -> None:
    search = searched(Guided, 0, exact={1: lambda candidate: candidate.cost.macs / 1e5}, **SMALL)
    quality = search.strategy.quality()
    assert quality is not None
    assert len(quality["kendall_tau_by_objective"]) == 1
    assert quality["target"] == "objective 0"
    for proposal in search.proposals:
        if proposal.origin["step"] == "acquisition":
            predicted = proposal.origin["predicted"][1]
            assert abs(predicted - proposal.candidate.cost.macs / 1e5) < 1e-6


def test_it_learns_to_stay_feasible() -> None:
    search = Search(Guided(some_space(), objectives=1, seed=0, **SMALL), 1)

    def observe(number: int, one: Candidate) -> Observation:
        # The objective pulls towards large networks, the constraint forbids them.
        broken = max(0.0, one.cost.params - 300.0)
        return Observation(number, one, (-float(one.cost.params),), violation=broken)

    search.run(15, observe)
    # The largest feasible network has 298 parameters; the objective alone would lead to thousands.
    assert statistics.median(one.candidate.cost.params for one in search.told[10:]) < 450
    assert max(one.candidate.cost.params for one in search.told if one.violation == 0) == 298


def test_rungs_teach_it_what_more_training_brings() -> None:
    search = Search(Guided(some_space(), objectives=2, seed=0, **SMALL), 2)

    def observe(number: int, one: Candidate) -> Observation:
        first, second = values_of(one)
        search.strategy.tell(Observation(number, one, (first + 2, second), fidelity=1, final=False))
        stopped = number % 2
        return Observation(number, one, (first + stopped, second), fidelity=3 if stopped else 9)

    search.run(12, observe)
    quality = search.strategy.quality()
    assert quality is not None
    assert quality["fitted_on"] == 2 * len(search.told)
    assert quality["kendall_tau"] > 0.5


def hash_of(digest: str) -> float:
    """A number that has nothing to do with the graph."""
    return int(digest[3:11], 16) / 16**8


def test_it_takes_the_most_promising_beyond_a_rung_and_shares_the_cost() -> None:
    search = Search(Guided(some_space(), objectives=2, seed=0, **SMALL), 2)
    search.strategy.fidelities = (1, 9)
    told: dict[int, float] = {}

    def pause(number: int, one: Candidate) -> Observation:
        first, second = values_of(one)
        told[number] = first + second
        return Observation(number, one, (first + 2, second), fidelity=1, final=False)

    for _ in range(8):
        search.ask()
        while search.pending:
            search.strategy.tell(pause(*search.pending.pop(0)))
    paused = sorted(told)
    wanted = search.strategy.promote(paused, 3)
    assert wanted is not None
    assert 1 <= len(wanted) <= 3
    assert statistics.mean(told[one] for one in wanted) < statistics.mean(told.values())
    assert search.strategy.promote(paused[:1], 1) is None


def before() -> Earlier:
    """A search of the same space for nearly the same."""
    candidates = list(some_space().batch(60, random.Random(9)))
    values = [values_of(one, 1)[0] + 1e-7 * one.cost.macs for one in candidates]
    return Earlier("before", candidates, {0: np.array(values)})


def best(search: Search, count: int) -> float:
    return min(one.values[0] for one in search.told[:count] if one.values is not None)


def alone(seed: int, rounds: int, **options: Any) -> Search:
    search = Search(Guided(some_space(), objectives=1, seed=seed, **SMALL, **options), 1)
    search.run(rounds)
    search.finish()
    return search


def test_an_earlier_search_pays_from_the_first_candidates_on() -> None:
    seeds = range(4)
    with_it = statistics.mean(best(alone(seed, 3, transfer=[before()]), 6) for seed in seeds)
    without = statistics.mean(best(alone(seed, 3), 6) for seed in seeds)
    assert with_it < 0.5 * without


def test_an_earlier_search_that_foretells_well_ends_the_first_candidates_early() -> None:
    options = {**SMALL, "first": 10}
    search = Search(Guided(some_space(), objectives=1, transfer=[before()], **options), 1)
    search.run(5)
    steps = [one.origin["step"] for one in search.proposals]
    assert steps[:2] == ["first, random", "first, by earlier searches"]
    assert steps[2:5] == ["first, random", "first, spread", "first, random"]
    assert "acquisition" in steps[5:]
    quality = search.strategy.quality()
    assert quality is not None and quality["heard"] == ["earlier:before 0"]


def test_an_earlier_search_that_foretells_wrongly_is_not_heard() -> None:
    def opposite(number: int, one: Candidate) -> Observation:
        return Observation(number, one, (-values_of(one, 1)[0],))

    strategy = Guided(some_space(), objectives=1, transfer=[before()], **SMALL)
    search = Search(strategy, 1)
    search.run(8, opposite)
    surrogate = strategy._surrogate()
    assert surrogate is not None
    (learned,) = surrogate.objectives
    assert learned.model is not None and learned.heard == []
    assert learned.model.linear == strategy._trends  # and nothing that was foretold
    quality = strategy.quality()
    assert quality is not None and quality["heard"] == []
    assert list(learned.muted) == strategy._pool.features.linear[0]  # type: ignore[union-attr]  # as given


def test_without_earlier_searches_nothing_changes() -> None:
    plain = [one.candidate.digest for one in alone(2, 8).proposals]
    assert [one.candidate.digest for one in alone(2, 8, transfer=[]).proposals] == plain


def test_several_objectives_and_computed_ones_weigh_in_what_is_chosen_first() -> None:
    exact = {1: lambda candidate: candidate.cost.macs / 1e5}
    search = Search(
        Guided(some_space(), objectives=2, seed=1, exact=exact, transfer=[before()], **SMALL), 2
    )
    search.run(3)
    steps = [one.origin["step"] for one in search.proposals]
    assert steps[1] == "first, by earlier searches"


def test_what_is_no_earlier_search_is_refused() -> None:
    with pytest.raises(UsageError, match="transfer takes earlier searches, got 'flowers'"):
        Guided(some_space(), transfer="flowers")  # type: ignore[arg-type]  # as --option gives it


def trained_space() -> Space:
    """Eight networks, each in many recipes."""
    body = Conv(channels=Choice(4, 8, 12, 16), kernel=Choice(1, 3)) >> ClassifierHead(classes=10)
    rates = {"lr": Float(1e-4, 1e-1, log=True), "weight_decay": Choice(0.0, 0.05, 0.1)}
    return Space(
        body,
        {"image": Image(1, 8, 8)},
        {"logits": Logits(10)},
        name="trained",
        recipe=rates,
        check=None,
    )


def recipe_loss(candidate: Candidate) -> float:
    """Least where the rate suits the width and nothing decays; the kernel does not matter."""
    best = -1.5 - 0.1 * candidate.genotype["conv.channels"]
    away = math.log10(candidate.recipe["lr"]) - best
    return away**2 + candidate.recipe["weight_decay"]


def test_the_recipe_is_searched_with_the_architecture() -> None:
    """One network in many recipes is many candidates, and the best rate follows from the network."""
    space = trained_space()
    found = {}
    for make in (Guided, Random):
        bests = []
        for seed in range(6):
            search = Search(make(space, seed=seed), 1)
            search.run(
                24,
                lambda number, candidate: Observation(number, candidate, (recipe_loss(candidate),)),
            )
            digests = [one.candidate.digest for one in search.proposals]
            assert len(set(digests)) <= 8 < len(digests)
            bests.append(min(recipe_loss(one.candidate) for one in search.proposals))
        found[make] = statistics.median(bests)
    assert found[Guided] < 0.3 * found[Random]


def test_where_time_is_paid_it_goes_to_what_is_quick() -> None:
    """Of two kernels that are equally good, one takes ten times as long."""

    def is_slow(candidate: Candidate) -> bool:
        return candidate.genotype["conv.kernel"] == 3

    def paid(number: int, one: Candidate) -> Observation:
        return Observation(number, one, (recipe_loss(one),), seconds=10.0 if is_slow(one) else 1.0)

    def free(number: int, one: Candidate) -> Observation:
        return Observation(number, one, (recipe_loss(one),))

    slow = {}
    for told in (paid, free):
        slow[told] = 0
        for seed in range(4):
            search = Search(Guided(trained_space(), seed=seed), 1)
            search.run(20, told)
            slow[told] += sum(is_slow(one.candidate) for one in search.proposals[6:])
    assert slow[paid] < 0.5 * slow[free]

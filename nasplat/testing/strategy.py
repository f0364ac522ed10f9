"""The conformance suite of strategies: inherit it, supply the fixture ``make``, and yours is checked.

    class TestMine(StrategyConformance):
        @pytest.fixture
        def make(self) -> Make:
            return Mine          # called as make(space, objectives=..., seed=..., cheap=...)

Candidates are real ones of small spaces; their objectives follow from exact costs, so that a whole search
takes a moment.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.mixer import PoolMixer
from nasplat.search.strategies.base import Observation, Proposal, Strategy, key_of
from nasplat.space.candidate import Candidate
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Int
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space

Make = Callable[..., Strategy]


def some_space() -> Space:
    """A space of some thousand networks, some of which are one by digest."""
    mixer = Choose(conv=DepthwiseConv(kernel=Choice(3, 5, 7)), pool=PoolMixer(kernel=3))
    body = (
        Conv(channels=Choice(4, 8, 12), kernel=Choice(1, 3))
        >> Repeat(Residual(mixer), times=Int(1, 5))
        >> ClassifierHead(classes=10)
    )
    return Space(body, {"image": Image(1, 8, 8)}, {"logits": Logits(10)}, name="some", check=None)


def tiny_space() -> Space:
    """A space of six networks."""
    body = Conv(channels=Choice(4, 8), kernel=Choice(1, 3, 5)) >> ClassifierHead(classes=10)
    return Space(body, {"image": Image(1, 8, 8)}, {"logits": Logits(10)}, name="tiny", check=None)


def single_space() -> Space:
    """A space of one network."""
    body = Conv(channels=4, kernel=3) >> ClassifierHead(classes=10)
    return Space(body, {"image": Image(1, 8, 8)}, {"logits": Logits(10)}, name="one", check=None)


def values_of(candidate: Candidate, objectives: int = 2) -> tuple[float, ...]:
    """Objectives in conflict, from exact costs: off a target size, arithmetic, memory."""
    cost = candidate.cost
    values = (abs(cost.params - 400) / 400, cost.macs / 1e5, cost.activation_bytes / 1e5)
    return values[:objectives]


class Search:
    """A search by hand: two candidates are always under evaluation, the older one ends first."""

    def __init__(self, strategy: Strategy, objectives: int, batch: int = 2) -> None:
        self.strategy = strategy
        self.objectives = objectives
        self.batch = batch
        self.pending: list[tuple[int, Candidate]] = []
        self.told: list[Observation] = []
        self.proposals: list[Proposal] = []

    def ask(self) -> list[Proposal]:
        """Ask, with what is pending."""
        made = self.strategy.ask(self.batch, [candidate for _, candidate in self.pending])
        start = len(self.proposals)
        self.pending += [(start + index, one.candidate) for index, one in enumerate(made)]
        self.proposals += made
        return made

    def finish(self, keep: int = 0, observe: Callable[..., Observation] | None = None) -> None:
        """Tell what is pending, the oldest first, until ``keep`` are left."""
        while len(self.pending) > keep:
            number, candidate = self.pending.pop(0)
            make = observe or self.complete
            observation = make(number, candidate)
            self.told.append(observation)
            self.strategy.tell(observation)

    def complete(self, number: int, candidate: Candidate) -> Observation:
        """The result of a trial that went well."""
        return Observation(number, candidate, values_of(candidate, self.objectives))

    def run(self, rounds: int, observe: Callable[..., Observation] | None = None) -> list[str]:
        """Ask and tell; the digests in the order of proposals."""
        for _ in range(rounds):
            if not self.ask():
                break
            self.finish(keep=1, observe=observe)
        return [proposal.candidate.digest for proposal in self.proposals]


def _keys(proposals: Sequence[Proposal]) -> list[Any]:
    return [key_of(proposal.candidate) for proposal in proposals]


class StrategyConformance:
    """What every strategy keeps."""

    rounds = 14
    """Rounds of two candidates; enough for a strategy to leave its random start."""

    @pytest.fixture
    def make(self) -> Make:
        """Override: what makes the strategy."""
        raise NotImplementedError

    def search(self, make: Make, objectives: int = 2, seed: int = 1, **options: Any) -> Search:
        """A search of :func:`some_space`."""
        space = options.pop("space", None) or some_space()
        return Search(make(space, objectives=objectives, seed=seed, **options), objectives)

    @pytest.mark.parametrize("objectives", [1, 2, 3])
    def test_proposals_are_new_valid_and_say_where_they_come_from(
        self, make: Make, objectives: int
    ) -> None:
        search = self.search(make, objectives)
        search.run(self.rounds)
        assert len(search.proposals) == 2 * self.rounds
        assert len(set(_keys(search.proposals))) == len(search.proposals)
        for proposal in search.proposals:
            assert search.strategy.space.validate(proposal.genotype) == []
            assert proposal.origin["strategy"] == search.strategy.name
            assert json.loads(json.dumps(dict(proposal.origin))) == dict(proposal.origin)
        for number, proposal in enumerate(search.proposals):
            parents = proposal.origin.get("parents", [])
            assert all(isinstance(parent, int) and 0 <= parent < number for parent in parents)

    def test_one_seed_gives_the_same_search_twice(self, make: Make) -> None:
        first, second = (self.search(make, seed=3).run(self.rounds) for _ in range(2))
        assert first == second

    def test_another_seed_gives_another_search(self, make: Make) -> None:
        first, second = (self.search(make, seed=seed).run(self.rounds) for seed in (3, 4))
        assert first != second

    def test_being_told_the_past_resumes_the_search(self, make: Make) -> None:
        whole = self.search(make, seed=5)
        whole.run(self.rounds)
        resumed = self.search(make, seed=5)
        for observation in whole.told:
            resumed.strategy.tell(observation)
        resumed.pending, resumed.proposals = list(whole.pending), list(whole.proposals)
        assert _keys(resumed.ask()) == _keys(whole.ask())
        whole.finish()
        resumed.finish()
        assert _keys(resumed.ask()) == _keys(whole.ask())

    def test_what_is_pending_is_not_proposed(self, make: Make) -> None:
        space = tiny_space()
        pending = [space.build(genotype) for genotype in list(space.genotypes())[:4]]
        proposals = make(space, objectives=1, seed=0).ask(6, pending)
        assert len(proposals) == 2
        assert not set(_keys(proposals)) & {key_of(candidate) for candidate in pending}

    def test_a_space_is_searched_to_its_end_and_no_further(self, make: Make) -> None:
        search = self.search(make, space=tiny_space())
        digests = search.run(rounds=20)
        assert len(digests) == len(set(digests)) == 6
        assert search.ask() == []

    def test_a_space_of_one_candidate_gives_it_once(self, make: Make) -> None:
        search = self.search(make, space=single_space())
        assert len(search.ask()) == 1
        search.finish()
        assert search.ask() == []

    def test_failures_alone_do_not_stop_it(self, make: Make) -> None:
        search = self.search(make)
        digests = search.run(self.rounds, lambda number, one: Observation(number, one, None))
        assert len(set(digests)) == 2 * self.rounds

    def test_some_failures_do_not_stop_it(self, make: Make) -> None:
        search = self.search(make)

        def observe(number: int, one: Candidate) -> Observation:
            return Observation(number, one, None if number % 3 == 0 else values_of(one))

        assert len(set(search.run(self.rounds, observe))) == 2 * self.rounds

    @pytest.mark.parametrize("objectives", [1, 2])
    def test_equal_values_everywhere_do_not_stop_it(self, make: Make, objectives: int) -> None:
        search = self.search(make, objectives)
        digests = search.run(
            self.rounds, lambda number, one: Observation(number, one, (0.5,) * objectives)
        )
        assert len(set(digests)) == 2 * self.rounds

    def test_cheap_constraints_are_kept(self, make: Make) -> None:
        search = self.search(make, cheap=lambda one: max(0.0, one.cost.params - 350.0))
        search.run(self.rounds)
        assert len(search.proposals) == 2 * self.rounds
        assert all(proposal.candidate.cost.params <= 350 for proposal in search.proposals)

    def test_a_cheap_constraint_that_few_can_meet_is_met(self, make: Make) -> None:
        space = some_space()
        rng = random.Random(0)
        least = min(candidate.cost.macs for candidate in space.batch(3000, rng))
        search = self.search(make, space=space, cheap=lambda one: max(0.0, one.cost.macs - least))
        proposals = search.ask()
        assert proposals
        assert all(proposal.candidate.cost.macs <= least for proposal in proposals)

    @pytest.mark.parametrize("feasible", [True, False])
    def test_measured_violations_do_not_stop_it(self, make: Make, feasible: bool) -> None:
        search = self.search(make)

        def observe(number: int, one: Candidate) -> Observation:
            broken = 0.0 if feasible and number % 2 else 1.0 + number % 5
            return Observation(number, one, values_of(one), violation=broken)

        assert len(set(search.run(self.rounds, observe))) == 2 * self.rounds

    def test_reports_of_rungs_are_taken(self, make: Make) -> None:
        search = self.search(make)

        def observe(number: int, one: Candidate) -> Observation:
            first, second = values_of(one)
            search.strategy.tell(
                Observation(number, one, (first + 1, second), fidelity=1, final=False)
            )
            full = number % 2 == 0
            values = (first, second) if full else (first + 0.5, second)
            return Observation(number, one, values, fidelity=9 if full else 3)

        assert len(set(search.run(self.rounds, observe))) == 2 * self.rounds

    def test_it_promotes_trials_of_a_rung_or_leaves_that_to_the_rule(self, make: Make) -> None:
        search = self.search(make)
        search.strategy.fidelities = (1, 9)
        for _ in range(self.rounds):
            search.ask()
        for number, one in search.pending:
            seen = Observation(number, one, values_of(one), fidelity=1, final=False)
            search.strategy.tell(seen)
        paused = [number for number, _ in search.pending]
        wanted = search.strategy.promote(paused, 3)
        if wanted is not None:
            assert len(wanted) <= 3
            assert len(set(wanted)) == len(wanted)
            assert set(wanted) <= set(paused)

"""What every peer keeps, and what makes each the method that it is named after."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from optuna.trial import TrialState

from nasplat.bench.bananas import Bananas, ensemble, walks_of
from nasplat.bench.harness import run
from nasplat.bench.measures import Problem, running
from nasplat.bench.peers import PEERS, OptunaPeer, Peer, make_peer
from nasplat.bench.rivals import LocalSearch, RegularisedEvolution
from nasplat.errors import UsageError
from nasplat.search.strategies.base import key_of
from nasplat.space.candidate import Candidate
from nasplat.space.genotype import Genotype
from tests.bench.small import score, small_space, small_table

QUICK = sorted(set(PEERS) - {"optuna-gp"})


def search(peer: Peer, count: int, fails: Any = lambda number: False) -> list[Candidate]:
    """Ask for at most five at a time; the first objective is the score, the second MACs."""
    met: list[Candidate] = []
    while len(met) < count:
        asked = peer.ask(min(5, count - len(met)))
        if not asked:
            break
        for candidate in asked:
            values = (-score(candidate.genotype), candidate.cost.macs / 1e5)[: peer.objectives]
            peer.tell(candidate, None if fails(len(met)) else values)
            met.append(candidate)
    return met


@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_peer_finds_better_candidates_than_it_starts_with(name: str) -> None:
    table = small_table()
    problem = Problem.of(table)
    reached = [
        running(problem, run(table, name, evaluations=25, seed=seed).complete[0]) for seed in (0, 1)
    ]
    assert sum(one[-1] for one in reached) < sum(one[4] for one in reached)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("objectives", [1, 2])
def test_one_seed_gives_one_search(name: str, objectives: int) -> None:
    met = [
        [
            one.digest
            for one in search(make_peer(name, small_space(), objectives=objectives, seed=s), 20)
        ]
        for s in (1, 1, 2)
    ]
    assert met[0] == met[1] != met[2]
    assert len(met[0]) == 20


@pytest.mark.parametrize("name", QUICK)
def test_failures_do_not_stop_a_peer(name: str) -> None:
    assert len(search(make_peer(name, small_space()), 20, lambda number: True)) == 20
    assert len(search(make_peer(name, small_space()), 20, lambda number: number % 3 == 0)) == 20


@pytest.mark.parametrize("name", sorted({"local-search", "bananas"}))
def test_methods_that_never_repeat_themselves_end_with_the_space(name: str) -> None:
    met = search(make_peer(name, small_space()), 60)
    assert len({key_of(candidate) for candidate in met}) == len(met) == 48


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-nsga2", "regularised-evolution"])
def test_methods_that_repeat_themselves_are_left_to(name: str) -> None:
    met = search(make_peer(name, small_space()), 80)
    assert len(met) == 80
    assert len({candidate.digest for candidate in met}) < 48


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-nsga2"])
def test_optuna_is_told_of_the_row_that_was_evaluated(name: str) -> None:
    table = small_table(listed=10)
    peer = make_peer(name, table.searched)
    assert isinstance(peer, OptunaPeer)
    for candidate in search(peer, 30):
        assert table.searched.contains(candidate.genotype)
    told = peer._study.get_trials(states=(TrialState.COMPLETE,))
    assert len(told) == 30
    assert all(table.searched.contains(Genotype(trial.params)) for trial in told)


def test_generations_of_nsga2_go_on_where_rows_are_few_and_results_come_from_elsewhere() -> None:
    table = small_table(listed=20)
    peer = make_peer("optuna-nsga2", table.searched, options={"population": 10})
    assert isinstance(peer, OptunaPeer)
    for genotype in table.genotypes[:10]:
        peer.tell(table.space.build(genotype), (-score(genotype),))
    search(peer, 40)
    key = "NSGAIISampler:generation"
    told = peer._study.get_trials(states=(TrialState.COMPLETE,))
    assert [trial.system_attrs[key] for trial in told[:10]] == [0] * 10
    assert {trial.system_attrs[key] for trial in told} == {0, 1, 2, 3, 4}


def test_results_from_elsewhere_are_taken() -> None:
    space = small_space()
    for name in PEERS:
        peer = make_peer(name, space)
        for genotype in list(space.genotypes())[:12]:
            peer.tell(space.build(genotype), (-score(genotype),))
        assert len(peer.ask(2)) == 2


def test_evolution_mutates_the_best_of_its_window() -> None:
    space = small_space()
    peer = RegularisedEvolution(space, population=3, contestants=20, seed=0)
    for candidate in peer.ask(3):
        peer.tell(candidate, (1.0,))
    old = space.default()
    peer.tell(space.build(old), (0.0,))
    for child in peer.ask(10):
        assert child.genotype in set(space.neighbours(old)) or _apart(child.genotype, old) == 1
    for candidate in peer.ask(3):  # three younger ones: the best of before is forgotten
        peer.tell(candidate, (5.0,))
    assert all(values == (5.0,) for _, values in peer._window)


def _apart(one: Any, other: Any) -> int:
    """Decisions that both have and that differ."""
    return sum(one[path] != other[path] for path in set(one) & set(other))


def test_local_search_tries_all_neighbours_then_moves_or_starts_anew() -> None:
    space = small_space()
    peer = LocalSearch(space, first=1, seed=0)
    (start,) = peer.ask(1)
    peer.tell(start, (5.0,))
    around: list[Candidate] = []
    while len(around) < len(list(space.neighbours(start.genotype))):
        asked = peer.ask(2)
        around += asked
        for candidate in asked:
            peer.tell(candidate, (4.0 if candidate is around[0] else 6.0,))
    assert {one.genotype for one in around} == set(space.neighbours(start.genotype))
    near = {key_of(space.build(one)) for one in space.neighbours(around[0].genotype)}
    moved = peer.ask(3)
    assert moved and all(key_of(one) in near for one in moved)
    for candidate in moved:
        peer.tell(candidate, (9.0,))


def test_an_ensemble_learns_and_doubts_what_it_has_not_seen() -> None:
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(60, 4)), dtype=torch.float32)
    y = x[:, 0] - x[:, 1]
    asked = torch.cat([x[:20], 6 * x[:20]])
    told = ensemble(x, y, asked, members=5, seed=0)
    assert told.shape == (5, 40)
    mean, std = told.mean(0), told.std(0)
    assert float(torch.corrcoef(torch.stack([mean[:20], y[:20]]))[0, 1]) > 0.95
    assert float(std[20:].mean()) > 2 * float(std[:20].mean())
    again = ensemble(x, y, asked, members=5, seed=0)
    assert torch.equal(told, again)


def test_walks_tell_graphs_apart() -> None:
    space = small_space()
    codes = {walks_of(space.build(genotype)) for genotype in space.genotypes()}
    assert len(codes) > 24
    assert all(walk.count(" > ") < 3 for code in codes for walk in code)


def test_thompson_sampling_prefers_what_is_predicted_to_be_good() -> None:
    space = small_space()
    met = search(Bananas(space, first=10, seed=0), 30)
    early = np.mean([score(one.genotype) for one in met[:10]])
    late = np.mean([score(one.genotype) for one in met[15:]])
    assert late > early


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("regularised-evolution", {"population": 1}),
        ("local-search", {"first": 0}),
        ("bananas", {"members": 1}),
    ],
)
def test_settings_out_of_range_are_refused(name: str, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"{name} needs"):
        make_peer(name, small_space(), options=options)

"""Searches that start from designs, and searches that stay inside them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nasplat.errors import SpaceError, UsageError
from nasplat.search.settings import STARTS, Settings
from nasplat.search.strategies.base import Observation
from nasplat.search.strategies.table import make_strategy
from nasplat.search.study import Study
from nasplat.space.designs import restricted
from nasplat.space.load import load_space
from nasplat.tasks.load import load_task


@pytest.mark.parametrize("name", ["random", "evolution", "nsga2", "guided", "local", "optuna-tpe"])
def test_the_first_proposals_are_like_what_was_asked_for(name: str) -> None:
    space = load_space("nasbench201", load_task("digits"))
    path = next(iter(space.points))
    value = space.points[path].decision.value(3)
    part = space.within({path: (value,)})
    strategy = make_strategy(name, space, seed=1, starts=[("mine", part)] * 3)
    met = []
    for number in range(5):
        (proposal,) = strategy.ask(1)
        met.append(proposal)
        strategy.tell(Observation(number, proposal.candidate, (float(number),)))
    assert [proposal.origin.get("like") for proposal in met[:3]] == ["mine"] * 3
    assert all(proposal.genotype[path] == value for proposal in met[:3])
    assert all("like" not in proposal.origin for proposal in met[3:])


def test_a_resumed_strategy_goes_on_where_its_starts_ended() -> None:
    space = load_space("nasbench201", load_task("digits"))
    path = next(iter(space.points))
    part = space.within({path: (space.points[path].decision.value(2),)})

    def proposals(stop: int | None) -> list[str]:
        strategy = make_strategy("random", space, seed=2, starts=[("mine", part)] * 4)
        told: list[Observation] = []
        digests = []
        for number in range(6):
            if number == stop:
                strategy = make_strategy("random", space, seed=2, starts=[("mine", part)] * 4)
                for observation in told:
                    strategy.tell(observation)
            (proposal,) = strategy.ask(1)
            digests.append(proposal.candidate.digest)
            told.append(Observation(number, proposal.candidate, (1.0,)))
            strategy.tell(told[-1])
        return digests

    assert proposals(None) == proposals(2) == proposals(5)


def test_a_study_inside_a_part_of_its_space_stays_there_when_it_is_loaded_again(
    tmp_path: Path,
) -> None:
    task = load_task("digits")
    space = load_space("nasbench201", task)
    path = next(iter(space.points))
    value = space.points[path].decision.value(1)
    storage = f"sqlite:///{tmp_path / 'r.db'}"
    study = Study.create(
        "inside",
        space="nasbench201",
        task="digits",
        budget="3trials",
        storage=storage,
        executor="inline",
        objectives=["params:min"],
        epochs=1,
        strategy="random",
        within=[f"{path}={value}"],
    )
    assert study.space.size() == space.size() // 5
    study.run()
    again = Study.load("inside", storage)
    assert again.space.size() == study.space.size()
    assert all(trial.genotype[path] == value for trial in again.trials())


def test_what_the_space_does_not_hold_is_refused_before_anything_starts(tmp_path: Path) -> None:
    given = {
        "space": "nasbench201",
        "task": "digits",
        "budget": "1trials",
        "storage": f"sqlite:///{tmp_path / 'r.db'}",
    }
    with pytest.raises(UsageError, match="unknown design 'resnet-from-mars'"):
        Study.create("a", like=["resnet-from-mars"], **given)
    with pytest.raises(SpaceError, match="matches no decision"):
        Study.create("b", within=["nowhere.at.all=1"], **given)


def test_each_design_gives_so_many_starts() -> None:
    space = load_space("nasbench201", load_task("digits"))
    path = next(iter(space.points))
    rule = f"{path}={space.points[path].decision.value(0)}"
    starts = Settings(space="nasbench201", like=(rule,)).starts(space)
    assert len(starts) == STARTS and starts[0][0] == rule
    assert restricted(space, [rule]).contains(starts[0][1].sample(random.Random(0)))

"""What an earlier search learned orders candidates of other tasks and spaces, or says nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.predict.features import Features
from nasplat.predict.gaussian_process import GaussianProcess
from nasplat.predict.quality import kendall_tau
from nasplat.predict.transfer import Earlier, InformedFeatures, Transfer
from nasplat.space.candidate import Candidate
from nasplat.space.decisions import Choice, Int
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.testing.strategy import some_space

Score = Callable[[Candidate], float]


def plain_space(side: int = 24) -> Space:
    """Other networks than those of ``some_space``, for larger images."""
    body = Repeat(Conv(channels=Choice(8, 16, 24), kernel=Choice(1, 3, 5)), times=Int(1, 3))
    return Space(
        body >> ClassifierHead(classes=3),
        {"image": Image(3, side, side)},
        {"logits": Logits(3)},
        name="plain",
        check=None,
    )


def drawn(space: Space, count: int, seed: int = 0) -> list[Candidate]:
    return list(space.batch(count, random.Random(seed)))


def sized(candidate: Candidate) -> float:
    """Off a target size: some way between the smallest and the largest."""
    return abs(candidate.cost.params - 400) / 400


def busy(candidate: Candidate) -> float:
    """The more arithmetic, the better."""
    return -float(candidate.cost.macs)


def noise(count: int = 60) -> Earlier:
    """A search whose results have nothing to do with its candidates."""
    values = np.random.default_rng(0).normal(size=count)
    return Earlier("noise", drawn(some_space(), count), {0: values})


def earlier(space: Space, *scores: Score, count: int = 60, name: str = "before") -> Earlier:
    candidates = drawn(space, count, seed=7)
    values = {
        number: np.array([score(one) for one in candidates]) for number, score in enumerate(scores)
    }
    return Earlier(name, candidates, values)


def foretold(before: Earlier, space: Space, score: Score) -> float:
    """Rank correlation of what is foretold of new candidates with how they are."""
    new = drawn(space, 150, seed=1)
    transfer = Transfer(before, space, drawn(space, 48))
    assert transfer.informs == [0]
    return kendall_tau(transfer(new)[:, 0], [score(one) for one in new])


def test_the_same_space_is_foretold_well() -> None:
    assert foretold(earlier(some_space(), sized), some_space(), sized) > 0.7


@pytest.mark.parametrize("turned", [False, True])
def test_another_space_is_foretold_by_what_it_has_in_common(turned: bool) -> None:
    spaces = [plain_space(), some_space()][:: -1 if turned else 1]
    assert foretold(earlier(spaces[0], busy), spaces[1], busy) > 0.5


def test_what_is_foretold_has_unit_spread_over_the_sample() -> None:
    sample = drawn(some_space(), 48)
    columns = Transfer(earlier(plain_space(), busy, sized), some_space(), sample)(sample)
    assert columns.shape == (48, 2)
    assert np.allclose(columns.mean(0), 0.0) and np.allclose(columns.std(0), 1.0)


@pytest.mark.parametrize(
    "before",
    [
        noise(),
        earlier(some_space(), lambda _: 0.5),
        earlier(some_space(), sized, count=7),
        Earlier("failed", drawn(some_space(), 20), {0: np.full(20, np.nan)}),
        Earlier("empty", drawn(some_space(), 20), {}),
    ],
    ids=["noise", "equal", "few", "failed", "empty"],
)
def test_results_that_teach_nothing_say_nothing(before: Earlier) -> None:
    sample = drawn(some_space(), 48)
    transfer = Transfer(before, some_space(), sample)
    assert transfer.informs == []
    assert transfer(sample).shape == (48, 0)


def test_failed_results_are_left_out() -> None:
    whole = earlier(some_space(), sized)
    values = whole.values[0].copy()
    values[::5] = np.nan
    before = Earlier("some failed", whole.candidates, {0: values})
    assert foretold(before, some_space(), sized) > 0.6


def test_decisions_foretell_in_the_same_space_alone() -> None:
    space = some_space()
    sample, new = drawn(space, 48), drawn(space, 150, seed=1)
    codes = np.array([space.encode(one.genotype) for one in new])
    same = Transfer(earlier(space, sized), space, sample)
    assert same.coded == [0]
    assert kendall_tau(same.by_decisions(codes)[:, 0], [sized(one) for one in new]) > 0.4
    other = Transfer(earlier(plain_space(), busy), space, sample)
    assert other.coded == []
    assert other.by_decisions(codes).shape == (150, 0)


def test_features_are_those_of_the_space_and_what_each_search_foretells() -> None:
    space = some_space()
    sample = drawn(space, 48)
    features = Features(sample, encode=space.encode)
    searches = [
        earlier(plain_space(), busy, busy, name="one"),
        earlier(space, sized, name="two"),
        noise(),
    ]
    informed = InformedFeatures(features, space, sample, searches)
    width = len(features.columns)
    assert informed.columns[width:] == ("earlier:one 0", "earlier:one 1", "earlier:two 0")
    assert informed.linear == {0: [width, width + 2], 1: [width + 1]}
    last = max(features.groups)
    assert informed.groups[width:] == [last + 1, last + 2, last + 1]
    rows = informed(sample)
    assert rows.shape == (48, width + 3)
    assert np.array_equal(rows[:, :width], features(sample))
    codes = np.array([space.encode(one.genotype) for one in sample])
    assert informed.coded == [0]
    assert informed.by_decisions(codes).shape == (48, codes.shape[1] + 1)


def test_a_good_search_raises_the_rank_correlation_at_few_rows() -> None:
    space = some_space()
    sample, test = drawn(space, 48), drawn(space, 150, seed=1)
    features = Features(sample, encode=space.encode)
    informed = InformedFeatures(features, space, sample, [earlier(space, sized)])

    def later(candidate: Candidate) -> float:
        return sized(candidate) + 0.1 * sized(candidate) ** 2 + 1e-6 * candidate.cost.macs

    def tau(rows: list[Candidate], with_transfer: bool) -> float:
        described = informed if with_transfer else features
        linear = informed.linear[0] if with_transfer else []
        model = GaussianProcess(described.groups, linear=linear)
        model.fit(described(rows), np.array([later(one) for one in rows]))
        return kendall_tau(model.predict(described(test))[0], [later(one) for one in test])

    draws = [drawn(space, 10, seed) for seed in (11, 12, 13)]
    gained = [tau(rows, True) - tau(rows, False) for rows in draws]
    assert np.mean(gained) > 0.1

"""Whatever is drawn or varied within listed rows is one of them, and near to what was meant."""

from __future__ import annotations

import random

import optuna
import pytest

from nasplat.bench.rows import NEIGHBOURS, Rows
from tests.bench.small import small_space

SPACE = small_space()
EVERY = list(SPACE.genotypes())


@pytest.fixture
def rows() -> Rows:
    return Rows(SPACE, EVERY[::3])


def test_everything_drawn_or_varied_is_listed(rows: Rows) -> None:
    rng = random.Random(0)
    one, other = rows.sample(rng), rows.sample(rng)
    for _ in range(50):
        one, other = rows.mutate(one, rng), rows.crossover(one, other, rng)
        assert rows.contains(one) and rows.contains(other)
    assert rows.contains(rows.default())
    assert all(rows.contains(candidate.genotype) for candidate in rows.batch(5, rng))
    study = optuna.create_study()
    assert rows.contains(rows.suggest(study.ask()).genotype)


def test_variation_moves_and_neighbours_are_others(rows: Rows) -> None:
    rng = random.Random(1)
    one = rows.sample(rng)
    assert all(rows.mutate(one, rng) != one for _ in range(20))
    near = list(rows.neighbours(one))
    assert one not in near
    assert len(near) == len(set(near)) == min(NEIGHBOURS, len(rows.listed) - 1)


def test_the_nearest_row_is_the_nearest_by_encoding(rows: Rows) -> None:
    for genotype in EVERY:
        distance = [abs(SPACE.encode(genotype) - SPACE.encode(one)).sum() for one in rows.listed]
        found = rows.near(genotype)
        assert distance[rows.listed.index(found)] == pytest.approx(min(distance))


def test_ties_are_broken_at_random_only_where_asked(rows: Rows) -> None:
    absent = next(genotype for genotype in EVERY if not rows.contains(genotype))
    assert len({rows.near(absent) for _ in range(10)}) == 1
    rng = random.Random(2)
    found = {rows.near(one, rng=rng) for one in EVERY for _ in range(5)}
    assert len(found) == len(rows.listed)


def test_one_row_is_its_own_neighbour_only_when_asked() -> None:
    rows = Rows(SPACE, EVERY[:1])
    assert list(rows.neighbours(EVERY[0])) == []
    assert rows.mutate(EVERY[0], random.Random(0)) == EVERY[0]


def test_the_rest_is_that_of_the_whole_space(rows: Rows) -> None:
    assert rows.size() == 16 == len(list(rows.genotypes()))
    assert rows.version == SPACE.version
    assert rows.build(EVERY[0]).digest == SPACE.build(EVERY[0]).digest
    with pytest.raises(AttributeError):
        _ = rows.nothing_of_the_kind

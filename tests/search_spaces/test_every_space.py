"""What every shipped space keeps, on each problem that it names: random candidates are legal and run."""

from __future__ import annotations

import pytest

from nasplat import content
from nasplat.space.load import examples
from nasplat.testing.candidates import run_for_real, run_on_meta, space_of, type_check

SPACES = [name for name in content.names("search_spaces") if examples(name)]
EVERY = [(name, example) for name in SPACES for example in examples(name)]


def part(name: str, count: int) -> int:
    """The share of one example in a number of candidates of the whole space."""
    return -(-count // len(examples(name)))


@pytest.mark.parametrize(("name", "example"), EVERY)
def test_three_hundred_genotypes_of_a_space_type_check_and_some_run(
    name: str, example: str
) -> None:
    space = space_of(name, example)
    type_check(space, part(name, 300), seed=1)
    run_for_real(space, part(name, 10), seed=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "example"), EVERY)
def test_a_hundred_thousand_genotypes_of_a_space_type_check(name: str, example: str) -> None:
    type_check(space_of(name, example), part(name, 100_000), seed=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "example"), EVERY)
def test_three_hundred_candidates_of_a_space_run_on_meta(name: str, example: str) -> None:
    run_on_meta(space_of(name, example), part(name, 300), seed=4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "example"), EVERY)
def test_five_hundred_candidates_of_a_space_run_forward_and_backward(
    name: str, example: str
) -> None:
    run_for_real(space_of(name, example), part(name, 500), seed=5)

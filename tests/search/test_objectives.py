"""Rules of objectives and constraints: reading, judging, what no candidate can meet."""

from __future__ import annotations

import math

import pytest

from nasplat.errors import ConstraintError, UsageError
from nasplat.search.objectives import (
    Constraint,
    Objective,
    check_satisfiable,
    minimised,
    parse_constraint,
    parse_objectives,
    violation,
)

TASK = {"accuracy": "max", "loss": "min"}
KNOWN = ("accuracy", "loss", "latency_ms", "params", "macs")


def test_objectives_are_accuracy_and_latency_unless_said_otherwise() -> None:
    assert parse_objectives([], TASK) == (
        Objective("accuracy", "max"),
        Objective("latency_ms", "min"),
    )


def test_a_direction_may_be_left_out_or_spelt_in_full() -> None:
    assert parse_objectives(["loss", "accuracy:maximize"], TASK) == (
        Objective("loss", "min"),
        Objective("accuracy", "max"),
    )


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["acuracy:max"], "unknown objective 'acuracy'; known: accuracy,"),
        (["accuracy:up"], "must be max or min, got 'up'"),
        (["accuracy", "accuracy:min"], "given twice"),
    ],
)
def test_bad_objectives_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_objectives(texts, TASK)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params<=5M", Constraint("params", "<=", 5e6)),
        ("params <= 25e6", Constraint("params", "<=", 25e6)),
        ("latency_ms<=20", Constraint("latency_ms", "<=", 20)),
        ("latency_ms < 20ms", Constraint("latency_ms", "<", 20)),
        ("accuracy>=0.9", Constraint("accuracy", ">=", 0.9)),
    ],
)
def test_constraints_are_read(text: str, expected: Constraint) -> None:
    assert parse_constraint(text, KNOWN) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params=5M", "cannot be read"),
        ("parms<=5M", "unknown metric 'parms'; known: params"),
        ("params<=5Q", "unknown suffix 'Q'"),
        ("params<=1e999", "must be finite"),
        ("params<=1.2.3", "is no number"),
    ],
)
def test_bad_constraints_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConstraintError, match=message):
        parse_constraint(text, KNOWN)


def test_violation_is_relative_to_the_bound_and_adds_up() -> None:
    constraints = [parse_constraint(text, KNOWN) for text in ("params<=100", "accuracy>=0.5")]
    assert violation(constraints, {"params": 150, "accuracy": 0.25}) == pytest.approx(1.0)
    assert violation(constraints, {"params": 100, "accuracy": 0.5}) == 0
    assert violation(constraints, {"params": 50}) == 0
    assert violation(constraints, {"params": math.nan}) == math.inf


def test_a_strict_bound_is_broken_by_its_own_value() -> None:
    assert parse_constraint("params<100", KNOWN).violation(100) > 0


def test_a_constraint_that_no_candidate_meets_says_the_range() -> None:
    constraint = parse_constraint("params<=1k", KNOWN)
    with pytest.raises(ConstraintError, match="params goes from 5,000 to 9,000"):
        check_satisfiable([constraint], {"params": (5000, 9000)})
    check_satisfiable([constraint], {"params": (500, 9000)})


def test_strategies_see_everything_minimised() -> None:
    objectives = parse_objectives([], TASK)
    assert minimised(objectives, {"accuracy": 0.9, "latency_ms": 2.0}) == (-0.9, 2.0)
    assert minimised(objectives, {"accuracy": 0.9}) is None
    assert minimised(objectives, {"accuracy": math.nan, "latency_ms": 1.0}) is None

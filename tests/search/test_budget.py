"""Rules of budgets: units, combination, what is refused."""

from __future__ import annotations

import pytest

from nasplat.errors import BudgetError
from nasplat.search.budget import Budget, Limit, parse_budget


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("100gpu-h", [("gpu-h", 100.0)]),
        ("8cpu-h", [("cpu-h", 8.0)]),
        ("90cpu-min", [("cpu-h", 1.5)]),
        ("2h30m", [("s", 9000.0)]),
        ("2h", [("s", 7200.0)]),
        ("3min", [("s", 180.0)]),
        ("1.5h", [("s", 5400.0)]),
        ("500trials", [("trials", 500.0)]),
        ("8gpu-h, 500trials", [("gpu-h", 8.0), ("trials", 500.0)]),
    ],
)
def test_units_are_read(text: str, limits: list[tuple[str, float]]) -> None:
    assert parse_budget(text) == Budget(tuple(Limit(unit, amount) for unit, amount in limits))


@pytest.mark.parametrize(
    "text", ["", "100", "gpu-h", "ten hours", "5 apples", "-3min", "1h,", "2.5trials"]
)
def test_what_cannot_be_read_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BudgetError, match=r"cannot be read(.|\n)*100gpu-h"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["0gpu-h", "0min", "0trials"])
def test_a_budget_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(BudgetError, match="must be above zero"):
        parse_budget(text)


def test_a_unit_is_limited_once() -> None:
    with pytest.raises(BudgetError, match="limits 's' twice"):
        parse_budget("2h,30min")


def test_the_first_limit_reached_ends_it() -> None:
    budget = parse_budget("1h,10trials")
    assert budget.spent({"s": 3599, "trials": 9}) is None
    assert budget.spent({"s": 12, "trials": 10}) == Limit("trials", 10.0)
    assert budget.fraction({"s": 1800, "trials": 1}) == 0.5


def test_budgets_survive_json() -> None:
    budget = parse_budget("1h,10trials")
    assert Budget.from_json(budget.to_json({"s": 3})) == budget
    assert budget.to_json({"s": 3})[0] == {"unit": "s", "limit": 3600.0, "used": 3}

"""Strategies are found by name, as plug-ins, and in a user's file; what is wrong is said."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from nasplat.errors import UsageError
from nasplat.search.strategies import table
from nasplat.search.strategies.guided import Guided
from nasplat.search.strategies.random import Random
from nasplat.testing.strategy import tiny_space

MINE = '''"""A strategy of mine."""
from nasplat.search.strategies.random import Random


class Mine(Random):
    """Random under another name."""

    name = "mine"


nothing = 3
'''


def test_every_known_name_leads_to_the_strategy_of_that_name() -> None:
    assert "guided" in table.known_strategies()
    for name in table.known_strategies():
        assert table.find_strategy(name).name == name


def test_an_unknown_name_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(UsageError, match=r"unknown strategy 'giuded'; known: guided, "):
        table.find_strategy("giuded")


def test_a_file_of_the_user_holds_strategies(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    made = table.make_strategy(f"{file}:Mine", tiny_space())
    assert made.name == "mine"
    with pytest.raises(UsageError, match=r"unknown strategy in .*'Mien'; known: Mine"):
        table.find_strategy(f"{file}:Mien")
    with pytest.raises(UsageError, match="not a strategy"):
        table.find_strategy(f"{file}:nothing")
    with pytest.raises(UsageError, match="does not exist"):
        table.find_strategy(f"{tmp_path}/absent.py:Mine")


def test_a_plug_in_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("other", "nasplat.search.strategies.random:Random", table.GROUP)
    monkeypatch.setattr(table, "entry_points", lambda group: [point])
    assert table.find_strategy("other") is Random
    assert "other" in table.known_strategies()


def test_two_owners_of_one_name_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("guided", "elsewhere:Guided", table.GROUP)
    monkeypatch.setattr(table, "entry_points", lambda group: [point])
    with pytest.raises(UsageError, match=r"guided:Guided and elsewhere:Guided"):
        table.known_strategies()


def test_options_reach_the_strategy_and_unknown_ones_are_all_named() -> None:
    made = table.make_strategy("guided", tiny_space(), seed=4, options={"first": 3})
    assert isinstance(made, Guided)
    assert (made.first, made.seed) == (3, 4)
    with pytest.raises(
        UsageError, match=r"no option 'firts', 'speed'; it has: built, drawn, extra, first"
    ):
        table.make_strategy("guided", tiny_space(), options={"firts": 3, "speed": 1})
    with pytest.raises(UsageError, match="it has: none"):
        table.make_strategy("random", tiny_space(), options={"population": 3})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("evolution", {"population": 1}),
        ("nsga2", {"crossover": 1.5}),
        ("local", {"first": 0}),
        ("guided", {"first": 1}),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"needs .*got"):
        table.make_strategy(name, tiny_space(), options=options)

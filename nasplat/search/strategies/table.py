"""Strategies by name: the ones of the library, those of installed plug-ins, and a user's own file.

A plug-in registers a class under the entry point group
``nasplat.strategies``. Files of strategies are imported only when they are asked for.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplat.content import load_file
from nasplat.errors import UsageError, unknown
from nasplat.search.strategies.base import Measure, Strategy

if TYPE_CHECKING:
    from nasplat.space.space import Space

GROUP = "nasplat.strategies"
DEFAULT = "guided"

_HERE = "nasplat.search.strategies"
_LIBRARY = {
    "evolution": f"{_HERE}.evolution:Evolution",
    "guided": f"{_HERE}.guided:Guided",
    "local": f"{_HERE}.local:Local",
    "nsga2": f"{_HERE}.nsga2:NSGA2",
    "optuna-gp": f"{_HERE}.optuna:OptunaGP",
    "optuna-nsga2": f"{_HERE}.optuna:OptunaNSGA2",
    "optuna-random": f"{_HERE}.optuna:OptunaRandom",
    "optuna-tpe": f"{_HERE}.optuna:OptunaTPE",
    "random": f"{_HERE}.random:Random",
}


def known_strategies() -> list[str]:
    """Names of all strategies that are installed, sorted."""
    return sorted({*_LIBRARY, *_plugins()})


def find_strategy(name: str) -> type[Strategy]:
    """The class of a strategy.

    Args:
        name: A known name, or ``file.py:Class``.

    Raises:
        UsageError: The name is not known (the known ones are listed, nearest first), the file or class
            does not exist, or it is no strategy.
    """
    if ".py:" in name:
        return _from_file(name)
    plugins = _plugins()
    if name in _LIBRARY:
        module, _, attribute = _LIBRARY[name].partition(":")
        found = getattr(importlib.import_module(module), attribute)
    elif name in plugins:
        found = plugins[name].load()
    else:
        raise unknown(
            "strategy",
            name,
            known_strategies(),
            UsageError,
            hint="A strategy of your own is given as file.py:Class.",
        )
    return _checked(name, found)


def make_strategy(
    name: str,
    space: Space,
    *,
    objectives: int = 1,
    seed: int = 0,
    cheap: Measure | None = None,
    exact: Mapping[int, Measure] | None = None,
    options: Mapping[str, Any] | None = None,
    starts: Sequence[tuple[str, Space]] = (),
    fidelities: Sequence[int] = (),
) -> Strategy:
    """Make a strategy by name.

    Args:
        name: A known name, or ``file.py:Class``.
        space: Where candidates come from.
        objectives: Number of objectives.
        seed: Seed of everything random.
        cheap: As for :class:`Strategy`.
        exact: As for :class:`Strategy`.
        options: Settings of this strategy, such as ``{"population": 50}``.
        starts: As ``Strategy.starts``.
        fidelities: As ``Strategy.fidelities``.

    Raises:
        UsageError: The name is not known, or an option is not one of this strategy.
    """
    found = find_strategy(name)
    given = dict(options or {})
    allowed = options_of(name)
    if offending := sorted(set(given) - set(allowed)):
        listing = ", ".join(allowed) if allowed else "none"
        raise UsageError(
            f"strategy {name!r} has no option {', '.join(map(repr, offending))}; it has: {listing}"
        )
    made = found(space, objectives=objectives, seed=seed, cheap=cheap, exact=exact, **given)
    made.starts = tuple(starts)
    made.fidelities = tuple(fidelities)
    return made


def options_of(name: str) -> list[str]:
    """The keyword arguments that are settings of a strategy itself, sorted.

    Raises:
        UsageError: As for :func:`find_strategy`.
    """
    found = find_strategy(name)
    shared = set(inspect.signature(Strategy).parameters)
    return sorted(
        name
        for kind in found.__mro__
        if issubclass(kind, Strategy) and "__init__" in kind.__dict__
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in shared
    )


def _plugins() -> dict[str, EntryPoint]:
    """Entry points by name.

    Raises:
        UsageError: Two owners claim one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        owner = _LIBRARY.get(point.name) or (found[point.name].value if point.name in found else "")
        if owner and owner != point.value:
            raise UsageError(
                f"two strategies are called {point.name!r}: {owner} and {point.value}",
                hint="Uninstall one of the two packages, or ask its author to rename it.",
            )
        found[point.name] = point
    return found


def _from_file(name: str) -> type[Strategy]:
    path, _, attribute = name.rpartition(":")
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"the strategy file {path} does not exist")
    module = load_file(file)
    if not hasattr(module, attribute):
        known = [key for key, value in vars(module).items() if _is_strategy(value)]
        raise unknown(f"strategy in {path}", attribute, known, UsageError)
    return _checked(name, getattr(module, attribute))


def _is_strategy(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy


def _checked(name: str, found: object) -> type[Strategy]:
    if not _is_strategy(found):
        raise UsageError(
            f"{name} is {found!r}, not a strategy",
            hint="A strategy is a subclass of nasplat.search.strategies.base.Strategy.",
        )
    assert isinstance(found, type)
    return found

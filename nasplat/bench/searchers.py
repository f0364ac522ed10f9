"""Who can be asked to search a table, and what is refused before a search starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplat.bench.measures import Problem
from nasplat.bench.peers import PEERS, check_options
from nasplat.errors import UsageError, unknown
from nasplat.search.strategies.table import known_strategies


def known_searchers() -> list[str]:
    """Names that :func:`nasplat.bench.harness.run` takes: peers, and the strategies of nasplat."""
    return sorted({*PEERS, *known_strategies()})


def check_name(strategy: str) -> None:
    """Refuse a name that nothing has.

    Raises:
        UsageError: It is not known; the known ones are listed, nearest first.
    """
    if strategy not in PEERS and ".py:" not in strategy and strategy not in known_strategies():
        raise unknown(
            "strategy",
            strategy,
            known_searchers(),
            UsageError,
            hint="A strategy of your own is given as file.py:Class.",
        )


def check(
    problem: Problem, strategy: str, evaluations: int, options: Mapping[str, Any] | None = None
) -> None:
    """Refuse a search that cannot be run, before anything is started.

    Raises:
        UsageError: The strategy is not known or does not take an option, fewer than one evaluation is asked
            for or more than the table has architectures, or a peer is to see several fidelities.
    """
    check_name(strategy)
    if strategy in PEERS:
        check_options(strategy, options or {})
        if len(problem.fidelities) > 1:
            raise UsageError(
                f"{strategy} is told of complete trials only, and cannot be run at the fidelities "
                f"{', '.join(map(str, problem.fidelities))}",
                hint=f"Those that can: {', '.join(sorted(set(known_strategies()) - set(PEERS)))}",
            )
    if evaluations < 1:
        raise UsageError(f"evaluations must be at least 1, got {evaluations}")
    if evaluations > problem.size:
        raise UsageError(
            f"{problem.table} has {problem.size} architectures, fewer than the {evaluations} "
            "evaluations that are asked for",
            hint=f"Ask for at most {problem.size}: --evaluations {problem.size}",
        )

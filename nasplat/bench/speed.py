"""How long a strategy takes to answer, by how much it was told. It knows no strategy in particular."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplat.bench.harness import BATCH, single_thread
from nasplat.bench.measures import Problem
from nasplat.bench.peers import PEERS, make_peer
from nasplat.bench.searchers import check
from nasplat.search.strategies.base import Observation
from nasplat.search.strategies.table import make_strategy

if TYPE_CHECKING:
    from nasplat.bench.table import Table
    from nasplat.space.candidate import Candidate


def round_seconds(
    table: Table,
    strategy: str,
    observations: int,
    *,
    seed: int = 0,
    objectives: Sequence[str] | None = None,
    batch: int = BATCH,
    options: Mapping[str, Any] | None = None,
) -> tuple[float, float]:
    """Processor seconds that a question for a batch takes once so many random results are known.

    Args:
        table: The table.
        strategy: Name of a peer or of a strategy.
        observations: Results that are known before.
        seed: Of everything random.
        objectives: Names of metrics; those of the table by default.
        batch: Candidates in each question.
        options: Settings of the strategy.

    Returns:
        The first question after a restart, and the second one, once the first's batch was told.

    Raises:
        UsageError: The table holds too few architectures, or what ``searchers.check`` refuses.
    """
    problem = Problem.of(table, objectives)
    check(problem, strategy, observations + 2 * batch, options)
    values = table.values(problem.objectives)
    made: Any = (make_peer if strategy in PEERS else make_strategy)(
        strategy,
        table.searched,
        objectives=len(problem.objectives),
        seed=seed,
        options=options,
    )
    told = 0

    def tell(candidate: Candidate) -> None:
        nonlocal told
        row = [float(value) for value in values[table.row(candidate)]]
        known = tuple(row) if all(value == value for value in row) else None
        if strategy in PEERS:
            made.tell(candidate, known)
        else:
            made.tell(Observation(told, candidate, known))
        told += 1

    for row in random.Random(seed).sample(sorted(set(table.first.tolist())), observations):
        tell(table.space.build(table.genotypes[row]))
    taken = []
    with single_thread():
        for _ in range(2):
            begun = time.process_time()
            answer = made.ask(batch)
            taken.append(time.process_time() - begun)
            for one in answer:
                tell(one if strategy in PEERS else one.candidate)
    return taken[0], taken[1]

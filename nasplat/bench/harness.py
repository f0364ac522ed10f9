"""Runs a strategy or a peer on a table: candidates are proposed, results are looked up.

Every proposal counts as an evaluation, also one that was evaluated before. With several fidelities a trial
reports at the cheapest first; who goes on is decided by the strategy, or else by successive halving, and
what counts is the cost. A search of one objective ends with the optimum of the table: whatever came after
could not change what is told of it. It knows no strategy in particular and stores nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplat.bench.earlier import EarlierTable
from nasplat.bench.measures import Problem
from nasplat.bench.peers import PEERS, Peer, make_peer
from nasplat.bench.searchers import check
from nasplat.bench.trace import Trace
from nasplat.errors import UsageError
from nasplat.execute.rungs import rung_verdict
from nasplat.predict.threads import one_thread
from nasplat.search.strategies.base import Observation, Strategy
from nasplat.search.strategies.table import make_strategy

if TYPE_CHECKING:
    from nasplat.bench.table import Table
    from nasplat.space.candidate import Candidate

Floats = NDArray[np.float64]

BATCH = 5
"""Candidates asked for at once, by default."""
ETA = 3.0
"""One in so many trials goes on beyond a rung where successive halving decides."""


def run(
    table: Table,
    strategy: str,
    *,
    evaluations: int,
    seed: int,
    objectives: Sequence[str] | None = None,
    batch: int = BATCH,
    options: Mapping[str, Any] | None = None,
    fidelities: Sequence[int] | None = None,
    transfer: Sequence[EarlierTable] = (),
) -> Trace:
    """Search a table once.

    Args:
        table: The table.
        strategy: Name of a peer or of a strategy, or ``file.py:Class``.
        evaluations: How many; with several fidelities the cost that may be spent, in trainings at the last.
        seed: Of everything random.
        objectives: Names of metrics; those of the table by default.
        batch: Candidates asked for at once, at least 1.
        options: Settings of the strategy.
        fidelities: Rungs, rising; the highest alone by default.
        transfer: Tables of which rows are known from before.

    Raises:
        UsageError: As for :func:`check` and :meth:`Problem.of`; or ``batch`` is below 1.
    """
    problem = Problem.of(table, objectives, fidelities)
    return run_problem(
        table,
        problem,
        strategy,
        evaluations=evaluations,
        seed=seed,
        batch=batch,
        options=options,
        transfer=transfer,
    )


def run_problem(
    table: Table,
    problem: Problem,
    strategy: str,
    *,
    evaluations: int,
    seed: int,
    batch: int = BATCH,
    options: Mapping[str, Any] | None = None,
    transfer: Sequence[EarlierTable] = (),
) -> Trace:
    """As :func:`run`, for a problem that was worked out before."""
    told = with_transfer(options or {}, transfer)
    check(problem, strategy, evaluations, told)
    if batch < 1:
        raise UsageError(f"a batch holds at least 1 candidate, got {batch}")
    trace = Trace(
        strategy=strategy,
        options=told,
        seed=seed,
        objectives=problem.objectives,
        fidelities=problem.fidelities,
        evaluations=evaluations,
        batch=batch,
    )
    with single_thread():
        _Run(table, problem, trace, transfer).run()
    return trace


@contextmanager
def single_thread() -> Iterator[None]:
    """Compute on one thread inside the block: searches run side by side, and times are those of one core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_thread():
            yield
    finally:
        torch.set_num_threads(threads)


def with_transfer(options: Mapping[str, Any], transfer: Sequence[EarlierTable]) -> dict[str, Any]:
    """The settings of a search in words, with the names of the tables that it learns from."""
    return {**options, "transfer": ",".join(map(str, transfer))} if transfer else dict(options)


class _Run:
    """One search under way."""

    def __init__(
        self, table: Table, problem: Problem, trace: Trace, transfer: Sequence[EarlierTable]
    ) -> None:
        self.table = table
        self.trace = trace
        self.rungs = problem.fidelities
        self.values = {rung: table.values(problem.objectives, rung) for rung in self.rungs}
        self.price = {rung: _price(table, rung, self.rungs[-1]) for rung in self.rungs}
        self.trials: list[Candidate] = []
        self.reached: dict[int, int] = {}
        self.paid: defaultdict[int, float] = defaultdict(float)
        """Of each trial, its share of what was spent where fidelities are paid by their time."""
        self.spent = 0.0
        self.optimum = problem.optimum
        self.ended = False
        self.options = dict(trace.options)
        if transfer:
            known = [one.results(problem.objectives, trace.seed) for one in transfer]
            self.options["transfer"] = known

    def run(self) -> None:
        trace, number = self.trace, len(self.trace.objectives)
        if trace.strategy in PEERS:
            peer = make_peer(
                trace.strategy,
                self.table.searched,
                objectives=number,
                seed=trace.seed,
                options=trace.options,
            )
            self._search_peer(peer)
            return
        strategy = make_strategy(
            trace.strategy,
            self.table.searched,
            objectives=number,
            seed=trace.seed,
            options=self.options,
            fidelities=self.rungs,
        )
        if len(self.rungs) == 1:
            self._search(strategy)
        else:
            self._search_rungs(strategy)

    @property
    def _left(self) -> int:
        """Evaluations that are still to be made."""
        return 0 if self.ended else self.trace.evaluations - len(self.trials)

    def _search_peer(self, peer: Peer) -> None:
        while (left := self._left) > 0:
            candidates = self._timed(partial(peer.ask, min(self.trace.batch, left)))
            if not candidates:
                return
            for candidate in candidates:
                self.trials.append(candidate)
                values = self._report(len(self.trials) - 1, self.rungs[0])
                peer.tell(candidate, values)

    def _search(self, strategy: Strategy) -> None:
        while (left := self._left) > 0:
            if not self._ask(strategy, min(self.trace.batch, left)):
                return

    def _search_rungs(self, strategy: Strategy) -> None:
        """Alternate between trials that go on and new ones until the cost is spent."""
        paused: list[int] = []
        going: list[int] = []
        at_rung: dict[int, dict[int, tuple[float, ...]]] = {rung: {} for rung in self.rungs}
        while self.spent < self.trace.evaluations and not self.ended:
            if paused:
                wanted = strategy.promote(paused, self.trace.batch)
                if wanted is None:
                    going += [one for one in paused if self._halved(strategy, one, at_rung)]
                    paused = []
                else:
                    going = [one for one in wanted if one in paused][: self.trace.batch]
                    paused = [one for one in paused if one not in going]
            now, going = going[: self.trace.batch], going[self.trace.batch :]
            for number in now:
                rung = self.rungs[self.rungs.index(self.reached[number]) + 1]
                if self._continue(strategy, number, rung):
                    paused.append(number)
            room = self.trace.batch - len(now)
            met = self._ask(strategy, room) if room else []
            paused += [number for number in met if self.reached[number] != self.rungs[-1]]
            if not now and not met and not going:
                return

    def _ask(self, strategy: Strategy, count: int) -> list[int]:
        """Evaluate new candidates at the first fidelity; the numbers of those that did not fail."""
        proposals = self._timed(partial(strategy.ask, count))
        first = len(self.trials)
        self.trials += [proposal.candidate for proposal in proposals]
        numbers = range(first, len(self.trials))
        return [
            number
            for number in numbers
            if self._continue(strategy, number, self.rungs[0]) or len(self.rungs) == 1
        ]

    def _continue(self, strategy: Strategy, number: int, rung: int) -> bool:
        """Train a trial up to a rung and tell the strategy; whether it may go on beyond."""
        values = self._report(number, rung)
        last = rung == self.rungs[-1]
        self.reached[number] = rung
        self._tell(strategy, number, values, final=last or values is None)
        return values is not None and not last

    def _halved(
        self,
        strategy: Strategy,
        number: int,
        at_rung: dict[int, dict[int, tuple[float, ...]]],
    ) -> bool:
        """Whether successive halving lets a trial go on; one that it stops has had its last word."""
        rung = self.reached[number]
        row = self.values[rung][self.table.row(self.trials[number])]
        values = tuple(float(value) for value in row)
        goes_on = rung_verdict(list(at_rung[rung].values()), values, ETA)
        at_rung[rung][number] = values
        if not goes_on:
            self._tell(strategy, number, values, final=True)
        return goes_on

    def _tell(
        self, strategy: Strategy, number: int, values: tuple[float, ...] | None, *, final: bool
    ) -> None:
        """Tell the strategy what a trial met where it has come to, and what was paid for it so far."""
        strategy.tell(
            Observation(
                number,
                self.trials[number],
                values,
                fidelity=self.reached[number],
                final=final,
                seconds=self.paid[number],
            )
        )

    def _report(self, number: int, rung: int) -> tuple[float, ...] | None:
        """Look a result up and charge for it."""
        row = self.table.row(self.trials[number])
        met = tuple(float(value) for value in self.values[rung][row])
        if len(self.rungs) == 1:
            self.spent += 1.0
        else:
            price = self.price[rung][row]
            before = self.reached.get(number)
            if before is not None and self.table.continues:
                price -= self.price[before][row]
            self.paid[number] += float(price)
            self.spent += float(price)
        self.trace.note(row, rung, self.spent, met)
        if rung == self.rungs[-1] and self.optimum is not None and met[0] <= self.optimum:
            self.ended = True
        return None if any(np.isnan(met)) else met

    def _timed(self, ask: Callable[[], list[Any]]) -> list[Any]:
        told, begun = len(self.trace.rows), time.process_time()
        answer = ask()
        self.trace.seconds.append(round(time.process_time() - begun, 6))
        self.trace.asked.append((told, len(answer)))
        return answer


def _price(table: Table, rung: int, last: int) -> Floats:
    """Device time of every row up to a rung, in mean trainings up to the last; unknown ones as the mean."""
    seconds, whole = table.seconds(rung), float(np.nanmean(table.seconds(last)))
    return np.asarray(np.where(np.isnan(seconds), np.nanmean(seconds), seconds) / whole)

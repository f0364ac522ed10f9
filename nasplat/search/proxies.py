"""Zero-cost proxies as features of a strategy: ``--option extra=synflow,naswot``.

Each candidate that a strategy considers is measured once, on the processor of whoever drives the search, and
the time is charged to the study. It knows no strategy.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplat.errors import UsageError

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate
    from nasplat.tasks.base import Task

OPTION = "extra"
"""Name of the option of strategies that takes further numbers of a candidate."""
ALL = "all"
CHARGED = 1.0
"""Seconds after which time is charged: the most that a crash can lose."""


def resolved(
    options: Mapping[str, Any],
    task: Task,
    seed: int,
    charge: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """The options of a strategy, with proxies that are given by name in place of their names.

    Args:
        options: As a user gives them; ``extra`` may hold ``synflow,naswot``, a list, or ``all``.
        task: Gives the batch and the loss.
        seed: Seed of the study.
        charge: Called with device seconds.

    Raises:
        UsageError: A proxy is not known.
    """
    given = options.get(OPTION)
    if not isinstance(given, str | list | tuple):
        return dict(options)
    names = given.split(",") if isinstance(given, str) else given
    return {**options, OPTION: ProxyFeatures([str(n).strip() for n in names], task, seed, charge)}


class ProxyFeatures:
    """Proxies of a candidate by name, measured once for each architecture.

    Scores that are no logarithms are brought to their scale, keeping order and sign. What cannot be computed
    is 0: such a candidate will hardly train either, and its trial says why.

    Args:
        names: Proxies, or ``all``; costs are left out, for they are features anyway.
        task: Gives the batch and the loss.
        seed: Initial weights and the batch follow from it.
        charge: Called with device seconds, in portions of about a second.

    Attributes:
        seconds: Device seconds that proxies took so far.

    Raises:
        UsageError: A proxy is not known, or none is left.
    """

    def __init__(
        self,
        names: Sequence[str],
        task: Task,
        seed: int,
        charge: Callable[[float], None] = lambda _: None,
    ) -> None:
        # torch is imported only by who measures candidates
        from nasplat.evaluate.proxies.measure import COSTS, check_names

        wanted = check_names(() if list(names) == [ALL] else names)
        self.names = tuple(name for name in wanted if name not in COSTS)
        if not self.names:
            raise UsageError(
                f"{OPTION}={','.join(names)} names no proxy that is not a feature anyway",
                hint="For instance: --option extra=synflow,naswot",
            )
        self.task = task
        self.seed = seed
        self.seconds = 0.0
        self._charge = charge
        self._charged = 0.0
        self._known: dict[str, dict[str, float]] = {}

    def __call__(self, candidate: Candidate) -> Mapping[str, float]:
        """The proxies of a candidate, logarithms or the like, finite."""
        found = self._known.get(candidate.digest)
        if found is None:
            begun = time.perf_counter()
            found = self._known[candidate.digest] = self._measured(candidate)
            self.seconds += time.perf_counter() - begun
            if self.seconds - self._charged >= CHARGED:
                self._charge(self.seconds - self._charged)
                self._charged = self.seconds
        return found

    def _measured(self, candidate: Candidate) -> dict[str, float]:
        from nasplat.evaluate.proxies.measure import LOGGED, measure_proxies
        from nasplat.evaluate.training import threads

        try:
            with threads(1):
                scores = measure_proxies(candidate.graph, self.task, self.seed, names=self.names)
        except (RuntimeError, MemoryError):
            return dict.fromkeys(self.names, 0.0)
        found = {name: scores.values[name] for name in self.names}
        return {
            name: 0.0
            if not math.isfinite(value)
            else value
            if name in LOGGED
            else math.asinh(value)
            for name, value in found.items()
        }

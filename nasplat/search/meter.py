"""Counts what a study uses of its budget, and says when it is spent.

Device time is what the ledger of the store holds plus what is under way; search time is charged to the
ledger in small portions, so that a crash loses seconds of it. This module decides nothing about trials.
"""

from __future__ import annotations

import time

from nasplat.search.budget import Budget, Limit
from nasplat.store.store import Store

CHARGE_SECONDS = 20.0
"""Between two entries of search time in the ledger: the most that a crash can lose."""
LOOK_SECONDS = 1.0
"""Between two looks at the ledger."""
WALL = "wall"
"""Unit of search time in the ledger."""


class Meter:
    """What one run of a study uses.

    Args:
        store: Holds the ledger.
        study: Name of the study.
        budget: Its limits.
        unit: Kind of device that trials are charged for, ``cpu`` or ``gpu``.
        share: Devices that one trial holds.
    """

    def __init__(self, store: Store, study: str, budget: Budget, unit: str, share: float) -> None:
        self.budget = budget
        self.unit = unit
        self.share = share
        self._store = store
        self._study = study
        self._since: dict[int, float] = {}
        self._charged = time.monotonic()
        self._looked = 0.0
        totals = store.ledger_totals(study)
        self._wall = totals[WALL].used if WALL in totals else 0.0

    def start(self, trial: int) -> None:
        """Note that a trial computes from now on, beyond what it has reported."""
        self._since[trial] = time.monotonic()

    def stop(self, trial: int) -> None:
        """Note that a trial does not compute any more."""
        self._since.pop(trial, None)

    def used(self) -> dict[str, float]:
        """Device hours, and seconds of search, used so far."""
        now = time.monotonic()
        totals = self._store.ledger_totals(self._study)
        used = {f"{unit}-h": total.used / 3600 for unit, total in totals.items() if unit != WALL}
        under_way = sum(now - since for since in tuple(self._since.values())) * self.share
        used[f"{self.unit}-h"] = used.get(f"{self.unit}-h", 0.0) + under_way / 3600
        used["s"] = self._wall + now - self._charged
        return used

    def spent(self) -> Limit | None:
        """The limit on time that is reached, or ``None``; asks the ledger once a second."""
        now = time.monotonic()
        seconds = self.budget.limit("s")
        if seconds is not None and self._wall + now - self._charged >= seconds:
            return Limit("s", seconds)
        if self.budget.limit(f"{self.unit}-h") is None or now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        return self.budget.spent(self.used())

    def charge(self, *, always: bool = False) -> None:
        """Write the search time since the last entry to the ledger, when it is long enough."""
        now = time.monotonic()
        if always or now - self._charged >= CHARGE_SECONDS:
            self._store.charge(self._study, WALL, now - self._charged, "search")
            self._wall += now - self._charged
            self._charged = now

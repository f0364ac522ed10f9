"""Budgets: what a study may spend, in the units that users pay in.

``100gpu-h`` and ``8cpu-h`` count device time of all workers, failures included; ``2h30m`` counts the
time that the search runs; ``500trials`` counts trials. Several are combined by comma, the first that is
reached ends the search. This module reads and compares; the ledger that counts is in the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.errors import BudgetError

_TIME = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_DEVICE = {"gpu": "gpu-h", "cpu": "cpu-h"}
_EXAMPLES = "Write a budget as 100gpu-h, 8cpu-h, 2h30m, 30min, 500trials, or several with commas."


@dataclass(frozen=True)
class Limit:
    """One limit of a budget.

    Attributes:
        unit: ``gpu-h`` or ``cpu-h`` (device hours), ``s`` (seconds of search) or ``trials``.
        amount: How much of it, above 0.
    """

    unit: str
    amount: float

    def __str__(self) -> str:
        if self.unit == "s":
            return show_seconds(self.amount)
        return f"{self.amount:g} {self.unit}"


@dataclass(frozen=True)
class Budget:
    """Limits of which the first that is reached ends the search."""

    limits: tuple[Limit, ...]

    def limit(self, unit: str) -> float | None:
        """The limit in a unit, or ``None``."""
        return next((limit.amount for limit in self.limits if limit.unit == unit), None)

    @property
    def counts_time(self) -> bool:
        """Whether a limit is in time: of a device or of the search."""
        return any(limit.unit != "trials" for limit in self.limits)

    def spent(self, used: Mapping[str, float]) -> Limit | None:
        """The first limit that ``used`` reaches, or ``None``."""
        return next(
            (limit for limit in self.limits if used.get(limit.unit, 0.0) >= limit.amount), None
        )

    def fraction(self, used: Mapping[str, float]) -> float:
        """The share of the budget that is used, in [0, 1]: that of the limit nearest to its end."""
        shares = [used.get(limit.unit, 0.0) / limit.amount for limit in self.limits]
        return min(1.0, max(shares))

    def to_json(self, used: Mapping[str, float]) -> list[dict[str, Any]]:
        """``[{"unit", "limit", "used"}]``."""
        return [
            {"unit": limit.unit, "limit": limit.amount, "used": round(used.get(limit.unit, 0.0), 6)}
            for limit in self.limits
        ]

    @classmethod
    def from_json(cls, data: Iterable[Mapping[str, Any]]) -> Budget:
        """Decode :meth:`to_json`, without what is used."""
        return cls(tuple(Limit(item["unit"], float(item["limit"])) for item in data))

    def __str__(self) -> str:
        return ", ".join(map(str, self.limits))


def parse_budget(text: str) -> Budget:
    """Read a budget.

    Args:
        text: ``100gpu-h``, ``8cpu-h``, ``2h30m``, ``30min``, ``500trials``, or several with commas.

    Raises:
        BudgetError: It cannot be read, is not above zero, or names a unit twice.
    """
    limits: list[Limit] = []
    for part in text.split(","):
        limit = _parse_limit(part.strip())
        if not limit.amount > 0 or limit.amount == float("inf"):
            raise BudgetError(f"a budget must be above zero and finite, got {part.strip()!r}")
        if any(known.unit == limit.unit for known in limits):
            raise BudgetError(f"the budget {text!r} limits {limit.unit!r} twice", hint=_EXAMPLES)
        limits.append(limit)
    return Budget(tuple(limits))


def _parse_limit(text: str) -> Limit:
    number = r"(\d+(?:\.\d+)?(?:[eE]\d+)?)"
    if match := re.fullmatch(number + r"\s*(gpu|cpu)-?(h|min|s)", text):
        return Limit(_DEVICE[match[2]], float(match[1]) * _TIME[match[3]] / 3600.0)
    if match := re.fullmatch(r"(\d+)\s*trials?", text):
        return Limit("trials", float(match[1]))
    if re.fullmatch(rf"(?:{number}\s*(?:h|min|m|s)\s*)+", text):
        parts = re.findall(rf"{number}\s*(h|min|m|s)", text)
        return Limit("s", sum(float(amount) * _TIME[unit] for amount, unit in parts))
    raise BudgetError(f"the budget {text!r} cannot be read", hint=_EXAMPLES)


def show_seconds(seconds: float) -> str:
    """Write a duration in the unit that suits it: ``45 s``, ``3.0 min``, ``2.5 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"

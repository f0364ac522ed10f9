"""Decisions over values: ``Choice``, ``Int``, ``Float``, and ``Case``, which depends on one.

A decision is an object with an identity: used twice it is one decision, ``.fresh()`` makes an independent
copy. It may stand wherever an op expects a plain value, which is why the makers are typed ``Any``:
``DepthwiseConv(kernel=Choice(3, 5, 7))``. A decision knows its domain, not where it stands in a space.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from nasplat.errors import SpaceError
from nasplat.space.arithmetic import Arithmetic, Formula

Scalar = bool | int | float | str | None
"""What a decision may decide: a JSON scalar."""


class Trial(Protocol):
    """The part of an Optuna trial that a space uses."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of ``choices``."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """An integer of ``low, low + step, ... high``."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number of ``[low, high]``."""


@dataclass(frozen=True, eq=False)
class Case(Arithmetic):
    """A value that depends on a decision: one for each value of the decision.

    ``Case(rule, {"constant": 64, "free": Choice(32, 64)})`` is 64, or what a decision says that is active
    only where the rule is ``"free"``.

    Args:
        decision: A decision with countably many values.
        options: For each of its values a plain value, a decision, a formula or another case.

    Raises:
        SpaceError: The decision cannot be counted, or a value of it has no option.
    """

    decision: Any
    options: Mapping[Any, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.decision, Decision) or self.decision.count is None:
            raise SpaceError(f"Case needs a decision with countable values, got {self.decision!r}")
        values = [self.decision.value(index) for index in range(self.decision.count)]
        missing = [repr(value) for value in values if value not in self.options]
        if missing:
            raise SpaceError(f"Case on {self.decision} has no option for {', '.join(missing)}")


def domain(value: Any) -> list[Any]:
    """Every value that a plain value, a countable decision or a case of these may have.

    Raises:
        SpaceError: The values cannot be listed.
    """
    if isinstance(value, Case):
        chosen = [value.options[key] for key in domain(value.decision)]
        return list(dict.fromkeys(item for option in chosen for item in domain(option)))
    if isinstance(value, Formula) or (isinstance(value, Decision) and value.count is None):
        raise SpaceError(f"the values of {value!r} cannot be listed")
    if isinstance(value, Decision):
        return [value.value(index) for index in range(value.count or 0)]
    return [value]


class Decision(Arithmetic, ABC):
    """An open value with a domain.

    Attributes:
        name: Its path in every genotype, relative to where its copies are told apart; None: the path
            follows from the place where it is first met.
        default: The value that it has unless something says otherwise; always in the domain.
        count: Number of values; None when there are infinitely many.
    """

    name: str | None
    default: Scalar
    count: int | None

    @abstractmethod
    def fresh(self) -> Any:
        """An independent decision over the same domain."""

    @abstractmethod
    def index(self, value: object) -> int:
        """Position of a value in the domain, -1 when it is not in it; 0 for all of a continuous one."""

    @abstractmethod
    def value(self, index: int) -> Any:
        """The value at a position of a countable domain."""

    @abstractmethod
    def close(self, value: Any) -> Scalar:
        """The domain's own object for an equal value (the 2.0 of ``Choice(2.0)`` for a 2)."""

    @abstractmethod
    def draw(self, rng: random.Random) -> Scalar:
        """A value, uniform over the domain (over its logarithm where ``log``)."""

    def settled(self, value: object) -> bool:
        """Whether nothing but ``value`` is ever drawn."""
        return self.count == 1

    @abstractmethod
    def steps(self, value: Any) -> list[Scalar]:
        """The values one step away, nearest first; all others for a categorical domain."""

    @abstractmethod
    def coordinates(self, value: Any) -> tuple[float, ...]:
        """The value as numbers in [0, 1], always equally many."""

    @property
    @abstractmethod
    def width(self) -> int:
        """How many numbers :meth:`coordinates` gives."""

    @abstractmethod
    def suggest(self, trial: Trial, path: str) -> Any:
        """Ask an Optuna trial for a value."""

    @abstractmethod
    def distribution(self) -> Any:
        """The domain as an Optuna distribution."""

    @abstractmethod
    def describe(self) -> list[Any]:
        """The domain as JSON, what a digest of the space sees."""

    def __str__(self) -> str:
        """The domain in words."""
        return repr(self)


def key_of(value: object) -> object:
    """A dictionary key that tells ``True`` from 1 but not 2 from 2.0."""
    return (bool, value) if isinstance(value, bool) else value


class ChoiceDecision(Decision):
    """One of several JSON scalars."""

    def __init__(
        self,
        values: Sequence[Scalar],
        default: Scalar,
        name: str | None = None,
        on_demand: Sequence[Scalar] = (),
    ) -> None:
        self.values = tuple(values)
        self.name = name
        self.default = default
        self.on_demand = tuple(on_demand)
        self.count: int = len(self.values)
        self._index = {key_of(value): index for index, value in enumerate(self.values)}
        numbers = all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values
        )
        self.ordered = numbers and list(self.values) == sorted(self.values)  # type: ignore[type-var]  # numbers
        if not self.values:
            raise SpaceError("a Choice needs at least one value")
        strange = [
            value
            for value in self.values
            if not isinstance(value, (bool, int, float, str, type(None)))
            or (isinstance(value, float) and not math.isfinite(value))
        ]
        if strange:
            raise SpaceError(
                f"a Choice holds JSON scalars, got {', '.join(map(repr, strange))}",
                hint="Choose(name=op, ...) is for alternatives that are ops or sub-graphs.",
            )
        if len(set(self.values)) < len(self.values):  # 1, 1.0 and True are one value
            raise SpaceError(f"a Choice needs distinct values, got {self.values!r}")
        if self.index(default) < 0:
            raise SpaceError(f"default {default!r} is not one of {self.values!r}")
        unheld = [value for value in self.on_demand if self.index(value) < 0]
        if unheld:
            raise SpaceError(f"{unheld[0]!r} is not one of {self.values!r}")
        kept = {key_of(value) for value in self.on_demand}
        offered = tuple(value for value in self.values if key_of(value) not in kept)
        self.offered = offered or self.values

    def fresh(self) -> Any:
        return ChoiceDecision(self.values, self.default, self.name, self.on_demand)

    def index(self, value: object) -> int:
        try:
            return self._index.get(key_of(value), -1)
        except TypeError:  # lists and other unhashable values are in no domain
            return -1

    def value(self, index: int) -> Any:
        return self.values[index]

    def close(self, value: Any) -> Scalar:
        return self.values[self._index[key_of(value)]]

    def draw(self, rng: random.Random) -> Scalar:
        return self.offered[int(rng.random() * len(self.offered))]

    def settled(self, value: object) -> bool:
        return len(self.offered) == 1 and key_of(self.offered[0]) == key_of(value)

    def steps(self, value: Any) -> list[Scalar]:
        at = self.index(value)
        others = [other for other in self.offered if self.index(other) != at]
        if self.ordered:
            others.sort(key=lambda other: abs(self.index(other) - at))
        return others

    @property
    def width(self) -> int:
        return 1 if self.ordered else self.count

    def coordinates(self, value: Any) -> tuple[float, ...]:
        at = self.index(value)
        if self.ordered:
            return (at / (self.count - 1) if self.count > 1 else 0.0,)
        return tuple(1.0 if index == at else 0.0 for index in range(self.count))

    def suggest(self, trial: Trial, path: str) -> Any:
        return trial.suggest_categorical(path, self.offered)

    def distribution(self) -> Any:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.offered)

    def describe(self) -> list[Any]:
        return ["choice", *self.values]

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.values))})"


class IntDecision(Decision):
    """An integer of ``low, low + step, ..., high``, both ends included."""

    def __init__(
        self, low: int, high: int, step: int, default: int, name: str | None = None
    ) -> None:
        for value in (low, high, step, default):
            if not isinstance(value, int) or isinstance(value, bool):
                raise SpaceError(f"Int takes integers, got {low=}, {high=}, {step=}, {default=}")
        if step < 1 or high < low or (high - low) % step:
            raise SpaceError(
                f"Int needs low <= high and a step that leads from one to the other, "
                f"got {low=}, {high=}, {step=}"
            )
        self.low, self.high, self.step, self.name = low, high, step, name
        self.default: int = default
        self.count: int = (high - low) // step + 1
        if self.index(default) < 0:
            raise SpaceError(f"default {default} is not one of {self!r}")

    def fresh(self) -> Any:
        return IntDecision(self.low, self.high, self.step, self.default, self.name)

    def index(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
            return -1
        offset = int(value) - self.low
        inside = 0 <= offset <= self.high - self.low and offset % self.step == 0
        return offset // self.step if inside else -1

    def value(self, index: int) -> int:
        return self.low + index * self.step

    def close(self, value: Any) -> int:
        return int(value)

    def draw(self, rng: random.Random) -> int:
        return self.low + int(rng.random() * self.count) * self.step

    def steps(self, value: Any) -> list[Scalar]:
        near = (value - self.step, value + self.step)
        return [number for number in near if self.low <= number <= self.high]

    @property
    def width(self) -> int:
        return 1

    def coordinates(self, value: Any) -> tuple[float, ...]:
        return ((value - self.low) / (self.high - self.low) if self.count > 1 else 0.0,)

    def suggest(self, trial: Trial, path: str) -> Any:
        return trial.suggest_int(path, self.low, self.high, step=self.step)

    def distribution(self) -> Any:
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, step=self.step)

    def describe(self) -> list[Any]:
        return ["int", self.low, self.high, self.step]

    def __repr__(self) -> str:
        step = f", step={self.step}" if self.step > 1 else ""
        return f"Int({self.low}, {self.high}{step})"


class FloatDecision(Decision):
    """A real number of ``[low, high]``, both ends included."""

    PARTS: ClassVar[int] = 8
    """Neighbours of a value are this part of the domain away."""

    def __init__(
        self, low: float, high: float, log: bool, default: float, name: str | None = None
    ) -> None:
        numbers = (low, high, default)
        if not all(
            isinstance(number, (int, float)) and math.isfinite(number) for number in numbers
        ):
            raise SpaceError(f"Float takes finite numbers, got {low=}, {high=}, {default=}")
        if not low < high or (log and low <= 0):
            raise SpaceError(
                f"Float needs low < high, and low > 0 if log, got {low=}, {high=}, {log=}"
            )
        self.low, self.high, self.log, self.name = float(low), float(high), log, name
        self.default: float = float(default)
        self.count: None = None
        if self.index(default) < 0:
            raise SpaceError(f"default {default} is not in {self!r}")

    def fresh(self) -> Any:
        return FloatDecision(self.low, self.high, self.log, self.default, self.name)

    def index(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return -1
        return 0 if self.low <= value <= self.high else -1

    def value(self, index: int) -> Any:
        raise SpaceError(f"the values of {self!r} cannot be counted")

    def close(self, value: Any) -> float:
        return float(value)

    def _at(self, part: float) -> float:
        if self.log:
            raw = math.exp(math.log(self.low) + part * math.log(self.high / self.low))
        else:
            raw = self.low + part * (self.high - self.low)
        return min(max(raw, self.low), self.high)

    def draw(self, rng: random.Random) -> float:
        return self._at(rng.random())

    def steps(self, value: Any) -> list[Scalar]:
        (part,) = self.coordinates(value)
        near = (part - 1 / self.PARTS, part + 1 / self.PARTS)
        moved = [self._at(min(max(other, 0.0), 1.0)) for other in near]
        return [number for number in moved if number != value]

    @property
    def width(self) -> int:
        return 1

    def coordinates(self, value: Any) -> tuple[float, ...]:
        if self.log:
            return (math.log(value / self.low) / math.log(self.high / self.low),)
        return ((value - self.low) / (self.high - self.low),)

    def suggest(self, trial: Trial, path: str) -> Any:
        return trial.suggest_float(path, self.low, self.high, log=self.log)

    def distribution(self) -> Any:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def describe(self) -> list[Any]:
        return ["float", self.low, self.high, self.log]

    def __repr__(self) -> str:
        return f"Float({self.low:g}, {self.high:g}{', log=True' if self.log else ''})"


_UNSET: Any = object()


def Choice(
    *values: Scalar,
    default: Scalar = _UNSET,
    name: str | None = None,
    on_demand: Sequence[Scalar] = (),
) -> Any:
    """Decide for one of several values.

    Args:
        values: Distinct JSON scalars; numbers in ascending order count as ordered.
        default: One of them; the first unless given.
        name: Path in the genotype instead of the place where the decision is first met.
        on_demand: Those that are legal but never proposed, unless the space is narrowed to them: what
            must not be mixed with the others within one search.

    Raises:
        SpaceError: No values, equal ones, or one that is not a JSON scalar.
    """
    first = values[0] if default is _UNSET and values else default
    return ChoiceDecision(values, first, name, on_demand)


def Int(
    low: int, high: int, step: int = 1, *, default: int | None = None, name: str | None = None
) -> Any:
    """Decide for an integer of ``low, low + step, ..., high`` (both ends included; default ``low``).

    Raises:
        SpaceError: The bounds are not integers, not in order, or the step does not lead to ``high``.
    """
    return IntDecision(low, high, step, low if default is None else default, name)


def Float(
    low: float,
    high: float,
    log: bool = False,
    *,
    default: float | None = None,
    name: str | None = None,
) -> Any:
    """Decide for a real number of ``[low, high]`` (default: the middle, geometric if ``log``).

    Raises:
        SpaceError: The bounds are not finite, not in order, or not positive with ``log``.
    """
    if default is None and low < high:
        default = math.sqrt(low * high) if log and low > 0 else (low + high) / 2
    return FloatDecision(low, high, log, low if default is None else default, name)

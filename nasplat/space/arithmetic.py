"""Integer arithmetic on decisions, worked out when a candidate is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar


class Arithmetic:
    """Values that can be added, subtracted and multiplied, as decisions and formulas can.

    ``width * 2`` in an op's field is worked out when a candidate is built.
    """

    def __add__(self, other: Any) -> Any:
        return Formula("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return Formula("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return Formula("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return Formula("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return Formula("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return Formula("*", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return Formula("//", self, other)


class Formula(Arithmetic):
    """Integer arithmetic on decisions.

    Args:
        operator: One of ``+ - * // max min``.
        left: A number, a decision or a formula.
        right: The same.
    """

    OPERATORS: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "//": lambda a, b: a // b,
        "max": max,
        "min": min,
    }

    def __init__(self, operator: str, left: Any, right: Any) -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def __repr__(self) -> str:
        return f"({self.left!r} {self.operator} {self.right!r})"


def Largest(left: Any, right: Any) -> Any:
    """The larger of two numbers, decisions or formulas."""
    return Formula("max", left, right)


def Smallest(left: Any, right: Any) -> Any:
    """The smaller of two numbers, decisions or formulas."""
    return Formula("min", left, right)

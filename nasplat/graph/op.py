"""What an op must offer, and the expressions that ops are the smallest of.

An op is data: a frozen dataclass of hyper-parameters. It knows the types it takes, the torch module that
computes it and what it costs; it does not know where in a graph it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from nasplat.errors import GraphTypeError
from nasplat.graph.types import TensorType, show_types

if TYPE_CHECKING:
    from torch import nn

Index = slice | list[int]


class Expression:
    """Anything that can stand in the body of a search space; ``a >> b`` puts ``b`` after ``a``."""

    def __rshift__(self, other: Expression) -> Sequence:
        if not isinstance(other, Expression):
            return NotImplemented
        return Sequence((*_items(self), *_items(other)))


@dataclass(frozen=True)
class Sequence(Expression):
    """Expressions one after the other; the outputs of each are the inputs of the next."""

    items: tuple[Expression, ...]


def _items(expression: Expression) -> tuple[Expression, ...]:
    return expression.items if isinstance(expression, Sequence) else (expression,)


@dataclass(frozen=True)
class Bits:
    """Bit widths of a node: of its weights and of the activations that enter them.

    32 means floating point. Weights of 1 bit have two levels, of 1.58 bits three, as with 2 bits; what
    differs is how densely they are stored.

    Raises:
        GraphTypeError: A width is not one of these.
    """

    WIDTHS: ClassVar[tuple[float, ...]] = (1, 1.58, 2, 3, 4, 6, 8, 16, 32)
    """Widths of weights."""
    ACTIVATION_WIDTHS: ClassVar[tuple[int, ...]] = (1, 2, 4, 6, 8, 16, 32)
    """Widths of activations."""

    weight: float = 32
    activation: int = 32

    def __post_init__(self) -> None:
        for name, value, known in (
            ("weight", self.weight, self.WIDTHS),
            ("activation", self.activation, self.ACTIVATION_WIDTHS),
        ):
            if value not in known:
                raise GraphTypeError(f"{name} bits must be one of {known}, got {value!r}")

    @property
    def quantised(self) -> bool:
        """Whether anything is narrower than floating point."""
        return self.weight < 32 or self.activation < 32


FLOAT = Bits()


@dataclass(frozen=True)
class Call:
    """How a module is made: a class and the keyword arguments of its constructor.

    The arguments are literals, so that the call can be printed as source code.
    """

    module: type[nn.Module]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """Make the module."""
        return self.module(**self.arguments)


@dataclass(frozen=True)
class OpCost:
    """What one op costs for one example.

    Attributes:
        params: Trainable numbers.
        macs: Multiply-accumulates in convolutions, matrix products and attention; element-wise work
            is not counted (the convention of torch's counter, which reports twice this figure).
        weights: The part of ``params`` in matrices and kernels: what weight bits apply to.
    """

    params: int = 0
    macs: int = 0
    weights: int = 0

    def __add__(self, other: OpCost) -> OpCost:
        return OpCost(
            self.params + other.params, self.macs + other.macs, self.weights + other.weights
        )


class Op(Expression):
    """Base of all ops: subclass as ``@dataclass(frozen=True, kw_only=True)``.

    A field is a hyper-parameter with a JSON value; in a search space it may hold a decision instead.
    The flags say what the digest may assume.
    """

    kind: ClassVar[str] = "op"
    commutes: ClassVar[bool] = False
    """The order of the inputs is irrelevant."""
    associative: ClassVar[bool] = False
    """Nested uses flatten: ``f(f(a, b), c) = f(a, b, c)``."""
    pure: ClassVar[bool] = False
    """Neither weights nor randomness nor state: equal inputs give equal outputs."""
    drops_zero: ClassVar[bool] = False
    """Inputs that are zero may be left out, as in a sum."""
    keeps_zero: ClassVar[bool] = False
    """The output is zero when every input is."""
    onnx_reason: ClassVar[str] = ""
    """Why the op cannot be exported to ONNX with equal results; empty: it can."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" not in cls.__dict__:
            cls.kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__)
            cls.kind = cls.kind.lower()

    def infer(self, *inputs: TensorType) -> TensorType | tuple[TensorType, ...]:
        """Say the type of the output, or of each output.

        Raises:
            GraphTypeError: The op does not take these types; names the rule and the types met.
        """
        raise NotImplementedError

    def call(self, *inputs: TensorType) -> Call:
        """Say which module computes the op on inputs of these types.

        The module takes one positional tensor for each input. Its class imports nothing but torch, so
        that an export can carry its source.
        """
        raise NotImplementedError

    def cost(self, *inputs: TensorType) -> OpCost:
        """Count parameters and multiply-accumulates for one example, exactly."""
        return OpCost()

    def is_identity(self, *inputs: TensorType) -> bool:
        """Whether the output is the only input, unchanged."""
        return False

    def is_zero(self, *inputs: TensorType) -> bool:
        """Whether the output is zero whatever the inputs are."""
        return False

    def select(
        self, name: str, small: SequenceOf[int], large: SequenceOf[int], larger: Op
    ) -> tuple[Index, ...]:
        """Say where a parameter of this op sits inside the same parameter of a larger instance.

        Args:
            name: Name of the parameter in the module.
            small: Its shape here.
            large: Its shape in ``larger``, at least as large on every axis.
            larger: The larger op of the same kind.

        Returns:
            One index for each axis. The default is the leading slice of every axis.
        """
        return tuple(slice(0, size) for size in small)

    def module(self, *inputs: TensorType) -> nn.Module:
        """Build the torch module for inputs of these types."""
        return self.call(*inputs).build()

    def settings(self) -> dict[str, Any]:
        """The hyper-parameters that differ from their defaults, by name.

        Defaults are left out so that an op can gain a field without changing any digest.
        """
        return dict(_settings(self))

    def __str__(self) -> str:
        inside = ", ".join(f"{name}={value}" for name, value in self.settings().items())
        return f"{type(self).__name__}({inside})"


@lru_cache(maxsize=65536)
def _settings(op: Op) -> tuple[tuple[str, Any], ...]:
    met = []
    for item in fields(op):  # type: ignore[arg-type]  # every concrete op is a dataclass
        value = getattr(op, item.name)
        if value != item.default:
            met.append((item.name, list(value) if isinstance(value, tuple) else value))
    return tuple(met)


def expect(condition: bool, op: Op, rule: str, *inputs: TensorType, hint: str = "") -> None:
    """Raise a :class:`GraphTypeError` that names the op, the rule and the types met."""
    if not condition:
        raise GraphTypeError(f"{op} {rule}; met {show_types(inputs)}", hint=hint)

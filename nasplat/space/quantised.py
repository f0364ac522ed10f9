"""``Quantised``: the bit widths of a part, decided like anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.errors import GraphTypeError, SpaceError
from nasplat.graph.op import Bits, Expression
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run, is_open, label_of
from nasplat.space.decisions import Decision
from nasplat.space.plan import product


@dataclass(frozen=True, eq=False)
class Quantised(Combinator):
    """A part whose nodes have these bit widths; an inner ``Quantised`` overrides an outer one.

    Args:
        body: The part.
        weight: Bits of weights, one of ``Bits.WIDTHS``, a decision over them, or a formula.
        activation: Bits of the activations that enter its nodes, one of ``Bits.ACTIVATION_WIDTHS``,
            likewise.

    Raises:
        SpaceError: A width is not one that a graph can have.
    """

    body: Expression
    weight: Any = 32
    activation: Any = 32

    def __post_init__(self) -> None:
        for name, width in (("weight", self.weight), ("activation", self.activation)):
            met = [] if is_open(width) else [width]
            if isinstance(width, Decision):
                met = [width.value(index) for index in range(width.count or 0)]
            try:
                for value in met:
                    Bits(**{name: value})
            except GraphTypeError as error:
                raise SpaceError(f"Quantised: {error.message}") from error

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body in its place; the widths are ``weight_bits`` and ``activation_bits`` beside it."""
        weights, weight = compiler.reader(self.weight, place, "weight_bits")
        activations, activation = compiler.reader(self.activation, place, "activation_bits")
        part = compiler.part(self.body, place)
        made: dict[tuple[float, int], Bits] = {}

        def emit(run: Run, refs: Refs) -> Refs:
            key = (weight(run.values), activation(run.values))
            outer, run.bits = run.bits, made.get(key) or made.setdefault(key, Bits(*key))
            try:
                return part.emit(run, refs)
            finally:
                run.bits = outer

        return Part(product(weights, activations, part.plan), emit)

"""Weights as data: a network that makes them from a code, and a convolution that applies them.

References:
    [Ha2017] D. Ha, A. Dai, Q. Le. HyperNetworks. ICLR 2017.
    [Brock2018] A. Brock et al. SMASH: one-shot model architecture search through hypernetworks. ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Vector, Weights
from nasplat.ops import counts
from nasplat.ops.checks import odd, whole
from nasplat.ops.layout import Maps, axes, channels, positions, rank, rechannelled
from nasplat.ops.modules import hyper as modules


@dataclass(frozen=True, kw_only=True)
class Code(Op):
    """A constant vector: the description of an architecture, the same for every example.

    It takes any input for the size of the batch only.

    Attributes:
        values: The numbers.
    """

    values: tuple[float, ...]

    def infer(self, *inputs: TensorType) -> Vector:
        numbers = all(isinstance(value, int | float) for value in self.values)
        rule = "takes one input and one or more numbers"
        expect(len(inputs) == 1 and bool(self.values) and numbers, self, rule, *inputs)
        return Vector(len(self.values))

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Code, {"values": tuple(map(float, self.values))})


@dataclass(frozen=True, kw_only=True)
class Hypernetwork(Op):
    """Makes weights of a given shape from a code, ``Vector(E) -> Weights(rows, columns)``.

    A hidden layer, then two linear maps to the rows and the columns of ``rank`` outer products, whose sum
    is the matrix: far fewer numbers than a map to every weight [Ha2017, Brock2018].

    Attributes:
        rows: First axis of the weights.
        columns: Second axis; for a convolution the product of input channels and kernel.
        hidden: Width of the hidden layer.
        rank: Number of outer products.
        learned: Whether the last maps are learned, or random and fixed.
    """

    rows: int
    columns: int
    hidden: int = 16
    rank: int = 4
    learned: bool = True

    def infer(self, *inputs: TensorType) -> Weights:
        one = len(inputs) == 1 and isinstance(inputs[0], Vector)
        expect(one, self, "takes one Vector", *inputs)
        whole(self, inputs, 1, rows=self.rows, columns=self.columns)
        whole(self, inputs, 1, hidden=self.hidden, rank=self.rank)
        return Weights(self.rows, self.columns)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "code": inputs[0].numel,
            "outputs": self.rows,
            "inputs": self.columns,
            "hidden": self.hidden,
            "rank": self.rank,
            "learned": self.learned,
        }
        return Call(modules.Hypernetwork, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        sides = self.rows + self.columns
        made = counts.pointwise(inputs[0].numel, self.hidden, 1)
        last = counts.pointwise(self.hidden, self.rank * sides, 1)
        if not self.learned:
            last = OpCost(0, last.macs)
        return made + last + counts.product(self.rows, self.rank, self.columns)


@dataclass(frozen=True, kw_only=True)
class GeneratedConv(Op):
    """A convolution with weights that come in: ``X, Weights(outputs, channels * kernel^d) -> X``.

    Each example has weights of its own. The length of every position axis stays; a vector or tokens
    take ``Weights(outputs, channels)``.

    Attributes:
        kernel: Odd side of the kernel.
        norm: Whether each filter is divided by its norm, as [Brock2018] does, and scaled by a learned number.
    """

    MAPPED: ClassVar[str] = "takes an Image, Series or Volume, and Weights"

    kernel: int = 1
    norm: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        item, weights = self._typed(inputs)
        odd(self, inputs, kernel=self.kernel)
        wanted = channels(item) * self.kernel ** len(axes(item))
        rule = f"needs Weights(outputs, {wanted}): channels times the kernel"
        expect(len(weights.axes) == 2 and weights.axes[1] == wanted, self, rule, *inputs)
        return rechannelled(item, weights.axes[0])

    def _typed(self, inputs: Sequence[TensorType]) -> tuple[Maps, Weights]:
        if len(inputs) == 2:
            item, weights = inputs
            if isinstance(item, Maps) and rank(item) <= 3 and isinstance(weights, Weights):
                return item, weights
        expect(False, self, self.MAPPED, *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        item, weights = self._typed(inputs)
        arguments = {
            "inputs": channels(item),
            "outputs": weights.axes[0],
            "kernel": self.kernel,
            "rank": rank(item),
            "norm": self.norm,
        }
        return Call(modules.GeneratedConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, weights = self._typed(inputs)
        params = weights.axes[0] if self.norm else 0
        return OpCost(params, weights.numel * positions(item))

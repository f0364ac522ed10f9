"""Encodings of position that are added to maps or tokens.

The relative bias of windows is an option of :class:`~nasplat.ops.attention_window.WindowAttention`.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Chu2023] X. Chu et al. Conditional positional encodings for vision transformers. ICLR 2023.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
    [Han2021] K. Han et al. Transformer in transformer. NeurIPS 2021.
    [Dong2022] X. Dong et al. CSWin Transformer. CVPR 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.geometry import Placed, Size, odd_sizes, placed_in
from nasplat.ops.layout import axes, channels, positions, rank
from nasplat.ops.modules import position as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class AbsolutePosition(Op):
    """Add to each position a vector of its own; takes maps of one to three axes, and tokens.

    Attributes:
        form: ``learned``; ``sinusoidal``: fixed sines and cosines of the coordinates [Vaswani2017];
            ``mapped``: such waves mapped to the channels by learned weights [ElNouby2021].
        axes: Coordinates that tokens stand for, such as the height and width of the image whose
            positions they are; their product is the number of tokens. ``None``: one coordinate.
        waves: Sines and cosines of a mapped encoding, at least 2 for each coordinate.
        period: Side of a block of learned vectors that repeats along every coordinate, such as the
            inside of a patch [Han2021]; 0: every position has a vector of its own.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("learned", "sinusoidal", "mapped")

    form: str = "learned"
    axes: tuple[int, ...] | None = None
    waves: int = 64
    period: int = 0

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        known(self, inputs, self.FORMS, form=self.form)
        whole(self, inputs, 2 * len(self._coordinates(item)), waves=self.waves)
        whole(self, inputs, 0, period=self.period)
        rule = "repeats learned vectors only"
        expect(self.form == "learned" or not self.period, self, rule, *inputs)
        if self.axes is not None:
            expect(rank(item) == 0, self, "has axes for tokens only", *inputs)
            fits = math.prod(self.axes) == positions(item) and 1 <= len(self.axes) <= 3
            rule = f"needs one to three axes with a product of {positions(item)}"
            expect(fits, self, rule, *inputs)
        return item

    def _coordinates(self, item: Placed) -> tuple[int, ...]:
        return self.axes or axes(item)

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs)
        if self.form == "learned" and not self.period:
            return Call(modules.LearnedPosition, {"shape": item.shape})
        arguments: dict[str, Any] = {
            "channels": channels(item),
            "sizes": self._coordinates(item),
            "first": rank(item) > 0,
        }
        if self.form == "learned":
            return Call(modules.PeriodicPosition, arguments | {"period": self.period})
        if self.form == "mapped":
            return Call(modules.MappedPosition, arguments | {"waves": self.waves})
        return Call(modules.SinusoidalPosition, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = placed_in(self, inputs)
        if self.form == "mapped":
            # One encoding serves the whole batch; it is counted once for each example.
            return counts.pointwise(self.waves, channels(item), positions(item))
        if self.form != "learned":
            return OpCost()
        block = self.period ** len(self._coordinates(item))
        return counts.vector(channels(item) * block if self.period else item.numel)


@dataclass(frozen=True, kw_only=True)
class ConvPosition(KernelOp):
    """Add to each position a convolution of each channel around it [Chu2023].

    Takes maps of one to three axes and tokens, which have one. With a second input of the same type the
    convolution runs on that one: such as the values of attention, whose result is the first [Dong2022].

    Attributes:
        kernel: Odd side of the kernel, or a tuple with one for each axis.
    """

    kernel: Size = 3

    def infer(self, *inputs: TensorType) -> Placed:
        same = len(inputs) in (1, 2) and len(set(inputs)) == 1
        expect(same, self, "takes one input, or two of one type", *inputs)
        item = placed_in(self, inputs[:1])
        odd_sizes(self, inputs, len(axes(item)), kernel=self.kernel)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs[:1])
        arguments = {
            "channels": channels(item),
            "kernel": self.kernel,
            "rank": len(axes(item)),
            "tokens": rank(item) == 0,
        }
        return Call(modules.ConvPosition, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = placed_in(self, inputs[:1])
        width = channels(item)
        return counts.convolution(
            width, width, self.kernel, positions(item), width, rank=len(axes(item))
        )

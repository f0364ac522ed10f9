"""Recurrent mixers of positions whose gates depend on the input: selective state spaces and xLSTM.

Both take tokens, which they read in order, and series, images and volumes, which they read row by row. A
forward scan of tokens is causal and has exactly the parameters of the published block.

References:
    [Gu2023] A. Gu, T. Dao. Mamba: linear-time sequence modeling with selective state spaces. 2023.
    [Zhu2024] L. Zhu et al. Vision Mamba. ICML 2024.
    [Liu2024] Y. Liu et al. VMamba: visual state space model. NeurIPS 2024.
    [Beck2024] M. Beck et al. xLSTM: extended long short-term memory. NeurIPS 2024.
    [Alkin2025] B. Alkin et al. Vision-LSTM: xLSTM as generic vision backbone. ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Image, Series, TensorType, Tokens, Volume
from nasplat.ops import counts, selection
from nasplat.ops.checks import known, positive, share, whole
from nasplat.ops.layout import channels, positions, rank
from nasplat.ops.modules import ssm as modules

Ordered = Tokens | Series | Image | Volume
"""What can be read position by position."""


def ordered(op: Op, inputs: Sequence[TensorType]) -> Ordered:
    """The only input, of a type whose positions have an order.

    Raises:
        GraphTypeError: There are several inputs, or the one is of another type.
    """
    if len(inputs) == 1 and isinstance(inputs[0], Ordered):
        return inputs[0]
    expect(False, op, "takes one Tokens, Series, Image or Volume", *inputs)
    raise AssertionError


def _local(hidden: int, kernel: int, item: Ordered) -> OpCost:
    """The convolution of each channel before the recurrence."""
    axes = rank(item)
    taps = kernel if axes < 2 else (kernel - 1 + kernel % 2) ** axes
    weights = hidden * taps
    return OpCost(weights + hidden, weights * positions(item), weights)


@dataclass(frozen=True, kw_only=True)
class SelectiveSSM(Op):
    """A state space model whose step, input and output depend on the position [Gu2023].

    Attributes:
        state: Size of the state of each channel.
        scans: ``forward`` [Gu2023]; ``two_way``: both ways, with parameters of their own [Zhu2024];
            ``four_way``: both ways along rows and along columns, on images and volumes [Liu2024].
        expand: Channels inside over channels, above 0.
        step_rank: Rank of the map to step sizes; ``None``: a sixteenth of the channels, rounded up.
        kernel: Taps of the causal convolution before the scan; on images and volumes it is centred and
            has the next smaller odd side.
    """

    kind: ClassVar[str] = "selective_ssm"
    SCANS: ClassVar[dict[str, int]] = {"forward": 1, "two_way": 2, "four_way": 4}

    state: int = 16
    scans: str = "forward"
    expand: float = 2
    step_rank: int | None = None
    kernel: int = 4

    def infer(self, *inputs: TensorType) -> TensorType:
        item = ordered(self, inputs)
        whole(self, inputs, 1, state=self.state, kernel=self.kernel)
        positive(self, inputs, expand=self.expand)
        known(self, inputs, tuple(self.SCANS), scans=self.scans)
        if self.step_rank is not None:
            whole(self, inputs, 1, step_rank=self.step_rank)
        plane = self.scans != "four_way" or rank(item) > 1
        expect(plane, self, "has columns to scan only on an Image or a Volume", *inputs)
        return item

    def _low(self, width: int) -> int:
        return self.step_rank or -(-width // 16)

    def call(self, *inputs: TensorType) -> Call:
        item = ordered(self, inputs)
        width = channels(item)
        arguments = {
            "channels": width,
            "hidden": share(width, self.expand),
            "state": self.state,
            "rank": rank(item),
            "low": self._low(width),
            "scans": self.SCANS[self.scans],
            "kernel": self.kernel,
        }
        return Call(modules.SelectiveSSM, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = ordered(self, inputs)
        width, places, scans = channels(item), positions(item), self.SCANS[self.scans]
        hidden, low = share(width, self.expand), self._low(width)
        each = (
            counts.pointwise(hidden, low + 2 * self.state, places, bias=False)
            + counts.pointwise(low, hidden, places)
            + counts.vector(hidden * self.state + hidden)
        )
        total = (
            counts.pointwise(width, 2 * hidden, places, bias=False)
            + _local(hidden, self.kernel, item)
            + counts.pointwise(hidden, width, places, bias=False)
        )
        return sum((each for _ in range(scans)), total)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """Leading channels of the leading scans, leading states and ranks."""
        if not isinstance(larger, SelectiveSSM):
            raise TypeError(f"{larger} is no selective state space model")
        index = selection.leading(small)
        mine, theirs = self.SCANS[self.scans], self.SCANS[larger.scans]
        if name == "in_proj.weight":
            index[0] = selection.blocks(small[0], 2, large[0], 2)
        elif name.startswith("dt_proj"):
            index[0] = selection.blocks(small[0], mine, large[0], theirs)
        elif name == "x_proj.weight":
            few = (small[0] // mine - 2 * self.state, self.state, self.state)
            many = (large[0] // theirs - 2 * larger.state, larger.state, larger.state)
            index[0] = [
                scan * sum(many) + sum(many[:part]) + place
                for scan in range(mine)
                for part in range(3)
                for place in range(few[part])
            ]
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class XLSTM(Op):
    """A memory with exponential gates, computed over all positions at once [Beck2024].

    The scalar memory takes its gates from the input alone: gates that read what was remembered before
    would have to run one position after the other.

    Attributes:
        memory: ``matrix``: each head remembers keys with values and is read by queries; ``scalar``: each
            channel remembers one value.
        directions: 1: forward; 2: both ways [Alkin2025].
        heads: Number of heads, each with gates of its own.
        expand: Channels inside over channels, above 0; made whole heads.
        kernel: As in :class:`SelectiveSSM`.
    """

    kind: ClassVar[str] = "xlstm"
    MEMORIES: ClassVar[tuple[str, ...]] = ("matrix", "scalar")

    memory: str = "matrix"
    directions: int = 1
    heads: int = 4
    expand: float = 2
    kernel: int = 4

    def infer(self, *inputs: TensorType) -> TensorType:
        item = ordered(self, inputs)
        known(self, inputs, self.MEMORIES, memory=self.memory)
        whole(self, inputs, 1, heads=self.heads, kernel=self.kernel)
        positive(self, inputs, expand=self.expand)
        expect(self.directions in (1, 2), self, "needs directions to be 1 or 2", *inputs)
        return item

    def _width(self, item: Ordered) -> int:
        """Channels of a head."""
        return max(1, round(channels(item) * self.expand / self.heads))

    def call(self, *inputs: TensorType) -> Call:
        item = ordered(self, inputs)
        arguments = {
            "channels": channels(item),
            "heads": self.heads,
            "head_dim": self._width(item),
            "rank": rank(item),
            "matrix": self.memory == "matrix",
            "directions": self.directions,
            "kernel": self.kernel,
            "length": positions(item),
        }
        return Call(modules.XLSTM, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = ordered(self, inputs)
        width, places, head = channels(item), positions(item), self._width(item)
        hidden, matrix = self.heads * head, self.memory == "matrix"
        maps = 3 if matrix else 1
        grouped = maps * self.heads * head * head
        total = (
            counts.pointwise(width, 2 * hidden, places, bias=False)
            + _local(hidden, self.kernel, item)
            + OpCost(grouped, grouped * places, grouped)
            + counts.pointwise(hidden, 2 * self.directions * self.heads, places)
            + counts.norm("layer", head)
            + counts.pointwise(hidden, width, places, bias=False)
        )
        if not matrix:
            return total
        return total + counts.product(places, head, places, (self.directions + 1) * self.heads)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """Leading channels of the leading heads."""
        if not isinstance(larger, XLSTM):
            raise TypeError(f"{larger} is no xLSTM")
        index = selection.leading(small)
        heads, others = self.heads, larger.heads
        if name == "in_proj.weight":
            index[0] = selection.blocks(small[0], 2 * heads, large[0], 2 * others)
            if heads != others:
                index[0] = self._halves(small[0], heads, large[0], others)
        elif name in ("qk.weight", "value.weight"):
            parts = 2 if name == "qk.weight" else 1
            index[0] = selection.blocks(small[0], parts * heads, large[0], parts * others)
        elif name.startswith("local") or name == "out_proj.weight":
            axis = 1 if name == "out_proj.weight" else 0
            index[axis] = selection.blocks(small[axis], heads, large[axis], others)
        elif name.startswith("gates"):
            index[0] = selection.blocks(
                small[0], 2 * self.directions, large[0], 2 * larger.directions
            )
            if len(small) > 1:
                index[1] = selection.blocks(small[1], heads, large[1], others)
        return tuple(index)

    @staticmethod
    def _halves(small: int, heads: int, large: int, others: int) -> Index:
        """Both halves of the first map, each by the leading channels of the leading heads."""
        part = selection.blocks(small // 2, heads, large // 2, others)
        inside = list(range(large // 2))[part] if isinstance(part, slice) else part
        return [*inside, *(large // 2 + place for place in inside)]

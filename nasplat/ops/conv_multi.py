"""Convolutions with several branches, and very large kernels, over one to three position axes.

References:
    [Wang2022] W. Wang et al. CrossFormer: a versatile vision transformer hinging on cross-scale attention.
        ICLR 2022.
    [Chen2018] L.-C. Chen et al. Encoder-decoder with atrous separable convolution for semantic image
        segmentation. ECCV 2018.
    [Ding2024] X. Ding et al. UniRepLKNet. CVPR 2024.
    [Guo2023] M.-H. Guo et al. Visual attention network. Computational Visual Media 9, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import counts, selection
from nasplat.ops.checks import ACTIVATIONS, NORMS, known, odd, whole
from nasplat.ops.geometry import around, maps_in, strided
from nasplat.ops.layout import Maps, axes, positions
from nasplat.ops.modules import conv_multi as modules
from nasplat.ops.selection import KernelOp


def _several(op: Op, inputs: Sequence[TensorType], name: str, values: object) -> None:
    """One or more integers of at least 1, as a tuple."""
    expect(isinstance(values, tuple) and len(values) > 0, op, f"needs {name} as a tuple", *inputs)
    assert isinstance(values, tuple)
    whole(op, inputs, 1, **{f"{name}[{index}]": value for index, value in enumerate(values)})


@dataclass(frozen=True, kw_only=True)
class MultiKernelConv(KernelOp):
    """Convolutions with kernels of several sizes side by side; with a stride a patch embedding [Wang2022].

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernels: Side of each kernel.
        join: ``sum``, or ``concat``: the branches share the channels that go out.
        widths: How ``concat`` shares them: ``equal`` (the first branches take what is left over) or
            ``halving``: a half, a quarter, ..., the last as many as the one before [Wang2022].
        stride: Step between outputs, at least 1.
        depthwise: Whether each channel is convolved by itself, with ``sum`` only.
        norm: One of ``checks.NORMS``; after the join.
        activation: One of ``checks.ACTIVATIONS``; at the end.
        bias: Whether the convolutions have biases; ``None``: if there is no norm.
    """

    JOINS: ClassVar[tuple[str, ...]] = ("sum", "concat")
    WIDTHS: ClassVar[tuple[str, ...]] = ("equal", "halving")

    channels: int | None = None
    kernels: tuple[int, ...] = (3, 5, 7)
    join: str = "concat"
    widths: str = "equal"
    stride: int = 1
    depthwise: bool = False
    norm: str = "none"
    activation: str = "none"
    bias: bool | None = None

    @property
    def _bias(self) -> bool:
        return self.norm == "none" if self.bias is None else self.bias

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        _several(self, inputs, "kernels", self.kernels)
        known(self, inputs, self.JOINS, join=self.join)
        known(self, inputs, self.WIDTHS, widths=self.widths)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        whole(self, inputs, 1, stride=self.stride)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
        made = self.channels or item.channels
        if self.depthwise:
            plain = self.join == "sum" and made == item.channels
            expect(plain, self, "is depthwise with join sum and the channels it gets", *inputs)
        rule = f"has {made} channels for {len(self.kernels)} kernels: too few"
        expect(min(self._shares(made)) >= 1, self, rule, *inputs)
        return strided(item, made, self.stride)

    def _shares(self, made: int) -> tuple[int, ...]:
        """Channels of each branch."""
        count = len(self.kernels)
        if self.join == "sum":
            return (made,) * count
        if self.widths == "halving":
            first = [made // 2 ** (index + 1) for index in range(count - 1)]
            return (*first, made - sum(first))
        return tuple(made // count + (index < made % count) for index in range(count))

    def call(self, *inputs: TensorType) -> Call:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        arguments: dict[str, Any] = {
            "inputs": item.channels,
            "widths": self._shares(output.channels),
            "kernels": self.kernels,
            "pads": tuple(around(item, side, self.stride, 1, False) for side in self.kernels),
            "stride": self.stride,
            "depthwise": self.depthwise,
            "concat": self.join == "concat",
            "bias": self._bias,
            "norm": self.norm,
            "activation": self.activation,
            "rank": len(axes(item)),
        }
        return Call(modules.MultiKernelConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        groups = item.channels if self.depthwise else 1
        total = counts.norm(self.norm, output.channels) + counts.activation(self.activation)
        for width, side in zip(self._shares(output.channels), self.kernels, strict=True):
            total += counts.convolution(
                item.channels, width, side, positions(output), groups, self._bias, len(axes(item))
            )
        return total


@dataclass(frozen=True, kw_only=True)
class MultiDilationConv(KernelOp):
    """Convolutions of several dilations, side by side or one after the other [Chen2018].

    Side by side they stand beside a 1x1 convolution, and a linear map joins them: the dilated pyramid.

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        rates: Dilation of each convolution.
        arrangement: ``parallel`` or ``serial``.
        pooled_branch: Whether the mean of the whole map is a branch too; ``parallel`` only.
        separable: Whether the dilated convolutions are separable.
        width: Channels of each branch, and between serial convolutions; ``None``: those that go out.
        kernel: Odd side of the kernels.
        norm: One of ``checks.NORMS``; after each convolution.
        activation: One of ``checks.ACTIVATIONS``; after each norm.
    """

    ARRANGEMENTS: ClassVar[tuple[str, ...]] = ("parallel", "serial")

    channels: int | None = None
    rates: tuple[int, ...] = (6, 12, 18)
    arrangement: str = "parallel"
    pooled_branch: bool = True
    separable: bool = False
    width: int | None = None
    kernel: int = 3
    norm: str = "batch"
    activation: str = "relu"

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        _several(self, inputs, "rates", self.rates)
        known(self, inputs, self.ARRANGEMENTS, arrangement=self.arrangement)
        odd(self, inputs, kernel=self.kernel)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        for name, value in (("channels", self.channels), ("width", self.width)):
            if value is not None:
                whole(self, inputs, 1, **{name: value})
        return strided(item, self.channels or item.channels, 1)

    def call(self, *inputs: TensorType) -> Call:
        item, made = maps_in(self, inputs), self.infer(*inputs).channels
        arguments: dict[str, Any] = {
            "inputs": item.channels,
            "width": self.width or made,
            "outputs": made,
            "kernel": self.kernel,
            "rates": self.rates,
            "separable": self.separable,
            "norm": self.norm,
            "activation": self.activation,
            "rank": len(axes(item)),
        }
        if self.arrangement == "serial":
            return Call(modules.DilatedChain, arguments)
        return Call(modules.DilatedPyramid, {**arguments, "pooled": self.pooled_branch})

    def cost(self, *inputs: TensorType) -> OpCost:
        item, made = maps_in(self, inputs), self.infer(*inputs).channels
        met, width, places = item.channels, self.width or made, positions(item)
        rank, total = len(axes(item)), OpCost()
        if self.arrangement == "serial":
            ends = [met, *(width for _ in self.rates[1:]), made]
            for came, went in pairwise(ends):
                total += self._dilated(came, went, places, rank)
            return total
        for _ in self.rates:
            total += self._dilated(met, width, places, rank)
        count = 1 + len(self.rates) + self.pooled_branch
        if self.pooled_branch:
            total += self._plain(met, width, 1)
        return total + self._plain(met, width, places) + self._plain(width * count, made, places)

    def _plain(self, came: int, went: int, places: int) -> OpCost:
        """One linear map of the channels with norm and activation."""
        after = counts.norm(self.norm, went) + counts.activation(self.activation)
        return counts.pointwise(came, went, places, self.norm == "none") + after

    def _dilated(self, came: int, went: int, places: int, rank: int) -> OpCost:
        """One dilated convolution with norm and activation."""
        bias = self.norm == "none"
        total = counts.norm(self.norm, went) + counts.activation(self.activation)
        if not self.separable:
            return total + counts.convolution(came, went, self.kernel, places, 1, bias, rank)
        total += counts.convolution(came, came, self.kernel, places, came, bias, rank)
        return total + counts.norm(self.norm, came) + counts.pointwise(came, went, places, bias)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        index = selection.kernel(small, large)
        if name != "project.conv.weight" or not isinstance(larger, MultiDilationConv):
            return index
        # It reads the branches side by side.
        parts, whole_parts = (1 + len(op.rates) + op.pooled_branch for op in (self, larger))
        return index[0], selection.blocks(small[1], parts, large[1], whole_parts), *index[2:]


@dataclass(frozen=True, kw_only=True)
class LargeKernelConv(KernelOp):
    """A convolution of each channel with a very large kernel [Ding2024], or a gate made of one [Guo2023].

    Small dilated kernels beside the large one make it trainable; in evaluation and in exports they are
    one convolution, which is what the multiply-accumulates count.

    Attributes:
        kernel: Odd side of the kernel.
        small_kernels: Odd sides of the kernels beside it.
        small_dilations: Dilation of each of them; none may reach beyond the large kernel.
        norm: ``batch`` or ``none``; one for each kernel.
        decomposed: Whether a near kernel and a far dilated one after it stand for the large one; then
            there is no norm and nothing beside it [Guo2023].
        dilation: Of the far kernel.
        gate_input: Whether a linear map of the channels follows and the result multiplies the input.
    """

    kernel: int = 13
    small_kernels: tuple[int, ...] = ()
    small_dilations: tuple[int, ...] = ()
    norm: str = "batch"
    decomposed: bool = False
    dilation: int = 3
    gate_input: bool = False

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 1, dilation=self.dilation)
        known(self, inputs, ("batch", "none"), norm=self.norm)
        sides, steps = self.small_kernels, self.small_dilations
        expect(len(sides) == len(steps), self, "needs a dilation for each small kernel", *inputs)
        if sides:
            expect(not self.decomposed, self, "is decomposed without small kernels", *inputs)
            _several(self, inputs, "small_dilations", steps)
            odd(self, inputs, **{f"small_kernels[{i}]": side for i, side in enumerate(sides)})
        for side, step in zip(sides, steps, strict=True):
            rule = f"has a small kernel that reaches {step * (side - 1) + 1}, beyond {self.kernel}"
            expect(step * (side - 1) + 1 <= self.kernel, self, rule, *inputs)
        return item

    @property
    def _inner(self) -> tuple[int, int]:
        """Sides of the near and of the far kernel of a decomposition; both odd."""
        return 2 * self.dilation - 1, -(-self.kernel // self.dilation) // 2 * 2 + 1

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments: dict[str, Any] = {
            "channels": item.channels,
            "kernel": self.kernel,
            "small_kernels": self.small_kernels,
            "small_dilations": self.small_dilations,
            "inner": self._inner if self.decomposed else None,
            "dilation": self.dilation,
            "norm": self.norm,
            "gate": self.gate_input,
            "rank": len(axes(item)),
        }
        return Call(modules.LargeKernelConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = maps_in(self, inputs)
        width, places, rank = item.channels, positions(item), len(axes(item))
        if self.decomposed:
            total = OpCost()
            for side in self._inner:
                total += counts.convolution(width, width, side, places, width, True, rank)
        else:
            bias = self.norm == "none"
            total = counts.convolution(width, width, self.kernel, places, width, bias, rank)
            total += counts.norm(self.norm, width)
            for side in self.small_kernels:
                small = counts.convolution(width, width, side, 0, width, False, rank)
                total += small + counts.norm(self.norm, width)
        return total + (counts.pointwise(width, width, places) if self.gate_input else OpCost())

"""Convolution ops over one, two or three position axes: of images, series, volumes and grids.

All are total in the sizes of the input: a stride of ``s`` gives ``ceil(axis / s)`` positions on every
axis. None draws a skip around itself. Where a kernel, stride or dilation may be a tuple it has one number
for each position axis.

References:
    [Sandler2018] M. Sandler et al. MobileNetV2: inverted residuals and linear bottlenecks. CVPR 2018.
    [Tan2019] M. Tan, Q. Le. EfficientNet. ICML 2019.
    [Tan2021] M. Tan, Q. Le. EfficientNetV2. ICML 2021.
    [Howard2019] A. Howard et al. Searching for MobileNetV3. ICCV 2019.
    [Lee2020] Y. Lee, J. Park. CenterMask: real-time anchor-free instance segmentation. CVPR 2020.
    [Dai2021] Z. Dai et al. CoAtNet. NeurIPS 2021.
    [Hu2018] J. Hu et al. Squeeze-and-excitation networks. CVPR 2018.
    [Roy2018] A. G. Roy et al. Concurrent spatial and channel squeeze and excitation. MICCAI 2018.
    [Liu2019] H. Liu et al. DARTS: differentiable architecture search. ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Series, TensorType, Tokens, Vector
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NORMS, known, odd, positive, share, whole
from nasplat.ops.geometry import (
    Placed,
    Size,
    around,
    enlarged,
    maps_in,
    odd_sizes,
    placed_in,
    sizes,
    spread,
    strided,
)
from nasplat.ops.layout import Maps, axes, channelled, channels, positions, rank
from nasplat.ops.modules import conv as modules
from nasplat.ops.selection import KernelOp


def _forms(op: Conv | DepthwiseConv | SeparableConv | MBConv, *met: TensorType) -> None:
    """The norm and the activation are known."""
    known(op, met, NORMS, norm=op.norm)
    known(op, met, ACTIVATIONS, activation=op.activation)


def _channels(op: Op, inputs: Sequence[TensorType], item: Placed, wanted: int | None) -> int:
    """Channels that go out: those that come in where none are named."""
    if wanted is None:
        return channels(item)
    whole(op, inputs, 1, channels=wanted)
    return wanted


def _causal(op: Conv | DepthwiseConv, item: Placed, *inputs: TensorType) -> None:
    """Only what has an axis of time can be causal."""
    if op.causal and not isinstance(item, Series | Tokens):
        expect(False, op, "is causal on Series and Tokens only", *inputs)


@dataclass(frozen=True, kw_only=True)
class Conv(KernelOp):
    """Convolution, then normalisation, then activation.

    Takes images, series, volumes, grids of up to three axes, and tokens.

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernel: Side of the kernel, or a tuple with one for each axis.
        stride: Step between outputs, at least 1, or a tuple.
        dilation: Step between the taps of the kernel, at least 1, or a tuple.
        groups: Groups of channels that do not mix; divides the channels on both sides.
        norm: One of ``checks.NORMS``, such as ``none``, ``layer``, ``rms``, ``batch`` or ``group``.
        activation: One of ``checks.ACTIVATIONS``, such as ``none``, ``relu``, ``gelu`` or ``silu``.
        bias: Whether the convolution has a bias; ``None``: if there is no norm.
        transposed: Whether it enlarges every axis by its stride instead; its weights are not narrowed by
            quantisation.
        causal: Whether no output sees a later position; for series and tokens.
    """

    channels: int | None = None
    kernel: Size = 3
    stride: Size = 1
    dilation: Size = 1
    groups: int = 1
    norm: str = "none"
    activation: str = "none"
    bias: bool | None = None
    transposed: bool = False
    causal: bool = False

    @property
    def _bias(self) -> bool:
        return self.norm == "none" if self.bias is None else self.bias

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        grid = axes(item)
        named = {"kernel": self.kernel, "stride": self.stride, "dilation": self.dilation}
        sizes(self, inputs, len(grid), **named)
        whole(self, inputs, 1, groups=self.groups)
        _forms(self, *inputs)
        _causal(self, item, *inputs)
        met, made = channels(item), _channels(self, inputs, item, self.channels)
        if met % self.groups or made % self.groups:
            rule = f"needs groups to divide its channels, {met} in and {made} out"
            expect(False, self, rule, *inputs)
        if not self.transposed:
            return strided(item, made, self.stride)
        plain = not self.causal and all(step == 1 for step in spread(self.dilation, len(grid)))
        expect(plain, self, "transposed has no dilation and is not causal", *inputs)
        pairs = zip(spread(self.kernel, len(grid)), spread(self.stride, len(grid)), strict=True)
        centred = all(side % 2 or step > 1 for side, step in pairs)
        expect(centred, self, "transposed needs an odd kernel where the stride is 1", *inputs)
        return enlarged(item, made, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        item, output = placed_in(self, inputs), self.infer(*inputs)
        arguments: dict[str, Any] = {
            "inputs": channels(item),
            "outputs": channels(output),
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": self._bias,
            "norm": self.norm,
            "activation": self.activation,
            "rank": len(axes(item)),
            "tokens": isinstance(item, Tokens),
        }
        if self.transposed:
            arguments["transposed"] = True
        else:
            pad = around(item, self.kernel, self.stride, self.dilation, self.causal)
            arguments["pad"] = pad
        return Call(modules.ConvBlock, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = placed_in(self, inputs), self.infer(*inputs)
        met, made = channels(item), channels(output)
        # A transposed convolution computes at each position that comes in.
        places = positions(item) if self.transposed else positions(output)
        total = counts.convolution(
            met, made, self.kernel, places, self.groups, self._bias, len(axes(item))
        )
        if self.transposed:
            total = OpCost(total.params, total.macs)
        return total + counts.norm(self.norm, made) + counts.activation(self.activation)


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv(KernelOp):
    """A convolution of each channel by itself, then normalisation, then activation.

    Attributes:
        kernel: Odd side of the kernel, or a tuple with one for each axis.
        stride: Step between outputs, at least 1, or a tuple.
        dilation: Step between the taps of the kernel, at least 1, or a tuple.
        norm: As in :class:`Conv`.
        activation: As in :class:`Conv`.
        bias: As in :class:`Conv`.
        causal: As in :class:`Conv`.
    """

    kernel: Size = 3
    stride: Size = 1
    dilation: Size = 1
    norm: str = "none"
    activation: str = "none"
    bias: bool | None = None
    causal: bool = False

    @property
    def _conv(self) -> Conv:
        """The same with a group for every channel, but for their number."""
        return Conv(
            kernel=self.kernel,
            stride=self.stride,
            dilation=self.dilation,
            norm=self.norm,
            activation=self.activation,
            bias=self.bias,
            causal=self.causal,
        )

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        rank = len(axes(item))
        odd_sizes(self, inputs, rank, kernel=self.kernel)
        sizes(self, inputs, rank, stride=self.stride, dilation=self.dilation)
        _forms(self, *inputs)
        _causal(self, item, *inputs)
        return strided(item, channels(item), self.stride)

    def call(self, *inputs: TensorType) -> Call:
        call = self._conv.call(*inputs)
        return Call(call.module, {**call.arguments, "groups": channels(placed_in(self, inputs))})

    def cost(self, *inputs: TensorType) -> OpCost:
        output, bias = self.infer(*inputs), self._conv._bias
        width = channels(output)
        return (
            counts.convolution(
                width, width, self.kernel, positions(output), width, bias, len(axes(output))
            )
            + counts.norm(self.norm, width)
            + counts.activation(self.activation)
        )


@dataclass(frozen=True, kw_only=True)
class SeparableConv(KernelOp):
    """A convolution of each channel by itself, then a mix of the channels, each normalised.

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernel: Odd side of the kernel, or a tuple with one for each axis.
        stride: Step between outputs, at least 1, or a tuple.
        norm: As in :class:`Conv`.
        activation: As in :class:`Conv`; at the end.
        dilation: Step between the taps of the kernel, at least 1, or a tuple.
        inner_norm: Whether there is a norm between the two convolutions.
        pre_activation: Whether the activation stands before instead of at the end, as in the cells of
            [Liu2019].
        repeats: How many times it stands in a row, with ``pre_activation``; only the first takes steps
            and only the last changes the number of channels [Liu2019].
    """

    channels: int | None = None
    kernel: Size = 3
    stride: Size = 1
    norm: str = "batch"
    activation: str = "relu"
    dilation: Size = 1
    inner_norm: bool = True
    pre_activation: bool = False
    repeats: int = 1

    def infer(self, *inputs: TensorType) -> Placed:
        item = maps_in(self, inputs)
        rank = len(axes(item))
        odd_sizes(self, inputs, rank, kernel=self.kernel)
        sizes(self, inputs, rank, stride=self.stride, dilation=self.dilation)
        whole(self, inputs, 1, repeats=self.repeats)
        expect(
            self.repeats == 1 or self.pre_activation, self, "repeats with pre_activation", *inputs
        )
        _forms(self, *inputs)
        return strided(item, _channels(self, inputs, item, self.channels), self.stride)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments: dict[str, Any] = {
            "inputs": item.channels,
            "outputs": channels(self.infer(*inputs)),
            "kernel": self.kernel,
            "stride": self.stride,
            "norm": self.norm,
            "activation": self.activation,
            "rank": len(axes(item)),
            "dilation": self.dilation,
            "inner_norm": self.inner_norm,
        }
        if not self.pre_activation:
            return Call(modules.SeparableConv, arguments)
        return Call(modules.SeparableCell, {**arguments, "repeats": self.repeats})

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        places, bias, width = positions(output), self.norm == "none", item.channels
        inner = self.norm if self.inner_norm else "none"
        total = OpCost()
        for index in range(self.repeats):
            made = channels(output) if index == self.repeats - 1 else width
            total += counts.convolution(
                width, width, self.kernel, places, width, bias, len(axes(item))
            )
            total += counts.norm(inner, width) + counts.pointwise(width, made, places, bias)
            total += counts.norm(self.norm, made) + counts.activation(self.activation)
        return total


@dataclass(frozen=True, kw_only=True)
class MBConv(KernelOp):
    """Inverted bottleneck: widen, convolve each channel, gate, narrow [Sandler2018, Tan2019].

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        expand: Channels inside over channels in, above 0; where they are equal nothing is widened.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        squeeze: Width of the squeeze gate over channels in, 0 for no gate [Tan2019].
        fused: Widen and convolve in one full convolution [Tan2021].
        norm: As in :class:`Conv`; after each convolution.
        activation: As in :class:`Conv`.
        pre_norm: Whether the input is normalised, and not activated, first, as in [Dai2021].
        out_norm: Whether the last map is normalised; without, it has a bias [Dai2021].
        expand_of: ``inputs`` or ``outputs``: whose channels ``expand`` multiplies [Dai2021].
        squeeze_of: ``inputs``, ``hidden`` [Howard2019] or ``outputs`` [Dai2021]: whose channels
            ``squeeze`` multiplies.
        divisor: The widths inside and of the gate are rounded to the next multiple of it, and never by
            more than a tenth down [Howard2019]; 1: to whole numbers.
        squeeze_activation: Inside the gate; ``None``: the same as ``activation``.
        hard_gate: Whether the gate's sigmoid is piecewise linear [Howard2019].
    """

    kind: ClassVar[str] = "inverted_bottleneck"
    WIDTHS: ClassVar[tuple[str, ...]] = ("inputs", "hidden", "outputs")

    channels: int | None = None
    expand: float = 4
    kernel: int = 3
    stride: int = 1
    squeeze: float = 0.25
    fused: bool = False
    norm: str = "batch"
    activation: str = "silu"
    pre_norm: bool = False
    out_norm: bool = True
    expand_of: str = "inputs"
    squeeze_of: str = "inputs"
    divisor: int = 1
    squeeze_activation: str | None = None
    hard_gate: bool = False

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 1, stride=self.stride, divisor=self.divisor)
        _forms(self, *inputs)
        positive(self, inputs, expand=self.expand)
        expect(self.squeeze >= 0, self, "needs squeeze >= 0", *inputs)
        known(self, inputs, ("inputs", "outputs"), expand_of=self.expand_of)
        known(self, inputs, self.WIDTHS, squeeze_of=self.squeeze_of)
        known(self, inputs, ACTIVATIONS, squeeze_activation=self._squeeze_activation)
        return strided(item, _channels(self, inputs, item, self.channels), self.stride)

    @property
    def _squeeze_activation(self) -> str:
        return self.activation if self.squeeze_activation is None else self.squeeze_activation

    def _widths(self, met: int, made: int) -> tuple[int, int]:
        """Channels inside, and of the squeeze."""
        hidden = rounded((met if self.expand_of == "inputs" else made) * self.expand, self.divisor)
        of = {"inputs": met, "hidden": hidden, "outputs": made}[self.squeeze_of]
        return hidden, rounded(of * self.squeeze, self.divisor) if self.squeeze else 0

    def call(self, *inputs: TensorType) -> Call:
        item, made = maps_in(self, inputs), self.infer(*inputs).channels
        hidden, squeeze = self._widths(item.channels, made)
        arguments = {
            "inputs": item.channels,
            "hidden": hidden,
            "outputs": made,
            "kernel": self.kernel,
            "stride": self.stride,
            "squeeze": squeeze,
            "norm": self.norm,
            "activation": self.activation,
            "fused": self.fused,
            "rank": len(axes(item)),
            "pre_norm": self.pre_norm,
            "out_norm": self.out_norm,
            "squeeze_activation": self._squeeze_activation,
            "hard_gate": self.hard_gate,
        }
        return Call(modules.InvertedBottleneck, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        met, made, rank = item.channels, output.channels, len(axes(item))
        hidden, squeeze = self._widths(met, made)
        places, bias = positions(output), self.norm == "none"
        each = counts.norm(self.norm, hidden) + counts.activation(self.activation)
        total = counts.norm(self.norm, met) if self.pre_norm else OpCost()
        if hidden != met and not self.fused:
            total += counts.pointwise(met, hidden, positions(item), bias) + each
        width, groups = (met, 1) if self.fused else (hidden, hidden)
        total += counts.convolution(width, hidden, self.kernel, places, groups, bias, rank) + each
        if squeeze:
            total += counts.pointwise(hidden, squeeze, 1) + counts.pointwise(squeeze, hidden, 1)
            total += counts.activation(self._squeeze_activation)
        last = self.norm if self.out_norm else "none"
        total += counts.pointwise(hidden, made, places, last == "none")
        return total + counts.norm(last, made)


def rounded(width: float, divisor: int) -> int:
    """The multiple of ``divisor`` next to a width, at least one, at most a tenth below the width."""
    if divisor == 1:
        return share(1, width)
    near = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * width else near + divisor


@dataclass(frozen=True, kw_only=True)
class SqueezeGate(Op):
    """Squeeze and excitation: scale each channel by what the means of all channels say [Hu2018].

    Or scale each position by what its own channels say [Roy2018]. Takes everything with channels and
    positions.

    Attributes:
        over: ``channels`` or ``positions``: what is scaled.
        reduction: Channels over the width of the squeeze, which is at least 1.
        activation: As in :class:`Conv`; after the squeeze.
        divisor: The width is rounded as in :class:`MBConv`; 1: it is rounded down.
        hard_gate: As in :class:`MBConv`.
        norm: As in :class:`Conv`; after the squeeze. A batch norm needs batches in training.
        effective: Whether one map of the means stands in the place of squeeze and excitation [Lee2020].
    """

    reduction: int = 4
    activation: str = "relu"
    divisor: int = 1
    hard_gate: bool = False
    norm: str = "none"
    effective: bool = False
    over: str = "channels"
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> TensorType:
        item = channelled(self, inputs)
        expect(not isinstance(item, Vector), self, "needs positions", *inputs)
        whole(self, inputs, 1, reduction=self.reduction, divisor=self.divisor)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ("channels", "positions"), over=self.over)
        return item

    def _hidden(self, width: int) -> int:
        if self.effective:
            return 0
        if self.divisor == 1:
            return max(1, width // self.reduction)
        return rounded(width / self.reduction, self.divisor)

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        arguments: dict[str, Any] = {
            "channels": channels(item),
            "hidden": self._hidden(channels(item)),
            "activation": self.activation,
            "rank": rank(item),
            "hard": self.hard_gate,
        }
        if self.norm != "none":
            arguments["norm"] = self.norm
        if self.over == "positions":
            arguments["places"] = True
        return Call(modules.SqueezeGate, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = channelled(self, inputs)
        width = channels(item)
        hidden, made, places = self._hidden(width), width, 1
        if self.over == "positions":
            made, places = 1, positions(item)
        if not hidden:
            return counts.pointwise(width, made, places)
        total = counts.pointwise(width, hidden, places) + counts.pointwise(hidden, made, places)
        return total + counts.norm(self.norm, hidden) + counts.activation(self.activation)

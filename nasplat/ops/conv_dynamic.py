"""Convolutions whose taps move with the content, or whose kernels are computed from it.

References:
    [Dai2017] J. Dai et al. Deformable convolutional networks. ICCV 2017.
    [Zhu2019] X. Zhu et al. Deformable ConvNets v2: more deformable, better results. CVPR 2019.
    [Wu2019] F. Wu et al. Pay less attention with lightweight and dynamic convolutions. ICLR 2019.
    [Zhang2023] H. Zhang et al. HyperZZW operator connects slow-fast networks for full context
        interaction. 2023.
    [Liu2020] H. Liu et al. Rethinking image inpainting via a mutual encoder-decoder with feature
        equalizations. ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Image, Series, TensorType, Tokens
from nasplat.ops import counts, selection
from nasplat.ops.checks import ACTIVATIONS, NORMS, image_of, known, odd, whole
from nasplat.ops.geometry import Placed, placed_in, strided
from nasplat.ops.layout import axes, channels, positions, rank
from nasplat.ops.modules import conv_dynamic as modules


@dataclass(frozen=True, kw_only=True)
class DeformableConv(Op):
    """A convolution of an image whose taps a convolution of the image moves [Dai2017].

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        modulated: Whether every tap is weighted at every position too [Zhu2019].
        norm: One of ``checks.NORMS``; the convolution has a bias only without one.
        activation: One of ``checks.ACTIVATIONS``.
    """

    channels: int | None = None
    kernel: int = 3
    stride: int = 1
    modulated: bool = True
    norm: str = "none"
    activation: str = "none"

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 1, stride=self.stride)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
        return strided(image, self.channels or image.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "inputs": image_of(self, inputs).channels,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "modulated": self.modulated,
            "bias": self.norm == "none",
            "norm": self.norm,
            "activation": self.activation,
        }
        return Call(modules.DeformableConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        taps, places = self.kernel**2, positions(output)
        learned = taps * (3 if self.modulated else 2)
        return (
            counts.convolution(image.channels, learned, self.kernel, places)
            + counts.pointwise(image.channels * taps, output.channels, places, self.norm == "none")
            + counts.norm(self.norm, output.channels)
            + counts.activation(self.activation)
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        side, wide = self.kernel, larger.kernel if isinstance(larger, DeformableConv) else 0
        rim = (wide - side) // 2
        if rim < 0 or not name.startswith(("mix.weight", "offset")):
            return tuple(selection.leading(small))
        taps = [(row + rim) * wide + column + rim for row in range(side) for column in range(side)]
        index = list(selection.kernel(small, large) if len(small) > 1 else selection.leading(small))
        if name == "mix.weight":
            per_channel, count = wide * wide, small[1] // (side * side)
            index[1] = [channel * per_channel + tap for channel in range(count) for tap in taps]
        else:
            # Down and right of every tap side by side, then all weights.
            moves = [2 * tap + move for tap in taps for move in range(2)]
            weights = [2 * wide * wide + tap for tap in taps] if self.modulated else []
            index[0] = [*moves, *weights]
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class DynamicConv(Op):
    """A convolution around each position whose kernel is computed, on maps and tokens.

    Sums over the taps are element-wise work, which costs do not count.

    Attributes:
        kernel: Odd side of the kernel; any where it is causal.
        weights_from: ``input``: a linear map of the position [Wu2019]; ``coordinates``: a small network of
            the relative coordinates, times a linear map of the position [Zhang2023];
            ``content_and_distance``: how like and how near neighbours are [Liu2020].
        heads: Groups of channels with a kernel of their own; divides the channels.
        per_channel: A kernel for every channel instead of ``heads``.
        dilation: Step between taps, at least 1.
        causal: Whether taps lie before the position; for series and tokens.
        hidden: Width of the network of ``coordinates``.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("input", "coordinates", "content_and_distance")

    kernel: int = 3
    weights_from: str = "input"
    heads: int = 1
    per_channel: bool = False
    dilation: int = 1
    causal: bool = False
    hidden: int = 16

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        known(self, inputs, self.FORMS, weights_from=self.weights_from)
        whole(self, inputs, 1, heads=self.heads, dilation=self.dilation, hidden=self.hidden)
        if self.causal:
            whole(self, inputs, 1, kernel=self.kernel)
            timed = isinstance(item, Series | Tokens)
            expect(timed, self, "is causal on Series and Tokens only", *inputs)
        else:
            odd(self, inputs, kernel=self.kernel)
        rule = f"needs heads to divide the {channels(item)} channels"
        expect(channels(item) % self._heads(item) == 0, self, rule, *inputs)
        return item

    def _heads(self, item: Placed) -> int:
        return channels(item) if self.per_channel else self.heads

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs)
        arguments: dict[str, Any] = {
            "channels": channels(item),
            "kernel": self.kernel,
            "form": self.weights_from,
            "heads": self._heads(item),
            "rank": rank(item),
            "dilation": self.dilation,
            "causal": self.causal,
            "hidden": self.hidden,
        }
        return Call(modules.DynamicConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = placed_in(self, inputs)
        width, heads, places = channels(item), self._heads(item), positions(item)
        dims = len(axes(item))
        taps = self.kernel**dims
        one = counts.pointwise(width, width, places)
        total = one + one
        if self.weights_from == "input":
            return total + counts.pointwise(width, heads * taps, places)
        if self.weights_from == "coordinates":
            total += counts.pointwise(dims, self.hidden, taps)
            total += counts.pointwise(self.hidden, heads, taps)
            return total + counts.pointwise(width, heads, places)
        return total + one + one + counts.vector(heads)

"""Mixers of positions without attention.

References:
    [Yu2022] W. Yu et al. MetaFormer is actually what you need for vision. CVPR 2022.
    [Yu2024] W. Yu et al. MetaFormer baselines for vision. TPAMI 46, 2024.
    [Lou2021] T. Lou et al. FNetAR: mixing tokens with autoregressive Fourier transforms. 2021.
    [LeeThorp2022] J. Lee-Thorp et al. FNet: mixing tokens with Fourier transforms. NAACL 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NOT_ZERO_AT_ZERO, known, odd, positive, share
from nasplat.ops.geometry import Placed, maps_in, placed_in
from nasplat.ops.layout import Maps, axes, positions, rank
from nasplat.ops.modules import mixer as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class ConvMixer(KernelOp):
    """Widen, activate, convolve each channel of a map, narrow; without bias [Yu2024].

    Attributes:
        ratio: Channels inside over channels, above 0.
        kernel: Odd side of the kernel.
        activation: One of ``checks.ACTIVATIONS``.
    """

    ratio: float = 2
    kernel: int = 7
    activation: str = "gelu"

    @property
    def keeps_zero(self) -> bool:  # type: ignore[override]  # it depends on the activation
        """Whether the activation is zero at zero."""
        return self.activation not in NOT_ZERO_AT_ZERO

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        positive(self, inputs, ratio=self.ratio)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "channels": item.channels,
            "hidden": share(item.channels, self.ratio),
            "kernel": self.kernel,
            "activation": self.activation,
            "rank": rank(item),
        }
        return Call(modules.ConvMixer, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = maps_in(self, inputs)
        width, hidden, places = item.channels, share(item.channels, self.ratio), positions(item)
        return (
            counts.pointwise(width, hidden, places, bias=False)
            + counts.convolution(hidden, hidden, self.kernel, places, hidden, False, rank(item))
            + counts.pointwise(hidden, width, places, bias=False)
            + counts.activation(self.activation)
        )


@dataclass(frozen=True, kw_only=True)
class PoolMixer(Op):
    """The mean around each position less the position itself [Yu2022]; takes maps and tokens.

    Attributes:
        kernel: Odd side of the neighbourhood; padding does not count.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    kernel: int = 3

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs)
        arguments = {"kernel": self.kernel, "rank": len(axes(item)), "tokens": not rank(item)}
        return Call(modules.PoolMixer, arguments)


@dataclass(frozen=True, kw_only=True)
class FourierMixer(Op):
    """The real part of a discrete Fourier transform over the positions [LeeThorp2022].

    Takes maps (all axes of positions) and tokens. Every transform is divided by the root of its
    length, unlike the paper's, so that the size of values stays. It is computed by matrices: its cost
    grows with the square of each axis, and it exports without complex numbers.

    Attributes:
        axes: ``sequence`` transforms the positions, ``sequence_and_channel`` the channels too.
        mask: ``none``, or, on tokens, ``causal``: the matrix of the positions keeps what is not later
            than the position it makes [Lou2021].
    """

    AXES: ClassVar[tuple[str, ...]] = ("sequence", "sequence_and_channel")
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    axes: str = "sequence"
    mask: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = placed_in(self, inputs)
        known(self, inputs, self.AXES, axes=self.axes)
        known(self, inputs, ("none", "causal"), mask=self.mask)
        ordered = isinstance(features, Tokens) or self.mask == "none"
        expect(ordered, self, "is causal on Tokens alone", *inputs)
        return features

    def _transformed(self, features: Placed) -> dict[int, int]:
        """The length of each transformed axis."""
        sizes = dict(zip(range(-len(features.shape), 0), features.shape, strict=True))
        if self.axes == "sequence":
            del sizes[-1 - rank(features)]
        return sizes

    def call(self, *inputs: TensorType) -> Call:
        sizes = self._transformed(placed_in(self, inputs))
        arguments = {"axes": tuple(sizes), "sizes": tuple(sizes.values())}
        return Call(modules.FourierMixer, arguments | {"causal": self.mask == "causal"})

    def cost(self, *inputs: TensorType) -> OpCost:
        features = placed_in(self, inputs)
        sizes = list(self._transformed(features).values())
        if len(sizes) == 1:
            return counts.product(features.numel, sizes[0], 1)
        # Real numbers enter the first axis and leave the last; between them there are complex ones.
        products = 2 * sizes[0] + 4 * sum(sizes[1:-1]) + 2 * sizes[-1]
        return counts.product(math.prod(features.shape), products, 1)

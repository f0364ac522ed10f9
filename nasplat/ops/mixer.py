"""Mixers of positions without attention.

References:
    [Yu2022] W. Yu et al. MetaFormer is actually what you need for vision. CVPR 2022.
    [Yu2024] W. Yu et al. MetaFormer baselines for vision. TPAMI 46, 2024.
    [LeeThorp2022] J. Lee-Thorp et al. FNet: mixing tokens with Fourier transforms. NAACL 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost
from nasplat.graph.types import Image, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import (
    ACTIVATIONS,
    grid_of,
    image_of,
    known,
    odd,
    positions_of,
    positive,
    share,
)
from nasplat.ops.modules import mixer as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class ConvMixer(KernelOp):
    """Widen, activate, convolve each channel of an image, narrow; without bias [Yu2024].

    Attributes:
        ratio: Channels inside over channels, above 0.
        kernel: Odd side of the kernel.
        activation: ``none``, ``relu``, ``gelu``, ``silu`` or ``hardswish``.
    """

    keeps_zero: ClassVar[bool] = True

    ratio: float = 2
    kernel: int = 7
    activation: str = "gelu"

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        positive(self, inputs, ratio=self.ratio)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return image

    def call(self, *inputs: TensorType) -> Call:
        channels = image_of(self, inputs).channels
        arguments = {
            "channels": channels,
            "hidden": share(channels, self.ratio),
            "kernel": self.kernel,
            "activation": self.activation,
        }
        return Call(modules.ConvMixer, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image = image_of(self, inputs)
        channels, hidden = image.channels, share(image.channels, self.ratio)
        positions = positions_of(image)
        return (
            counts.pointwise(channels, hidden, positions, bias=False)
            + counts.convolution(hidden, hidden, self.kernel, positions, hidden, bias=False)
            + counts.pointwise(hidden, channels, positions, bias=False)
        )


@dataclass(frozen=True, kw_only=True)
class PoolMixer(Op):
    """The mean around each position of an image less the position itself [Yu2022].

    Attributes:
        kernel: Odd side of the neighbourhood; padding does not count.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    kernel: int = 3

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        return image

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.PoolMixer, {"kernel": self.kernel})


@dataclass(frozen=True, kw_only=True)
class FourierMixer(Op):
    """The real part of a discrete Fourier transform over the positions [LeeThorp2022].

    Takes images (both axes of the plane) and tokens. Every transform is divided by the root of its
    length, unlike the paper's, so that the size of values stays. It is computed by matrices: its cost
    grows with the square of each axis, and it exports without complex numbers.

    Attributes:
        axes: ``sequence`` transforms the positions, ``sequence_and_channel`` the channels too.
    """

    AXES: ClassVar[tuple[str, ...]] = ("sequence", "sequence_and_channel")
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    axes: str = "sequence"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        known(self, inputs, self.AXES, axes=self.axes)
        return features

    def _transformed(self, features: TensorType) -> dict[int, int]:
        """The length of each transformed axis."""
        sizes = dict(zip(range(-len(features.shape), 0), features.shape, strict=True))
        if self.axes == "sequence":
            del sizes[-3 if isinstance(features, Image) else -1]
        return sizes

    def call(self, *inputs: TensorType) -> Call:
        sizes = self._transformed(grid_of(self, inputs))
        return Call(modules.FourierMixer, {"axes": tuple(sizes), "sizes": tuple(sizes.values())})

    def cost(self, *inputs: TensorType) -> OpCost:
        features = grid_of(self, inputs)
        sizes = list(self._transformed(features).values())
        if len(sizes) == 1:
            return counts.product(features.numel, sizes[0], 1)
        # Real numbers enter the first axis and leave the last; between them there are complex ones.
        products = 2 * sizes[0] + 4 * sum(sizes[1:-1]) + 2 * sizes[-1]
        return counts.product(math.prod(features.shape), products, 1)

"""Ops that keep, lower or raise the resolution of an image, and the simple ops of cells.

A step of ``s`` gives ``ceil(height / s)`` by ``ceil(width / s)`` positions: where the image does not
divide it is padded, so all sizes are legal down to one step; an image smaller than that is refused by
the downsampling ops, for it would be padding alone.

References:
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import NORMS, features_of, image_of, known, odd, positions_of, whole
from nasplat.ops.conv import strided
from nasplat.ops.modules import conv as conv_modules
from nasplat.ops.modules import resample as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class Identity(Op):
    """The input, unchanged: the skip of cells."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> TensorType:
        expect(len(inputs) == 1, self, "takes one input", *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(nn.Identity)

    def is_identity(self, *inputs: TensorType) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Zero(Op):
    """Zeros: the absent edge of cells.

    Attributes:
        stride: Step between outputs; above 1 for images only.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    stride: int = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        features = features_of(self, inputs)
        whole(self, inputs, 1, stride=self.stride)
        if self.stride == 1:
            return features
        image = image_of(self, inputs)
        return strided(image, image.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Zero, {"stride": self.stride})

    def is_zero(self, *inputs: TensorType) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Pool(Op):
    """The mean or the largest value around each output position; padding does not count.

    Attributes:
        mode: ``avg`` or ``max``.
        kernel: Odd side of the neighbourhood.
        stride: Step between outputs, at least 1.
    """

    MODES: ClassVar[tuple[str, ...]] = ("avg", "max")
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    mode: str = "avg"
    kernel: int = 3
    stride: int = 1

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 1, stride=self.stride)
        known(self, inputs, self.MODES, mode=self.mode)
        return strided(image, image.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {"mode": self.mode, "kernel": self.kernel, "stride": self.stride}
        return Call(modules.Pool, arguments)

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.kernel == 1 and self.stride == 1


def reduced(op: Op, inputs: Sequence[TensorType], channels: int | None, factor: int) -> Image:
    """The output of a downsampling op that is refused where it would see padding alone."""
    image = image_of(op, inputs)
    if channels is not None:
        whole(op, inputs, 1, channels=channels)
    if min(image.height, image.width) < factor:
        expect(
            False,
            op,
            f"needs an image of at least {factor}x{factor}",
            *inputs,
            hint="Use fewer or smaller downsampling steps, or larger images.",
        )
    return strided(image, 2 * image.channels if channels is None else channels, factor)


def padding(image: Image, factor: int) -> tuple[int, int]:
    """Columns and rows that make an image divide."""
    return -image.width % factor, -image.height % factor


@dataclass(frozen=True, kw_only=True)
class PatchMerging(Op):
    """Lay neighbours side by side in the channels, normalise, map them to fewer [Liu2021].

    Attributes:
        channels: Channels that go out; ``None`` doubles their number.
        factor: Side of the square that is merged, at least 2.
        norm: ``none``, ``layer``, ``rms`` or ``batch``; before the map, which has no bias.
    """

    channels: int | None = None
    factor: int = 2
    norm: str = "layer"

    def infer(self, *inputs: TensorType) -> Image:
        whole(self, inputs, 2, factor=self.factor)
        known(self, inputs, NORMS, norm=self.norm)
        return reduced(self, inputs, self.channels, self.factor)

    def call(self, *inputs: TensorType) -> Call:
        image = image_of(self, inputs)
        arguments = {
            "channels": image.channels,
            "outputs": self.infer(*inputs).channels,
            "pad": padding(image, self.factor),
            "factor": self.factor,
            "norm": self.norm,
        }
        return Call(modules.PatchMerging, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        merged = self.factor * self.factor * image.channels
        return counts.norm(self.norm, merged) + counts.pointwise(
            merged, output.channels, positions_of(output), bias=False
        )


@dataclass(frozen=True, kw_only=True)
class StridedConv(KernelOp):
    """A convolution that steps over the image, then normalisation.

    Attributes:
        channels: Channels that go out; ``None`` doubles their number.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 2.
        norm: As in :class:`PatchMerging`, but after the convolution, which has a bias only without one.
    """

    channels: int | None = None
    kernel: int = 3
    stride: int = 2
    norm: str = "batch"

    def infer(self, *inputs: TensorType) -> Image:
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 2, stride=self.stride)
        known(self, inputs, NORMS, norm=self.norm)
        return reduced(self, inputs, self.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "inputs": image_of(self, inputs).channels,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "bias": self.norm == "none",
            "norm": self.norm,
        }
        return Call(conv_modules.ConvBlock, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        return counts.convolution(
            image.channels,
            output.channels,
            self.kernel,
            positions_of(output),
            bias=self.norm == "none",
        ) + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class PoolProjection(Op):
    """Pool, then map the channels, then normalise.

    Attributes:
        channels: Channels that go out; ``None`` doubles their number.
        mode: ``avg`` or ``max``.
        kernel: Odd side of the neighbourhood.
        stride: Step between outputs, at least 2.
        norm: As in :class:`StridedConv`.
    """

    channels: int | None = None
    mode: str = "max"
    kernel: int = 3
    stride: int = 2
    norm: str = "batch"

    def infer(self, *inputs: TensorType) -> Image:
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 2, stride=self.stride)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, Pool.MODES, mode=self.mode)
        return reduced(self, inputs, self.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "channels": image_of(self, inputs).channels,
            "outputs": self.infer(*inputs).channels,
            "mode": self.mode,
            "kernel": self.kernel,
            "stride": self.stride,
            "norm": self.norm,
        }
        return Call(modules.PoolProjection, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        return counts.pointwise(
            image.channels, output.channels, positions_of(output), self.norm == "none"
        ) + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class Upsample(Op):
    """Enlarge an image.

    Attributes:
        factor: Whole factor of both sides, at least 1.
        mode: ``nearest`` or ``bilinear``.
    """

    kind: ClassVar[str] = "interpolate"
    MODES: ClassVar[tuple[str, ...]] = ("nearest", "bilinear")
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    factor: int = 2
    mode: str = "nearest"

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        whole(self, inputs, 1, factor=self.factor)
        known(self, inputs, self.MODES, mode=self.mode)
        return Image(image.channels, self.factor * image.height, self.factor * image.width)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Upsample, {"factor": self.factor, "mode": self.mode})

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.factor == 1


@dataclass(frozen=True, kw_only=True)
class ImageToTokens(Op):
    """Read the positions of an image row by row as tokens."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Tokens:
        image = image_of(self, inputs)
        return Tokens(image.height * image.width, image.channels)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.ImageToTokens)


@dataclass(frozen=True, kw_only=True)
class TokensToImage(Op):
    """Lay tokens out row by row as an image.

    Attributes:
        height: Height of the image; divides the number of tokens.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    height: int

    def infer(self, *inputs: TensorType) -> Image:
        if len(inputs) == 1 and isinstance(inputs[0], Tokens):
            whole(self, inputs, 1, height=self.height)
            length = inputs[0].length
            rule = f"needs height to divide the {length} tokens"
            expect(length % self.height == 0, self, rule, *inputs)
            return Image(inputs[0].dim, self.height, length // self.height)
        expect(False, self, "takes one Tokens", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.TokensToImage, {"height": self.height})

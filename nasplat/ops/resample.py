"""Ops that keep, lower or raise the resolution of maps, and the simple ops of cells.

Maps are images, series, volumes and grids of up to three axes. A step of ``s`` gives ``ceil(axis / s)``
positions on every axis: where a map does not divide it is padded, so all sizes are legal down to one step;
a map smaller than that is refused by the downsampling ops, for it would be padding alone.

References:
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Grid, Image, Series, TensorType, Tokens, Volume
from nasplat.ops import counts
from nasplat.ops.checks import NORMS, known, odd, positive, whole
from nasplat.ops.geometry import Placed, maps_in, placed_in, strided
from nasplat.ops.layout import Maps, axes, channelled, channels, maps_of, positions, resized
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
        stride: Step between outputs; above 1 for maps only.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    stride: int = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        features = channelled(self, inputs)
        whole(self, inputs, 1, stride=self.stride)
        if self.stride == 1:
            return features
        item = maps_in(self, inputs)
        return strided(item, item.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Zero, {"stride": self.stride})

    def is_zero(self, *inputs: TensorType) -> bool:
        return True


def _pooled(op: Pool | PoolProjection, inputs: Sequence[TensorType]) -> None:
    """The neighbourhood has a centre, or one between positions that every step hits."""
    known(op, inputs, Pool.MODES, mode=op.mode)
    whole(op, inputs, 1, kernel=op.kernel, stride=op.stride)
    even = op.kernel % 2 == 0
    if even and (op.stride % 2 or op.kernel < op.stride):
        rule = "needs an odd kernel, or an even one with an even stride no larger than it"
        expect(False, op, rule, *inputs)


@dataclass(frozen=True, kw_only=True)
class Pool(Op):
    """The mean or the largest value around each output position; padding does not count.

    Takes maps and tokens.

    Attributes:
        mode: ``avg`` or ``max``.
        kernel: Side of the neighbourhood; odd, or even with an even stride no larger than it.
        stride: Step between outputs, at least 1.
    """

    MODES: ClassVar[tuple[str, ...]] = ("avg", "max")
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    mode: str = "avg"
    kernel: int = 3
    stride: int = 1

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        _pooled(self, inputs)
        return strided(item, channels(item), self.stride)

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs)
        arguments: dict[str, Any] = {
            "mode": self.mode,
            "kernel": self.kernel,
            "stride": self.stride,
            "rank": len(axes(item)),
            "tokens": isinstance(item, Tokens),
        }
        return Call(modules.Pool, arguments)

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.kernel == 1 and self.stride == 1


def reduced(op: Op, inputs: Sequence[TensorType], channels: int | None, factor: int) -> Maps:
    """The output of a downsampling op that is refused where it would see padding alone."""
    item = maps_in(op, inputs)
    if channels is not None:
        whole(op, inputs, 1, channels=channels)
    if min(axes(item)) < factor:
        least = "x".join([str(factor)] * len(axes(item)))
        expect(
            False,
            op,
            f"needs at least {least}",
            *inputs,
            hint="Use fewer or smaller downsampling steps, or larger inputs.",
        )
    return strided(item, 2 * item.channels if channels is None else channels, factor)


def padding(item: Maps, factor: int) -> tuple[int, ...]:
    """What to add behind each axis, the last axis first, so that it divides."""
    return tuple(-size % factor for size in reversed(axes(item)))


@dataclass(frozen=True, kw_only=True)
class PatchMerging(Op):
    """Lay neighbours side by side in the channels, normalise, map them to fewer [Liu2021].

    Attributes:
        channels: Channels that go out; ``None`` doubles their number.
        factor: Side of the square or cube that is merged, at least 2.
        norm: One of ``checks.NORMS``; before the map.
        bias: Whether the map has a bias.
    """

    channels: int | None = None
    factor: int = 2
    norm: str = "layer"
    bias: bool = False

    def infer(self, *inputs: TensorType) -> Maps:
        whole(self, inputs, 2, factor=self.factor)
        known(self, inputs, NORMS, norm=self.norm)
        return reduced(self, inputs, self.channels, self.factor)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments: dict[str, Any] = {
            "channels": item.channels,
            "outputs": self.infer(*inputs).channels,
            "pad": padding(item, self.factor),
            "factor": self.factor,
            "norm": self.norm,
        }
        if self.bias:
            arguments["bias"] = True
        return Call(modules.PatchMerging, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        merged = self.factor ** len(axes(item)) * item.channels
        return counts.norm(self.norm, merged) + counts.pointwise(
            merged, output.channels, positions(output), self.bias
        )


@dataclass(frozen=True, kw_only=True)
class StridedConv(KernelOp):
    """A convolution that steps over a map, then normalisation.

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

    def infer(self, *inputs: TensorType) -> Maps:
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 2, stride=self.stride)
        known(self, inputs, NORMS, norm=self.norm)
        return reduced(self, inputs, self.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "inputs": item.channels,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "bias": self.norm == "none",
            "norm": self.norm,
            "rank": len(axes(item)),
        }
        return Call(conv_modules.ConvBlock, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        return counts.convolution(
            item.channels,
            output.channels,
            self.kernel,
            positions(output),
            bias=self.norm == "none",
            rank=len(axes(item)),
        ) + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class PoolProjection(Op):
    """Pool, then map the channels, then normalise.

    Attributes:
        channels: Channels that go out; ``None`` doubles their number.
        mode: ``avg`` or ``max``.
        kernel: Side of the neighbourhood, as in :class:`Pool`.
        stride: Step between outputs, at least 2.
        norm: As in :class:`StridedConv`.
    """

    channels: int | None = None
    mode: str = "max"
    kernel: int = 3
    stride: int = 2
    norm: str = "batch"

    def infer(self, *inputs: TensorType) -> Maps:
        _pooled(self, inputs)
        whole(self, inputs, 2, stride=self.stride)
        known(self, inputs, NORMS, norm=self.norm)
        return reduced(self, inputs, self.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "channels": item.channels,
            "outputs": self.infer(*inputs).channels,
            "mode": self.mode,
            "kernel": self.kernel,
            "stride": self.stride,
            "norm": self.norm,
            "rank": len(axes(item)),
        }
        return Call(modules.PoolProjection, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        return counts.pointwise(
            item.channels, output.channels, positions(output), self.norm == "none"
        ) + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class Upsample(Op):
    """Enlarge a map, or make it smaller, by interpolation.

    Attributes:
        factor: Factor of every axis, above 0; the new axis is rounded down.
        mode: ``nearest``; ``linear`` along every axis; ``bilinear``, which is the same on images.
    """

    kind: ClassVar[str] = "interpolate"
    MODES: ClassVar[tuple[str, ...]] = ("nearest", "bilinear", "linear")
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    factor: float = 2
    mode: str = "nearest"

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        positive(self, inputs, factor=self.factor)
        known(self, inputs, self.MODES, mode=self.mode)
        plane = self.mode != "bilinear" or len(axes(item)) == 2
        expect(plane, self, "is bilinear on images only: use linear", *inputs)
        made = [math.floor(size * self.factor) for size in axes(item)]
        expect(min(made) >= 1, self, "leaves nothing of an axis", *inputs)
        output = resized(item, item.channels, made)
        assert isinstance(output, Maps)
        return output

    def call(self, *inputs: TensorType) -> Call:
        mode = self.mode
        if mode == "linear":
            mode = ("linear", "bilinear", "trilinear")[len(axes(maps_in(self, inputs))) - 1]
        size = None if self.factor == int(self.factor) else axes(self.infer(*inputs))
        return Call(modules.Upsample, {"factor": float(self.factor), "mode": mode, "size": size})

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.factor == 1


@dataclass(frozen=True, kw_only=True)
class ImageToTokens(Op):
    """Read the positions of an image, series, volume or grid row by row as tokens."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Tokens:
        item = maps_of(self, inputs)
        return Tokens(positions(item), item.channels)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.ImageToTokens)


@dataclass(frozen=True, kw_only=True)
class TokensToImage(Op):
    """Lay tokens out row by row as an image, a series, a volume or a grid.

    A second input, if there is one, gives the kind and the position axes; only its type counts.

    Attributes:
        height: Height of an image; divides the number of tokens.
        axes: Position axes: one for a series, two for an image, three for a volume, more for a grid.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    height: int | None = None
    axes: tuple[int, ...] | None = None

    def infer(self, *inputs: TensorType) -> Maps:
        tokens = inputs[0] if inputs else None
        if not isinstance(tokens, Tokens) or len(inputs) > 2:
            expect(False, self, "takes one Tokens, and a map that gives the layout", *inputs)
            raise AssertionError
        like = inputs[1] if len(inputs) == 2 else None
        ways = (self.height is not None) + (self.axes is not None) + (like is not None)
        expect(ways == 1, self, "needs either height, axes or a second input", *inputs)
        if self.height is not None:
            whole(self, inputs, 1, height=self.height)
            rule = f"needs height to divide the {tokens.length} tokens"
            expect(tokens.length % self.height == 0, self, rule, *inputs)
            return Image(tokens.dim, self.height, tokens.length // self.height)
        if like is not None:
            item = maps_of(self, (like,))
            made = resized(item, tokens.dim, axes(item))
            assert isinstance(made, Maps)
        else:
            met = self.axes or ()
            expect(bool(met), self, "needs at least one axis", *inputs)
            whole(self, inputs, 1, **{f"axes[{index}]": size for index, size in enumerate(met)})
            kinds: dict[int, type[Maps]] = {1: Series, 2: Image, 3: Volume}
            made = kinds.get(len(met), Grid)(tokens.dim, *met)
        fits = positions(made) == tokens.length
        expect(fits, self, f"has {positions(made)} positions", *inputs)
        return made

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.TokensToImage, {"axes": axes(self.infer(*inputs))})

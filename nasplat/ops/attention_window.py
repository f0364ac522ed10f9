"""Attention within groups of positions: windows, dilated groups, stripes, axes, neighbourhoods.

All take an image, a series, a volume, a grid or tokens, and are total in the lengths of their position axes:
a group is at most the axis, and an axis that is not made of whole groups is padded, with a mask that
keeps the padding out (where [Liu2021] lets it in).

References:
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Liu2022] Z. Liu et al. Swin Transformer V2: scaling up capacity and resolution. CVPR 2022.
    [Wang2022] W. Wang et al. CrossFormer: a versatile vision transformer hinging on cross-scale attention.
        ICLR 2022.
    [Tu2022] Z. Tu et al. MaxViT: multi-axis vision transformer. ECCV 2022.
    [Wu2023] Y. Wu et al. D-Former: a U-shaped dilated transformer for 3D medical image segmentation.
        Neural Computing and Applications 2023.
    [Chen2023] X. Chen et al. Activating more pixels in image super-resolution transformer. CVPR 2023.
    [Ho2019] J. Ho et al. Axial attention in multidimensional transformers. 2019.
    [Beltagy2020] I. Beltagy et al. Longformer: the long-document transformer. 2020.
    [Dong2022] X. Dong et al. CSWin Transformer: a general vision transformer backbone with cross-shaped
        windows. CVPR 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType, Volume
from nasplat.ops import counts, layout
from nasplat.ops.checks import known, whole
from nasplat.ops.heads import Attended, Headed, Rotated, attended_of, relative_cost
from nasplat.ops.modules import attention_window as modules

MASKS = ("none", "causal")
PerAxis = int | tuple[int, ...]
"""One number for all position axes, or one for each."""


class Groups(NamedTuple):
    """How positions are grouped; see :class:`~nasplat.ops.modules.attention_window.Partition`."""

    window: tuple[int, ...]
    dilation: tuple[int, ...]
    shift: tuple[int, ...]
    margin: tuple[int, ...]
    reach: tuple[int, ...] | None = None
    causal: bool = False

    def keys(self) -> tuple[int, ...]:
        """Keys of a group on each axis."""
        return tuple(side + 2 * more for side, more in zip(self.window, self.margin, strict=True))

    def count(self, axes: Sequence[int]) -> int:
        """Number of groups."""
        sides = zip(axes, self.window, self.dilation, strict=True)
        return math.prod(-(-size // (side * step)) * step for size, side, step in sides)


def spread(
    op: Op, inputs: Sequence[TensorType], name: str, value: PerAxis
) -> tuple[tuple[int, int], ...]:
    """Each position axis of the only input with its number, at most its length.

    Raises:
        GraphTypeError: There are too few numbers or too many, or one is no positive integer.
    """
    axes = layout.axes(attended_of(op, inputs))
    given = value if isinstance(value, tuple) else (value,) * len(axes)
    rule = f"needs {name} to be one number, or one for each of {len(axes)} axes; got {value!r}"
    expect(len(given) == len(axes), op, rule, *inputs)
    for item in given:
        whole(op, inputs, 1, **{name: item})
    return tuple((size, min(item, size)) for size, item in zip(axes, given, strict=True))


def near_groups(radii: Sequence[tuple[int, int]], causal: bool) -> Groups:
    """Groups in which each position sees those within a radius, for axes with their radii."""
    # Blocks pay where their scores are fewer than those of all with all.
    blocks = [-(-size // side) * side * 3 * side < size * size for size, side in radii]
    window = [side if cut else size for cut, (size, side) in zip(blocks, radii, strict=True)]
    margin = [side if cut else 0 for cut, (_, side) in zip(blocks, radii, strict=True)]
    return Groups(
        window=tuple(window),
        dilation=(1,) * len(radii),
        shift=(0,) * len(radii),
        margin=tuple(margin),
        reach=tuple(side for _, side in radii),
        causal=causal,
    )


@dataclass(frozen=True, kw_only=True)
class _Grouped(Rotated):
    """What the ops of this file share but for the groups themselves."""

    def groups(self, features: Attended, inputs: Sequence[TensorType]) -> Groups:
        """Say how positions are grouped, or raise where a field does not fit."""
        raise NotImplementedError

    def relative(self) -> tuple[str, int]:
        """Form of the relative bias and the hidden width of its network."""
        return "none", 1

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        self.check_rotary(*inputs)
        self.check_bias(*self.relative(), *inputs)
        self.groups(features, inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        groups = self.groups(features, inputs)
        form, width = self.relative()
        arguments: dict[str, Any] = self.arguments(features) | {"axes": layout.axes(features)}
        arguments |= groups._asdict() | self.rotation(features)
        arguments |= {"relative_bias": form, "bias_width": width}
        return Call(modules.WindowAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        groups = self.groups(features, inputs)
        form, width = self.relative()
        channels, count = layout.channels(features), groups.count(layout.axes(features))
        keys = groups.keys()
        return (
            self.projections(channels, layout.positions(features))
            + self.mixing(channels, math.prod(groups.window), math.prod(keys), count)
            + relative_cost(form, self.heads, groups.window, keys, width)
        )


@dataclass(frozen=True, kw_only=True)
class _Biased(_Grouped):
    """A group with a bias for the offset of a key from a query.

    Attributes:
        relative_bias: ``table``: each head learns a bias for each offset between two members of a group
            [Liu2021]; ``mlp``: a small network of the offset says it [Liu2022, Wang2022]; ``alibi``: a
            fixed slope of the distance; ``none``.
        bias_width: Hidden width of the network of an ``mlp`` bias.
    """

    relative_bias: str = "table"
    bias_width: int = 64

    def relative(self) -> tuple[str, int]:
        return self.relative_bias, self.bias_width


@dataclass(frozen=True, kw_only=True)
class WindowAttention(_Biased):
    """Positions attend within windows, regular or shifted by half a window [Liu2021].

    Attributes:
        window: Side of a window, one for all position axes or one for each.
        shifted: Whether windows are shifted by half their side; an axis of one window is not.
        overlap: By which share of its side the window of the keys is longer than that of the queries
            [Chen2023], from 0 to 2; half of it on each side.
        mask: ``none`` or, of series and tokens, ``causal``: no key that comes later is seen.
    """

    window: PerAxis = 7
    shifted: bool = False
    overlap: float = 0.0
    mask: str = "none"

    def groups(self, features: Attended, inputs: Sequence[TensorType]) -> Groups:
        known(self, inputs, MASKS, mask=self.mask)
        rule = f"needs overlap to be from 0 to 2, got {self.overlap!r}"
        expect(0 <= self.overlap <= 2, self, rule, *inputs)
        sides = spread(self, inputs, "window", self.window)
        rule = "is causal along one position axis only"
        expect(self.mask == "none" or len(sides) == 1, self, rule, *inputs)
        return Groups(
            window=tuple(side for _, side in sides),
            dilation=(1,) * len(sides),
            shift=tuple(side // 2 if self.shifted and size > side else 0 for size, side in sides),
            margin=tuple(int(self.overlap * side / 2) for _, side in sides),
            causal=self.mask == "causal",
        )


@dataclass(frozen=True, kw_only=True)
class DilatedGroupAttention(_Biased):
    """Positions attend within groups whose members are far apart on every axis [Wang2022].

    Attributes:
        stride: Distance between neighbours of a group, one for all position axes or one for each;
            ``None``: as great as the whole axis allows [Tu2022].
        group: Members of a group on each axis; ``None``: as many as reach over the whole axis. With
            both, regions of ``group * stride`` positions stand side by side [Wu2023].
    """

    stride: PerAxis | None = 2
    group: PerAxis | None = None

    def groups(self, features: Attended, inputs: Sequence[TensorType]) -> Groups:
        axes = layout.axes(features)
        rule = "needs a stride or a group"
        expect(self.stride is not None or self.group is not None, self, rule, *inputs)
        if self.stride is not None:
            strides = [step for _, step in spread(self, inputs, "stride", self.stride)]
            sides = [-(-size // step) for size, step in zip(axes, strides, strict=True)]
            if self.group is not None:
                given = spread(self, inputs, "group", self.group)
                sides = [min(most, side) for most, (_, side) in zip(sides, given, strict=True)]
        else:
            given = spread(self, inputs, "group", self.group or 1)
            strides = [-(-size // side) for size, side in given]
            sides = [-(-size // step) for size, step in zip(axes, strides, strict=True)]
        none = (0,) * len(axes)
        return Groups(tuple(sides), tuple(strides), none, none)


@dataclass(frozen=True, kw_only=True)
class AxisAttention(_Biased):
    """Positions attend along one position axis, to those that are equal on all others [Ho2019].

    Attributes:
        axis: Which position axis, counted from 0.
        mask: ``none`` or ``causal``: no key that comes later is seen.
    """

    axis: int = 0
    mask: str = "none"
    relative_bias: str = "none"

    def groups(self, features: Attended, inputs: Sequence[TensorType]) -> Groups:
        axes = layout.axes(features)
        known(self, inputs, MASKS, mask=self.mask)
        whole(self, inputs, 0, axis=self.axis)
        rule = f"needs axis to be below {len(axes)}, the number of position axes; got {self.axis}"
        expect(self.axis < len(axes), self, rule, *inputs)
        ones, none = (1,) * len(axes), (0,) * len(axes)
        window = tuple(size if axis == self.axis else 1 for axis, size in enumerate(axes))
        return Groups(window, ones, none, none, causal=self.mask == "causal")


@dataclass(frozen=True, kw_only=True)
class SlidingWindowAttention(_Grouped):
    """Every position attends to those within a radius on every axis [Beltagy2020].

    Computed in blocks of ``radius`` queries with the block before and after, so the cost is linear in
    the positions.

    Attributes:
        radius: Greatest distance of a key, one for all position axes or one for each.
        mask: ``none`` or, of series and tokens, ``causal``: no key that comes later is seen.
    """

    radius: PerAxis = 16
    mask: str = "none"

    def groups(self, features: Attended, inputs: Sequence[TensorType]) -> Groups:
        known(self, inputs, MASKS, mask=self.mask)
        given = spread(self, inputs, "radius", self.radius)
        rule = "is causal along one position axis only"
        expect(self.mask == "none" or len(given) == 1, self, rule, *inputs)
        return near_groups(given, self.mask == "causal")


@dataclass(frozen=True, kw_only=True)
class StripeAttention(Headed):
    """Heads attend within stripes: an equal part of the heads along each position axis [Dong2022].

    It takes an image or a volume.

    Attributes:
        stripe: Width of a stripe, at most the axis; a stripe is as long as its axis.
        enhanced: Whether a depthwise convolution of the values, of size 3, is added to what is found:
            the locally enhanced encoding of position.
    """

    stripe: int = 1
    enhanced: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        expect(isinstance(features, Image | Volume), self, "takes one Image or Volume", *inputs)
        self.check_heads(*inputs)
        axes = len(layout.axes(features))
        rule = f"needs a head for each of {axes} position axes, got heads={self.heads}"
        expect(self.heads >= axes, self, rule, *inputs)
        whole(self, inputs, 1, stripe=self.stripe)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        arguments = self.arguments(features) | {
            "axes": layout.axes(features),
            "stripe": self.stripe,
            "enhanced": self.enhanced,
        }
        return Call(modules.StripeAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, axes = layout.channels(features), layout.axes(features)
        positions, rank, width = math.prod(axes), len(axes), self.width(channels)
        total = self.projections(channels, positions)
        for long in range(rank):
            heads = self.heads * (long + 1) // rank - self.heads * long // rank
            sides = [
                size if axis == long else min(self.stripe, size) for axis, size in enumerate(axes)
            ]
            area = math.prod(sides)
            stripes = math.prod(-(-size // side) for size, side in zip(axes, sides, strict=True))
            total += counts.product(area, width, area, 2 * heads * stripes)
        if self.enhanced:
            kernel = self.heads * width * 3**rank
            total += OpCost(kernel + self.heads * width, kernel * positions, kernel)
        return total

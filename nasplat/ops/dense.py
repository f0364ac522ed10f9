"""Ops of dense prediction: back to a finer grid, one answer for each position, scales that meet.

All take images, series and volumes. What depends on the size of another map takes that map as a second
input and reads its type alone, so that every size is legal: what does not divide is cut or interpolated.

References:
    [Shi2016] W. Shi et al. Real-time single image and video super-resolution. CVPR 2016.
    [Cheng2021] B. Cheng, A. Schwing, A. Kirillov. MaskFormer. NeurIPS 2021.
    [Sun2019] K. Sun et al. Deep high-resolution representation learning. CVPR 2019.
    [Azad2023] Interscale dependency modelling for skin lesion segmentation. 2023.
    [Cao2019] Y. Cao et al. GCNet: non-local networks meet squeeze-excitation networks. 2019.
    [Woo2018] S. Woo et al. CBAM: convolutional block attention module. ECCV 2018.
    [Yao2024] M. Yao et al. Efficient transformer encoders for Mask2Former-style models. 2024.
    [Cavagnero2024] N. Cavagnero et al. PEM: prototype-based efficient MaskFormer. CVPR 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Image, Scores, Series, TensorType, Tokens, Volume
from nasplat.ops import counts, selection
from nasplat.ops.checks import known, odd, whole
from nasplat.ops.layout import axes, positions, rank
from nasplat.ops.modules import dense as modules

Map = Image | Series | Volume
"""What is predicted densely: channels over one, two or three position axes."""


def maps(op: Op, inputs: Sequence[TensorType], least: int, most: int | None = None) -> list[Map]:
    """From ``least`` to ``most`` inputs, all maps of one kind.

    Raises:
        GraphTypeError: There are fewer or more, or they are of several kinds or no maps.
    """
    taken = [item for item in inputs if isinstance(item, Map)]
    number = (
        f"{least} or more"
        if most is None
        else f"{least}"
        if least == most
        else f"{least} or {most}"
    )
    good = len(taken) == len(inputs) >= least and (most is None or len(taken) <= most)
    rule = f"takes {number} inputs, all Image, all Series or all Volume"
    expect(good and len({type(item) for item in taken}) == 1, op, rule, *inputs)
    return taken


def regrid(item: Map, channels: int, axes: Sequence[int]) -> Map:
    """The same kind of map with other sizes."""
    return type(item)(channels, *axes)


@dataclass(frozen=True, kw_only=True)
class UpsampleTo(Op):
    """The first input on the grid of the second.

    Attributes:
        channels: Channels that go out; ``None``: those of the second input.
        mode: ``nearest`` or ``linear``: a linear map of the channels, then interpolation;
            ``pixel_shuffle``: a map to more channels that become positions [Shi2016]; ``transposed``: a
            transposed convolution without overlap. The last two cut off what is too much, and the second
            input is as fine or finer along every axis.
    """

    MODES: ClassVar[tuple[str, ...]] = ("nearest", "linear", "pixel_shuffle", "transposed")

    channels: int | None = None
    mode: str = "linear"

    def infer(self, *inputs: TensorType) -> Map:
        x, like = maps(self, inputs, 2, 2)
        known(self, inputs, self.MODES, mode=self.mode)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
        finer = all(few <= many for few, many in zip(axes(x), axes(like), strict=True))
        free = self.mode in ("nearest", "linear")
        expect(finer or free, self, "needs the second input to be as fine as the first", *inputs)
        return regrid(x, self.channels or like.channels, axes(like))

    def _factors(self, x: Map, like: Map) -> tuple[int, ...]:
        return tuple(max(1, -(-many // few)) for few, many in zip(axes(x), axes(like), strict=True))

    def call(self, *inputs: TensorType) -> Call:
        x, like = maps(self, inputs, 2, 2)
        arguments = {
            "inputs": x.channels,
            "outputs": self.channels or like.channels,
            "size": axes(like),
            "factors": self._factors(x, like),
            "mode": self.mode,
        }
        return Call(modules.UpsampleTo, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        x, like = maps(self, inputs, 2, 2)
        outputs, times = self.channels or like.channels, 1
        for factor in self._factors(x, like):
            times *= factor
        if self.mode == "transposed":
            weights = x.channels * outputs * times
            return OpCost(weights + outputs, weights * positions(x))
        wide = outputs * times if self.mode == "pixel_shuffle" else outputs
        return counts.pointwise(x.channels, wide, positions(x))


@dataclass(frozen=True, kw_only=True)
class PixelHead(Op):
    """One value for each class and position, interpolated to the grid of a second input if there is one.

    Attributes:
        classes: Channels that go out: classes, or the channels of a restored image.
        kernel: Odd side of the kernel.
    """

    classes: int
    kernel: int = 1

    def infer(self, *inputs: TensorType) -> Map:
        x, *like = maps(self, inputs, 1, 2)
        whole(self, inputs, 1, classes=self.classes)
        odd(self, inputs, kernel=self.kernel)
        return regrid(x, self.classes, axes((like or [x])[0]))

    def call(self, *inputs: TensorType) -> Call:
        x, *like = maps(self, inputs, 1, 2)
        arguments = {
            "channels": x.channels,
            "classes": self.classes,
            "kernel": self.kernel,
            "size": axes((like or [x])[0]),
        }
        return Call(modules.PixelHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        x = maps(self, inputs, 1, 2)[0]
        weights = x.channels * self.classes * self.kernel ** rank(x)
        return OpCost(weights + self.classes, weights * positions(x), weights)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """A small kernel in the middle of a large one."""
        return selection.centred(small, large, *range(2, len(small)))


@dataclass(frozen=True, kw_only=True)
class MaskQueryHead(Op):
    """Each query draws a mask over the positions and votes for classes [Cheng2021].

    Takes the queries, ``Tokens``, the features, and as a third input a map whose grid the answer has. The
    value of a class at a position is the sum over queries of vote times mask, so that the answer trains
    and scores like that of :class:`PixelHead`.

    Attributes:
        classes: Channels that go out.
    """

    classes: int

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Tokens, list[Map]]:
        rule = "takes Tokens, then one or two maps, both Image, Series or Volume"
        if len(inputs) > 1 and isinstance(inputs[0], Tokens):
            others = [item for item in inputs[1:] if isinstance(item, Map)]
            good = len(others) == len(inputs) - 1 <= 2 and len({type(x) for x in others}) == 1
            expect(good, self, rule, *inputs)
            return inputs[0], others
        expect(False, self, rule, *inputs)
        raise AssertionError

    def infer(self, *inputs: TensorType) -> Map:
        _, others = self._inputs(inputs)
        whole(self, inputs, 1, classes=self.classes)
        return regrid(others[0], self.classes, axes(others[-1]))

    def call(self, *inputs: TensorType) -> Call:
        queries, others = self._inputs(inputs)
        arguments = {
            "dim": queries.dim,
            "channels": others[0].channels,
            "classes": self.classes,
            "size": axes(others[-1]),
        }
        return Call(modules.MaskQueryHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        queries, (x, *_) = self._inputs(inputs)
        count, dim, places = queries.length, queries.dim, positions(x)
        return (
            counts.norm("layer", dim)
            + counts.pointwise(dim, self.classes, count)
            + counts.pointwise(dim, dim, count)
            + counts.pointwise(dim, x.channels, count)
            + counts.product(count, x.channels, places)
            + counts.product(self.classes, count, places)
        )


@dataclass(frozen=True, kw_only=True)
class MultiScaleFusion(Op):
    """Maps at several scales exchange what they hold; each goes out as it came in, with something added.

    Attributes:
        weighting: ``conv``: each scale adds a linear map of every other one at its own size [Sun2019];
            ``attention``: positions of all scales, on the coarsest grid, attend to each other [Azad2023].
        heads: Number of heads of the attention.
        head_dim: Width of a head; ``None``: the fewest channels of a scale over ``heads``, at least 1.
    """

    WEIGHTINGS: ClassVar[tuple[str, ...]] = ("conv", "attention")

    weighting: str = "attention"
    heads: int = 4
    head_dim: int | None = None

    def infer(self, *inputs: TensorType) -> tuple[Map, ...]:
        taken = maps(self, inputs, 2)
        known(self, inputs, self.WEIGHTINGS, weighting=self.weighting)
        whole(self, inputs, 1, heads=self.heads)
        if self.head_dim is not None:
            whole(self, inputs, 1, head_dim=self.head_dim)
        return tuple(taken)

    def _dim(self, taken: Sequence[Map]) -> int:
        fewest = min(item.channels for item in taken)
        return self.heads * (self.head_dim or max(1, fewest // self.heads))

    def call(self, *inputs: TensorType) -> Call:
        taken = maps(self, inputs, 2)
        arguments: dict[str, object] = {
            "channels": tuple(item.channels for item in taken),
            "sizes": tuple(axes(item) for item in taken),
        }
        if self.weighting == "conv":
            return Call(modules.ScaleExchange, arguments)
        arguments |= {"dim": self._dim(taken), "heads": self.heads}
        return Call(modules.ScaleAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        taken = maps(self, inputs, 2)
        total = OpCost()
        if self.weighting == "conv":
            for source in taken:
                for target in taken:
                    if target is not source:
                        total += counts.pointwise(
                            source.channels, target.channels, positions(source)
                        )
            return total
        dim, fewest = self._dim(taken), min(positions(item) for item in taken)
        tokens = fewest * len(taken)
        for item in taken:
            total += counts.pointwise(item.channels, dim, fewest)
            total += counts.pointwise(dim, item.channels, fewest)
        total += counts.norm("layer", dim) + counts.pointwise(dim, 3 * dim, tokens)
        return total + counts.product(tokens, dim // self.heads, tokens, 2 * self.heads)


@dataclass(frozen=True, kw_only=True)
class ContextGate(Op):
    """Scale and shift each channel by what a learned mean over all positions says [Cao2019].

    It is the modulation by context of [Cavagnero2024].

    Attributes:
        reduction: Channels over the width inside, which is at least 1.
    """

    reduction: int = 4

    def infer(self, *inputs: TensorType) -> Map:
        whole(self, inputs, 1, reduction=self.reduction)
        return maps(self, inputs, 1, 1)[0]

    def _hidden(self, x: Map) -> int:
        return max(1, x.channels // self.reduction)

    def call(self, *inputs: TensorType) -> Call:
        x = maps(self, inputs, 1, 1)[0]
        arguments = {"channels": x.channels, "hidden": self._hidden(x), "rank": rank(x)}
        return Call(modules.ContextGate, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        x = maps(self, inputs, 1, 1)[0]
        hidden = self._hidden(x)
        return (
            counts.pointwise(x.channels, 1, positions(x))
            + counts.pointwise(x.channels, hidden, 1)
            + counts.norm("layer", hidden)
            + counts.pointwise(hidden, 2 * x.channels, 1)
        )


@dataclass(frozen=True, kw_only=True)
class PositionGate(Op):
    """Scale each position by what the mean and the largest of its channels say around it [Woo2018].

    It is the squeeze gate over positions.

    Attributes:
        kernel: Odd side of the kernel.
    """

    keeps_zero: ClassVar[bool] = True

    kernel: int = 7

    def infer(self, *inputs: TensorType) -> Map:
        odd(self, inputs, kernel=self.kernel)
        return maps(self, inputs, 1, 1)[0]

    def call(self, *inputs: TensorType) -> Call:
        x = maps(self, inputs, 1, 1)[0]
        return Call(modules.PositionGate, {"kernel": self.kernel, "rank": rank(x)})

    def cost(self, *inputs: TensorType) -> OpCost:
        x = maps(self, inputs, 1, 1)[0]
        weights = 2 * self.kernel ** rank(x)
        return OpCost(weights + 1, weights * positions(x), weights)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """A small kernel in the middle of a large one."""
        return selection.centred(small, large, *range(2, len(small)))


@dataclass(frozen=True, kw_only=True)
class PoolTo(Op):
    """Means over equal blocks, as small as leave at most so many positions: keys that are few enough.

    Attributes:
        most: Positions that may go out; a map that has no more is left as it is.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    most: int = 256

    def _stride(self, x: Map) -> int:
        stride = 1
        while math.prod(-(-length // stride) for length in axes(x)) > self.most:
            stride += 1
        return stride

    def infer(self, *inputs: TensorType) -> Map:
        x = maps(self, inputs, 1, 1)[0]
        whole(self, inputs, 1, most=self.most)
        stride = self._stride(x)
        return regrid(x, x.channels, [-(-length // stride) for length in axes(x)])

    def call(self, *inputs: TensorType) -> Call:
        x = maps(self, inputs, 1, 1)[0]
        return Call(modules.PoolTo, {"stride": self._stride(x), "rank": rank(x)})

    def is_identity(self, *inputs: TensorType) -> bool:
        return self._stride(maps(self, inputs, 1, 1)[0]) == 1


@dataclass(frozen=True, kw_only=True)
class ScoresToMap(Op):
    """Scores as maps: how much each head looks at each position, the mean over all queries.

    Takes ``Scores`` and a map whose positions are the keys; it reads the type of the map alone.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Map:
        if len(inputs) == 2 and isinstance(inputs[0], Scores) and isinstance(inputs[1], Map):
            scores, like = inputs[0], inputs[1]
            if scores.keys == positions(like):
                return regrid(like, scores.heads, axes(like))
        expect(False, self, "takes Scores and a map with a position for each key", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.ScoresToMap, {"size": axes(self.infer(*inputs))})


@dataclass(frozen=True, kw_only=True)
class DepthGate(Op):
    """One of several maps for each example: how deep it needs to be is read off the first input.

    The inputs are what the gate reads and then two or more candidates of one type, such as what every
    layer of an encoder gives [Yao2024]. One candidate goes out as it is; gradients flow to all of them
    and to the gate by their probabilities. What a run saves where it may stop is not part of the cost.

    Attributes:
        hidden: Width of the gate.
    """

    hidden: int = 16

    def _inputs(self, inputs: Sequence[TensorType]) -> list[Map]:
        taken = maps(self, inputs, 3)
        rule = "needs candidates of one type behind what the gate reads"
        expect(len(set(taken[1:])) == 1, self, rule, *inputs)
        whole(self, inputs, 1, hidden=self.hidden)
        return taken

    def infer(self, *inputs: TensorType) -> Map:
        return self._inputs(inputs)[1]

    def call(self, *inputs: TensorType) -> Call:
        first, *candidates = self._inputs(inputs)
        arguments = {
            "channels": first.channels,
            "hidden": self.hidden,
            "count": len(candidates),
            "rank": rank(first),
        }
        return Call(modules.DepthGate, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        first, *candidates = self._inputs(inputs)
        return counts.pointwise(first.channels, self.hidden, 1) + counts.pointwise(
            self.hidden, len(candidates), 1
        )

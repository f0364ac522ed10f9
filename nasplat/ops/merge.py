"""Ops where paths meet or part, on every type with channels.

A fusion of one kind with another can stand in the same place: each gives the type of its first input.
What a fusion learns from content of whole inputs stands in :mod:`nasplat.ops.selective`; attention across
paths is :class:`~nasplat.ops.attention.CrossAttention`.

References:
    [Li2019] X. Li et al. Selective kernel networks. CVPR 2019.
    [Tan2020] M. Tan, R. Pang, Q. Le. EfficientDet: scalable and efficient object detection. CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.layout import (
    Channelled,
    axes,
    channel_axis,
    channelled,
    channels,
    positions,
    rank,
    rechannelled,
    resized,
)
from nasplat.ops.modules import merge as modules

AXES = ("channel", "sequence")
"""Axes on which inputs are put side by side or cut; ``sequence`` is the first position axis."""


def features(op: Op, inputs: Sequence[TensorType]) -> list[Channelled]:
    """One or more inputs of one kind of type, which has channels.

    Raises:
        GraphTypeError: There is no input, or they are of several kinds, or one has no channels.
    """
    taken = [item for item in inputs if isinstance(item, Channelled)]
    rule = "takes one or more inputs, all Image, Series, Volume, Grid, Tokens or Vector"
    one_kind = len({(type(item), len(axes(item))) for item in taken}) == 1
    expect(one_kind and len(taken) == len(inputs), op, rule, *inputs)
    return taken


def alike(op: Op, inputs: Sequence[TensorType], least: int = 1) -> Channelled:
    """The type of all inputs, of which there are at least ``least``.

    Raises:
        GraphTypeError: There are too few inputs, or they are of several types.
    """
    taken = features(op, inputs)
    rule = f"takes {least} or more inputs of one type"
    expect(len(set(taken)) == 1 and len(taken) >= least, op, rule, *inputs)
    return taken[0]


@dataclass(frozen=True, kw_only=True)
class Add(Op):
    """The sum of one or more inputs of one type."""

    commutes: ClassVar[bool] = True
    associative: ClassVar[bool] = True
    pure: ClassVar[bool] = True
    drops_zero: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> TensorType:
        rule = "takes one or more inputs of one type"
        expect(len(set(inputs)) == 1, self, rule, *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Add)

    def is_identity(self, *inputs: TensorType) -> bool:
        return len(inputs) == 1


@dataclass(frozen=True, kw_only=True)
class WeightedAdd(Op):
    """The sum of one or more inputs of one type, each times learned numbers: ``add`` with a scale.

    Attributes:
        scale: ``scalar``: one number for each input; ``channel``: one for each of its channels.
        normalise: ``none``: any numbers, 1 at first. ``sum``: rectified and divided by their sum, as
            [Tan2020] does; ``softmax``: by a softmax over the inputs. Both begin with the mean.
    """

    SCALES: ClassVar[tuple[str, ...]] = ("scalar", "channel")
    NORMALISATIONS: ClassVar[tuple[str, ...]] = ("none", "sum", "softmax")
    keeps_zero: ClassVar[bool] = True

    scale: str = "scalar"
    normalise: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        known(self, inputs, self.SCALES, scale=self.scale)
        known(self, inputs, self.NORMALISATIONS, normalise=self.normalise)
        return alike(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        first = alike(self, inputs)
        arguments = {
            "count": len(inputs),
            "channels": channels(first) if self.scale == "channel" else 1,
            "rank": rank(first),
            "normalise": self.normalise,
        }
        return Call(modules.WeightedAdd, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        each = channels(alike(self, inputs)) if self.scale == "channel" else 1
        return counts.vector(len(inputs) * each)


@dataclass(frozen=True, kw_only=True)
class Concat(Op):
    """All inputs side by side on one axis, with or without a linear map of the channels.

    Attributes:
        channels: Channels that go out of the linear map; ``None``: those of the first input.
        project: Whether there is a linear map; without it all channels go out.
        axis: ``channel``: the channels side by side, then one map of them all. ``sequence``: the
            positions side by side along their first axis; each input has a map of its own, and without
            maps all inputs have the same channels.
    """

    channels: int | None = None
    project: bool = True
    axis: str = "channel"

    def infer(self, *inputs: TensorType) -> Channelled:
        taken = features(self, inputs)
        known(self, inputs, AXES, axis=self.axis)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
            expect(self.project, self, "has channels only with project", *inputs)
        width = self.channels or channels(taken[0])
        if self.axis == "channel":
            places = {axes(item) for item in taken}
            expect(len(places) == 1, self, "needs all inputs to have the same positions", *inputs)
            total = sum(channels(item) for item in taken)
            return rechannelled(taken[0], width if self.project else total)
        rests = {axes(item)[1:] for item in taken}
        rule = "needs positions on the sequence axis, and all inputs to agree on the other axes"
        expect(len(rests) == 1 and bool(axes(taken[0])), self, rule, *inputs)
        if not self.project:
            widths = {channels(item) for item in taken}
            expect(len(widths) == 1, self, "needs all inputs to have the same channels", *inputs)
        length = sum(axes(item)[0] for item in taken)
        return resized(taken[0], width, (length, *axes(taken[0])[1:]))

    def call(self, *inputs: TensorType) -> Call:
        taken = features(self, inputs)
        sequence = self.axis == "sequence"
        if not self.project:
            axis = channel_axis(taken[0])
            if sequence:
                axis = 2 if axis == 1 else 1
            return Call(modules.Concat, {"axis": axis})
        arguments = {
            "inputs": tuple(channels(item) for item in taken),
            "outputs": channels(self.infer(*inputs)),
            "rank": rank(taken[0]),
        }
        module = modules.SequenceProjection if sequence else modules.ConcatProjection
        return Call(module, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        if not self.project:
            return OpCost()
        taken, output = features(self, inputs), self.infer(*inputs)
        if self.axis == "sequence":
            maps = (counts.pointwise(channels(x), channels(output), positions(x)) for x in taken)
            return sum(maps, OpCost())
        total = sum(channels(item) for item in taken)
        return counts.pointwise(total, channels(output), positions(output))

    def is_identity(self, *inputs: TensorType) -> bool:
        return not self.project and len(inputs) == 1


@dataclass(frozen=True, kw_only=True)
class Gated(Op):
    """Inputs of one type meet through learned gates, channel by channel and position by position.

    A gate is a linear map of the channels of what it comes from, between 0 and 1 by a sigmoid. With
    ``x`` the first input and ``y`` the second:

    - ``convex``: a share of each. From both, any number of inputs asks for its share with a linear map
      of its own and a softmax over the inputs decides, as [Li2019] does for whole images; else
      ``g x + (1 - g) y``.
    - ``product``: one input gates the other: from the first ``g(x) y``, from the second ``x g(y)``,
      from both their sum.
    - ``residual``: ``x + g y``; the gate from both adds up two linear maps.

    Attributes:
        form: One of the three.
        gate_from: ``first``, ``second`` or ``both`` inputs.
        mutual: Whether there is a second output: the same of ``(y, x)``, with weights of its own.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("convex", "product", "residual")
    SOURCES: ClassVar[tuple[str, ...]] = ("first", "second", "both")
    kind: ClassVar[str] = "gated_merge"
    keeps_zero: ClassVar[bool] = True

    form: str = "convex"
    gate_from: str = "both"
    mutual: bool = False

    @property
    def _any_number(self) -> bool:
        return self.form == "convex" and self.gate_from == "both" and not self.mutual

    def infer(self, *inputs: TensorType) -> Channelled | tuple[Channelled, ...]:
        known(self, inputs, self.FORMS, form=self.form)
        known(self, inputs, self.SOURCES, gate_from=self.gate_from)
        taken = features(self, inputs)
        expect(len(set(taken)) == 1, self, "takes inputs of one type", *inputs)
        if not self._any_number:
            expect(len(taken) == 2, self, "takes two inputs of one type", *inputs)
        return (taken[0], taken[0]) if self.mutual else taken[0]

    def call(self, *inputs: TensorType) -> Call:
        first = features(self, inputs)[0]
        size = {"channels": channels(first), "rank": rank(first)}
        if self._any_number:
            return Call(modules.Gated, {"count": len(inputs), **size})
        form = {"form": self.form, "gate_from": self.gate_from}
        return Call(modules.MutualGates if self.mutual else modules.GatedPair, {**form, **size})

    def cost(self, *inputs: TensorType) -> OpCost:
        first = features(self, inputs)[0]
        maps = 2 if self.gate_from == "both" else 1
        if self._any_number:
            maps = len(inputs)
        width = channels(first)
        return counts.pointwise(width, maps * (2 if self.mutual else 1) * width, positions(first))

    def is_identity(self, *inputs: TensorType) -> bool:
        return self._any_number and len(inputs) == 1


@dataclass(frozen=True, kw_only=True)
class Split(Op):
    """Cut one axis into parts.

    Attributes:
        parts: Number of outputs, at least 2 and at most the length of the axis.
        shares: For each part a number above 0: how much of the axis it takes beside the others, at
            least 1; None: parts as equal as possible, the larger ones first.
        axis: ``channel`` or ``sequence``, the first position axis.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    parts: int = 2
    shares: tuple[float, ...] | None = None
    axis: str = "channel"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        item = channelled(self, inputs)
        known(self, inputs, AXES, axis=self.axis)
        whole(self, inputs, 2, parts=self.parts)
        if self.axis == "sequence":
            expect(bool(axes(item)), self, "needs positions on the sequence axis", *inputs)
        if self.shares is not None:
            good = len(self.shares) == self.parts and all(share > 0 for share in self.shares)
            expect(good, self, f"needs {self.parts} shares above 0", *inputs)
        if self._length(item) < self.parts:
            expect(False, self, f"needs at least {self.parts} {self._plural}", *inputs)
        sizes = self._sizes(item)
        if self.axis == "channel":
            return tuple(rechannelled(item, size) for size in sizes)
        return tuple(resized(item, channels(item), (size, *axes(item)[1:])) for size in sizes)

    @property
    def _plural(self) -> str:
        return "channels" if self.axis == "channel" else "positions"

    def _length(self, item: Channelled) -> int:
        return channels(item) if self.axis == "channel" else axes(item)[0]

    def _sizes(self, item: Channelled) -> tuple[int, ...]:
        length = self._length(item)
        if self.shares is None:
            size, larger = divmod(length, self.parts)
            return tuple(size + (part < larger) for part in range(self.parts))
        bounds, total, above = [0], sum(self.shares), 0.0
        for number, part in enumerate(self.shares[:-1], start=1):
            above += part
            least, most = bounds[-1] + 1, length - (self.parts - number)
            bounds.append(min(max(round(length * above / total), least), most))
        return tuple(b - a for a, b in zip(bounds, [*bounds[1:], length], strict=True))

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        axis = channel_axis(item)
        if self.axis == "sequence":
            axis = 2 if axis == 1 else 1
        return Call(modules.Split, {"sizes": self._sizes(item), "axis": axis})


@dataclass(frozen=True, kw_only=True)
class Take(Op):
    """A piece of one axis.

    Attributes:
        start: Where it begins; below 0: counted from the end.
        count: Its length; None: up to the end.
        axis: ``channel`` or ``sequence``, the first position axis.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    start: int = 0
    count: int | None = None
    axis: str = "sequence"

    def infer(self, *inputs: TensorType) -> TensorType:
        item = channelled(self, inputs)
        known(self, inputs, AXES, axis=self.axis)
        first, last = self._bounds(item)
        length = self._length(item)
        rule = f"takes a piece within the {length} places of the {self.axis} axis"
        expect(0 <= first < last <= length, self, rule, *inputs)
        if self.axis == "channel":
            return rechannelled(item, last - first)
        return resized(item, channels(item), (last - first, *axes(item)[1:]))

    def _length(self, item: Channelled) -> int:
        places = (channels(item),) if self.axis == "channel" else axes(item)
        return places[0] if places else 0

    def _bounds(self, item: Channelled) -> tuple[int, int]:
        length = self._length(item)
        first = self.start + (length if self.start < 0 else 0)
        return first, length if self.count is None else first + self.count

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        axis = channel_axis(item)
        if self.axis == "sequence":
            axis = 2 if axis == 1 else 1
        first, last = self._bounds(item)
        return Call(modules.Take, {"first": first, "last": last, "axis": axis})

    def is_identity(self, *inputs: TensorType) -> bool:
        item = channelled(self, inputs)
        return self._bounds(item) == (0, self._length(item))

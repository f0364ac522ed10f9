"""Ops where paths meet or part.

A fusion of one kind with another can stand in the same place: each gives the type of its first input.
Attention across paths is :class:`~nasplat.ops.attention.CrossAttention`.

References:
    [Li2019] X. Li et al. Selective kernel networks. CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType, Tokens, Vector
from nasplat.ops import counts
from nasplat.ops.checks import (
    Features,
    channels_of,
    features_of,
    positions_of,
    whole,
    with_channels,
)
from nasplat.ops.modules import merge as modules


def _features(op: Op, inputs: Sequence[TensorType]) -> list[Features]:
    """One or more inputs, all images, all tokens or all vectors."""
    taken = [item for item in inputs if isinstance(item, Image | Tokens | Vector)]
    rule = "takes one or more inputs, all Image, all Tokens or all Vector"
    one_kind = len({type(item) for item in taken}) == 1
    expect(one_kind and len(taken) == len(inputs), op, rule, *inputs)
    return taken


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
class Concat(Op):
    """The channels of all inputs side by side, then a linear map of them.

    Attributes:
        channels: Channels that go out of the linear map; ``None``: those of the first input.
        project: Whether there is a linear map; without it all channels go out.
    """

    channels: int | None = None
    project: bool = True

    def infer(self, *inputs: TensorType) -> Features:
        taken = _features(self, inputs)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
            expect(self.project, self, "has channels only with project", *inputs)
        places = {with_channels(item, 1) for item in taken}
        expect(len(places) == 1, self, "needs all inputs to have the same positions", *inputs)
        if self.project:
            return with_channels(taken[0], self.channels or channels_of(taken[0]))
        return with_channels(taken[0], sum(channels_of(item) for item in taken))

    def call(self, *inputs: TensorType) -> Call:
        taken = _features(self, inputs)
        image = isinstance(taken[0], Image)
        if not self.project:
            return Call(modules.Concat, {"axis": 1 if image else -1})
        arguments = {
            "inputs": tuple(channels_of(item) for item in taken),
            "outputs": channels_of(self.infer(*inputs)),
            "image": image,
        }
        return Call(modules.ConcatProjection, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        if not self.project:
            return OpCost()
        taken, output = _features(self, inputs), self.infer(*inputs)
        total = sum(channels_of(item) for item in taken)
        return counts.pointwise(total, channels_of(output), positions_of(output))

    def is_identity(self, *inputs: TensorType) -> bool:
        return not self.project and len(inputs) == 1


@dataclass(frozen=True, kw_only=True)
class Gated(Op):
    """A convex sum of one or more inputs of one type, channel by channel and position by position.

    Each input asks for its share with a linear map of its channels; a softmax over the inputs decides,
    as [Li2019] does for whole images.
    """

    kind: ClassVar[str] = "gated_merge"
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> TensorType:
        taken = _features(self, inputs)
        expect(len(set(taken)) == 1, self, "takes inputs of one type", *inputs)
        return taken[0]

    def call(self, *inputs: TensorType) -> Call:
        taken = _features(self, inputs)
        arguments = {
            "count": len(taken),
            "channels": channels_of(taken[0]),
            "image": isinstance(taken[0], Image),
        }
        return Call(modules.Gated, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        first = _features(self, inputs)[0]
        channels = channels_of(first)
        return counts.pointwise(channels, len(inputs) * channels, positions_of(first))

    def is_identity(self, *inputs: TensorType) -> bool:
        return len(inputs) == 1


@dataclass(frozen=True, kw_only=True)
class Split(Op):
    """Cut the channels into parts as equal as possible, the larger ones first.

    Attributes:
        parts: Number of outputs, at least 2 and at most the channels.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    parts: int = 2

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        features = features_of(self, inputs)
        whole(self, inputs, 2, parts=self.parts)
        if channels_of(features) < self.parts:
            expect(False, self, f"needs at least {self.parts} channels", *inputs)
        return tuple(with_channels(features, size) for size in self._sizes(features))

    def _sizes(self, features: Features) -> tuple[int, ...]:
        size, larger = divmod(channels_of(features), self.parts)
        return tuple(size + (part < larger) for part in range(self.parts))

    def call(self, *inputs: TensorType) -> Call:
        features = features_of(self, inputs)
        axis = 1 if isinstance(features, Image) else -1
        return Call(modules.Split, {"sizes": self._sizes(features), "axis": axis})

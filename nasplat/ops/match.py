"""Ops that compare features with features: correlation, matching, prototypes.

References:
    [Xu2023] H. Xu et al. Unifying flow, stereo and depth estimation. TPAMI 2023.
    [Sun2021] J. Sun et al. LoFTR: detector-free local feature matching with transformers. CVPR 2021.
    [Oh2025] J. Oh et al. ProtoOcc: dual branch encoder, prototype query decoder. 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, Scores, Series, TensorType, Tokens, Volume
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.dense import Map, maps, regrid
from nasplat.ops.layout import axes, channels, positions
from nasplat.ops.modules import match as modules

Comparable = Tokens | Series | Image | Volume
"""What has positions with channels."""


@dataclass(frozen=True, kw_only=True)
class CorrelationVolume(Op):
    """How alike every position of the first input is to every position of the second.

    Both have the same channels; ``Scores`` of one head go out.

    Attributes:
        match: ``all_pairs``: scaled inner products; ``softmax``: shares over rows times shares over
            columns [Sun2021].
    """

    pure: ClassVar[bool] = True

    match: str = "all_pairs"

    def _inputs(self, inputs: Sequence[TensorType]) -> list[Comparable]:
        taken = [item for item in inputs if isinstance(item, Comparable)]
        rule = "takes two inputs, each Tokens, Series, Image or Volume, with the same channels"
        good = len(taken) == len(inputs) == 2 and len({channels(item) for item in taken}) == 1
        expect(good, self, rule, *inputs)
        return taken

    def infer(self, *inputs: TensorType) -> Scores:
        one, other = self._inputs(inputs)
        known(self, inputs, ("all_pairs", "softmax"), match=self.match)
        return Scores(1, positions(one), positions(other))

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.CorrelationVolume, {"softmax": self.match == "softmax"})

    def cost(self, *inputs: TensorType) -> OpCost:
        one, other = self._inputs(inputs)
        return counts.product(positions(one), channels(one), positions(other))


@dataclass(frozen=True, kw_only=True)
class MatchingFlow(Op):
    """For each position how far its like in the second map is away, by global matching [Xu2023].

    Takes two maps of one type. A channel for each position axis goes out, in positions, and one that says
    how sure the match is.
    """

    def _inputs(self, inputs: Sequence[TensorType]) -> Map:
        taken = maps(self, inputs, 2, 2)
        expect(len(set(taken)) == 1, self, "takes two maps of one type", *inputs)
        return taken[0]

    pure: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Map:
        one = self._inputs(inputs)
        return regrid(one, len(axes(one)) + 1, axes(one))

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.MatchingFlow, {"size": axes(self._inputs(inputs))})

    def cost(self, *inputs: TensorType) -> OpCost:
        one = self._inputs(inputs)
        places = positions(one)
        return counts.product(places, one.channels, places) + counts.product(
            places, places, len(axes(one))
        )


@dataclass(frozen=True, kw_only=True)
class PrototypeHead(Op):
    """Classes by likeness to prototypes gathered from the features, in a single step [Oh2025].

    Attributes:
        classes: Channels that go out.
    """

    classes: int

    def infer(self, *inputs: TensorType) -> Map:
        x = maps(self, inputs, 1, 1)[0]
        whole(self, inputs, 1, classes=self.classes)
        return regrid(x, self.classes, axes(x))

    def call(self, *inputs: TensorType) -> Call:
        x = maps(self, inputs, 1, 1)[0]
        return Call(modules.PrototypeHead, {"channels": x.channels, "classes": self.classes})

    def cost(self, *inputs: TensorType) -> OpCost:
        x = maps(self, inputs, 1, 1)[0]
        places = positions(x)
        return (
            counts.pointwise(x.channels, self.classes, places)
            + counts.pointwise(x.channels, x.channels, self.classes)
            + counts.vector(self.classes * x.channels)
            + counts.product(self.classes, places, x.channels, 2)
        )

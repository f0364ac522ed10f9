"""Residual paths that are no plain sum: mixes of all earlier layers, steps on the unit sphere.

References:
    [Xiao2025] D. Xiao et al. MUDDFormer: breaking residual bottlenecks in transformers via multiway dynamic
        dense connections. ICML 2025.
    [Heddes2025] M. Heddes et al. DeepCrossAttention: supercharging transformer residual connections. 2025.
    [Loshchilov2025] I. Loshchilov et al. nGPT: normalized transformer with representation learning on the
        hypersphere. ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts, layout
from nasplat.ops.checks import positive, whole
from nasplat.ops.modules import layer_mix as modules


@dataclass(frozen=True, kw_only=True)
class DynamicLayerMix(Op):
    """Weighted sums of one or more tokens of one type, as outputs of earlier layers [Heddes2025].

    A small network makes the weights from the first input, the newest, position by position [Xiao2025].

    Attributes:
        streams: Number of sums, each an output: such as one each for queries, keys, values and the
            residual of a layer; 1 to 4.
    """

    streams: int = 1

    def _tokens(self, inputs: Sequence[TensorType]) -> Tokens:
        if inputs and isinstance(inputs[0], Tokens) and len(set(inputs)) == 1:
            return inputs[0]
        expect(False, self, "takes one or more Tokens of one type", *inputs)
        raise AssertionError

    def infer(self, *inputs: TensorType) -> TensorType | tuple[TensorType, ...]:
        tokens = self._tokens(inputs)
        whole(self, inputs, 1, streams=self.streams)
        expect(self.streams <= 4, self, "needs streams <= 4", *inputs)
        return tokens if self.streams == 1 else (tokens,) * self.streams

    def call(self, *inputs: TensorType) -> Call:
        dim = self._tokens(inputs).dim
        arguments = {"dim": dim, "inputs": len(inputs), "streams": self.streams}
        return Call(modules.DynamicLayerMix, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens, count = self._tokens(inputs), len(inputs) * self.streams
        first = counts.pointwise(tokens.dim, count, tokens.length, bias=False)
        return first + counts.pointwise(count, count, tokens.length)


@dataclass(frozen=True, kw_only=True)
class SphereStep(Op):
    """The first input moved towards the second on the unit sphere of the channels [Loshchilov2025].

    Attributes:
        rate: Part of the way before training, above 0; a number for each channel learns from there.
    """

    rate: float = 0.1

    def infer(self, *inputs: TensorType) -> TensorType:
        features = layout.channelled(self, inputs[:1])
        expect(inputs[1:] == (features,), self, "takes two inputs of one type", *inputs)
        positive(self, inputs, rate=self.rate)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = layout.channelled(self, inputs[:1])
        arguments = {
            "channels": layout.channels(features),
            "rate": float(self.rate),
            "rank": layout.rank(features),
        }
        return Call(modules.SphereStep, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(layout.channels(layout.channelled(self, inputs[:1])))

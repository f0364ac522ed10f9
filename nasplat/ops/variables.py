"""Ops on the variables of a series: attention among neighbours in a learned graph, values as symbols.

References:
    [Xu2020] M. Xu et al. Spatial-temporal transformer networks for traffic flow forecasting. 2020.
    [Wu2019] Z. Wu et al. Graph WaveNet for deep spatial-temporal graph modeling. IJCAI 2019.
    [Ansari2024] A. Ansari et al. Chronos: learning the language of time series. TMLR 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, Series, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import whole
from nasplat.ops.modules import variables as modules
from nasplat.ops.series import series_of


@dataclass(frozen=True, kw_only=True)
class NeighbourAttention(Op):
    """Attention along the first position axis, to the neighbours in a learned directed graph [Xu2020].

    Each place of the axis has two learned vectors, by which its edges to all others are weighed as in
    [Wu2019]; a query sees only the places of its heaviest edges, and their weights multiply its attention.
    It takes a series, whose positions are the places, or an image, each of whose columns is such a series.

    Attributes:
        heads: Number of heads.
        neighbours: Edges of each place that are kept, at most all.
        dim: Length of the vectors.
    """

    heads: int = 2
    neighbours: int = 4
    dim: int = 8

    def infer(self, *inputs: TensorType) -> TensorType:
        item = self._typed(inputs)
        whole(self, inputs, 1, heads=self.heads, neighbours=self.neighbours, dim=self.dim)
        return item

    def _typed(self, inputs: Sequence[TensorType]) -> Image | Series:
        if len(inputs) == 1 and isinstance(inputs[0], Image | Series):
            return inputs[0]
        expect(False, self, "takes one Image or Series", *inputs)
        raise AssertionError

    def _sizes(self, item: Image | Series) -> tuple[int, int, int]:
        """Places, columns and the width of a head."""
        places, columns = (*item.sizes[1:], 1)[:2]
        return places, columns, max(1, item.channels // self.heads)

    def call(self, *inputs: TensorType) -> Call:
        item = self._typed(inputs)
        places, _, width = self._sizes(item)
        arguments = {
            "channels": item.channels,
            "heads": self.heads,
            "head_dim": width,
            "places": places,
            "neighbours": min(self.neighbours, places),
            "dim": self.dim,
        }
        return Call(modules.NeighbourAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = self._typed(inputs)
        places, columns, width = self._sizes(item)
        inner = self.heads * width
        maps = counts.pointwise(item.channels, 3 * inner, places * columns)
        out = counts.pointwise(inner, item.channels, places * columns)
        graph = OpCost(2 * places * self.dim, places * self.dim * places)
        mixed = counts.product(places, width, places, count=2 * self.heads * columns)
        return maps + out + graph + mixed


@dataclass(frozen=True, kw_only=True)
class SymbolEmbed(Op):
    """A series as text: each value becomes one of a few symbols, and a symbol a vector [Ansari2024].

    Values are taken relative to mean and deviation of their variable in the example. The result keeps
    time and variables apart, ``Series(C, T) -> Image(dim, length, C)``.

    Attributes:
        dim: Width of a vector.
        symbols: Number of symbols; they divide the range of three deviations to both sides.
        length: Last samples that are read, at most all.
    """

    dim: int
    symbols: int = 32
    length: int = 64

    def infer(self, *inputs: TensorType) -> Image:
        series = series_of(self, inputs)
        whole(self, inputs, 1, dim=self.dim, length=self.length)
        whole(self, inputs, 2, symbols=self.symbols)
        return Image(self.dim, min(self.length, series.length), series.channels)

    def call(self, *inputs: TensorType) -> Call:
        length = min(self.length, series_of(self, inputs).length)
        arguments = {"dim": self.dim, "symbols": self.symbols, "length": length}
        return Call(modules.SymbolEmbed, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        weights = self.symbols * self.dim
        return OpCost(weights, 0, weights)

"""Attention over fewer positions than there are.

References:
    [Wang2021] W. Wang et al. Pyramid vision transformer. ICCV 2021.
    [Chu2021] X. Chu et al. Twins: revisiting the design of spatial attention. NeurIPS 2021.
    [Fan2021] H. Fan et al. Multiscale vision transformers. ICCV 2021.
    [Si2022] C. Si et al. Inception transformer. NeurIPS 2022.
    [Nottebaum2025] M. Nottebaum et al. LowFormer: hardware efficient design for convolutional transformer
        backbones. WACV 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Index, Op, OpCost
from nasplat.graph.types import TensorType
from nasplat.ops import counts, layout, selection
from nasplat.ops.checks import NORMS, known
from nasplat.ops.geometry import Size, placed_in, sizes, spread, strided
from nasplat.ops.heads import Headed
from nasplat.ops.modules import attention_pooled as modules

POOLS = ("conv", "depthwise", "avg", "max")
"""How positions are pooled: by a convolution, by one of each channel, by their mean or greatest."""


@dataclass(frozen=True, kw_only=True)
class PooledAttention(Headed):
    """Attention in which queries, or keys and values, or all three are made from pooled positions.

    It takes an image, a series, a volume, a grid of up to three axes, or tokens. Strides are at most the
    axis; an axis that is not made of whole strides is padded. With ``kv_stride`` alone it is the spatial
    reduction of [Wang2021] and the global attention of [Chu2021]; with ``query_stride`` alone the output
    has fewer positions [Fan2021]; with both equal and ``restore`` all happens on a smaller map [Si2022].

    Attributes:
        query_stride: By what the axes of queries and output shrink.
        kv_stride: By what those of keys and values shrink.
        restore: Whether the output is enlarged to the positions of the input: by a transposed
            convolution of each channel where the pool is a convolution [Nottebaum2025], else by
            repetition.
        pool: ``conv``, ``depthwise``, ``avg`` or ``max``, each as large as its stride; what has one
            stride shares one pool.
        norm: Normalisation after a pool that is a convolution.
    """

    query_stride: Size = 1
    kv_stride: Size = 2
    restore: bool = False
    pool: str = "conv"
    norm: str = "layer"

    def _strides(self, inputs: Sequence[TensorType]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        axes = layout.axes(placed_in(self, inputs))
        given = (spread(self.query_stride, len(axes)), spread(self.kv_stride, len(axes)))
        query, other = (
            tuple(min(step, size) for step, size in zip(steps, axes, strict=True))
            for steps in given
        )
        return query, other

    def infer(self, *inputs: TensorType) -> TensorType:
        features = placed_in(self, inputs)
        self.check_heads(*inputs)
        rank = len(layout.axes(features))
        sizes(self, inputs, rank, query_stride=self.query_stride, kv_stride=self.kv_stride)
        known(self, inputs, POOLS, pool=self.pool)
        known(self, inputs, NORMS, norm=self.norm)
        if self.restore:
            return features
        return strided(features, layout.channels(features), self._strides(inputs)[0])

    def call(self, *inputs: TensorType) -> Call:
        features = placed_in(self, inputs)
        query, other = self._strides(inputs)
        arguments = self.arguments(features) | {
            "axes": layout.axes(features),
            "query_stride": query,
            "kv_stride": other,
            "restore": self.restore,
            "pool": self.pool,
            "norm": self.norm,
        }
        return Call(modules.PooledAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = placed_in(self, inputs)
        channels, axes = layout.channels(features), layout.axes(features)
        query, other = self._strides(inputs)
        learned = self.pool in ("conv", "depthwise")
        groups = channels if self.pool == "depthwise" else 1
        total, counted = OpCost(), []
        for stride in (query, other):
            count = math.prod(-(-size // step) for size, step in zip(axes, stride, strict=True))
            counted.append(count)
            shared = len(counted) == 2 and query == other
            if learned and max(stride) > 1 and not shared:
                total += counts.convolution(channels, channels, stride, count, groups)
                total += counts.norm(self.norm, channels)
        few, keys = counted
        if self.restore and learned and max(query) > 1:
            taps = math.prod(query)
            # A transposed convolution is none of the layers that weight bits apply to.
            total += OpCost(channels * (taps + 1), channels * taps * few)
        total += self.projections(channels, few, others=keys)
        return total + self.mixing(channels, few, keys)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        if name.endswith("conv.weight"):
            return selection.kernel(small, large)
        return super().select(name, small, large, larger)

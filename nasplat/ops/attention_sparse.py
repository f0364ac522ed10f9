"""Attention in which each query sees a part of the keys, or summaries of them.

References:
    [Zhao2019] G. Zhao et al. Explicit sparse transformer: concentrated attention through explicit
        selection. 2019.
    [Chen2023] X. Chen et al. Learning a sparse transformer network for effective image deraining. CVPR 2023.
    [Ouyang2025] H. Ouyang et al. ChunkLLM: a lightweight pluggable framework for accelerating LLMs
        inference. 2025.
    [Child2019] R. Child et al. Generating long sequences with sparse transformers. 2019.
    [Ren2021] H. Ren et al. Combiner: full attention transformer with sparse computation cost. NeurIPS 2021.
    [Shi2024] D. Shi. TransNeXt: robust foveal visual perception for vision transformers. CVPR 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import counts, layout, selection
from nasplat.ops.attention_window import Groups, PerAxis, near_groups, spread
from nasplat.ops.checks import known, whole
from nasplat.ops.heads import Headed, Rotated, attended_of
from nasplat.ops.modules import attention_sparse as modules

MASKS = ("none", "causal")
LEARNED_SHARES = (1 / 2, 2 / 3, 3 / 4, 4 / 5)
"""The shares of keys that an attention which learns how many to keep weighs [Chen2023]."""


def check_share(op: Op, inputs: Sequence[TensorType], **values: object) -> None:
    """Each value is a share above 0 and at most 1.

    Raises:
        GraphTypeError: One is not.
    """
    for name, value in values.items():
        right = isinstance(value, int | float) and 0 < value <= 1
        expect(right, op, f"needs {name} to be above 0 and at most 1, got {value!r}", *inputs)


@dataclass(frozen=True, kw_only=True)
class TopKAttention(Rotated):
    """Every query sees only the keys that score best [Zhao2019].

    Attributes:
        keep: Share of the keys that is kept, above 0 and at most 1; at least one key.
        learned_k: Whether instead of ``keep`` four shares are tried, and learned numbers weigh what they
            give [Chen2023].
        over: ``positions``, or ``channels``: channels of a head attend to each other [Chen2023].
        mask: ``none`` or, over positions, ``causal``: no key that comes later is seen.
    """

    keep: float = 0.5
    learned_k: bool = False
    over: str = "positions"
    mask: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        self.check_rotary(*inputs)
        check_share(self, inputs, keep=self.keep)
        known(self, inputs, ("positions", "channels"), over=self.over)
        known(self, inputs, MASKS, mask=self.mask)
        rule = "over channels takes no mask"
        expect(self.over == "positions" or self.mask == "none", self, rule, *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        channels = self.over == "channels"
        keys = self.width(layout.channels(features)) if channels else layout.positions(features)
        shares = LEARNED_SHARES if self.learned_k else (self.keep,)
        arguments = self.arguments(features) | {
            "axes": layout.axes(features),
            "counts": tuple(max(1, math.ceil(share * keys)) for share in shares),
            "over_channels": channels,
            "causal": self.mask == "causal",
        }
        return Call(modules.TopKAttention, arguments | self.rotation(features))

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, positions = layout.channels(features), layout.positions(features)
        over_channels = self.over == "channels"
        keys = self.width(channels) if over_channels else positions
        learned = len(LEARNED_SHARES) if self.learned_k else 0
        return (
            self.projections(channels, positions)
            + self.mixing(channels, positions, keys)
            + counts.vector(learned + (self.heads if over_channels else 0))
        )


@dataclass(frozen=True, kw_only=True)
class BlockSparseAttention(Rotated):
    """Every block of queries sees its own and some other blocks of keys; the rest is dropped.

    Attributes:
        block: Positions of a block, at most all.
        density: Share of the blocks of keys that a block of queries sees, above 0 and at most 1; at least
            its own.
        select_by: ``score``: blocks whose mean key scores best with the mean query; ``chunk_adapter``: the
            same with small projections made for it, whose scores also weigh the keys [Ouyang2025];
            ``fixed``: evenly spread ones [Child2019].
        adapter: Width of a head of the adapter.
        mask: ``none`` or ``causal``: no key that comes later is seen.
    """

    block: int = 16
    density: float = 0.25
    select_by: str = "score"
    adapter: int = 16
    mask: str = "none"

    def _sizes(self, inputs: Sequence[TensorType]) -> tuple[int, int, int]:
        """Positions of a block, number of blocks, and how many of them each sees."""
        length = layout.positions(attended_of(self, inputs))
        block = min(self.block, length)
        count = -(-length // block)
        return block, count, max(1, math.ceil(self.density * count))

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        self.check_rotary(*inputs)
        whole(self, inputs, 1, block=self.block, adapter=self.adapter)
        check_share(self, inputs, density=self.density)
        known(self, inputs, ("score", "chunk_adapter", "fixed"), select_by=self.select_by)
        known(self, inputs, MASKS, mask=self.mask)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        block, _, chosen = self._sizes(inputs)
        arguments = self.arguments(features) | {
            "axes": layout.axes(features),
            "block": block,
            "chosen": chosen,
            "select": self.select_by,
            "adapter": self.adapter,
            "causal": self.mask == "causal",
        }
        return Call(modules.BlockSparseAttention, arguments | self.rotation(features))

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, width = layout.channels(features), self.width(layout.channels(features))
        block, count, chosen = self._sizes(inputs)
        total = self.projections(channels, layout.positions(features))
        total += self.mixing(channels, block, chosen * block, count)
        if self.select_by == "fixed":
            return total
        if self.select_by == "chunk_adapter":
            small = counts.pointwise(width, self.adapter, count * self.heads, bias=False)
            total, width = total + small + small, self.adapter
        return total + counts.product(count, width, count, self.heads)


@dataclass(frozen=True, kw_only=True)
class LocalSummaryAttention(Headed):
    """One softmax over near positions, means of regions, and learned keys [Ren2021, Shi2024].

    Attributes:
        radius: Greatest distance of a near key, one for all position axes or one for each.
        summary_stride: Side of the regions whose mean key and value stand for them, as ``radius``.
        learned_tokens: Number of learned keys, each with a learned value, in every head.
        mask: ``none`` or, of series and tokens, ``causal``: no key that comes later is seen and no
            region that ends later.
    """

    radius: PerAxis = 1
    summary_stride: PerAxis = 4
    learned_tokens: int = 0
    mask: str = "none"

    def _groups(self, inputs: Sequence[TensorType]) -> Groups:
        return near_groups(spread(self, inputs, "radius", self.radius), self.mask == "causal")

    def _regions(self, inputs: Sequence[TensorType]) -> tuple[tuple[int, int], ...]:
        return spread(self, inputs, "summary_stride", self.summary_stride)

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        known(self, inputs, MASKS, mask=self.mask)
        rule = "is causal along one position axis only"
        axes = layout.axes(features)
        expect(self.mask == "none" or len(axes) == 1, self, rule, *inputs)
        whole(self, inputs, 0, learned_tokens=self.learned_tokens)
        self._groups(inputs)
        self._regions(inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features, groups = attended_of(self, inputs), self._groups(inputs)
        arguments = self.arguments(features) | {
            "axes": layout.axes(features),
            "window": groups.window,
            "margin": groups.margin,
            "reach": groups.reach,
            "stride": tuple(step for _, step in self._regions(inputs)),
            "learned": self.learned_tokens,
            "causal": groups.causal,
        }
        return Call(modules.LocalSummaryAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features, groups = attended_of(self, inputs), self._groups(inputs)
        channels, axes = layout.channels(features), layout.axes(features)
        regions = math.prod(-(-size // step) for size, step in self._regions(inputs))
        keys = math.prod(groups.keys()) + regions + self.learned_tokens
        learned = 2 * self.heads * self.learned_tokens * self.width(channels)
        return (
            self.projections(channels, layout.positions(features))
            + self.mixing(channels, math.prod(groups.window), keys, groups.count(axes))
            + counts.vector(learned)
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        if name.startswith("learned"):
            return tuple(selection.leading(small))
        return super().select(name, small, large, larger)

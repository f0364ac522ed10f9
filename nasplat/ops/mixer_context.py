"""Mixers by context that convolutions gather, and of channels as waves.

References:
    [Yang2022] J. Yang et al. Focal modulation networks. NeurIPS 2022.
    [Tang2022] Y. Tang et al. An image patch is a wave: phase-aware vision MLP. CVPR 2022.
    [Mai2025] Q. Mai et al. SpaRTAN: spatial reinforcement token-based aggregation network. 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Index, Op, OpCost
from nasplat.graph.types import TensorType
from nasplat.ops import counts, selection
from nasplat.ops.checks import odd, positive, share, whole
from nasplat.ops.geometry import maps_in
from nasplat.ops.layout import Maps, channelled, channels, positions, rank
from nasplat.ops.modules import mixer_context as modules


@dataclass(frozen=True, kw_only=True)
class FocalModulation(Op):
    """Context of growing reach, gated and summed, multiplies a query [Yang2022].

    Attributes:
        levels: Convolutions one after the other, each with a larger kernel; the mean of the whole map is
            the last level.
        kernel: Odd side of the first kernel.
        growth: What each kernel is larger than the one before; even.
        norm: Whether the modulator is normalised by a layer norm.
        scale: Whether the context is divided by the number of its levels.
    """

    levels: int = 2
    kernel: int = 3
    growth: int = 2
    norm: bool = False
    scale: bool = False

    @property
    def _kernels(self) -> tuple[int, ...]:
        return tuple(self.kernel + self.growth * level for level in range(self.levels))

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        whole(self, inputs, 1, levels=self.levels)
        whole(self, inputs, 0, growth=self.growth)
        odd(self, inputs, **{f"kernel[{level}]": side for level, side in enumerate(self._kernels)})
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "channels": item.channels,
            "kernels": self._kernels,
            "norm": self.norm,
            "scale": self.scale,
            "rank": rank(item),
        }
        return Call(modules.FocalModulation, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = maps_in(self, inputs)
        width, places = item.channels, positions(item)
        one = counts.pointwise(width, width, places)
        total = counts.pointwise(width, 2 * width + self.levels + 1, places) + one + one
        for side in self._kernels:
            total += counts.convolution(width, width, side, places, width, False, rank(item))
        return total + (counts.norm("layer", width) if self.norm else OpCost())

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        index = list(selection.kernel(small, large))
        if name.startswith("entry.") and isinstance(larger, FocalModulation):
            # Query, context and gates side by side.
            width = (small[0] - self.levels - 1) // 2
            wide = (large[0] - larger.levels - 1) // 2
            gates = range(2 * wide, 2 * wide + self.levels)
            index[0] = [*range(width), *range(wide, wide + width), *gates, large[0] - 1]
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class WaveChannelMixer(Op):
    """A feed-forward part that widens to amplitudes and phases and unfolds the waves [Tang2022, Mai2025].

    Takes everything with channels.

    Attributes:
        ratio: Amplitudes over channels, above 0.
    """

    ratio: float = 2

    def infer(self, *inputs: TensorType) -> TensorType:
        item = channelled(self, inputs)
        positive(self, inputs, ratio=self.ratio)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = channelled(self, inputs)
        hidden = share(channels(item), self.ratio)
        arguments = {"channels": channels(item), "hidden": hidden, "rank": rank(item)}
        return Call(modules.WaveChannelMixer, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = channelled(self, inputs)
        width, places = channels(item), positions(item)
        hidden = share(width, self.ratio)
        up = counts.pointwise(width, hidden, places)
        return up + up + counts.pointwise(2 * hidden, width, places)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        index = selection.leading(small)
        if name == "down.weight":
            index[1] = selection.blocks(small[1], 2, large[1], 2)
        return tuple(index)

"""Mixers whose weights belong to positions: networks over tokens, gates, circular and shuffled mixing.

They hold for one number of positions.

References:
    [Tolstikhin2021] I. Tolstikhin et al. MLP-Mixer: an all-MLP architecture for vision. NeurIPS 2021.
    [Touvron2021] H. Touvron et al. ResMLP: feedforward networks for image classification. 2021.
    [Tatsunami2022] Y. Tatsunami, M. Taki. RaftMLP: how much can be done without attention. ACCV 2022.
    [Liu2021] H. Liu et al. Pay attention to MLPs. NeurIPS 2021.
    [Tu2022] Z. Tu et al. MAXIM: multi-axis MLP for image processing. CVPR 2022.
    [Abdullah2024] A. Abdullah et al. NiNformer: a network in network transformer. 2024.
    [Yamada2025] Y. Yamada. CAT: circular-convolutional attention for sub-quadratic transformers. 2025.
    [Cao2025] K. Cao et al. RelaCtrl: relevance-guided efficient control for diffusion transformers. 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, known, positive, share, whole
from nasplat.ops.geometry import Placed, placed_in
from nasplat.ops.layout import axes, channels, positions, rank, rechannelled
from nasplat.ops.modules import mixer_tokens as modules


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is at most ``most``."""
    return max(size for size in range(1, min(number, most) + 1) if number % size == 0)


def _position_map(places: int, hidden: int, count: int) -> OpCost:
    """A network over positions for ``count`` channels."""
    if not hidden:
        return counts.pointwise(places, places, count)
    return counts.pointwise(places, hidden, count) + counts.pointwise(hidden, places, count)


@dataclass(frozen=True, kw_only=True)
class TokenMLP(Op):
    """A small network over the positions, the same for every channel [Tolstikhin2021].

    Takes tokens and maps of one to three axes.

    Attributes:
        axis: ``all`` positions together, or one axis of an image (or the last two of a volume):
            ``rows`` mixes along the height, ``columns`` along the width.
        channel_group: Channels whose positions are mixed together [Tatsunami2022]; divides them.
        expand: Width inside over positions, above 0.
        hidden: Width inside; ``None``: by ``expand``.
        depth: 2, or 1: one linear map and no activation [Touvron2021].
        activation: One of ``checks.ACTIVATIONS``.
        causal: Whether no output reads a later position; for tokens, ``depth`` 1 and single channels.
    """

    AXES: ClassVar[tuple[str, ...]] = ("all", "rows", "columns")

    axis: str = "all"
    channel_group: int = 1
    expand: float = 0.5
    hidden: int | None = None
    depth: int = 2
    activation: str = "gelu"
    causal: bool = False

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        known(self, inputs, self.AXES, axis=self.axis)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        whole(self, inputs, 1, channel_group=self.channel_group)
        positive(self, inputs, expand=self.expand)
        if self.hidden is not None:
            whole(self, inputs, 1, hidden=self.hidden)
        expect(self.depth in (1, 2), self, "needs depth to be 1 or 2", *inputs)
        planar = self.axis == "all" or len(axes(item)) >= 2
        expect(planar, self, "needs a plane for rows and columns", *inputs)
        rule = f"needs channel_group to divide the {channels(item)} channels"
        expect(channels(item) % self.channel_group == 0, self, rule, *inputs)
        if self.causal:
            plain = isinstance(item, Tokens) and self.depth == 1 and self.channel_group == 1
            expect(plain, self, "is causal on Tokens with depth and channel_group 1", *inputs)
        return item

    def _mixed(self, item: Placed) -> int:
        """Numbers that are mixed together."""
        sizes = axes(item)
        along = {"all": positions(item), "rows": sizes[-2:][0], "columns": sizes[-1]}[self.axis]
        return along * self.channel_group

    def _hidden(self, mixed: int) -> int:
        if self.depth == 1:
            return 0
        return share(mixed, self.expand) if self.hidden is None else self.hidden

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs)
        mixed = self._mixed(item)
        axis = {"all": None, "rows": rank(item) - 2, "columns": rank(item) - 1}[self.axis]
        arguments: dict[str, Any] = {
            "positions": mixed // self.channel_group,
            "group": self.channel_group,
            "hidden": self._hidden(mixed),
            "activation": self.activation,
            "axis": axis,
            "causal": self.causal,
            "rank": rank(item),
        }
        return Call(modules.TokenMLP, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = placed_in(self, inputs)
        mixed = self._mixed(item)
        total = _position_map(mixed, self._hidden(mixed), item.numel // mixed)
        return total + (counts.activation(self.activation) if self.depth == 2 else OpCost())


@dataclass(frozen=True, kw_only=True)
class SpatialGatingUnit(Op):
    """Half of the channels, mixed over the positions, multiplies the other half [Liu2021].

    Takes tokens and maps of one to three axes; half of the channels go out.

    Attributes:
        axis: Positions that are mixed: ``sequence``, all; ``block``, neighbours; ``grid``, positions as
            far apart as they can be [Tu2022].
        size: Side of a block, or positions of a grid along an axis; each axis takes its largest divisor up
            to this.
        gate_network: ``linear``: one map of the positions; ``mixer``: a small network over positions and
            one over channels [Abdullah2024].
        split: Whether the input is split in halves; without, a linear map of the input is gated by the
            mixed input, and all channels go out [Abdullah2024].
        activation: Of a mixer; one of ``checks.ACTIVATIONS``.
        causal: Whether no output reads a later position; for tokens, ``sequence`` and ``linear``.
    """

    AXES: ClassVar[tuple[str, ...]] = ("sequence", "block", "grid")

    axis: str = "sequence"
    size: int = 4
    gate_network: str = "linear"
    split: bool = True
    activation: str = "gelu"
    causal: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        item = placed_in(self, inputs)
        known(self, inputs, self.AXES, axis=self.axis)
        known(self, inputs, ("linear", "mixer"), gate_network=self.gate_network)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        whole(self, inputs, 1, size=self.size)
        if self.causal:
            plain = isinstance(item, Tokens) and self.axis == "sequence"
            rule = "is causal on Tokens with axis sequence and gate_network linear"
            expect(plain and self.gate_network == "linear", self, rule, *inputs)
        if not self.split:
            return item
        expect(channels(item) % 2 == 0, self, "needs an even number of channels", *inputs)
        return rechannelled(item, channels(item) // 2)

    def _blocks(self, item: Placed) -> tuple[int, ...] | None:
        """Position axes of a part, or ``None`` for all."""
        if self.axis == "sequence":
            return None
        return tuple(largest_divisor(size, self.size) for size in axes(item))

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs)
        arguments: dict[str, Any] = {
            "channels": channels(item),
            "sizes": axes(item),
            "blocks": self._blocks(item),
            "grid": self.axis == "grid",
            "split": self.split,
            "network": self.gate_network,
            "causal": self.causal,
            "activation": self.activation,
            "tokens": rank(item) == 0,
        }
        return Call(modules.SpatialGatingUnit, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = placed_in(self, inputs)
        width = channels(item) // 2 if self.split else channels(item)
        mixed, all_positions = math.prod(self._blocks(item) or axes(item)), positions(item)
        count = width * all_positions // mixed
        total = counts.norm("layer", width)
        if not self.split:
            total += counts.pointwise(width, width, all_positions)
        if self.gate_network == "linear":
            return total + _position_map(mixed, 0, count)
        one = counts.pointwise(width, width, all_positions)
        form = counts.activation(self.activation)
        return total + _position_map(mixed, mixed, count) + one + one + form + form


def _headed(op: CircularConvMixer, inputs: Sequence[TensorType]) -> Placed:
    """The input, whose channels divide into the heads."""
    item = placed_in(op, inputs)
    whole(op, inputs, 1, heads=op.heads)
    rule = f"needs heads to divide the {channels(item)} channels"
    expect(channels(item) % op.heads == 0, op, rule, *inputs)
    return item


@dataclass(frozen=True, kw_only=True)
class CircularConvMixer(Op):
    """Heads that roll their values along the positions by weights from a softmax [Yamada2025].

    One linear map gives a weight for each position and head, in place of queries and keys; positions are
    a ring. Computed by Fourier transforms, which are no multiply-accumulates by the library's count.

    Attributes:
        heads: Number of heads; divides the channels.
        bias: Whether the maps have biases.
    """

    heads: int = 4
    bias: bool = True

    def infer(self, *inputs: TensorType) -> Placed:
        return _headed(self, inputs)

    def call(self, *inputs: TensorType) -> Call:
        item = _headed(self, inputs)
        arguments = {
            "channels": channels(item),
            "heads": self.heads,
            "bias": self.bias,
            "rank": rank(item),
        }
        return Call(modules.CircularConvMixer, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = _headed(self, inputs)
        width, places = channels(item), positions(item)
        one = counts.pointwise(width, width, places, self.bias)
        return counts.pointwise(width, self.heads, places, self.bias) + one + one


@dataclass(frozen=True, kw_only=True)
class ShuffleMixer(Op):
    """Positions and channels in a fixed random order, mixed within groups, and put back [Cao2025].

    Attributes:
        groups: Groups of positions, and of channels: the largest divisor of each up to this.
        seed: The order follows from it.
    """

    groups: int = 4
    seed: int = 0

    def infer(self, *inputs: TensorType) -> Placed:
        item = placed_in(self, inputs)
        whole(self, inputs, 1, groups=self.groups)
        whole(self, inputs, 0, seed=self.seed)
        return item

    def _groups(self, item: Placed) -> tuple[int, int]:
        """Groups of positions and of channels."""
        return (
            largest_divisor(positions(item), self.groups),
            largest_divisor(channels(item), self.groups),
        )

    def call(self, *inputs: TensorType) -> Call:
        item = placed_in(self, inputs)
        groups, channel_groups = self._groups(item)
        arguments = {
            "channels": channels(item),
            "positions": positions(item),
            "groups": groups,
            "channel_groups": channel_groups,
            "seed": self.seed,
            "rank": rank(item),
        }
        return Call(modules.ShuffleMixer, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = placed_in(self, inputs)
        groups, channel_groups = self._groups(item)
        width, places = channels(item), positions(item)
        size = places // groups
        mix = counts.pointwise(size, size, width * groups)
        return mix + counts.convolution(width, width, 1, places, channel_groups)

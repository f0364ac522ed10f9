"""Fusions that look at whole inputs before they decide, and what runs beside the trunk along depth.

References:
    [Li2019] X. Li et al. Selective kernel networks. CVPR 2019.
    [Zhang2022] H. Zhang et al. ResNeSt: split-attention networks. CVPR workshops 2022.
    [Zhou2019] K. Zhou et al. Omni-scale feature learning for person re-identification. ICCV 2019.
    [Liu2025] C. Liu et al. TimeCMA: towards LLM-empowered multivariate time series forecasting via
        cross-modality alignment. AAAI 2025.
    [Gomez2017] A. Gomez et al. The reversible residual network. NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts, selection
from nasplat.ops.checks import known, positive, whole
from nasplat.ops.layout import Channelled, Maps, channels, positions, rank
from nasplat.ops.merge import alike
from nasplat.ops.modules import selective as modules


@dataclass(frozen=True, kw_only=True)
class SelectiveMerge(Op):
    """Inputs of one type, each times a weight for each channel that all positions of all inputs decide.

    The sum of all inputs is averaged over positions, squeezed to few channels, and widened to one number
    for each input and channel; a softmax over the inputs turns them into shares [Li2019]. With the
    numbers of [Zhang2022] (``ratio=0.25``, a batch norm) it is split attention over as many inputs as
    its radix. One input is scaled by a sigmoid instead.

    Attributes:
        ratio: Squeezed channels for each channel of all inputs together.
        min_squeezed: Least squeezed channels.
        divisor: Squeezed channels are the nearest multiple of this, not below 90 % of what ``ratio`` asks.
        groups: Groups of channels that decide apart; both maps are grouped (the cardinality).
        norm: Normalisation of the squeezed channels: ``none`` or ``batch``.
        shared_gate: Each input is averaged by itself and scaled by a sigmoid, all by one gate with
            shared weights, before they are summed [Zhou2019].
    """

    keeps_zero: ClassVar[bool] = True

    ratio: float = 0.25
    min_squeezed: int = 4
    divisor: int = 1
    groups: int = 1
    norm: str = "none"
    shared_gate: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        first = alike(self, inputs)
        known(self, inputs, ("none", "batch"), norm=self.norm)
        positive(self, inputs, ratio=self.ratio)
        sizes = {"min_squeezed": self.min_squeezed, "divisor": self.divisor, "groups": self.groups}
        whole(self, inputs, 1, **sizes)
        divides = channels(first) % self.groups == 0 and self._squeezed(inputs) % self.groups == 0
        expect(divides, self, "needs groups that divide all channels", *inputs)
        return first

    def _squeezed(self, inputs: Sequence[TensorType]) -> int:
        asked = channels(alike(self, inputs)) * len(inputs) * self.ratio
        nearest = int(asked + self.divisor / 2) // self.divisor * self.divisor
        squeezed = max(self.min_squeezed, nearest)
        return squeezed + self.divisor if squeezed < 0.9 * asked else squeezed

    def call(self, *inputs: TensorType) -> Call:
        first = alike(self, inputs)
        arguments = {
            "count": len(inputs),
            "channels": channels(first),
            "squeezed": self._squeezed(inputs),
            "groups": self.groups,
            "rank": rank(first),
            "norm": self.norm,
        }
        return Call(modules.SharedGate if self.shared_gate else modules.SelectiveMerge, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        width, squeezed = channels(alike(self, inputs)), self._squeezed(inputs)
        count = 1 if self.shared_gate else len(inputs)
        weights = (1 + count) * width * squeezed // self.groups
        norm = counts.norm(self.norm, squeezed)
        turns = len(inputs) if self.shared_gate else 1
        return OpCost(weights + squeezed + count * width, turns * weights, weights) + norm

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        index = selection.leading(small)
        if isinstance(larger, SelectiveMerge) and not name.startswith("norm."):
            index[0] = selection.blocks(small[0], self.groups, large[0], larger.groups)
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class AttentionMerge(Op):
    """At each position the inputs compete for attention: a softmax over the inputs for each head.

    The first input asks; every input answers with a key and a value from linear maps of its own.

    Attributes:
        heads: They share the channels evenly.
    """

    heads: int = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        first = alike(self, inputs)
        whole(self, inputs, 1, heads=self.heads)
        divides = channels(first) % self.heads == 0
        expect(divides, self, "needs channels that the heads divide", *inputs)
        return first

    def call(self, *inputs: TensorType) -> Call:
        first = alike(self, inputs)
        arguments = {
            "count": len(inputs),
            "channels": channels(first),
            "heads": self.heads,
            "rank": rank(first),
        }
        return Call(modules.AttentionMerge, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        first = alike(self, inputs)
        width = channels(first)
        return counts.pointwise(width, (2 + 2 * len(inputs)) * width, positions(first))


@dataclass(frozen=True, kw_only=True)
class RetrievalMerge(Op):
    """Adds to the first tokens what their channels find in the channels of the second [Liu2025].

    Both have equally many tokens, such as one for each variable of a series; their widths may differ.
    """

    def infer(self, *inputs: TensorType) -> TensorType:
        self._tokens(inputs)
        return inputs[0]

    def _tokens(self, inputs: Sequence[TensorType]) -> tuple[Tokens, Tokens]:
        taken = [item for item in inputs if isinstance(item, Tokens)]
        if len(taken) == len(inputs) == 2 and taken[0].length == taken[1].length:
            return taken[0], taken[1]
        expect(False, self, "takes two Tokens of one length", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        one, other = self._tokens(inputs)
        return Call(modules.RetrievalMerge, {"dim": one.dim, "memory": other.dim})

    def cost(self, *inputs: TensorType) -> OpCost:
        one, other = self._tokens(inputs)
        own = counts.pointwise(one.dim, 2 * one.dim, one.length)
        keys = counts.pointwise(other.dim, 2 * other.dim, one.length)
        return own + keys + counts.product(one.dim, one.length, other.dim, count=2)


@dataclass(frozen=True, kw_only=True)
class LayerMemory(Op):
    """Tokens or maps read a memory that runs along depth, then write to it: ``x, memory -> x, memory``.

    Reading and writing are attention of one head; what is read is added to ``x``.

    Attributes:
        update: ``gated``: each slot keeps a share of itself that it decides; ``additive``: it adds up.
    """

    UPDATES: ClassVar[tuple[str, ...]] = ("gated", "additive")

    update: str = "gated"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        known(self, inputs, self.UPDATES, update=self.update)
        self._typed(inputs)
        return inputs

    def _typed(self, inputs: Sequence[TensorType]) -> tuple[Channelled, Tokens]:
        if len(inputs) == 2:
            x, memory = inputs
            if isinstance(x, Maps | Tokens) and isinstance(memory, Tokens):
                return x, memory
        expect(False, self, "takes an Image, Series, Volume, Grid or Tokens, and Tokens", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        x, memory = self._typed(inputs)
        arguments = {"channels": channels(x), "memory": memory.dim, "maps": rank(x) > 0}
        return Call(modules.LayerMemory, {**arguments, "gated": self.update == "gated"})

    def cost(self, *inputs: TensorType) -> OpCost:
        x, memory = self._typed(inputs)
        width, slots, places = channels(x), memory.length, positions(x)
        asks = counts.pointwise(width, memory.dim, places) + counts.pointwise(
            memory.dim, width, places
        )
        writes = counts.pointwise(width, 2 * memory.dim, places)
        gates = (
            counts.pointwise(memory.dim, memory.dim, slots) if self.update == "gated" else OpCost()
        )
        return asks + writes + gates + counts.product(places, memory.dim, slots, count=4)


@dataclass(frozen=True, kw_only=True)
class ReversibleCoupling(Op):
    """Streams of one type, each shifted in turn by what is learned of the one before [Gomez2017].

    The inputs follow from the outputs exactly, so that training may forget the activations.

    Attributes:
        ratio: Hidden channels of each shift (two linear maps with a GELU between) for each channel.
    """

    SPLITS: ClassVar[tuple[int, int]] = (2, 8)

    ratio: float = 1.0

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        low, high = self.SPLITS
        alike(self, inputs, least=low)
        expect(len(inputs) <= high, self, f"takes at most {high} inputs", *inputs)
        positive(self, inputs, ratio=self.ratio)
        return inputs

    def _hidden(self, first: Channelled) -> int:
        return max(1, round(channels(first) * self.ratio))

    def call(self, *inputs: TensorType) -> Call:
        first = alike(self, inputs)
        arguments = {
            "count": len(inputs),
            "channels": channels(first),
            "hidden": self._hidden(first),
            "rank": rank(first),
        }
        return Call(modules.ReversibleCoupling, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        first = alike(self, inputs)
        width, hidden, places = channels(first), self._hidden(first), positions(first)
        shift = counts.pointwise(width, hidden, places) + counts.pointwise(hidden, width, places)
        return sum((shift for _ in inputs), OpCost())

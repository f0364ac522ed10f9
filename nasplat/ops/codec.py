"""Ops that make codes and counts out of features: vector quantisation, and integrate-and-fire.

References:
    [Oord2017] A. van den Oord, O. Vinyals, K. Kavukcuoglu. Neural discrete representation learning.
        NeurIPS 2017.
    [Zeghidour2021] N. Zeghidour et al. SoundStream: an end-to-end neural audio codec. TASLP 2021.
    [Gu2024] Y. Gu, E. Diao. ESC: efficient speech coding with cross-scale residual vector quantized
        transformers. EMNLP 2024.
    [Dong2020] L. Dong, B. Xu. CIF: continuous integrate-and-fire for end-to-end speech recognition.
        ICASSP 2020.
    [Gao2022] Z. Gao et al. Paraformer: fast and accurate parallel transformer for non-autoregressive
        end-to-end speech recognition. Interspeech 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Ids, Presence, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import positive, whole
from nasplat.ops.layout import Channelled, axes, channelled, channels, positions, rank, resized
from nasplat.ops.modules import codec as modules
from nasplat.ops.series import sequence_of


@dataclass(frozen=True, kw_only=True)
class VectorQuantize(Op):
    """The nearest entry of a codebook at each position [Oord2017], and its number.

    Several levels each quantise what those before have left over [Zeghidour2021]. Channels are mapped
    to a few in which entries are compared, and back. In training ``auxiliary_loss`` draws features and
    entries together; features pass on the gradient of what they are replaced by.

    With two inputs, the second is what is known already: the difference of the first from it is
    quantised, and added to it, as the links across scales of [Gu2024] do.

    Outputs: features of the type of the first input, and ``Ids`` of all positions, level by level.

    Attributes:
        codebook: Entries of each level.
        levels: Number of levels.
        dim: Channels in which entries are compared.
    """

    codebook: int = 64
    levels: int = 1
    dim: int = 8

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        item = self._typed(inputs)
        whole(self, inputs, 2, codebook=self.codebook)
        whole(self, inputs, 1, levels=self.levels, dim=self.dim)
        return item, Ids(self.levels * positions(item), self.codebook)

    def _typed(self, inputs: Sequence[TensorType]) -> Channelled:
        rule = "takes one or two inputs of one type, Image, Series, Volume, Grid, Tokens or Vector"
        expect(1 <= len(inputs) <= 2 and len(set(inputs)) == 1, self, rule, *inputs)
        return channelled(self, inputs[:1])

    def call(self, *inputs: TensorType) -> Call:
        item = self._typed(inputs)
        arguments = {
            "channels": channels(item),
            "dim": self.dim,
            "codebook": self.codebook,
            "levels": self.levels,
            "maps": rank(item) > 0,
        }
        return Call(modules.VectorQuantize, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = self._typed(inputs)
        width, places = channels(item), positions(item)
        maps = counts.pointwise(width, self.dim, places) + counts.pointwise(self.dim, width, places)
        books = counts.vector(self.levels * self.codebook * self.dim)
        return maps + books + counts.product(places, self.dim, self.codebook, count=self.levels)


@dataclass(frozen=True, kw_only=True)
class IntegrateAndFire(Op):
    """Positions gather weight until it reaches 1, and then fire one output: a learned count [Dong2020].

    Each position has a weight that it decides; output ``j`` is the mean of the positions between
    cumulated weights ``j`` and ``j + 1``. How many fire depends on the content [Gao2022]: there are
    ``count`` places, and the second output says which of them are occupied. The first always is.

    Attributes:
        count: Most outputs.
        greatest: Largest weight of one position, so that it may fill several outputs where it is above 1;
            ``None``: 1, or twice what fills all places evenly where that is more.
    """

    count: int
    greatest: float | None = None

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        item = sequence_of(self, inputs)
        whole(self, inputs, 1, count=self.count)
        if self.greatest is not None:
            positive(self, inputs, greatest=self.greatest)
        return resized(item, channels(item), (self.count,)), Presence(self.count)

    def call(self, *inputs: TensorType) -> Call:
        item = sequence_of(self, inputs)
        arguments = {
            "channels": channels(item),
            "positions": axes(item)[0],
            "count": self.count,
            "greatest": self.greatest or max(1.0, 2 * self.count / axes(item)[0]),
            "series": rank(item) > 0,
        }
        return Call(modules.IntegrateAndFire, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = sequence_of(self, inputs)
        width, places = channels(item), axes(item)[0]
        return counts.pointwise(width, 1, places) + counts.product(self.count, places, width)

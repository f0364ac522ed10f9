"""Linear maps of the channels in many forms, of images, series, volumes, grids, tokens and vectors.

They stand in each other's place: each takes one input and gives ``dim`` channels, or as many as came in.

References:
    [Mishra2021] A. Mishra et al. Accelerating sparse deep neural networks. 2021.
    [Chand2023] R. Chand et al. DSFormer: effective compression of text-transformers by dense-sparse weight
        factorization. EMNLP 2023.
    [Pei2024] Z. Pei et al. FuseGPT: learnable layers fusion of generative pre-trained transformers. 2024.
    [Ding2024] N. Ding et al. MemoryFormer: minimize transformer computation by removing fully-connected
        layers. NeurIPS 2024.
    [Wang2024] H. Wang et al. TokenFormer: rethinking transformer scaling with tokenized model parameters.
        2024.
    [Houlsby2019] N. Houlsby et al. Parameter-efficient transfer learning for NLP. ICML 2019.
    [Hu2022] E. J. Hu et al. LoRA: low-rank adaptation of large language models. ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import counts, layout
from nasplat.ops.checks import known, positive, share, whole
from nasplat.ops.layout import channels, positions, rank
from nasplat.ops.modules import linear as modules
from nasplat.ops.modules.channels import FlatConv


@dataclass(frozen=True, kw_only=True)
class _Map(Op):
    """A map of the channels.

    Attributes:
        dim: Channels that go out; ``None``: as many as come in.
    """

    dim: int | None = None

    def _widths(self, inputs: Sequence[TensorType]) -> tuple[layout.Channelled, int, int]:
        """The input, the channels that come in and those that go out."""
        features = layout.channelled(self, inputs)
        if self.dim is not None:
            whole(self, inputs, 1, dim=self.dim)
        width = channels(features)
        return features, width, width if self.dim is None else self.dim

    def infer(self, *inputs: TensorType) -> TensorType:
        features, _, outputs = self._widths(inputs)
        return layout.rechannelled(features, outputs)


@dataclass(frozen=True, kw_only=True)
class Linear(_Map):
    """A linear map of the channels at each position.

    Attributes:
        bias: Whether it adds a learned shift.
        kept: Weights of every four neighbours of a row that count, the largest; 2 is the pattern that
            hardware runs faster [Mishra2021], 4 keeps all. What does not count is stored and trained.
    """

    bias: bool = True
    kept: int = 4

    def infer(self, *inputs: TensorType) -> TensorType:
        expect(self.kept in (1, 2, 3, 4), self, "needs kept to be 1, 2, 3 or 4", *inputs)
        return super().infer(*inputs)

    def call(self, *inputs: TensorType) -> Call:
        features, width, outputs = self._widths(inputs)
        if self.kept < 4:
            sparse = {"channels": width, "outputs": outputs, "bias": self.bias, "kept": self.kept}
            return Call(modules.SparseChannelMap, sparse | {"rank": rank(features)})
        if rank(features) == 0:
            plain = {"in_features": width, "out_features": outputs, "bias": self.bias}
            return Call(nn.Linear, plain)
        kinds: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
        arguments = {"in_channels": width, "out_channels": outputs, "kernel_size": 1}
        kind = kinds.get(rank(features), FlatConv)
        return Call(kind, arguments | {"bias": self.bias})

    def cost(self, *inputs: TensorType) -> OpCost:
        features, width, outputs = self._widths(inputs)
        return counts.pointwise(width, outputs, positions(features), self.bias)


@dataclass(frozen=True, kw_only=True)
class FactorisedLinear(_Map):
    """Two maps in the place of one.

    Attributes:
        form: ``low_rank``: both are dense; ``dense_sparse``: the first keeps some of every four
            neighbouring weights [Chand2023].
        rank: Channels between the maps; ``None``: by ``ratio``.
        ratio: The same over the smaller of the channels that come in and go out, above 0.
        kept: Weights of every four that count in the sparse map, 1 to 3.
        bias: Whether the second map has a bias.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("low_rank", "dense_sparse")

    form: str = "low_rank"
    rank: int | None = None
    ratio: float = 0.25
    kept: int = 2
    bias: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        known(self, inputs, self.FORMS, form=self.form)
        positive(self, inputs, ratio=self.ratio)
        if self.rank is not None:
            whole(self, inputs, 1, rank=self.rank)
        expect(self.kept in (1, 2, 3), self, "needs kept to be 1, 2 or 3", *inputs)
        return super().infer(*inputs)

    def _inner(self, width: int, outputs: int) -> int:
        return share(min(width, outputs), self.ratio) if self.rank is None else self.rank

    def call(self, *inputs: TensorType) -> Call:
        features, width, outputs = self._widths(inputs)
        arguments = {
            "channels": width,
            "outputs": outputs,
            "inner": self._inner(width, outputs),
            "bias": self.bias,
            "kept": 4 if self.form == "low_rank" else self.kept,
            "rank": rank(features),
        }
        return Call(modules.FactorisedLinear, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features, width, outputs = self._widths(inputs)
        inner, places = self._inner(width, outputs), positions(features)
        first = counts.pointwise(width, inner, places, bias=False)
        return first + counts.pointwise(inner, outputs, places, self.bias)


@dataclass(frozen=True, kw_only=True)
class MergedLinear(_Map):
    """A linear map with the weights ``W + S * V``, where ``V`` are those of a map that was removed [Pei2024].

    The sum can be folded into one matrix once it is trained; until then both count as parameters.

    Attributes:
        form: ``scalar``: ``S`` is one learned number; ``low_rank``: a product of two thin matrices.
        rank: Width of the thin matrices.
        bias: Whether it adds a learned shift.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("scalar", "low_rank")

    form: str = "low_rank"
    rank: int = 4
    bias: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        known(self, inputs, self.FORMS, form=self.form)
        whole(self, inputs, 1, rank=self.rank)
        return super().infer(*inputs)

    def _inner(self) -> int:
        return self.rank if self.form == "low_rank" else 0

    def call(self, *inputs: TensorType) -> Call:
        features, width, outputs = self._widths(inputs)
        arguments = {
            "channels": width,
            "outputs": outputs,
            "bias": self.bias,
            "inner": self._inner(),
            "rank": rank(features),
        }
        return Call(modules.MergedLinear, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features, width, outputs = self._widths(inputs)
        inner = self._inner()
        once = counts.pointwise(width, outputs, positions(features), self.bias)
        scale = counts.vector(inner * (width + outputs) if inner else 1)
        merged = OpCost(width * outputs, 0, width * outputs)
        return once + merged + scale + counts.product(outputs, inner, width)


@dataclass(frozen=True, kw_only=True)
class HashLookupLinear(_Map):
    """A map by tables instead of products: the signs of a group of channels say which row is read [Ding2024].

    Attributes:
        address_bits: Channels of a group: a table has ``2 ** address_bits`` rows, and there are as many
            tables as groups.
    """

    address_bits: int = 8

    def infer(self, *inputs: TensorType) -> TensorType:
        whole(self, inputs, 1, address_bits=self.address_bits)
        expect(self.address_bits <= 16, self, "needs address_bits <= 16", *inputs)
        return super().infer(*inputs)

    def call(self, *inputs: TensorType) -> Call:
        features, width, outputs = self._widths(inputs)
        arguments = {
            "channels": width,
            "outputs": outputs,
            "bits": self.address_bits,
            "rank": rank(features),
        }
        return Call(modules.HashLookupLinear, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        _, width, outputs = self._widths(inputs)
        weights = (-(-width // self.address_bits) << self.address_bits) * outputs
        return OpCost(weights, 0, weights)


@dataclass(frozen=True, kw_only=True)
class TokenParameterAttention(_Map):
    """A map by attention to learned pairs of key and value, which can grow in number [Wang2024].

    Attributes:
        parameter_tokens: Number of pairs; ``None``: by ``ratio``.
        ratio: The same over the channels that come in, above 0.
    """

    parameter_tokens: int | None = None
    ratio: float = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        positive(self, inputs, ratio=self.ratio)
        if self.parameter_tokens is not None:
            whole(self, inputs, 1, parameter_tokens=self.parameter_tokens)
        return super().infer(*inputs)

    def _tokens(self, width: int) -> int:
        count = self.parameter_tokens
        return share(width, self.ratio) if count is None else count

    def call(self, *inputs: TensorType) -> Call:
        features, width, outputs = self._widths(inputs)
        arguments = {
            "channels": width,
            "outputs": outputs,
            "tokens": self._tokens(width),
            "rank": rank(features),
        }
        return Call(modules.TokenParameterAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features, width, outputs = self._widths(inputs)
        tokens, places = self._tokens(width), positions(features)
        keys = counts.pointwise(width, tokens, places, bias=False)
        return keys + counts.pointwise(tokens, outputs, places, bias=False)


@dataclass(frozen=True, kw_only=True)
class Adapter(Op):
    """What comes in plus a thin map of it that starts at zero.

    Attributes:
        form: ``lora``: two thin matrices [Hu2022]; ``bottleneck``: GELU between them, with biases
            [Houlsby2019].
        rank: Channels between them.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("lora", "bottleneck")

    form: str = "bottleneck"
    rank: int = 8

    def infer(self, *inputs: TensorType) -> TensorType:
        features = layout.channelled(self, inputs)
        known(self, inputs, self.FORMS, form=self.form)
        whole(self, inputs, 1, rank=self.rank)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = layout.channelled(self, inputs)
        arguments = {
            "channels": channels(features),
            "inner": self.rank,
            "activated": self.form == "bottleneck",
            "rank": rank(features),
        }
        return Call(modules.Adapter, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = layout.channelled(self, inputs)
        width, places, bias = channels(features), positions(features), self.form == "bottleneck"
        down = counts.pointwise(width, self.rank, places, bias)
        return down + counts.pointwise(self.rank, width, places, bias)

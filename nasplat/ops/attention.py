"""Attention ops.

All are total in the number of heads: a head is ``head_dim`` wide, or by default ``channels // heads`` and
at least 1, so the heads together need not be as wide as the channels; projections lead there and back.
``kv_heads`` of keys and values, at most ``heads``, are shared evenly among the queries [Ainslie2023]:
1 is multi-query attention, ``None`` gives each query its own.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Ainslie2023] J. Ainslie et al. GQA: training generalized multi-query transformer models. EMNLP 2023.
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Katharopoulos2020] A. Katharopoulos et al. Transformers are RNNs. ICML 2020.
    [Cai2023] H. Cai et al. EfficientViT: multi-scale linear attention. ICCV 2023.
    [Shen2021] Z. Shen et al. Efficient attention: attention with linear complexities. WACV 2021.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType, Tokens
from nasplat.ops import counts, selection
from nasplat.ops.checks import channels_of, grid_of, image_of, known, positions_of, whole
from nasplat.ops.modules import attention as modules

FEATURE_MAPS = ("relu", "elu", "softmax")


@dataclass(frozen=True, kw_only=True)
class _Headed(Op):
    """The fields and rules that all attention ops share.

    Attributes:
        heads: Number of heads of the queries.
        kv_heads: Number of heads of keys and values, at most ``heads``; ``None``: as many.
        head_dim: Width of a head; ``None``: ``channels // heads``, at least 1.
        bias: Whether queries, keys and values have a bias.
    """

    heads: int = 4
    kv_heads: int | None = None
    head_dim: int | None = None
    bias: bool = True

    def _check(self, *inputs: TensorType) -> None:
        whole(self, inputs, 1, heads=self.heads)
        if self.head_dim is not None:
            whole(self, inputs, 1, head_dim=self.head_dim)
        if self.kv_heads is not None:
            whole(self, inputs, 1, kv_heads=self.kv_heads)
            if self.kv_heads > self.heads:
                rule = f"needs at most as many kv_heads ({self.kv_heads}) as heads ({self.heads})"
                expect(False, self, rule, *inputs)

    def _width(self, channels: int) -> int:
        """Width of one head."""
        return self.head_dim or max(1, channels // self.heads)

    def _arguments(self, channels: int) -> dict[str, object]:
        return {
            "channels": channels,
            "heads": self.heads,
            "kv_heads": self.kv_heads or self.heads,
            "head_dim": self._width(channels),
        }

    def _projections(
        self, channels: int, positions: int, context: int | None = None, others: int | None = None
    ) -> OpCost:
        """Queries and output over ``positions``; keys and values over ``others``, the same by default."""
        width = self._width(channels)
        queries, keys = self.heads * width, (self.kv_heads or self.heads) * width
        context, others = context or channels, others or positions
        return (
            counts.pointwise(channels, queries, positions, self.bias)
            + counts.pointwise(context, keys, others, self.bias)
            + counts.pointwise(context, keys, others, self.bias)
            + counts.pointwise(queries, channels, positions)
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading heads; relative offsets about zero."""
        if not isinstance(larger, _Headed):
            raise TypeError(f"{larger} is no attention op")
        if name == "relative_bias":
            return selection.centred(small, large, 1, 2)
        index = selection.leading(small)
        part, _, rest = name.partition(".")
        if part == "query":
            index[0] = selection.blocks(small[0], self.heads, large[0], larger.heads)
        elif part in ("key", "value"):
            few, many = self.kv_heads or self.heads, larger.kv_heads or larger.heads
            index[0] = selection.blocks(small[0], few, large[0], many)
        elif part == "out" and rest == "weight":
            index[1] = selection.blocks(small[1], self.heads, large[1], larger.heads)
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class SelfAttention(_Headed):
    """Every position of an image or of tokens attends to every other [Vaswani2017]."""

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        self._check(*inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        arguments = self._arguments(channels_of(features))
        arguments |= {"image": isinstance(features, Image), "bias": self.bias}
        return Call(modules.SelfAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = grid_of(self, inputs)
        channels, positions = channels_of(features), positions_of(features)
        width = self._width(channels)
        return self._projections(channels, positions) + counts.product(
            positions, width, positions, 2 * self.heads
        )


@dataclass(frozen=True, kw_only=True)
class LinearAttention(_Headed):
    """Attention of an image or of tokens whose cost is linear in the positions [Katharopoulos2020].

    Attributes:
        feature_map: What replaces the softmax of scores: ``relu`` [Cai2023], ``elu`` (plus one)
            [Katharopoulos2020], or a ``softmax`` of queries and keys apart [Shen2021].
    """

    feature_map: str = "relu"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        self._check(*inputs)
        known(self, inputs, FEATURE_MAPS, feature_map=self.feature_map)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        arguments = self._arguments(channels_of(features))
        arguments |= {
            "image": isinstance(features, Image),
            "bias": self.bias,
            "feature_map": self.feature_map,
        }
        return Call(modules.LinearAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = grid_of(self, inputs)
        channels, positions = channels_of(features), positions_of(features)
        width = self._width(channels)
        return self._projections(channels, positions) + counts.product(
            width, positions, width, 2 * self.heads
        )


@dataclass(frozen=True, kw_only=True)
class CrossCovarianceAttention(_Headed):
    """Channels of an image or of tokens attend to each other, head by head [ElNouby2021]."""

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        self._check(*inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        arguments = self._arguments(channels_of(features))
        arguments |= {"image": isinstance(features, Image), "bias": self.bias}
        return Call(modules.CrossCovarianceAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = grid_of(self, inputs)
        channels, positions = channels_of(features), positions_of(features)
        width = self._width(channels)
        return (
            self._projections(channels, positions)
            + counts.product(width, positions, width, 2 * self.heads)
            + counts.vector(self.heads)
        )


@dataclass(frozen=True, kw_only=True)
class WindowAttention(_Headed):
    """Positions of an image attend within windows, regular or shifted by half a window [Liu2021].

    Total in the size of the image: a window is at most the image, and an image that is not made of
    whole windows is padded, with a mask that keeps the padding out (where [Liu2021] lets it in).

    Attributes:
        window: Side of a window.
        shifted: Whether windows are shifted by half their side.
        relative_bias: Whether each head learns a bias for each offset between two positions.
    """

    window: int = 7
    shifted: bool = False
    relative_bias: bool = True

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        self._check(*inputs)
        whole(self, inputs, 1, window=self.window)
        return image

    def call(self, *inputs: TensorType) -> Call:
        image = image_of(self, inputs)
        arguments = self._arguments(image.channels)
        arguments |= {
            "height": image.height,
            "width": image.width,
            "window": (min(self.window, image.height), min(self.window, image.width)),
            "shifted": self.shifted,
            "bias": self.bias,
            "relative_bias": self.relative_bias,
        }
        return Call(modules.WindowAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image = image_of(self, inputs)
        rows, columns = min(self.window, image.height), min(self.window, image.width)
        windows = -(-image.height // rows) * -(-image.width // columns)
        table = self.heads * (2 * rows - 1) * (2 * columns - 1) if self.relative_bias else 0
        area, width = rows * columns, self._width(image.channels)
        return (
            self._projections(image.channels, positions_of(image))
            + counts.product(area, width, area, 2 * self.heads * windows)
            + counts.vector(table)
        )


@dataclass(frozen=True, kw_only=True)
class CrossAttention(_Headed):
    """The first input attends to the positions of all others and adds what it finds [Vaswani2017].

    Inputs are images or tokens; the others are of one kind and have the same channels.

    Attributes:
        residual: Whether what is found is added to the first input, else it is returned alone.
    """

    kind: ClassVar[str] = "cross_attention"

    residual: bool = True

    def _inputs(self, inputs: Sequence[TensorType]) -> list[Image | Tokens]:
        taken = [item for item in inputs if isinstance(item, Image | Tokens)]
        rule = "takes two or more inputs, each Image or Tokens"
        expect(len(taken) == len(inputs) > 1, self, rule, *inputs)
        same = {(type(item), channels_of(item)) for item in taken[1:]}
        rule = "needs all inputs but the first to be of one kind with the same channels"
        expect(len(same) == 1, self, rule, *inputs)
        return taken

    def infer(self, *inputs: TensorType) -> TensorType:
        first = self._inputs(inputs)[0]
        self._check(*inputs)
        return first

    def call(self, *inputs: TensorType) -> Call:
        first, other, *_ = self._inputs(inputs)
        arguments = self._arguments(channels_of(first))
        arguments |= {
            "context": channels_of(other),
            "image": isinstance(first, Image),
            "context_image": isinstance(other, Image),
            "bias": self.bias,
            "residual": self.residual,
        }
        return Call(modules.CrossAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        first, *others = self._inputs(inputs)
        channels, positions = channels_of(first), positions_of(first)
        found = sum(positions_of(other) for other in others)
        width = self._width(channels)
        return self._projections(
            channels, positions, channels_of(others[0]), found
        ) + counts.product(positions, width, found, 2 * self.heads)

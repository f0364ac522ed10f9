"""Attentions with other scores than a softmax of dot products, or with other projections.

References:
    [Shao2025] J. Shao et al. ComplexFormer: disruptively advancing transformer inference ability via
        head-specific complex vector attention. 2025.
    [Liu2022] J. Liu et al. EcoFormer: energy-saving attention with linear complexity. NeurIPS 2022.
    [Yu2023] Y. Yu et al. White-box transformers via sparse rate reduction. NeurIPS 2023.
    [Pai2024] D. Pai et al. Masked completion via structured diffusion with white-box transformers. ICLR 2024.
    [Csordas2024] R. Csordas et al. MoEUT: mixture-of-experts universal transformers. NeurIPS 2024.
    [Hua2022] W. Hua et al. Transformer quality in linear time. ICML 2022.
    [Zhao2023] S. Zhao, B. Ma. MossFormer: pushing the performance limit of monaural speech separation using
        gated single-head transformer with convolution-augmented joint self-attentions. ICASSP 2023.
    [Yu2022] Q. Yu et al. k-means mask transformer. ECCV 2022.
    [Cavagnero2024] N. Cavagnero et al. PEM: prototype-based efficient MaskFormer for image segmentation.
        CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts, layout, selection
from nasplat.ops.checks import known, positive, share, whole
from nasplat.ops.heads import Attended, Headed, Rotated, attended_of
from nasplat.ops.modules import attention_forms as modules

MASKS = ("none", "causal")
ROUTED = ("query", "value", "output")
"""The projections of an attention that may have experts."""


@dataclass(frozen=True, kw_only=True)
class ComplexAttention(Headed):
    """Pairs of channels are complex numbers whose lengths multiply and whose angles turn [Shao2025].

    The angles of positions, which are rotary encodings, are added to learned multiples of the difference
    of the angles of query and key. Heads are of even width, at least 2.

    Attributes:
        per_head_phase: Whether each head adapts angles by numbers of its own, else all by the same.
        mask: ``none`` or ``causal``: no key that comes later is seen.
        rotary_base: Base of the wave lengths of the positions, above 0.
    """

    per_head_phase: bool = True
    mask: str = "none"
    rotary_base: float = 10000.0

    def width(self, channels: int) -> int:
        """Width of one head, even."""
        return max(2, super().width(channels) // 2 * 2)

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        known(self, inputs, MASKS, mask=self.mask)
        positive(self, inputs, rotary_base=self.rotary_base)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        arguments = self.arguments(features) | {
            "length": layout.positions(features),
            "per_head": self.per_head_phase,
            "causal": self.mask == "causal",
            "base": self.rotary_base,
        }
        return Call(modules.ComplexAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, positions = layout.channels(features), layout.positions(features)
        return (
            self.projections(channels, positions)
            + self.mixing(channels, positions, positions)
            + counts.vector(2 * (self.heads if self.per_head_phase else 1))
        )


@dataclass(frozen=True, kw_only=True)
class HashedBinaryAttention(Headed):
    """Queries and keys are hashed to signs; how many agree weighs the values, in linear time [Liu2022].

    Attributes:
        code_bits: Signs of a code, by one learned hash for queries and keys.
    """

    code_bits: int = 16

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        whole(self, inputs, 1, code_bits=self.code_bits)
        return features

    def call(self, *inputs: TensorType) -> Call:
        arguments = self.arguments(attended_of(self, inputs))
        return Call(modules.HashedBinaryAttention, arguments | {"bits": self.code_bits})

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, positions = layout.channels(features), layout.positions(features)
        width, heads = self.width(channels), self.heads
        coded = positions * (heads + (self.kv_heads or heads))
        hashed = counts.pointwise(width, self.code_bits, coded)
        product = counts.product(self.code_bits + 1, positions, width, 2 * heads)
        return self.projections(channels, positions) + hashed + product


@dataclass(frozen=True, kw_only=True)
class SubspaceAttention(Op):
    """Positions are projected to subspaces and attend to each other there [Yu2023].

    One projection serves as queries, keys and values. With a residual around it, it is one step that
    compresses; a negative step undoes it [Pai2024].

    Attributes:
        subspaces: Number of subspaces.
        dim: Width of a subspace; ``None``: the channels divided by the subspaces, at least 1.
        step: What the output is multiplied by; not 0.
    """

    subspaces: int = 4
    dim: int | None = None
    step: float = 1.0

    def _width(self, features: Attended) -> int:
        return self.dim or max(1, layout.channels(features) // self.subspaces)

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        whole(self, inputs, 1, subspaces=self.subspaces)
        if self.dim is not None:
            whole(self, inputs, 1, dim=self.dim)
        expect(self.step != 0, self, "needs a step other than 0", *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        arguments: dict[str, Any] = {
            "channels": layout.channels(features),
            "subspaces": self.subspaces,
            "dim": self._width(features),
            "rank": layout.rank(features),
            "step": self.step,
        }
        return Call(modules.SubspaceAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, positions = layout.channels(features), layout.positions(features)
        width = self._width(features)
        return (
            counts.pointwise(channels, self.subspaces * width, positions, bias=False)
            + counts.pointwise(self.subspaces * width, channels, positions)
            + counts.product(positions, width, positions, 2 * self.subspaces)
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading subspaces."""
        if not isinstance(larger, SubspaceAttention):
            raise TypeError(f"{larger} has no subspaces")
        index = selection.leading(small)
        axis = {"basis.weight": 0, "out.weight": 1}.get(name)
        if axis is not None:
            index[axis] = selection.blocks(
                small[axis], self.subspaces, large[axis], larger.subspaces
            )
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class MoEAttention(Rotated):
    """Attention whose projections are mixtures of a few of several experts, head by head [Csordas2024].

    It takes tokens. All experts compute; those that are not among the best of a token have no weight.
    Projections with experts have no bias, and there are as many heads of keys as of queries.

    Attributes:
        experts: Experts of each routed projection and head.
        top_k: Experts that have weight for a token, at most all.
        routed: Which projections have experts: one or more of ``query``, ``value``, ``output``.
        mask: ``none`` or ``causal``: no key that comes later is seen.
    """

    experts: int = 4
    top_k: int = 2
    routed: tuple[str, ...] = ("value", "output")
    mask: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        tokens = attended_of(self, inputs)
        expect(isinstance(tokens, Tokens), self, "takes one Tokens", *inputs)
        self.check_heads(*inputs)
        self.check_rotary(*inputs)
        whole(self, inputs, 1, experts=self.experts, top_k=self.top_k)
        rule = f"needs top_k to be at most the {self.experts} experts, got {self.top_k}"
        expect(self.top_k <= self.experts, self, rule, *inputs)
        right = bool(self.routed) and len(set(self.routed)) == len(self.routed)
        rule = f"needs routed to name different ones of {', '.join(ROUTED)}; got {self.routed}"
        expect(right and set(self.routed) <= set(ROUTED), self, rule, *inputs)
        plain = self.kv_heads is None and self.key_bias and self.out_bias
        rule = "leaves kv_heads, key_bias and out_bias at their defaults"
        expect(plain, self, rule, *inputs)
        known(self, inputs, MASKS, mask=self.mask)
        return tokens

    def call(self, *inputs: TensorType) -> Call:
        tokens = attended_of(self, inputs)
        arguments: dict[str, Any] = {
            "dim": layout.channels(tokens),
            "length": layout.positions(tokens),
            "heads": self.heads,
            "head_dim": self.width(layout.channels(tokens)),
            "experts": self.experts,
            "top_k": self.top_k,
            "routed": self.routed,
            "bias": self.bias,
            "causal": self.mask == "causal",
        }
        return Call(modules.MoEAttention, arguments | self.rotation(tokens))

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = attended_of(self, inputs)
        dim, length = layout.channels(tokens), layout.positions(tokens)
        inner = self.heads * self.width(dim)
        router = counts.pointwise(dim, self.heads * self.experts, length, bias=False)
        total = self.mixing(dim, length, length) + counts.pointwise(dim, inner, length, self.bias)
        for name in ROUTED:
            routed = name in self.routed
            many = inner * self.experts if routed else inner
            pair = (many, dim) if name == "output" else (dim, many)
            total += counts.pointwise(*pair, length, self.bias and not routed)
            if routed:
                total += router
        return total

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading experts of the leading heads."""
        if not isinstance(larger, MoEAttention):
            raise TypeError(f"{larger} is no attention of experts")
        part = name.partition(".")[0]
        own = {"query": "query", "value": "value", "out": "output"}.get(part)
        if own not in self.routed or own not in larger.routed:
            if part == "routers":
                index = selection.leading(small)
                index[0] = selection.blocks(small[0], self.heads, large[0], larger.heads)
                return tuple(index)
            return super().select(name, small, large, larger)
        index = selection.leading(small)
        axis = 1 if part == "out" else 0
        few, many = (self.heads, self.experts), (larger.heads, larger.experts)
        inner = small[axis] // (few[0] * few[1])
        outer = large[axis] // (many[0] * many[1])
        index[axis] = [
            (head * many[1] + expert) * outer + element
            for head in range(few[0])
            for expert in range(few[1])
            for element in range(inner)
        ]
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class GatedAttentionUnit(Op):
    """One gated layer for attention and feed-forward [Hua2022, Zhao2023].

    Within chunks squared positive scores weigh values; between chunks a sum of products of keys and
    values does, in linear time. What is found is multiplied by a gate.

    Attributes:
        expand: Channels of gate and values as a multiple of those of the input, above 0.
        key_dim: Channels that queries and keys share.
        chunk: Positions of a chunk, at most all.
        linear_branch: Whether all chunks, or with a causal mask all before, add what they hold.
        mask: ``none`` or ``causal``: no key that comes later is seen.
    """

    expand: float = 2.0
    key_dim: int = 64
    chunk: int = 64
    linear_branch: bool = True
    mask: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        positive(self, inputs, expand=self.expand)
        whole(self, inputs, 1, key_dim=self.key_dim, chunk=self.chunk)
        known(self, inputs, MASKS, mask=self.mask)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        channels, length = layout.channels(features), layout.positions(features)
        arguments: dict[str, Any] = {
            "channels": channels,
            "length": length,
            "rank": layout.rank(features),
            "inner": share(channels, self.expand),
            "key_dim": self.key_dim,
            "chunk": min(self.chunk, length),
            "linear": self.linear_branch,
            "causal": self.mask == "causal",
        }
        return Call(modules.GatedAttentionUnit, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, length = layout.channels(features), layout.positions(features)
        inner, chunk = share(channels, self.expand), min(self.chunk, length)
        count = -(-length // chunk)
        total = counts.pointwise(channels, self.key_dim, length)
        for pair in ((channels, inner), (channels, inner), (inner, channels)):
            total += counts.pointwise(*pair, length)
        total += counts.product(chunk, self.key_dim + inner, chunk, count)
        if self.linear_branch:
            total += counts.product(self.key_dim, chunk, inner, 2 * count)
        return total + counts.vector((8 if self.linear_branch else 4) * self.key_dim)


@dataclass(frozen=True, kw_only=True)
class ClusteringCrossAttention(Op):
    """Queries gather from positions what belongs to them alone.

    Inputs are ``Tokens(Q, D)`` and features of any kind; the output is ``Tokens(Q, D)``.

    Attributes:
        assign: ``argmax_over_queries``: each position goes to the query that is most alike, which takes
            the mean of its values [Yu2022]; ``prototype_per_query``: each query picks the position that
            is most alike and multiplies its key [Cavagnero2024].
        heads: Number of heads.
        head_dim: Width of a head; ``None``: the channels of the queries divided by the heads, at least 1.
        bias: Whether queries, keys and values have a bias.
    """

    assign: str = "argmax_over_queries"
    heads: int = 1
    head_dim: int | None = None
    bias: bool = True

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Tokens, Attended]:
        if len(inputs) == 2:
            queries, features = inputs
            if isinstance(queries, Tokens) and isinstance(features, Attended):
                return queries, features
        rule = "takes Tokens and one Image, Series, Volume, Grid or Tokens"
        expect(False, self, rule, *inputs)
        raise AssertionError

    def _inner(self, queries: Tokens) -> int:
        return self.heads * (self.head_dim or max(1, queries.dim // self.heads))

    def infer(self, *inputs: TensorType) -> Tokens:
        queries, _ = self._inputs(inputs)
        forms = ("argmax_over_queries", "prototype_per_query")
        known(self, inputs, forms, assign=self.assign)
        whole(self, inputs, 1, heads=self.heads)
        if self.head_dim is not None:
            whole(self, inputs, 1, head_dim=self.head_dim)
        return queries

    def call(self, *inputs: TensorType) -> Call:
        queries, features = self._inputs(inputs)
        arguments: dict[str, Any] = {
            "dim": queries.dim,
            "context": layout.channels(features),
            "context_rank": layout.rank(features),
            "heads": self.heads,
            "head_dim": self._inner(queries) // self.heads,
            "bias": self.bias,
            "prototype": self.assign == "prototype_per_query",
        }
        return Call(modules.ClusteringCrossAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        queries, features = self._inputs(inputs)
        inner, context = self._inner(queries), layout.channels(features)
        positions = layout.positions(features)
        total = (
            counts.pointwise(queries.dim, inner, queries.length, self.bias)
            + counts.pointwise(context, inner, positions, self.bias)
            + counts.pointwise(inner, queries.dim, queries.length)
            + counts.product(queries.length, inner, positions)
        )
        if self.assign == "prototype_per_query":
            return total + counts.vector(inner)
        value = counts.pointwise(context, inner, positions, self.bias)
        return total + value + counts.product(queries.length, inner, positions)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading channels of the leading heads."""
        if not isinstance(larger, ClusteringCrossAttention):
            raise TypeError(f"{larger} clusters nothing")
        index = selection.leading(small)
        part, _, rest = name.partition(".")
        if part in ("query", "key", "value", "scale"):
            index[0] = selection.blocks(small[0], self.heads, large[0], larger.heads)
        elif part == "out" and rest == "weight":
            index[1] = selection.blocks(small[1], self.heads, large[1], larger.heads)
        return tuple(index)

"""Attention over all positions or over the channels.

All take an image, a series, a volume, a grid or tokens, whose positions are read as one sequence.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Raffel2020] C. Raffel et al. Exploring the limits of transfer learning with T5. JMLR 2020.
    [Ding2022] M. Ding et al. DaViT: dual attention vision transformers. ECCV 2022.
    [Dehghani2023] M. Dehghani et al. Scaling vision transformers to 22 billion parameters. ICML 2023.
    [Wang2024] J. Wang et al. Adapting LLaMA decoder to vision transformer. 2024.
    [Song2022] C. Song et al. Uni-Encoder: a fast and accurate response selection paradigm. 2022.
    [Dai2021] Z. Dai et al. CoAtNet: marrying convolution and attention for all data sizes. NeurIPS 2021.
    [Chang2022] Y.-H. Chang et al. Rethinking vision transformers as dynamic convolutions. 2022.
    [Katharopoulos2020] A. Katharopoulos et al. Transformers are RNNs. ICML 2020.
    [Cai2023] H. Cai et al. EfficientViT: multi-scale linear attention. ICCV 2023.
    [Shen2021] Z. Shen et al. Efficient attention: attention with linear complexities. WACV 2021.
    [Choromanski2021] K. Choromanski et al. Rethinking attention with performers. ICLR 2021.
    [Zhang2024] M. Zhang et al. The hedgehog and the porcupine: expressive linear attentions with softmax
        mimicry. ICLR 2024.
    [Sun2023] Y. Sun et al. Retentive network: a successor to transformer for large language models. 2023.
    [Luo2021] S. Luo et al. Stable, fast and accurate: kernelized attention with relative positional
        encoding. NeurIPS 2021.
    [Chen2021] C.-F. Chen et al. CrossViT: cross-attention multi-scale vision transformer. ICCV 2021.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, OpCost, expect
from nasplat.graph.types import Presence, TensorType, Tokens
from nasplat.ops import counts, layout
from nasplat.ops.checks import known, whole
from nasplat.ops.heads import (
    Attended,
    Headed,
    Rotated,
    attended_and_presence,
    attended_of,
    relative_cost,
)
from nasplat.ops.modules import attention as modules
from nasplat.ops.modules import attention_linear as linear_modules

FEATURE_MAPS = ("relu", "elu", "softmax", "random", "learned")
OFFSET_WEIGHTS = ("none", "decay", "toeplitz")
MASKS = (
    "none",
    "causal",
    "soft_causal",
    "semi_causal",
    "causal_blocks",
    "candidate_isolating",
)
"""Which keys a query may see."""
NORMALISERS = ("softmax", "sparsemax", "relu")
"""How scores become weights."""
HEAD_NORMS = ("none", "rms", "layer")
"""Normalisations of queries and keys within a head."""


@dataclass(frozen=True, kw_only=True)
class SelfAttention(Rotated):
    """Every position attends to every other that the mask allows [Vaswani2017].

    Inputs are features, and as a second, if any, a ``Presence`` with one place for each position: only
    positions that are occupied are seen. Shares between 0 and 1 weigh them.

    Attributes:
        mask: ``none``: all are seen; ``causal``: none that comes later; ``soft_causal``: later ones fade
            over the first ``soft_steps`` steps of training [Wang2024]; ``semi_causal``: causal behind a
            prefix that sees itself; ``causal_blocks``: none of a later segment; ``candidate_isolating``:
            the prefix and the own segment [Song2022].
        prefix: Positions of the prefix of the last three masks.
        segment: Positions of a segment of the last two.
        soft_steps: Steps of training until a ``soft_causal`` mask is causal.
        relative_bias: ``none``; ``table``: a learned number for each head and offset [Raffel2020];
            ``mlp``: a small network of the offset; ``alibi``: a fixed slope of the distance.
        bias_width: Hidden width of the network of an ``mlp`` bias.
        qk_norm: ``none``, ``rms`` or ``layer``: of queries and keys within each head [Dehghani2023].
        normaliser: ``softmax``, ``sparsemax`` or ``relu`` [Chang2022]: how scores become weights.
        channels: Channels that go out; ``None`` keeps their number. Where they differ, heads are a part
            of these, as in blocks that widen and attend at once [Dai2021].
    """

    mask: str = "none"
    prefix: int = 0
    segment: int = 1
    soft_steps: int = 1000
    relative_bias: str = "none"
    bias_width: int = 64
    qk_norm: str = "none"
    normaliser: str = "softmax"
    channels: int | None = None

    def width(self, channels: int) -> int:
        return super().width(self.channels or channels)

    def infer(self, *inputs: TensorType) -> TensorType:
        features, _ = attended_and_presence(self, inputs)
        self.check_heads(*inputs)
        self.check_bias(self.relative_bias, self.bias_width, *inputs)
        known(self, inputs, MASKS, mask=self.mask)
        known(self, inputs, HEAD_NORMS, qk_norm=self.qk_norm)
        known(self, inputs, NORMALISERS, normaliser=self.normaliser)
        whole(self, inputs, 0, prefix=self.prefix)
        whole(self, inputs, 1, segment=self.segment, soft_steps=self.soft_steps)
        self.check_rotary(*inputs)
        if self.channels is None:
            return features
        whole(self, inputs, 1, channels=self.channels)
        return layout.rechannelled(features, self.channels)

    def call(self, *inputs: TensorType) -> Call:
        features, _ = attended_and_presence(self, inputs)
        arguments = self.arguments(features) | {"axes": layout.axes(features)}
        changed = {
            "mask": self.mask,
            "prefix": self.prefix,
            "segment": self.segment,
            "soft_steps": self.soft_steps,
            "relative_bias": self.relative_bias,
            "bias_width": self.bias_width,
            "qk_norm": self.qk_norm,
            "normaliser": self.normaliser,
        }
        if self.channels is not None:
            changed["outputs"] = self.channels
        arguments |= changed | self.rotation(features)
        return Call(modules.SelfAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features, _ = attended_and_presence(self, inputs)
        channels, positions = layout.channels(features), layout.positions(features)
        axes = layout.axes(features)
        norm = {"none": 0, "rms": 2, "layer": 4}[self.qk_norm] * self.width(channels)
        return (
            self.projections(channels, positions, outputs=self.channels)
            + self.mixing(channels, positions, positions)
            + relative_cost(self.relative_bias, self.heads, axes, axes, self.bias_width)
            + counts.vector(norm)
        )


@dataclass(frozen=True, kw_only=True)
class LinearAttention(Headed):
    """Attention whose cost is linear in the positions [Katharopoulos2020].

    Attributes:
        feature_map: What replaces the softmax of scores: ``relu`` [Cai2023], ``elu`` (plus one)
            [Katharopoulos2020], a ``softmax`` of queries and keys apart [Shen2021], exponentials of
            ``random`` directions [Choromanski2021], or a softmax over ``learned`` directions [Zhang2024].
        features: Number of random directions; ``None``: the width of a head.
        mask: ``none`` or ``causal``: no key that comes later is seen; not with ``softmax``.
        offset_weight: ``none``; ``decay``: each head forgets at its own learned rate [Sun2023];
            ``toeplitz``: each offset between two positions has a learned weight [Luo2021], which takes
            the product of all pairs of positions. Not with ``softmax``.
    """

    feature_map: str = "relu"
    features: int | None = None
    mask: str = "none"
    offset_weight: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        known(self, inputs, FEATURE_MAPS, feature_map=self.feature_map)
        known(self, inputs, ("none", "causal"), mask=self.mask)
        known(self, inputs, OFFSET_WEIGHTS, offset_weight=self.offset_weight)
        if self.features is not None:
            whole(self, inputs, 1, features=self.features)
        plain = self.mask == self.offset_weight == "none"
        rule = "with feature_map softmax takes neither a mask nor weights of offsets"
        expect(plain or self.feature_map != "softmax", self, rule, *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        arguments = self.arguments(features) | {
            "axes": layout.axes(features),
            "feature_map": self.feature_map,
            "features": self.features or self.width(layout.channels(features)),
            "causal": self.mask == "causal",
            "offset_weight": self.offset_weight,
        }
        return Call(linear_modules.LinearAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, length = layout.channels(features), layout.positions(features)
        width, heads = self.width(channels), self.heads
        total, reach = self.projections(channels, length), width
        if self.feature_map == "random":
            reach = self.features or width
            total += counts.product(length, width, reach, heads + (self.kv_heads or heads))
        elif self.feature_map == "learned":
            reach = 2 * width
            total += counts.pointwise(width, width, length * heads, bias=False)
            total += counts.pointwise(width, width, length * (self.kv_heads or heads), bias=False)
        if self.offset_weight == "toeplitz":
            axes = layout.axes(features)
            total += relative_cost("table", heads, axes, axes, 1)
            return total + counts.product(length, reach + width, length, heads)
        if self.offset_weight == self.mask == "none":
            return total + counts.product(reach, length, width, 2 * heads)
        # The sum of the weights is one more value.
        values, (count, size) = width + 1, linear_modules.chunks(length)
        once = counts.product(size, reach + values, size, heads * count)
        if count > 1:
            once += counts.product(reach, size, values, 2 * heads * count)
            if self.offset_weight == "decay":
                once += counts.product(count, count, reach * values, heads)
        total += once if self.mask == "causal" else once + once
        return total + counts.vector(heads if self.offset_weight == "decay" else 0)


@dataclass(frozen=True, kw_only=True)
class CrossCovarianceAttention(Headed):
    """Channels attend to each other, head by head [ElNouby2021].

    Attributes:
        temperature: Whether queries and keys have unit length over the positions and each head learns
            how sharp its scores are; otherwise scores are divided by the root of the positions
            [Ding2022].
    """

    temperature: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        arguments = self.arguments(attended_of(self, inputs))
        return Call(modules.CrossCovarianceAttention, arguments | {"temperature": self.temperature})

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, positions = layout.channels(features), layout.positions(features)
        width = self.width(channels)
        return (
            self.projections(channels, positions)
            + self.mixing(channels, positions, width)
            + counts.vector(self.heads if self.temperature else 0)
        )


@dataclass(frozen=True, kw_only=True)
class CrossAttention(Headed):
    """The first input attends to the positions of all others and adds what it finds [Vaswani2017].

    The others are of one kind and have the same channels. Behind them may come a ``Presence`` with one
    place for each of their positions, one input after the other: only occupied ones are seen.

    Attributes:
        queries: ``all``, or ``class_token``: the first of tokens alone asks and gains [Chen2021].
        mask: ``none`` or ``causal``: no key that comes later is seen; then all have as many positions.
        residual: Whether what is found is added to the first input, else it is returned alone.
    """

    kind: ClassVar[str] = "cross_attention"

    queries: str = "all"
    mask: str = "none"
    residual: bool = True

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[list[Attended], Presence | None]:
        last = inputs[-1] if inputs else None
        presence = last if isinstance(last, Presence) else None
        given = inputs if presence is None else inputs[:-1]
        taken = [item for item in given if isinstance(item, Attended)]
        rule = "takes two or more inputs, each Image, Series, Volume, Grid or Tokens"
        expect(len(taken) == len(given) > 1, self, rule, *inputs)
        same = {(layout.rank(item), layout.channels(item)) for item in taken[1:]}
        rule = "needs all inputs but the first to be of one kind with the same channels"
        expect(len(same) == 1, self, rule, *inputs)
        found = sum(layout.positions(item) for item in taken[1:])
        if presence is not None:
            rule = f"needs the presence to be as long as all inputs but the first, {found}"
            expect(presence.length == found, self, rule, *inputs)
        return taken, presence

    def infer(self, *inputs: TensorType) -> TensorType:
        (first, *others), _ = self._inputs(inputs)
        self.check_heads(*inputs)
        known(self, inputs, ("all", "class_token"), queries=self.queries)
        known(self, inputs, ("none", "causal"), mask=self.mask)
        lengths = {layout.positions(item) for item in (first, *others)}
        rule = "with a causal mask needs all inputs to have as many positions"
        expect(self.mask == "none" or len(lengths) == 1, self, rule, *inputs)
        if self.queries == "all":
            return first
        expect(isinstance(first, Tokens), self, "takes a class token from Tokens only", *inputs)
        return first if self.residual else Tokens(1, layout.channels(first))

    def call(self, *inputs: TensorType) -> Call:
        (first, *others), presence = self._inputs(inputs)
        arguments = self.arguments(first) | {
            "context": layout.channels(others[0]),
            "context_rank": layout.rank(others[0]),
            "length": layout.positions(first),
            "sources": len(others),
            "causal": self.mask == "causal",
            "first_only": self.queries == "class_token",
            "residual": self.residual,
            "present": presence is not None,
        }
        return Call(modules.CrossAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        (first, *others), _ = self._inputs(inputs)
        channels = layout.channels(first)
        asking = layout.positions(first) if self.queries == "all" else 1
        found = sum(layout.positions(other) for other in others)
        total = self.projections(channels, asking, layout.channels(others[0]), found)
        return total + self.mixing(channels, asking, found)

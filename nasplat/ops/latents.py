"""A few latent vectors that stand for many positions.

References:
    [Jaegle2021] A. Jaegle et al. Perceiver: general perception with iterative attention. ICML 2021.
    [Alayrac2022] J.-B. Alayrac et al. Flamingo: a visual language model for few-shot learning. NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts, layout
from nasplat.ops.checks import positive, share, whole
from nasplat.ops.heads import Headed, attended_of
from nasplat.ops.modules import latents as modules


@dataclass(frozen=True, kw_only=True)
class LatentResampler(Headed):
    """Learned latents read all positions in several layers, and go out [Jaegle2021, Alayrac2022].

    It takes an image, a series, a volume, a grid or tokens, and gives ``Tokens`` as wide as the channels.
    In a layer latents attend to the positions and to themselves, then pass a feed-forward part, each behind
    a normalisation and with a residual.

    Attributes:
        latents: Number of latents.
        layers: Number of layers.
        ratio: Hidden width of the feed-forward part as a multiple of the channels, above 0.
    """

    latents: int = 8
    layers: int = 1
    ratio: float = 4.0

    def infer(self, *inputs: TensorType) -> Tokens:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        whole(self, inputs, 1, latents=self.latents, layers=self.layers)
        positive(self, inputs, ratio=self.ratio)
        plain = self.bias and self.key_bias and self.out_bias
        expect(plain, self, "leaves the biases at their defaults", *inputs)
        return Tokens(self.latents, layout.channels(features))

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        channels = layout.channels(features)
        arguments: dict[str, Any] = {
            "latents": self.latents,
            "layers": self.layers,
            "rank": layout.rank(features),
            "channels": channels,
            "heads": self.heads,
            "kv_heads": self.kv_heads or self.heads,
            "head_dim": self.width(channels),
            "hidden": share(channels, self.ratio),
        }
        return Call(modules.LatentResampler, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = attended_of(self, inputs)
        channels, hidden = layout.channels(features), share(layout.channels(features), self.ratio)
        seen = layout.positions(features) + self.latents
        norm = counts.norm("layer", channels)
        once = (
            self.projections(channels, self.latents, others=seen)
            + self.mixing(channels, self.latents, seen)
            + counts.pointwise(channels, hidden, self.latents)
            + counts.pointwise(hidden, channels, self.latents)
            + norm
            + norm
            + norm
        )
        return sum([once] * self.layers, counts.vector(self.latents * channels))

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        inner = name.split(".", 2)[2] if name.startswith("layers.") else name
        return super().select(inner, small, large, larger)

"""Attention whose queries, keys and values are seen at several scales.

References:
    [Cai2023] H. Cai et al. EfficientViT: multi-scale linear attention for high-resolution dense prediction.
        ICCV 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasplat.graph.op import Call, Op, OpCost
from nasplat.graph.types import Image, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import image_of, odd, whole
from nasplat.ops.modules import attention_multiscale as modules


@dataclass(frozen=True, kw_only=True)
class MultiScaleLinearAttention(Op):
    """Linear attention of an image to itself and to what convolutions gather around each position [Cai2023].

    Queries, keys and values come from one map without bias, and once more for each scale from a depthwise
    convolution of these and a map within each head. Features are the ReLU of queries and keys.

    Attributes:
        heads: Number of heads at one scale; ``None``: as many as fill the channels.
        head_dim: Width of a head.
        scales: Odd sides of the convolutions.
    """

    heads: int | None = None
    head_dim: int = 16
    scales: tuple[int, ...] = (5,)

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        whole(self, inputs, 1, head_dim=self.head_dim)
        if self.heads is not None:
            whole(self, inputs, 1, heads=self.heads)
        for side in self.scales:
            odd(self, inputs, scale=side)
        return image

    def _heads(self, channels: int) -> int:
        return self.heads or max(1, channels // self.head_dim)

    def call(self, *inputs: TensorType) -> Call:
        channels = image_of(self, inputs).channels
        arguments = {
            "channels": channels,
            "heads": self._heads(channels),
            "head_dim": self.head_dim,
            "scales": tuple(self.scales),
        }
        return Call(modules.MultiScaleLinearAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image = image_of(self, inputs)
        places, heads = image.height * image.width, self._heads(image.channels)
        width, many = heads * self.head_dim, 1 + len(self.scales)
        total = counts.pointwise(image.channels, 3 * width, places, bias=False)
        for side in self.scales:
            total += counts.convolution(3 * width, 3 * width, side, places, 3 * width, bias=False)
            total += counts.convolution(3 * width, 3 * width, 1, places, 3 * heads, bias=False)
        mixing = counts.product(self.head_dim, places, self.head_dim + 1, 2 * heads * many)
        return total + mixing + counts.pointwise(many * width, image.channels, places, bias=False)

"""Attention within units of positions whose queries may be pooled to fewer positions.

References:
    [Ryali2023] C. Ryali et al. Hiera: a hierarchical vision transformer without the bells-and-whistles.
        ICML 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasplat.graph.op import Call, OpCost, expect
from nasplat.graph.types import Image, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import image_of, whole
from nasplat.ops.heads import Headed
from nasplat.ops.modules import attention_units as modules


@dataclass(frozen=True, kw_only=True)
class UnitAttention(Headed):
    """Positions of an image attend within square units; queries are pooled after their map [Ryali2023].

    Attributes:
        unit: Side of a unit, which divides both sides of the image; 0: all positions are one unit.
        query_stride: By what the sides shrink: the greatest of so many neighbours is a query; divides the
            side of a unit.
        channels: Channels that go out; ``None`` keeps their number. Heads are a part of these.
    """

    unit: int = 8
    query_stride: int = 1
    channels: int | None = None

    def width(self, channels: int) -> int:
        return super().width(self.channels or channels)

    def _unit(self, image: Image) -> tuple[int, int]:
        return (self.unit, self.unit) if self.unit else (image.height, image.width)

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        self.check_heads(*inputs)
        whole(self, inputs, 0, unit=self.unit)
        whole(self, inputs, 1, query_stride=self.query_stride)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
        sides = self._unit(image)
        pairs = list(zip((image.height, image.width), sides, strict=True))
        fits = all(size % side == 0 and side % self.query_stride == 0 for size, side in pairs)
        rule = "needs units that divide the image, and a query_stride that divides a unit"
        expect(fits, self, rule, *inputs)
        sizes = [size // self.query_stride for size, _ in pairs]
        return Image(self.channels or image.channels, *sizes)

    def call(self, *inputs: TensorType) -> Call:
        image = image_of(self, inputs)
        arguments = self.arguments(image) | {
            "unit": self._unit(image),
            "stride": self.query_stride,
            "outputs": self.channels or image.channels,
        }
        return Call(modules.UnitAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        width, places = self.width(image.channels), image.height * image.width
        queries, keys = self.heads * width, (self.kv_heads or self.heads) * width
        rows, columns = self._unit(image)
        area, made = rows * columns, output.height * output.width
        return (
            counts.pointwise(image.channels, queries, places, self.bias)
            + counts.pointwise(image.channels, keys, places, self.bias and self.key_bias)
            + counts.pointwise(image.channels, keys, places, self.bias)
            + counts.pointwise(queries, output.channels, made, self.out_bias)
            + counts.product(made, width, area, 2 * self.heads)
        )

"""Encodings of position that are added to images or tokens.

The relative bias of windows is an option of :class:`~nasplat.ops.attention_window.WindowAttention`.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Chu2023] X. Chu et al. Conditional positional encodings for vision transformers. ICLR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Op, OpCost
from nasplat.graph.types import Image, TensorType
from nasplat.ops import counts
from nasplat.ops.checks import channels_of, grid_of, image_of, known, odd, positions_of
from nasplat.ops.modules import position as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class AbsolutePosition(Op):
    """Add to each position a vector of its own.

    Attributes:
        form: ``learned``, or ``sinusoidal``: fixed sines and cosines of the coordinates [Vaswani2017].
    """

    FORMS: ClassVar[tuple[str, ...]] = ("learned", "sinusoidal")

    form: str = "learned"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        known(self, inputs, self.FORMS, form=self.form)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        if self.form == "learned":
            return Call(modules.LearnedPosition, {"shape": features.shape})
        image = isinstance(features, Image)
        arguments: dict[str, Any] = {
            "channels": channels_of(features),
            "sizes": features.shape[1:] if image else features.shape[:1],
            "image": image,
        }
        return Call(modules.SinusoidalPosition, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        return counts.vector(grid_of(self, inputs).numel if self.form == "learned" else 0)


@dataclass(frozen=True, kw_only=True)
class ConvPosition(KernelOp):
    """Add to each position of an image a convolution of each channel around it [Chu2023].

    Attributes:
        kernel: Odd side of the kernel.
    """

    kernel: int = 3

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        return image

    def call(self, *inputs: TensorType) -> Call:
        channels = image_of(self, inputs).channels
        return Call(modules.ConvPosition, {"channels": channels, "kernel": self.kernel})

    def cost(self, *inputs: TensorType) -> OpCost:
        image = image_of(self, inputs)
        channels = image.channels
        return counts.convolution(channels, channels, self.kernel, positions_of(image), channels)

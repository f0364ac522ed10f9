"""Stems: the first layers, from an image to feature maps or tokens.

An image that does not divide into whole steps is padded to the right and below; one smaller than a
step is refused.

References:
    [Dosovitskiy2021] A. Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021.
    [Xiao2021] T. Xiao et al. Early convolutions help transformers see better. NeurIPS 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasplat.graph.op import Call, OpCost, expect
from nasplat.graph.types import Image, TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NORMS, image_of, known, odd, positions_of, whole
from nasplat.ops.conv import strided
from nasplat.ops.modules import resample as modules
from nasplat.ops.resample import padding, reduced
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class PatchStem(KernelOp):
    """Cut an image into patches and map each to the channels of one position [Dosovitskiy2021].

    Attributes:
        channels: Channels that go out.
        patch: Side of a patch.
        norm: ``none``, ``layer``, ``rms`` or ``batch``; after the map, which has a bias.
    """

    channels: int
    patch: int = 4
    norm: str = "layer"

    def infer(self, *inputs: TensorType) -> Image:
        whole(self, inputs, 1, patch=self.patch)
        known(self, inputs, NORMS, norm=self.norm)
        return reduced(self, inputs, self.channels, self.patch)

    def call(self, *inputs: TensorType) -> Call:
        image = image_of(self, inputs)
        arguments = {
            "inputs": image.channels,
            "outputs": self.channels,
            "patch": self.patch,
            "pad": padding(image, self.patch),
            "norm": self.norm,
            "tokens": False,
        }
        return Call(modules.PatchStem, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        return counts.convolution(
            image.channels, output.channels, self.patch, positions_of(output)
        ) + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class PatchEmbed(KernelOp):
    """Cut an image into patches and map each to a token [Dosovitskiy2021].

    Attributes:
        dim: Channels of a token.
        patch: Side of a patch.
        norm: As in :class:`PatchStem`.
    """

    dim: int
    patch: int = 4
    norm: str = "none"

    def infer(self, *inputs: TensorType) -> Tokens:
        whole(self, inputs, 1, patch=self.patch)
        known(self, inputs, NORMS, norm=self.norm)
        return Tokens(positions_of(reduced(self, inputs, self.dim, self.patch)), self.dim)

    def call(self, *inputs: TensorType) -> Call:
        image = image_of(self, inputs)
        arguments = {
            "inputs": image.channels,
            "outputs": self.dim,
            "patch": self.patch,
            "pad": padding(image, self.patch),
            "norm": self.norm,
            "tokens": True,
        }
        return Call(modules.PatchStem, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image, output = image_of(self, inputs), self.infer(*inputs)
        return counts.convolution(
            image.channels, output.dim, self.patch, output.length
        ) + counts.norm(self.norm, output.dim)


@dataclass(frozen=True, kw_only=True)
class ConvStem(KernelOp):
    """Convolutions of stride 2, one for each doubling of the total stride [Xiao2021].

    All but the last have half the channels; each is normalised and activated.

    Attributes:
        channels: Channels that go out.
        stride: Total stride, a power of two; at 1 there is one convolution of stride 1.
        kernel: Odd side of the kernels.
        norm: As in :class:`PatchStem`; the convolutions have a bias only without one.
        activation: ``none``, ``relu``, ``gelu``, ``silu`` or ``hardswish``.
    """

    channels: int
    stride: int = 4
    kernel: int = 3
    norm: str = "batch"
    activation: str = "gelu"

    def infer(self, *inputs: TensorType) -> Image:
        whole(self, inputs, 1, stride=self.stride)
        if self.stride & (self.stride - 1):
            expect(False, self, f"needs stride to be a power of two, got {self.stride}", *inputs)
        odd(self, inputs, kernel=self.kernel)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return reduced(self, inputs, self.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        arguments = {
            "inputs": image_of(self, inputs).channels,
            "outputs": self.channels,
            "steps": self.stride.bit_length() - 1,
            "kernel": self.kernel,
            "norm": self.norm,
            "activation": self.activation,
        }
        return Call(modules.ConvStem, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image = image_of(self, inputs)
        steps = self.stride.bit_length() - 1
        total = OpCost()
        for step in range(max(steps, 1)):
            last = step >= steps - 1
            output = strided(
                image, self.channels if last else max(1, self.channels // 2), 2 if steps else 1
            )
            total += counts.convolution(
                image.channels,
                output.channels,
                self.kernel,
                positions_of(output),
                bias=self.norm == "none",
            ) + counts.norm(self.norm, output.channels)
            image = output
        return total

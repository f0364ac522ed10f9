"""Stems: the first layers, from an image, series, volume or grid to feature maps or tokens.

A map that does not divide into whole steps is padded behind; one smaller than a step is refused.

References:
    [Dosovitskiy2021] A. Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021.
    [Xiao2021] T. Xiao et al. Early convolutions help transformers see better. NeurIPS 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasplat.graph.op import Call, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NORMS, known, odd, whole
from nasplat.ops.geometry import maps_in, strided
from nasplat.ops.layout import Maps, axes, positions
from nasplat.ops.modules import resample as modules
from nasplat.ops.resample import padding, reduced
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class PatchStem(KernelOp):
    """Cut a map into patches and map each to the channels of one position [Dosovitskiy2021].

    Attributes:
        channels: Channels that go out.
        patch: Side of a patch.
        norm: One of ``checks.NORMS``; after the map, which has a bias.
    """

    channels: int
    patch: int = 4
    norm: str = "layer"

    def infer(self, *inputs: TensorType) -> Maps:
        whole(self, inputs, 1, patch=self.patch)
        known(self, inputs, NORMS, norm=self.norm)
        return reduced(self, inputs, self.channels, self.patch)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "inputs": item.channels,
            "outputs": self.channels,
            "patch": self.patch,
            "pad": padding(item, self.patch),
            "norm": self.norm,
            "tokens": False,
        }
        return Call(modules.PatchStem, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        return counts.convolution(
            item.channels,
            output.channels,
            self.patch,
            positions(output),
            rank=len(axes(item)),
        ) + counts.norm(self.norm, output.channels)


@dataclass(frozen=True, kw_only=True)
class PatchEmbed(KernelOp):
    """Cut a map into patches and map each to a token [Dosovitskiy2021].

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
        return Tokens(positions(reduced(self, inputs, self.dim, self.patch)), self.dim)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "inputs": item.channels,
            "outputs": self.dim,
            "patch": self.patch,
            "pad": padding(item, self.patch),
            "norm": self.norm,
            "tokens": True,
        }
        return Call(modules.PatchStem, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        return counts.convolution(
            item.channels, output.dim, self.patch, output.length, rank=len(axes(item))
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
        activation: One of ``checks.ACTIVATIONS``.
    """

    channels: int
    stride: int = 4
    kernel: int = 3
    norm: str = "batch"
    activation: str = "gelu"

    def infer(self, *inputs: TensorType) -> Maps:
        whole(self, inputs, 1, stride=self.stride)
        if self.stride & (self.stride - 1):
            expect(False, self, f"needs stride to be a power of two, got {self.stride}", *inputs)
        odd(self, inputs, kernel=self.kernel)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return reduced(self, inputs, self.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "inputs": item.channels,
            "outputs": self.channels,
            "steps": self.stride.bit_length() - 1,
            "kernel": self.kernel,
            "norm": self.norm,
            "activation": self.activation,
            "rank": len(axes(item)),
        }
        return Call(modules.ConvStem, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = maps_in(self, inputs)
        steps = self.stride.bit_length() - 1
        total = OpCost()
        for step in range(max(steps, 1)):
            last = step >= steps - 1
            width = self.channels if last else max(1, self.channels // 2)
            output = strided(item, width, 2 if steps else 1)
            total += counts.convolution(
                item.channels,
                output.channels,
                self.kernel,
                positions(output),
                bias=self.norm == "none",
                rank=len(axes(item)),
            )
            total += counts.norm(self.norm, output.channels) + counts.activation(self.activation)
            item = output
        return total

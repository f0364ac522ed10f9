"""The convolution of searched cells.

References:
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, OpCost
from nasplat.graph.types import TensorType
from nasplat.ops import counts
from nasplat.ops.checks import ACTIVATIONS, NORMS, known, odd, whole
from nasplat.ops.geometry import maps_in, strided
from nasplat.ops.layout import Maps, axes, positions
from nasplat.ops.modules import conv as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class ReLUConvBN(KernelOp):
    """Activation, convolution without bias, normalisation: the convolution of cells [Dong2020].

    Attributes:
        channels: Channels that go out; ``None`` keeps their number.
        kernel: Odd side of the kernel.
        stride: Step between outputs, at least 1.
        activation: As in :class:`~nasplat.ops.conv.Conv`; before the convolution.
        norm: As in :class:`~nasplat.ops.conv.Conv`; after the convolution.
    """

    kind: ClassVar[str] = "relu_conv_bn"

    channels: int | None = None
    kernel: int = 3
    stride: int = 1
    activation: str = "relu"
    norm: str = "batch"

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        whole(self, inputs, 1, stride=self.stride)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        if self.channels is not None:
            whole(self, inputs, 1, channels=self.channels)
        return strided(item, self.channels or item.channels, self.stride)

    def call(self, *inputs: TensorType) -> Call:
        item = maps_in(self, inputs)
        arguments = {
            "inputs": item.channels,
            "outputs": self.infer(*inputs).channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "activation": self.activation,
            "norm": self.norm,
            "rank": len(axes(item)),
        }
        return Call(modules.PreActivationConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item, output = maps_in(self, inputs), self.infer(*inputs)
        return (
            counts.convolution(
                item.channels,
                output.channels,
                self.kernel,
                positions(output),
                bias=self.norm == "none",
                rank=len(axes(item)),
            )
            + counts.norm(self.norm, output.channels)
            + counts.activation(self.activation)
        )

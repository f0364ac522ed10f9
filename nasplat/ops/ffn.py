"""Feed-forward ops of images and tokens; a hidden width is ``round(channels * ratio)``, at least 1.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Shazeer2020] N. Shazeer. GLU variants improve transformer. 2020.
    [Wang2022] W. Wang et al. PVT v2. Computational Visual Media 8, 2022.
    [Fedus2022] W. Fedus et al. Switch transformers. JMLR 23, 2022.
    [Lepikhin2021] D. Lepikhin et al. GShard. ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType
from nasplat.ops import counts, selection
from nasplat.ops.checks import (
    ACTIVATIONS,
    channels_of,
    grid_of,
    image_of,
    known,
    odd,
    positions_of,
    positive,
    share,
    whole,
)
from nasplat.ops.modules import ffn as modules
from nasplat.ops.selection import KernelOp


@dataclass(frozen=True, kw_only=True)
class MLP(Op):
    """Widen, activate, narrow [Vaswani2017].

    Attributes:
        ratio: Channels inside over channels, above 0.
        activation: ``none``, ``relu``, ``gelu``, ``silu`` or ``hardswish``.
    """

    ratio: float = 4
    activation: str = "gelu"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        positive(self, inputs, ratio=self.ratio)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        channels = channels_of(features)
        arguments = {
            "channels": channels,
            "hidden": share(channels, self.ratio),
            "activation": self.activation,
            "image": isinstance(features, Image),
        }
        return Call(modules.MLP, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = grid_of(self, inputs)
        channels, positions = channels_of(features), positions_of(features)
        return _mlp(channels, share(channels, self.ratio), positions)


def _mlp(channels: int, hidden: int, positions: int) -> OpCost:
    return counts.pointwise(channels, hidden, positions) + counts.pointwise(
        hidden, channels, positions
    )


@dataclass(frozen=True, kw_only=True)
class GatedMLP(Op):
    """Widen twice, multiply one by the activation of the other, narrow [Shazeer2020].

    Attributes:
        ratio: Channels inside over channels, above 0.
        gate: ``glu`` (sigmoid), ``geglu`` (GELU) or ``swiglu`` (SiLU).
    """

    GATES: ClassVar[tuple[str, ...]] = ("glu", "geglu", "swiglu")

    ratio: float = 2.5
    gate: str = "swiglu"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        positive(self, inputs, ratio=self.ratio)
        known(self, inputs, self.GATES, gate=self.gate)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        channels = channels_of(features)
        arguments = {
            "channels": channels,
            "hidden": share(channels, self.ratio),
            "gate": self.gate,
            "image": isinstance(features, Image),
        }
        return Call(modules.GatedMLP, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = grid_of(self, inputs)
        channels, positions = channels_of(features), positions_of(features)
        hidden = share(channels, self.ratio)
        return _mlp(channels, hidden, positions) + counts.pointwise(channels, hidden, positions)


@dataclass(frozen=True, kw_only=True)
class DepthwiseMLP(KernelOp):
    """Widen, convolve each channel, activate, narrow; images only [Wang2022].

    Attributes:
        ratio: Channels inside over channels, above 0.
        kernel: Odd side of the kernel.
        activation: As in :class:`MLP`.
    """

    ratio: float = 4
    kernel: int = 3
    activation: str = "gelu"

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        positive(self, inputs, ratio=self.ratio)
        odd(self, inputs, kernel=self.kernel)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return image

    def call(self, *inputs: TensorType) -> Call:
        channels = image_of(self, inputs).channels
        arguments = {
            "channels": channels,
            "hidden": share(channels, self.ratio),
            "kernel": self.kernel,
            "activation": self.activation,
        }
        return Call(modules.DepthwiseMLP, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        image = image_of(self, inputs)
        hidden, positions = share(image.channels, self.ratio), positions_of(image)
        return _mlp(image.channels, hidden, positions) + counts.convolution(
            hidden, hidden, self.kernel, positions, hidden
        )


@dataclass(frozen=True, kw_only=True)
class MoE(Op):
    """A mixture of experts, each an MLP; a router weighs the best few at each position [Lepikhin2021].

    All experts run everywhere and the cost says so; those not chosen weigh zero.

    Attributes:
        experts: Number of routed experts.
        top_k: Experts that count at a position, at most ``experts``. With one its weight is its
            probability [Fedus2022], with more the weights sum to one.
        width: Channels inside each expert over channels, above 0.
        shared_experts: Experts of the same width that every position uses besides.
        activation: As in :class:`MLP`.
        balance: Weight of the load balance loss in training, at least 0 [Fedus2022].
    """

    kind: ClassVar[str] = "moe_ffn"

    experts: int = 4
    top_k: int = 1
    width: float = 2
    shared_experts: int = 0
    activation: str = "gelu"
    balance: float = 0.01

    def infer(self, *inputs: TensorType) -> TensorType:
        features = grid_of(self, inputs)
        whole(self, inputs, 1, experts=self.experts, top_k=self.top_k)
        whole(self, inputs, 0, shared_experts=self.shared_experts)
        positive(self, inputs, width=self.width)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        if self.top_k > self.experts:
            rule = f"needs top_k ({self.top_k}) to be at most experts ({self.experts})"
            expect(False, self, rule, *inputs)
        expect(self.balance >= 0, self, "needs balance >= 0", *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = grid_of(self, inputs)
        channels = channels_of(features)
        hidden = share(channels, self.width)
        arguments = {
            "channels": channels,
            "experts": self.experts,
            "top_k": self.top_k,
            "hidden": hidden,
            "shared": self.shared_experts * hidden,
            "activation": self.activation,
            "balance": self.balance,
            "image": isinstance(features, Image),
        }
        return Call(modules.MoE, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = grid_of(self, inputs)
        channels, positions = channels_of(features), positions_of(features)
        hidden = share(channels, self.width)
        total = counts.pointwise(channels, self.experts, positions, bias=False)
        total += _mlp(channels, self.experts * hidden, positions)
        if self.shared_experts:
            total += _mlp(channels, self.shared_experts * hidden, positions)
        return total

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        """The leading hidden channels of the leading experts."""
        if not isinstance(larger, MoE):
            raise TypeError(f"{larger} is no mixture of experts")
        index = selection.leading(small)
        axis = {"up.weight": 0, "up.bias": 0, "down.weight": 1}.get(name)
        if axis is not None:
            index[axis] = selection.blocks(small[axis], self.experts, large[axis], larger.experts)
        return tuple(index)

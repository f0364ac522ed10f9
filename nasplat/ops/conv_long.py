"""Convolutions along sequences: as long as the sequence itself, and the module of Conformers.

References:
    [Poli2023] M. Poli et al. Hyena hierarchy: towards larger convolutional language models. ICML 2023.
    [Massaroli2023] S. Massaroli et al. Laughing Hyena distillery. NeurIPS 2023.
    [Gulati2020] A. Gulati et al. Conformer. Interspeech 2020.
    [Kim2022] S. Kim et al. Squeezeformer. NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Series, TensorType, Tokens
from nasplat.ops import counts, selection
from nasplat.ops.checks import ACTIVATIONS, NORMS, known, odd, positive, share, whole
from nasplat.ops.layout import channels
from nasplat.ops.modules import conv_long as modules
from nasplat.ops.selection import KernelOp


def _sequence(op: Op, inputs: Sequence[TensorType]) -> Series | Tokens:
    """The only input, a series or tokens."""
    if len(inputs) == 1 and isinstance(inputs[0], Series | Tokens):
        return inputs[0]
    expect(False, op, "takes one Series or Tokens", *inputs)
    raise AssertionError


@dataclass(frozen=True, kw_only=True)
class LongConv(Op):
    """A convolution along the whole of a sequence, by Fourier transforms [Poli2023].

    The transforms are no multiply-accumulates by the library's count. Maps of the channels and a short
    convolution stand before it, a map of the channels behind.

    Attributes:
        filter: ``implicit``: a small network of the place under a window that decays; ``explicit``:
            learned taps.
        gated: Whether it stands between two products with other maps of the input.
        causal: Whether no output sees a later position.
        filter_heads: Filters that the channels share; divides them [Massaroli2023]. ``None``: one for
            every channel.
        hidden: Width of the network of ``implicit``.
    """

    FILTERS: ClassVar[tuple[str, ...]] = ("implicit", "explicit")

    filter: str = "implicit"
    gated: bool = True
    causal: bool = False
    filter_heads: int | None = None
    hidden: int = 16

    def infer(self, *inputs: TensorType) -> Series | Tokens:
        item = _sequence(self, inputs)
        known(self, inputs, self.FILTERS, filter=self.filter)
        whole(self, inputs, 1, hidden=self.hidden)
        if self.filter_heads is not None:
            whole(self, inputs, 1, filter_heads=self.filter_heads)
            rule = f"needs filter_heads to divide the {channels(item)} channels"
            expect(channels(item) % self.filter_heads == 0, self, rule, *inputs)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = _sequence(self, inputs)
        arguments: dict[str, Any] = {
            "channels": channels(item),
            "length": item.length,
            "heads": self.filter_heads or channels(item),
            "implicit": self.filter == "implicit",
            "gated": self.gated,
            "causal": self.causal,
            "hidden": self.hidden,
            "tokens": isinstance(item, Tokens),
        }
        return Call(modules.LongConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = _sequence(self, inputs)
        width, places = channels(item), item.length
        wide = width * (3 if self.gated else 1)
        heads = self.filter_heads or width
        taps = places if self.causal else 2 * places - 1
        total = counts.pointwise(width, wide, places) + counts.pointwise(width, width, places)
        total += counts.convolution(wide, wide, 3, places, wide, rank=1) + counts.vector(width)
        if self.filter == "explicit":
            return total + counts.vector(heads * taps)
        total += counts.pointwise(9, self.hidden, taps)
        return total + counts.pointwise(self.hidden, heads, taps)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        index = selection.leading(small)
        if name == "filter.taps" and not self.causal:
            # The position itself has the tap in the middle.
            return selection.centred(small, large, 1)
        if name.startswith(("entry.", "short.")) and self.gated:
            index[0] = selection.blocks(small[0], 3, large[0], 3)
        return tuple(index)


@dataclass(frozen=True, kw_only=True)
class ConformerConv(KernelOp):
    """Widen and gate, convolve each channel, normalise, activate, map the channels [Gulati2020].

    Takes tokens and series.

    Attributes:
        kernel: Odd side of the kernel; any where it is causal.
        gate: ``glu``: one half of the widened channels gates the other; ``none``: they are activated
            [Kim2022].
        expand: Channels inside over channels, above 0.
        causal: Whether no output sees a later position.
        norm: One of ``checks.NORMS``; after the convolution.
        activation: One of ``checks.ACTIVATIONS``; after the norm.
        bias: Whether maps and convolution have biases.
    """

    GATES: ClassVar[tuple[str, ...]] = ("glu", "none")

    kernel: int = 15
    gate: str = "glu"
    expand: float = 1
    causal: bool = False
    norm: str = "batch"
    activation: str = "silu"
    bias: bool = True

    def infer(self, *inputs: TensorType) -> Series | Tokens:
        item = _sequence(self, inputs)
        if self.causal:
            whole(self, inputs, 1, kernel=self.kernel)
        else:
            odd(self, inputs, kernel=self.kernel)
        known(self, inputs, self.GATES, gate=self.gate)
        positive(self, inputs, expand=self.expand)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = _sequence(self, inputs)
        arguments: dict[str, Any] = {
            "channels": channels(item),
            "kernel": self.kernel,
            "glu": self.gate == "glu",
            "hidden": share(channels(item), self.expand),
            "causal": self.causal,
            "norm": self.norm,
            "activation": self.activation,
            "bias": self.bias,
            "tokens": isinstance(item, Tokens),
        }
        return Call(modules.ConformerConv, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        item = _sequence(self, inputs)
        width, hidden, places = channels(item), share(channels(item), self.expand), item.length
        wide = 2 * hidden if self.gate == "glu" else hidden
        total = counts.activation(self.activation) + counts.norm(self.norm, hidden)
        if self.gate == "none":
            total += counts.activation(self.activation)
        return (
            total
            + counts.pointwise(width, wide, places, self.bias)
            + counts.convolution(hidden, hidden, self.kernel, places, hidden, self.bias, 1)
            + counts.pointwise(hidden, width, places, self.bias)
        )

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        index = list(selection.kernel(small, large))
        if self.causal and len(small) == 3:
            # The last tap is the position itself.
            index[2] = slice(large[2] - small[2], large[2])
        if name.startswith("entry.") and self.gate == "glu":
            index[0] = selection.blocks(small[0], 2, large[0], 2)
        return tuple(index)

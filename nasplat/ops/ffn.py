"""Feed-forward ops of images, series, volumes, grids, tokens and vectors.

A hidden width is ``hidden`` where it is given, else ``round(channels * ratio)``, at least 1.
Mixtures of experts are in :mod:`nasplat.ops.moe`, linear maps of all kinds in :mod:`nasplat.ops.linear`.

References:
    [Vaswani2017] A. Vaswani et al. Attention is all you need. NeurIPS 2017.
    [Gerber2025] I. Gerber. Attention is not all you need: the importance of feedforward networks. 2025.
    [Wang2023] H. Wang et al. Magneto: a foundation transformer. ICML 2023.
    [Shazeer2020] N. Shazeer. GLU variants improve transformer. 2020.
    [Shi2024] D. Shi. TransNeXt: robust foveal visual perception. CVPR 2024.
    [Wang2022] W. Wang et al. PVT v2. Computational Visual Media 8, 2022.
    [Zamir2022] S. W. Zamir et al. Restormer. CVPR 2022.
    [Chen2023] X. Chen et al. Learning a sparse transformer network for image deraining. CVPR 2023.
    [Yu2023] Y. Yu et al. White-box transformers via sparse rate reduction. NeurIPS 2023.
    [Zhuo2024] Z. Zhuo et al. Polynomial composition activations. 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Index, Op, OpCost, expect
from nasplat.graph.types import Grid, Series, TensorType, Tokens
from nasplat.ops import counts, layout, selection
from nasplat.ops.checks import ACTIVATIONS, NORMS, known, odd, positive, share, whole
from nasplat.ops.layout import channels, positions, rank
from nasplat.ops.modules import ffn as modules

GATES = ("glu", "geglu", "swiglu", "reglu")
"""Forms of a gate: sigmoid, GELU, SiLU, ReLU [Shazeer2020]."""


def hidden_width(inputs: int, ratio: float, hidden: int | None) -> int:
    """Channels inside a feed-forward part."""
    return share(inputs, ratio) if hidden is None else hidden


class _Hidden(Op):
    """A feed-forward part with a hidden width."""

    ratio: float
    hidden: int | None

    def _check(self, inputs: Sequence[TensorType]) -> layout.Channelled:
        features = layout.channelled(self, inputs)
        positive(self, inputs, ratio=self.ratio)
        if self.hidden is not None:
            whole(self, inputs, 1, hidden=self.hidden)
        return features

    def _hidden(self, features: layout.Channelled) -> int:
        return hidden_width(channels(features), self.ratio, self.hidden)


@dataclass(frozen=True, kw_only=True)
class MLP(_Hidden):
    """Widen, activate, narrow [Vaswani2017].

    Attributes:
        ratio: Channels inside over channels, above 0.
        activation: A form of :class:`~nasplat.ops.norm.Activation`; ``polynomial`` as in [Zhuo2024].
        hidden: Channels inside; ``None``: by ``ratio``.
        depth: Linear maps, 2 to 4; the inner ones keep the hidden width [Gerber2025].
        bias: Whether the maps have biases.
        norm: Form of a normalisation before the narrowing map [Wang2023].
    """

    ratio: float = 4
    activation: str = "gelu"
    hidden: int | None = None
    depth: int = 2
    bias: bool = True
    norm: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = self._check(inputs)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        known(self, inputs, NORMS, norm=self.norm)
        expect(self.depth in (2, 3, 4), self, "needs depth to be 2, 3 or 4", *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = self._check(inputs)
        arguments = {
            "channels": channels(features),
            "hidden": self._hidden(features),
            "activation": self.activation,
            "rank": rank(features),
            "depth": self.depth,
            "bias": self.bias,
            "norm": self.norm,
        }
        return Call(modules.MLP, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = self._check(inputs)
        width, hidden, places = channels(features), self._hidden(features), positions(features)
        total = mlp_cost(width, hidden, places, self.bias) + counts.norm(self.norm, hidden)
        for _ in range(self.depth - 2):
            total += counts.pointwise(hidden, hidden, places, self.bias)
        for _ in range(self.depth - 1):
            total += counts.activation(self.activation)
        return total


def mlp_cost(width: int, hidden: int, places: int, bias: bool = True) -> OpCost:
    """A widening and a narrowing map."""
    return counts.pointwise(width, hidden, places, bias) + counts.pointwise(
        hidden, width, places, bias
    )


@dataclass(frozen=True, kw_only=True)
class GatedMLP(_Hidden):
    """Widen twice, multiply one by the activation of the other, narrow [Shazeer2020].

    With a kernel the gate is convolved before its activation: a convolutional gate [Shi2024].

    Attributes:
        ratio: Channels inside over channels, above 0.
        gate: One of ``GATES``, or ``polynomial`` [Zhuo2024].
        hidden: Channels inside; ``None``: by ``ratio``.
        bias: Whether the maps have biases.
        kernel: Odd side of the gate's convolution over at most three position axes; 0: none.
        mask: ``none``, or ``causal``: that convolution sees no later position; tokens and series.
        norm: Form of a normalisation before the narrowing map [Wang2023].
    """

    MASKS: ClassVar[tuple[str, ...]] = ("none", "causal")

    ratio: float = 2.5
    gate: str = "swiglu"
    hidden: int | None = None
    bias: bool = True
    kernel: int = 0
    mask: str = "none"
    norm: str = "none"

    def infer(self, *inputs: TensorType) -> TensorType:
        features = self._check(inputs)
        known(self, inputs, (*GATES, "polynomial"), gate=self.gate)
        known(self, inputs, NORMS, norm=self.norm)
        known(self, inputs, self.MASKS, mask=self.mask)
        if self.kernel:
            odd(self, inputs, kernel=self.kernel)
            rule = "convolves gates over one to three position axes"
            expect(1 <= len(layout.axes(features)) <= 3, self, rule, *inputs)
            rule = "can be causal only on Tokens and Series"
            one = isinstance(features, Tokens | Series)
            expect(one or self.mask == "none", self, rule, *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = self._check(inputs)
        arguments = {
            "channels": channels(features),
            "hidden": self._hidden(features),
            "gate": self.gate,
            "rank": rank(features),
            "bias": self.bias,
            "kernel": self.kernel,
            "causal": self.mask == "causal",
            "norm": self.norm,
        }
        return Call(modules.GatedMLP, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = self._check(inputs)
        width, hidden, places = channels(features), self._hidden(features), positions(features)
        total = mlp_cost(width, hidden, places, self.bias) + counts.norm(self.norm, hidden)
        total += counts.pointwise(width, hidden, places, self.bias) + counts.activation(self.gate)
        return total + _spatial(hidden, self.kernel, layout.axes(features), places)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        return _centred_kernel(small, large)


def _spatial(hidden: int, kernel: int, axes: Sequence[int], places: int) -> OpCost:
    """A convolution of each channel; nothing without a kernel."""
    if not kernel:
        return OpCost()
    weights = hidden * kernel ** len(axes)
    return OpCost(weights + hidden, weights * places, weights)


def _centred_kernel(small: Sequence[int], large: Sequence[int]) -> tuple[Index, ...]:
    """The middle of the axes of a kernel, the leading slice of channels."""
    return selection.centred(small, large, *range(2, len(small)))


@dataclass(frozen=True, kw_only=True)
class DepthwiseMLP(_Hidden):
    """Widen, convolve each channel, activate, narrow; on maps of one to three axes [Wang2022].

    Attributes:
        ratio: Channels inside over channels, above 0.
        kernel: Odd side of the kernel.
        activation: As in :class:`MLP`.
        hidden: Channels inside; ``None``: by ``ratio``.
        kernels: Odd sides of several kernels in the place of one; their results, all of the hidden
            width, stand side by side before the narrowing map [Chen2023]. ``None``: ``kernel`` alone.
        gated: Whether twice the channels are convolved and the activation of one half multiplies the
            other [Zamir2022].
    """

    ratio: float = 4
    kernel: int = 3
    activation: str = "gelu"
    hidden: int | None = None
    kernels: tuple[int, ...] | None = None
    gated: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        features = layout.maps_of(self, inputs)
        self._check(inputs)
        rule = "takes at most three position axes"
        expect(not isinstance(features, Grid) or 1 <= rank(features) <= 3, self, rule, *inputs)
        expect(len(self._kernels()) > 0, self, "needs at least one kernel", *inputs)
        for kernel in self._kernels():
            odd(self, inputs, kernel=kernel)
        known(self, inputs, ACTIVATIONS, activation=self.activation)
        return features

    def _kernels(self) -> tuple[int, ...]:
        return (self.kernel,) if self.kernels is None else self.kernels

    def call(self, *inputs: TensorType) -> Call:
        features = self._check(inputs)
        arguments = {
            "channels": channels(features),
            "hidden": self._hidden(features),
            "kernels": self._kernels(),
            "activation": self.activation,
            "rank": rank(features),
            "gated": self.gated,
        }
        return Call(modules.DepthwiseMLP, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = self._check(inputs)
        width, hidden, places = channels(features), self._hidden(features), positions(features)
        inside = 2 * hidden if self.gated else hidden
        total = counts.pointwise(width, inside, places) + counts.activation(self.activation)
        for kernel in self._kernels():
            total += _spatial(inside, kernel, layout.axes(features), places)
        return total + counts.pointwise(hidden * len(self._kernels()), width, places)

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        return _centred_kernel(small, large)


@dataclass(frozen=True, kw_only=True)
class SparseCodingStep(Op):
    """A step towards a sparse code of the channels in a learned square dictionary [Yu2023].

    ``relu(x + step * D^T (x - D x) - step * threshold)``; it holds its own shortcut.

    Attributes:
        step: Size of the step, above 0.
        threshold: Weight of sparsity, at least 0.
    """

    keeps_zero: ClassVar[bool] = True

    step: float = 0.1
    threshold: float = 0.1

    def infer(self, *inputs: TensorType) -> TensorType:
        features = layout.channelled(self, inputs)
        positive(self, inputs, step=self.step)
        expect(self.threshold >= 0, self, "needs threshold >= 0", *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = layout.channelled(self, inputs)
        arguments = {
            "channels": channels(features),
            "step": float(self.step),
            "threshold": float(self.threshold),
            "rank": rank(features),
        }
        return Call(modules.SparseCodingStep, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features = layout.channelled(self, inputs)
        width, places = channels(features), positions(features)
        return counts.pointwise(width, width, places, bias=False) + counts.product(
            places, width, width
        )

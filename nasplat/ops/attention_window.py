"""Attention within groups of positions.

All are total in the lengths of the position axes: a group is at most the axis, and an axis that is not made
of whole groups is padded, with a mask that keeps the padding out.

References:
    [Liu2021] Z. Liu et al. Swin Transformer: hierarchical vision transformer using shifted windows. 2021.
    [Liu2022] Z. Liu et al. Swin Transformer V2: scaling up capacity and resolution. CVPR 2022.
    [Chen2023] X. Chen et al. Activating more pixels in image super-resolution transformer. CVPR 2023.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, OpCost, expect
from nasplat.graph.types import TensorType
from nasplat.ops import layout
from nasplat.ops.checks import known, whole
from nasplat.ops.heads import Attended, Headed, attended_of, relative_cost
from nasplat.ops.modules import attention_window as modules

MASKS = ("none", "causal")


def spread(
    op: Headed,
    inputs: Sequence[TensorType],
    name: str,
    value: int | tuple[int, ...],
    least: int = 1,
) -> tuple[int, ...]:
    """One number for each position axis of the first input: given as one for all, or one by one.

    Raises:
        GraphTypeError: It is no integer of at least ``least``, or there are too few or too many.
    """
    axes = layout.axes(attended_of(op, inputs[:1]))
    given: tuple[int, ...] = value if isinstance(value, tuple) else (value,) * len(axes)
    rule = f"needs {name} to be one number, or one for each of {len(axes)} axes; got {value!r}"
    expect(len(given) == len(axes), op, rule, *inputs)
    for item in given:
        whole(op, inputs, least, **{name: item})
    return given


@dataclass(frozen=True, kw_only=True)
class WindowAttention(Headed):
    """Positions attend within windows, regular or shifted by half a window [Liu2021].

    It takes an image, a series, a volume, a grid or tokens.

    Attributes:
        window: Side of a window, one for all position axes or one for each.
        shifted: Whether windows are shifted by half their side; an axis of one window is not.
        relative_bias: ``table``: each head learns a bias for each offset between two positions
            [Liu2021]; ``mlp``: a small network of the offset says it [Liu2022]; ``alibi``: a fixed
            slope of the distance; ``none``.
        bias_width: Hidden width of the network of an ``mlp`` bias.
        overlap: By which share of its side the window of the keys is longer than that of the queries
            [Chen2023], from 0 to 2; half of it on each side.
        mask: ``none`` or, of series and tokens, ``causal``: no key that comes later is seen.
    """

    window: int | tuple[int, ...] = 7
    shifted: bool = False
    relative_bias: str = "table"
    bias_width: int = 64
    overlap: float = 0.0
    mask: str = "none"

    def _window(self, inputs: Sequence[TensorType]) -> tuple[int, ...]:
        axes = layout.axes(attended_of(self, inputs))
        sides = spread(self, inputs, "window", self.window)
        return tuple(min(side, size) for side, size in zip(sides, axes, strict=True))

    def _margin(self, window: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(self.overlap * side / 2) for side in window)

    def infer(self, *inputs: TensorType) -> TensorType:
        features = attended_of(self, inputs)
        self.check_heads(*inputs)
        self.check_bias(self.relative_bias, self.bias_width, *inputs)
        self._window(inputs)
        known(self, inputs, MASKS, mask=self.mask)
        rule = f"needs overlap to be from 0 to 2, got {self.overlap!r}"
        expect(0 <= self.overlap <= 2, self, rule, *inputs)
        rule = "is causal along one position axis only"
        expect(self.mask == "none" or len(layout.axes(features)) == 1, self, rule, *inputs)
        return features

    def call(self, *inputs: TensorType) -> Call:
        features = attended_of(self, inputs)
        axes, window = layout.axes(features), self._window(inputs)
        shift = tuple(
            side // 2 if self.shifted and size > side else 0
            for size, side in zip(axes, window, strict=True)
        )
        arguments = self.arguments(features) | {
            "axes": axes,
            "window": window,
            "shift": shift,
            "margin": self._margin(window),
            "dilated": False,
            "causal": self.mask == "causal",
            "relative_bias": self.relative_bias,
            "bias_width": self.bias_width,
        }
        return Call(modules.WindowAttention, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        features, window = attended_of(self, inputs), self._window(inputs)
        keys = [side + 2 * more for side, more in zip(window, self._margin(window), strict=True)]
        return grouped_cost(self, features, window, keys, self.relative_bias, self.bias_width)


def grouped_cost(
    op: Headed,
    features: Attended,
    window: Sequence[int],
    keys: Sequence[int],
    relative_bias: str,
    bias_width: int,
) -> OpCost:
    """Projections, attention within groups of ``window`` queries and ``keys``, and the bias."""
    channels, axes = layout.channels(features), layout.axes(features)
    groups = math.prod(-(-size // side) for size, side in zip(axes, window, strict=True))
    return (
        op.projections(channels, layout.positions(features))
        + op.mixing(channels, math.prod(window), math.prod(keys), groups)
        + relative_cost(relative_bias, op.heads, window, keys, bias_width)
    )

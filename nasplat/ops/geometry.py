"""The geometry of convolutions: which types they take, what goes out, how they are padded.

A stride of ``s`` gives ``ceil(axis / s)`` positions on every axis, a transposed one ``axis * s``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from nasplat.graph.op import Op, expect
from nasplat.graph.types import Grid, Image, Series, TensorType, Tokens, Volume
from nasplat.ops.layout import Maps, axes, resized

Size = int | tuple[int, ...]
"""One number for every position axis, or one for each."""
Placed = Image | Series | Volume | Grid | Tokens
"""Types with channels and positions."""
Item = TypeVar("Item", bound=Placed)


def spread(size: Size, rank: int) -> tuple[int, ...]:
    """A size for each axis."""
    return (size,) * rank if isinstance(size, int) else tuple(size)


def maps_in(op: Op, inputs: Sequence[TensorType]) -> Maps:
    """The only input, channels over one to three position axes.

    Raises:
        GraphTypeError: It is something else.
    """
    item = inputs[0] if len(inputs) == 1 else None
    if isinstance(item, Maps) and 1 <= len(axes(item)) <= 3:
        return item
    expect(False, op, "takes one Image, Series, Volume or Grid of one to three axes", *inputs)
    raise AssertionError


def placed_in(op: Op, inputs: Sequence[TensorType]) -> Placed:
    """The only input, channels over one to three position axes, or tokens, which have one.

    Raises:
        GraphTypeError: It is something else.
    """
    item = inputs[0] if len(inputs) == 1 else None
    if isinstance(item, Tokens) or (isinstance(item, Maps) and 1 <= len(axes(item)) <= 3):
        return item
    rule = "takes one Image, Series, Volume, Tokens or Grid of one to three axes"
    expect(False, op, rule, *inputs)
    raise AssertionError


def sizes(op: Op, inputs: Sequence[TensorType], rank: int, **values: object) -> None:
    """Each value is an integer of at least 1, or one for each of ``rank`` axes."""
    for name, value in values.items():
        each = value if isinstance(value, tuple) else (value,)
        right = all(
            isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in each
        )
        if not right or (isinstance(value, tuple) and len(value) != rank):
            rule = f"needs {name} to be an integer >= 1, or {rank} of them; got {value!r}"
            expect(False, op, rule, *inputs)


def odd_sizes(op: Op, inputs: Sequence[TensorType], rank: int, **values: Size) -> None:
    """As :func:`sizes`, and odd, so that a kernel has a centre."""
    sizes(op, inputs, rank, **values)
    for name, value in values.items():
        if any(side % 2 == 0 for side in spread(value, rank)):
            expect(False, op, f"needs {name} to be odd, got {value!r}", *inputs)


def strided(item: Item, channels: int, stride: Size) -> Item:
    """The output of a padded convolution."""
    met = axes(item)
    steps = spread(stride, len(met))
    made = resized(
        item, channels, [-(-size // step) for size, step in zip(met, steps, strict=True)]
    )
    assert isinstance(made, type(item))
    return made


def enlarged(item: Item, channels: int, stride: Size) -> Item:
    """The output of a transposed convolution."""
    met = axes(item)
    steps = spread(stride, len(met))
    made = resized(item, channels, [size * step for size, step in zip(met, steps, strict=True)])
    assert isinstance(made, type(item))
    return made


def around(
    item: Placed, kernel: Size, stride: Size, dilation: Size, causal: bool
) -> tuple[int, ...] | None:
    """Zeros before and after each axis, the last axis first; ``None``: half an odd kernel all around.

    Args:
        item: What comes in.
        kernel: Side of the kernel.
        stride: Step between outputs.
        dilation: Step between the taps of the kernel.
        causal: Whether no output sees a later position.
    """
    met = axes(item)
    sides, strides, steps = (spread(value, len(met)) for value in (kernel, stride, dilation))
    if not causal and all(side % 2 for side in sides):
        return None
    pad: list[int] = []
    for size, side, stride_, step in reversed(list(zip(met, sides, strides, steps, strict=True))):
        reach = step * (side - 1)
        last = (-(-size // stride_) - 1) * stride_
        total = max(0, last + reach + 1 - size)
        first = reach if causal else total // 2
        pad += [first, 0 if causal else total - first]
    return tuple(pad)


def taps(kernel: Size, rank: int) -> int:
    """Number of taps of a kernel."""
    return math.prod(spread(kernel, rank))

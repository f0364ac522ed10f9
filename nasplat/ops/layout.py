"""How the types with channels are laid out: channels, position axes, and the same with other sizes.

Images, series, volumes and grids hold their channels first and then any number of position axes; tokens
and vectors hold them last. An op that computes the same on all of them is written once over these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasplat.graph.op import Op, expect
from nasplat.graph.types import Grid, Image, Series, TensorType, Tokens, Vector, Volume

Maps = Image | Series | Volume | Grid
"""Types with channels first."""
Channelled = Image | Series | Volume | Grid | Tokens | Vector
"""Types with one axis of channels."""


def channelled(op: Op, inputs: Sequence[TensorType]) -> Channelled:
    """The only input, of any type with channels.

    Raises:
        GraphTypeError: There are several inputs, or the one has no channels.
    """
    if len(inputs) == 1 and isinstance(inputs[0], Channelled):
        return inputs[0]
    rule = "takes one Image, Series, Volume, Grid, Tokens or Vector"
    expect(False, op, rule, *inputs)
    raise AssertionError


def maps_of(op: Op, inputs: Sequence[TensorType]) -> Maps:
    """The only input, of any type with channels first.

    Raises:
        GraphTypeError: There are several inputs, or the one is of another type.
    """
    if len(inputs) == 1 and isinstance(inputs[0], Maps):
        return inputs[0]
    expect(False, op, "takes one Image, Series, Volume or Grid", *inputs)
    raise AssertionError


def channels(item: Channelled) -> int:
    """Number of channels."""
    return item.dim if isinstance(item, Tokens | Vector) else item.channels


def axes(item: Channelled) -> tuple[int, ...]:
    """Length of every position axis; none for a vector."""
    if isinstance(item, Vector):
        return ()
    return (item.length,) if isinstance(item, Tokens) else item.sizes[1:]


def positions(item: Channelled) -> int:
    """Number of positions, one for a vector."""
    return math.prod(axes(item))


def rank(item: Channelled) -> int:
    """Number of position axes behind the channels; 0 where the channels are the last axis."""
    return len(axes(item)) if isinstance(item, Maps) else 0


def channel_axis(item: Channelled) -> int:
    """The axis of the channels in a tensor with a batch: 1 or -1."""
    return 1 if isinstance(item, Maps) else -1


def resized(item: Channelled, channels: int, axes: Sequence[int]) -> Channelled:
    """The same kind of type with other sizes, as many position axes as before."""
    if isinstance(item, Tokens):
        return Tokens(axes[0], channels)
    return type(item)(channels, *axes)


def rechannelled(item: Channelled, channels: int) -> Channelled:
    """The same type with another number of channels."""
    return resized(item, channels, axes(item))

"""Tensor types: what an edge of a graph carries, without the batch axis.

They know nothing of ops or graphs. Every type prints as it is written, ``Image(3, 32, 32)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nasplat.errors import GraphTypeError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TensorType:
    """The type of one tensor: its kind and the sizes of every axis but the batch.

    Raises:
        GraphTypeError: A size is not a positive integer.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise GraphTypeError(
                    f"{type(self).__name__}.{field.name} must be a positive integer, got {size!r}"
                )

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(str(size) for size in self.sizes)})"

    @property
    def sizes(self) -> tuple[int, ...]:
        """The fields in order, as given to the constructor."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor without its batch axis."""
        return self.sizes

    @cached_property
    def numel(self) -> int:
        """Number of elements for a batch of one."""
        return math.prod(self.shape)

    def example(self, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """A tensor of this type: standard normal values, shape ``(batch, *shape)``."""
        import torch

        return torch.randn(batch, *self.shape, generator=generator)


@dataclass(frozen=True)
class Image(TensorType):
    """Feature maps on a plane, ``(batch, channels, height, width)``."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Volume(TensorType):
    """Feature maps on a grid of three axes, ``(batch, channels, depth, height, width)``."""

    channels: int
    depth: int
    height: int
    width: int


@dataclass(frozen=True)
class Series(TensorType):
    """Channels over one axis such as time, ``(batch, channels, length)``."""

    channels: int
    length: int


@dataclass(frozen=True)
class Tokens(TensorType):
    """A sequence of embedded tokens, ``(batch, length, dim)``."""

    length: int
    dim: int


@dataclass(frozen=True)
class Ids(TensorType):
    """A sequence of integers in ``[0, vocabulary)``, ``(batch, length)``."""

    length: int
    vocabulary: int

    @property
    def shape(self) -> tuple[int, ...]:
        """``(length,)``: the vocabulary bounds the values, it is no axis."""
        return (self.length,)

    def example(self, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Uniform integers in ``[0, vocabulary)``, shape ``(batch, length)``."""
        import torch

        return torch.randint(self.vocabulary, (batch, self.length), generator=generator)


@dataclass(frozen=True)
class Vector(TensorType):
    """One vector for each example, ``(batch, dim)``."""

    dim: int


@dataclass(frozen=True)
class Logits(TensorType):
    """Unnormalised log-probabilities of classes, ``(batch, classes)``."""

    classes: int


@dataclass(frozen=True)
class Points(TensorType):
    """A set of points in space, ``(batch, count, 3)``."""

    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """``(count, 3)``: three coordinates each."""
        return (self.count, 3)


@dataclass(frozen=True)
class Scores(TensorType):
    """Attention scores or weights, ``(batch, heads, queries, keys)``: an edge that ops may read and mix."""

    heads: int
    queries: int
    keys: int


@dataclass(frozen=True)
class KeyValues(TensorType):
    """Keys and values of attention, ``(batch, 2, heads, length, dim)``: a cache that many layers may read.

    ``dim`` is the width of one head.
    """

    heads: int
    length: int
    dim: int

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2, heads, length, dim)``: keys first, then values."""
        return (2, self.heads, self.length, self.dim)


@dataclass(frozen=True)
class Presence(TensorType):
    """Which of ``length`` places are occupied, ``(batch, length)`` of 0 and 1.

    What depends on run-time content (learned chunks, tokens that stopped early) has a length that is
    only bounded when a graph is built: it is ``Tokens`` of the greatest length beside a ``Presence``.
    """

    length: int

    def example(self, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Random marks, shape ``(batch, length)``; the first place is always occupied."""
        import torch

        marks = (torch.rand(batch, self.length, generator=generator) < 0.5).float()
        marks[:, 0] = 1.0
        return marks


class _Shaped(TensorType):
    """A type whose number of axes is free."""

    def __post_init__(self) -> None:
        for size in self.sizes:
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise GraphTypeError(
                    f"sizes of {type(self).__name__} must be positive integers, got {size!r}"
                )


@dataclass(frozen=True, init=False)
class Grid(_Shaped):
    """Channels over a grid of any number of position axes, ``(batch, channels, *axes)``.

    ``Grid(8, 4, 16, 16)`` has three: such as time, electrodes and scales, or patches and their pixels.
    Written channel first as ``Image`` and ``Volume`` are.
    """

    channels: int
    axes: tuple[int, ...]

    def __init__(self, channels: int, *axes: int) -> None:
        object.__setattr__(self, "channels", channels)
        object.__setattr__(self, "axes", axes)
        self.__post_init__()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Channels, then the length of every axis."""
        return (self.channels, *self.axes)


@dataclass(frozen=True, init=False)
class Weights(_Shaped):
    """Weights that travel on an edge, ``(batch, *axes)``: made by one node, applied by another."""

    axes: tuple[int, ...]

    def __init__(self, *axes: int) -> None:
        object.__setattr__(self, "axes", axes)
        self.__post_init__()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The length of every axis."""
        return self.axes


TYPES: Mapping[str, type[TensorType]] = {
    kind.__name__: kind
    for kind in (
        Image,
        Volume,
        Series,
        Tokens,
        Ids,
        Vector,
        Logits,
        Points,
        Scores,
        KeyValues,
        Presence,
        Grid,
        Weights,
    )
}


def type_to_json(tensor_type: TensorType) -> list[Any]:
    """Encode a type as ``[kind, size, ...]``."""
    return [type(tensor_type).__name__, *tensor_type.sizes]


def type_from_json(data: list[Any]) -> TensorType:
    """Decode what :func:`type_to_json` wrote.

    Raises:
        GraphTypeError: The kind is unknown or the number of sizes is wrong.
    """
    kind, *sizes = data
    if kind not in TYPES:
        raise GraphTypeError(f"unknown tensor type {kind!r}; known: {', '.join(TYPES)}")
    try:
        return TYPES[kind](*sizes)
    except TypeError as error:
        raise GraphTypeError(f"{kind} does not take the sizes {sizes}: {error}") from error


def show_types(types: tuple[TensorType, ...]) -> str:
    """Write several types as one phrase for an error message."""
    return ", ".join(str(tensor_type) for tensor_type in types) or "nothing"

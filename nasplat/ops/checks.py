"""The rules that ops share: which types they take, which values their fields may have.

Each raises a :class:`~nasplat.errors.GraphTypeError` that names the op, the rule and the types met.
"""

from __future__ import annotations

from collections.abc import Sequence

from nasplat.graph.op import Op, expect
from nasplat.graph.types import Image, TensorType, Tokens, Vector

NORMS = (
    "none",
    "layer",
    "rms",
    "compressed_rms",
    "batch",
    "instance",
    "group",
    "batch_instance",
    "rep_batch",
    "unified",
    "bias",
    "unit",
)
"""Forms of normalisation; each is an op of :mod:`nasplat.ops.norm` as well."""
ACTIVATIONS = (
    "none",
    "relu",
    "gelu",
    "silu",
    "hardswish",
    "gelu_tanh",
    "relu6",
    "leaky_relu",
    "swoosh_l",
    "swoosh_r",
    "polynomial",
    "spiking",
    "squared_relu",
    "star_relu",
)
"""Forms of the point-wise non-linearity; a polynomial and ``star_relu`` have weights."""
NOT_ZERO_AT_ZERO = ("swoosh_l", "polynomial", "star_relu")
"""The activations that do not keep zeros."""

Features = Image | Tokens | Vector
"""The types with one axis of channels that the library computes on."""


def image_of(op: Op, inputs: Sequence[TensorType]) -> Image:
    """The only input, an image."""
    if len(inputs) == 1 and isinstance(inputs[0], Image):
        return inputs[0]
    expect(False, op, "takes one Image", *inputs)
    raise AssertionError


def grid_of(op: Op, inputs: Sequence[TensorType]) -> Image | Tokens:
    """The only input, an image or tokens."""
    if len(inputs) == 1 and isinstance(inputs[0], Image | Tokens):
        return inputs[0]
    expect(False, op, "takes one Image or Tokens", *inputs)
    raise AssertionError


def features_of(op: Op, inputs: Sequence[TensorType]) -> Features:
    """The only input, an image, tokens or a vector."""
    if len(inputs) == 1 and isinstance(inputs[0], Image | Tokens | Vector):
        return inputs[0]
    expect(False, op, "takes one Image, Tokens or Vector", *inputs)
    raise AssertionError


def channels_of(features: Features) -> int:
    """Number of channels."""
    return features.channels if isinstance(features, Image) else features.dim


def positions_of(features: Features) -> int:
    """Number of positions, one for a vector."""
    if isinstance(features, Image):
        return features.height * features.width
    return features.length if isinstance(features, Tokens) else 1


def with_channels(features: Features, channels: int) -> Features:
    """The same type with another number of channels."""
    if isinstance(features, Image):
        return Image(channels, features.height, features.width)
    if isinstance(features, Tokens):
        return Tokens(features.length, channels)
    return Vector(channels)


def whole(op: Op, inputs: Sequence[TensorType], least: int, **values: object) -> None:
    """Each value is an integer of at least ``least``."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            expect(False, op, f"needs {name} to be an integer >= {least}, got {value!r}", *inputs)


def odd(op: Op, inputs: Sequence[TensorType], **values: object) -> None:
    """Each value is a positive odd integer, so that a kernel has a centre."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 1 or value % 2 == 0:
            expect(False, op, f"needs {name} to be a positive odd integer, got {value!r}", *inputs)


def positive(op: Op, inputs: Sequence[TensorType], **values: object) -> None:
    """Each value is a number above zero."""
    for name, value in values.items():
        if not isinstance(value, int | float) or not value > 0:
            expect(False, op, f"needs {name} to be above 0, got {value!r}", *inputs)


def known(op: Op, inputs: Sequence[TensorType], forms: tuple[str, ...], **values: object) -> None:
    """Each value is one of ``forms``."""
    for name, value in values.items():
        if value not in forms:
            expect(
                False, op, f"needs {name} to be one of {', '.join(forms)}; got {value!r}", *inputs
            )


def share(whole_count: int, ratio: float) -> int:
    """A part of a number of channels: rounded, at least one."""
    return max(1, round(whole_count * ratio))

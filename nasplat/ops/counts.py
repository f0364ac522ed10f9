"""Exact costs of the layers that ops are made of, for one example.

A multiply-accumulate is counted where torch's counter counts two floating-point operations: in
convolutions, linear maps, matrix products and attention. Element-wise work is free. ``weights`` are
the matrices and kernels of linear and convolution layers, the only numbers that quantisation narrows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasplat.graph.op import OpCost


def pointwise(inputs: int, outputs: int, positions: int, bias: bool = True) -> OpCost:
    """A linear map of channels at each position."""
    weights = inputs * outputs
    return OpCost(weights + (outputs if bias else 0), weights * positions, weights)


def convolution(
    inputs: int,
    outputs: int,
    kernel: int | Sequence[int],
    positions: int,
    groups: int = 1,
    bias: bool = True,
    rank: int = 2,
) -> OpCost:
    """A convolution over ``rank`` axes with ``positions`` outputs; one side of a kernel stands for all."""
    taps = kernel**rank if isinstance(kernel, int) else math.prod(kernel)
    weights = outputs * (inputs // groups) * taps
    return OpCost(weights + (outputs if bias else 0), weights * positions, weights)


def norm(form: str, channels: int) -> OpCost:
    """A normalisation over channels."""
    each = {"none": 0, "unit": 0, "rms": 1, "compressed_rms": 1, "bias": 1}
    each |= {"batch_instance": 3, "rep_batch": 4}
    return OpCost(each.get(form, 2) * channels + (form in ("bias", "rep_batch")))


def activation(form: str) -> OpCost:
    """A point-wise non-linearity; a polynomial of degree 3 has four coefficients, ``star_relu`` two."""
    return OpCost({"polynomial": 4, "star_relu": 2}.get(form, 0))


def product(rows: int, inner: int, columns: int, count: int = 1) -> OpCost:
    """``count`` matrix products of ``(rows, inner)`` with ``(inner, columns)``."""
    return OpCost(0, count * rows * inner * columns)


def vector(size: int) -> OpCost:
    """Learned numbers that stay in floating point."""
    return OpCost(size)

"""Exact costs of the layers that ops are made of, for one example.

A multiply-accumulate is counted where torch's counter counts two floating-point operations: in
convolutions, linear maps, matrix products and attention. Element-wise work is free. ``weights`` are
the matrices and kernels of linear and convolution layers, the only numbers that quantisation narrows.
"""

from __future__ import annotations

from nasplat.graph.op import OpCost


def pointwise(inputs: int, outputs: int, positions: int, bias: bool = True) -> OpCost:
    """A linear map of channels at each position."""
    weights = inputs * outputs
    return OpCost(weights + (outputs if bias else 0), weights * positions, weights)


def convolution(
    inputs: int, outputs: int, kernel: int, positions: int, groups: int = 1, bias: bool = True
) -> OpCost:
    """A square convolution with ``positions`` outputs."""
    weights = outputs * (inputs // groups) * kernel * kernel
    return OpCost(weights + (outputs if bias else 0), weights * positions, weights)


def norm(form: str, channels: int) -> OpCost:
    """A normalisation over channels."""
    return OpCost({"none": 0, "rms": 1}.get(form, 2) * channels)


def product(rows: int, inner: int, columns: int, count: int = 1) -> OpCost:
    """``count`` matrix products of ``(rows, inner)`` with ``(inner, columns)``."""
    return OpCost(0, count * rows * inner * columns)


def vector(size: int) -> OpCost:
    """Learned numbers that stay in floating point."""
    return OpCost(size)

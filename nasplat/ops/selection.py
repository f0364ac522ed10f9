"""Where the parameters of a smaller op sit inside a larger one, when it is not the leading slice."""

from __future__ import annotations

from collections.abc import Sequence

from nasplat.graph.op import Index, Op


def leading(small: Sequence[int]) -> list[Index]:
    """The leading slice of every axis."""
    return [slice(0, size) for size in small]


def centred(small: Sequence[int], large: Sequence[int], *axes: int) -> tuple[Index, ...]:
    """The middle of the given axes, the leading slice of all others."""
    index = leading(small)
    for axis in axes:
        first = (large[axis] - small[axis]) // 2
        index[axis] = slice(first, first + small[axis])
    return tuple(index)


def kernel(small: Sequence[int], large: Sequence[int]) -> tuple[Index, ...]:
    """A small kernel in the middle of a large one; other parameters by their leading slices.

    A kernel has two axes of channels and one to three of positions behind them.
    """
    return centred(small, large, *range(2, len(small)))


def blocks(small: int, small_count: int, large: int, large_count: int) -> Index:
    """One axis of equal blocks: the leading elements of the leading blocks.

    Where the small blocks are more or longer than the large ones it is the leading slice.
    """
    inner, outer = small // small_count, large // large_count
    if inner >= outer or small_count > large_count:
        return slice(0, small)
    return [block * outer + element for block in range(small_count) for element in range(inner)]


class KernelOp(Op):
    """An op with kernels: a small one sits in the middle of a large one."""

    def select(
        self, name: str, small: Sequence[int], large: Sequence[int], larger: Op
    ) -> tuple[Index, ...]:
        return kernel(small, large)

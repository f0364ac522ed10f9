"""Rearrangements of positions and channels, and wavelets.

References:
    [Shi2016] W. Shi et al. Real-time single image and video super-resolution using an efficient sub-pixel
        convolutional neural network. CVPR 2016.
    [Peebles2023] W. Peebles, S. Xie. Scalable diffusion models with transformers. ICCV 2023.
    [Daubechies1988] I. Daubechies. Orthonormal bases of compactly supported wavelets. 1988.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, Series, TensorType, Tokens, Volume
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.geometry import maps_in, placed_in
from nasplat.ops.layout import Maps, axes, channels, rank, resized
from nasplat.ops.modules import rearrange as modules


@dataclass(frozen=True, kw_only=True)
class SpaceToDepth(Op):
    """Lay neighbouring positions side by side in the channels, or put them back [Shi2016].

    Takes maps of one to three axes, and tokens.

    Attributes:
        factor: Positions of each axis that go together, at least 2; divides every axis.
        inverse: Whether they are put back; their number divides the channels.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    factor: int = 2
    inverse: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        item = placed_in(self, inputs)
        whole(self, inputs, 2, factor=self.factor)
        count = self.factor ** len(axes(item))
        if self.inverse:
            rule = f"needs {count} to divide the {channels(item)} channels"
            expect(channels(item) % count == 0, self, rule, *inputs)
            made = [size * self.factor for size in axes(item)]
            return resized(item, channels(item) // count, made)
        rule = f"needs {self.factor} to divide every axis"
        expect(all(size % self.factor == 0 for size in axes(item)), self, rule, *inputs)
        return resized(item, channels(item) * count, [size // self.factor for size in axes(item)])

    def call(self, *inputs: TensorType) -> Call:
        tokens = rank(placed_in(self, inputs)) == 0
        arguments = {"factor": self.factor, "inverse": self.inverse, "tokens": tokens}
        return Call(modules.SpaceToDepth, arguments)


@dataclass(frozen=True, kw_only=True)
class AxisPermute(Op):
    """Exchange the axes: channels and positions alike.

    Attributes:
        order: The old number of each new axis, counted as the type writes them: ``(0, 2, 1)`` turns an
            image over its diagonal, ``(1, 0)`` makes positions of tokens their channels.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    order: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        item = inputs[0] if len(inputs) == 1 else None
        if not isinstance(item, Maps | Tokens):
            expect(False, self, "takes one Image, Series, Volume, Grid or Tokens", *inputs)
            raise AssertionError
        rule = f"needs order to hold each of 0 to {len(item.sizes) - 1} once"
        expect(sorted(self.order) == list(range(len(item.sizes))), self, rule, *inputs)
        return type(item)(*(item.sizes[axis] for axis in self.order))

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Permute, {"order": self.order})

    def is_identity(self, *inputs: TensorType) -> bool:
        return self.order == tuple(sorted(self.order))


@dataclass(frozen=True, kw_only=True)
class Unpatchify(Op):
    """Map each token to the positions of a patch and lay the patches out as a map [Peebles2023].

    A second input, if there is one, gives kind and axes of the map; only its type counts. Patches beyond
    its edge are cut off, as a patch embedding pads them.

    Attributes:
        channels: Channels that go out.
        patch: Side of a patch.
        axes: Axes of the map: one for a series, two for an image, three for a volume.
    """

    channels: int
    patch: int = 4
    axes: tuple[int, ...] | None = None

    def infer(self, *inputs: TensorType) -> Maps:
        tokens = inputs[0] if inputs else None
        if not isinstance(tokens, Tokens) or len(inputs) > 2:
            expect(False, self, "takes one Tokens, and a map that gives the layout", *inputs)
            raise AssertionError
        whole(self, inputs, 1, channels=self.channels, patch=self.patch)
        one = (len(inputs) == 2) != (self.axes is not None)
        expect(one, self, "needs either axes or a second input", *inputs)
        made: TensorType
        if len(inputs) == 2:
            like = maps_in(self, inputs[1:])
            made = resized(like, self.channels, axes(like))
        else:
            met = self.axes or ()
            expect(1 <= len(met) <= 3, self, "needs one to three axes", *inputs)
            whole(self, inputs, 1, **{f"axes[{index}]": size for index, size in enumerate(met)})
            kinds: dict[int, type[Maps]] = {1: Series, 2: Image, 3: Volume}
            made = kinds[len(met)](self.channels, *met)
        assert isinstance(made, Maps)
        needed = math.prod(self._grid(made))
        rule = f"needs {needed} tokens"
        expect(tokens.length == needed, self, rule, *inputs)
        return made

    def _grid(self, output: Maps) -> tuple[int, ...]:
        """Patches along each axis."""
        return tuple(-(-size // self.patch) for size in axes(output))

    def call(self, *inputs: TensorType) -> Call:
        output = self.infer(*inputs)
        arguments: dict[str, Any] = {
            "dim": channels_of_tokens(inputs[0]),
            "channels": self.channels,
            "patch": self.patch,
            "grid": self._grid(output),
            "axes": axes(output),
        }
        return Call(modules.Unpatchify, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        output = self.infer(*inputs)
        grid = self._grid(output)
        wide = self.channels * self.patch ** len(grid)
        return counts.pointwise(channels_of_tokens(inputs[0]), wide, math.prod(grid))


def channels_of_tokens(item: TensorType) -> int:
    """Width of tokens whose type was checked."""
    assert isinstance(item, Tokens)
    return item.dim


@dataclass(frozen=True, kw_only=True)
class WaveletTransform(Op):
    """An orthonormal wavelet transform of every axis of a map, on a ring [Daubechies1988].

    Each level halves all axes and gives every channel two bands for each axis.

    Attributes:
        levels: How many times; ``2 ** levels`` divides every axis.
        basis: ``haar`` or ``db2``.
        inverse: Whether the transform is undone.
    """

    BASES: ClassVar[tuple[str, ...]] = ("haar", "db2")
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    levels: int = 1
    basis: str = "haar"
    inverse: bool = False

    def infer(self, *inputs: TensorType) -> Maps:
        item = maps_in(self, inputs)
        whole(self, inputs, 1, levels=self.levels)
        known(self, inputs, self.BASES, basis=self.basis)
        step, bands = 2**self.levels, 2 ** (self.levels * len(axes(item)))
        made: TensorType
        if self.inverse:
            rule = f"needs {bands} to divide the {item.channels} channels"
            expect(item.channels % bands == 0, self, rule, *inputs)
            made = resized(item, item.channels // bands, [size * step for size in axes(item)])
        else:
            rule = f"needs {step} to divide every axis"
            expect(all(size % step == 0 for size in axes(item)), self, rule, *inputs)
            made = resized(item, item.channels * bands, [size // step for size in axes(item)])
        assert isinstance(made, Maps)
        return made

    def call(self, *inputs: TensorType) -> Call:
        arguments: dict[str, Any] = {
            "levels": self.levels,
            "basis": self.basis,
            "inverse": self.inverse,
            "rank": rank(maps_in(self, inputs)),
        }
        return Call(modules.WaveletTransform, arguments)

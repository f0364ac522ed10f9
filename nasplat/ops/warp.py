"""Warps of images and their inverses: pairs of nodes between which a network works on a warped image.

References:
    [Jaderberg2015] M. Jaderberg et al. Spatial transformer networks. NeurIPS 2015.
    [Li2017] J. Li et al. Dense transformer networks. 2017.
    [Lin2021] Y. Lin et al. RoI tanh-polar transformer network for face parsing in the wild. 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, TensorType, Weights
from nasplat.ops import counts
from nasplat.ops.checks import known, positions_of, whole
from nasplat.ops.modules import warp as modules


@dataclass(frozen=True, kw_only=True)
class SpatialTransformer(Op):
    """An image read at other places, or the way back [Jaderberg2015].

    Forward it takes an image and gives the warped one, followed by what the way back needs: of ``affine``
    the map, ``Weights(2, 3)``, of ``flow`` the field, an ``Image`` of 2 channels. The inverse takes an
    image of any number of channels and these.

    Attributes:
        grid: ``affine``: a shift, turn and stretch; ``flow``: a shift at each position; both follow from
            the image and begin as the identity. ``polar``: radii and angles about the middle [Lin2021].
        inverse: Whether it is the way back; of ``flow`` up to first order.
        hidden: Channels of the features that map and field follow from.
    """

    GRIDS: ClassVar[tuple[str, ...]] = ("affine", "flow", "polar")

    grid: str = "affine"
    inverse: bool = False
    hidden: int = 8

    def _image(self, inputs: Sequence[TensorType]) -> Image:
        known(self, inputs, self.GRIDS, grid=self.grid)
        whole(self, inputs, 1, hidden=self.hidden)
        first, *rest = inputs or (None,)
        rule, good = "takes one Image", not rest
        if self.inverse and self.grid == "affine":
            rule, good = "takes an Image and Weights(2, 3)", rest == [Weights(2, 3)]
        elif self.inverse and self.grid == "flow":
            rule = "takes an Image and an Image of 2 channels"
            good = len(rest) == 1 and isinstance(rest[0], Image) and rest[0].channels == 2
        if not (good and isinstance(first, Image)):
            expect(False, self, rule, *inputs)
            raise AssertionError
        return first

    def infer(self, *inputs: TensorType) -> TensorType | tuple[TensorType, ...]:
        image = self._image(inputs)
        if self.inverse or self.grid == "polar":
            return image
        field = Image(2, image.height, image.width)
        return image, Weights(2, 3) if self.grid == "affine" else field

    def call(self, *inputs: TensorType) -> Call:
        image = self._image(inputs)
        size = {"size": (image.height, image.width)}
        if self.grid == "polar":
            return Call(modules.PolarWarp, {**size, "inverse": self.inverse})
        if self.inverse and self.grid == "affine":
            return Call(modules.AffineUnwarp, size)
        if self.inverse:
            return Call(modules.FlowShift, {**size, "sign": -1.0})
        module = modules.AffineWarp if self.grid == "affine" else modules.FlowWarp
        return Call(module, {"channels": image.channels, **size, "hidden": self.hidden})

    def cost(self, *inputs: TensorType) -> OpCost:
        image = self._image(inputs)
        if self.inverse or self.grid == "polar":
            return OpCost()
        look = counts.convolution(image.channels, self.hidden, 3, positions_of(image))
        if self.grid == "affine":
            return look + counts.pointwise(3 * self.hidden, 6, 1)
        return look + counts.convolution(self.hidden, 2, 3, positions_of(image))

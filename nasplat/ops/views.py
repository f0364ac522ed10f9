"""One input seen in several ways, points as tokens and maps, and votes of points.

References:
    [Brateanu2024] A. Brateanu et al. LYT-Net: lightweight YUV transformer-based network. 2024.
    [Qi2017] C. R. Qi et al. PointNet++. NeurIPS 2017.
    [Qi2019] C. R. Qi et al. Deep Hough voting for 3D object detection in point clouds. ICCV 2019.
    [Lu2023] X. Lu et al. ParaFormer: parallel attention transformer for feature matching. AAAI 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import Image, Points, TensorType, Tokens, Volume
from nasplat.ops import counts
from nasplat.ops.checks import image_of, known, odd, whole
from nasplat.ops.modules import views as modules


@dataclass(frozen=True, kw_only=True)
class FrequencySplit(Op):
    """An image as two: what differs from the mean around each position, and that mean.

    Attributes:
        kernel: Odd side of the neighbourhood.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    kernel: int = 5

    def infer(self, *inputs: TensorType) -> tuple[Image, Image]:
        image = image_of(self, inputs)
        odd(self, inputs, kernel=self.kernel)
        return image, image

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.FrequencySplit, {"kernel": self.kernel})


@dataclass(frozen=True, kw_only=True)
class ColourSplit(Op):
    """An image in red, green and blue as its brightness and two colour differences [Brateanu2024]."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> tuple[Image, Image]:
        image = image_of(self, inputs)
        expect(image.channels == 3, self, "takes an image of 3 channels", *inputs)
        return Image(1, image.height, image.width), Image(2, image.height, image.width)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.ColourSplit)


@dataclass(frozen=True, kw_only=True)
class FromAbove(Op):
    """A volume seen along its first position axis: the mean over it, an image."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Image:
        if len(inputs) == 1 and isinstance(inputs[0], Volume):
            return Image(inputs[0].channels, inputs[0].height, inputs[0].width)
        expect(False, self, "takes one Volume", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Flatten)


@dataclass(frozen=True, kw_only=True)
class Extrude(Op):
    """An image at every place along the first position axis of a volume, of which it reads the type."""

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> Volume:
        if len(inputs) == 2 and isinstance(inputs[0], Image) and isinstance(inputs[1], Volume):
            image, volume = inputs[0], inputs[1]
            same = (image.height, image.width) == (volume.height, volume.width)
            expect(same, self, "needs an image as high and wide as the volume", *inputs)
            return Volume(image.channels, volume.depth, volume.height, volume.width)
        expect(False, self, "takes an Image and a Volume", *inputs)
        raise AssertionError

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Extrude, {"depth": self.infer(*inputs).depth})


@dataclass(frozen=True, kw_only=True)
class Average(Op):
    """The mean of one or more inputs of one type."""

    commutes: ClassVar[bool] = True
    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    def infer(self, *inputs: TensorType) -> TensorType:
        rule = "takes one or more inputs of one type"
        expect(len(set(inputs)) == 1, self, rule, *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.Average)

    def is_identity(self, *inputs: TensorType) -> bool:
        return len(inputs) == 1


@dataclass(frozen=True, kw_only=True)
class PhasePosition(Op):
    """Add waves whose amplitudes and phases are read off each token [Lu2023]."""

    def _tokens(self, inputs: Sequence[TensorType]) -> Tokens:
        if len(inputs) == 1 and isinstance(inputs[0], Tokens):
            return inputs[0]
        expect(False, self, "takes one Tokens", *inputs)
        raise AssertionError

    def infer(self, *inputs: TensorType) -> Tokens:
        return self._tokens(inputs)

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.PhasePosition, {"dim": self._tokens(inputs).dim})

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = self._tokens(inputs)
        each = counts.pointwise(tokens.dim, tokens.dim, tokens.length)
        return each + each + counts.pointwise(2 * tokens.dim, tokens.dim, tokens.length)


@dataclass(frozen=True, kw_only=True)
class PointEmbed(Op):
    """Points as tokens or as a map.

    Attributes:
        dim: Channels that go out.
        form: ``group``: a token for each of some points, from its nearest neighbours [Qi2017]; ``voxel``:
            a ``Volume`` of cells about the middle of the points; ``projection``: an ``Image`` of rises and
            turns as they are seen from there. A cell holds the mean of the points near it.
        tokens: Tokens of groups; ``None``: one for each point.
        neighbours: Points of a group; at most all.
        size: Cells along an axis; a projection is twice as wide.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("group", "voxel", "projection")

    dim: int
    form: str = "group"
    tokens: int | None = None
    neighbours: int = 8
    size: int = 8

    def _points(self, inputs: Sequence[TensorType]) -> Points:
        if len(inputs) == 1 and isinstance(inputs[0], Points):
            return inputs[0]
        expect(False, self, "takes one Points", *inputs)
        raise AssertionError

    def _count(self, points: Points) -> int:
        return self.tokens or points.count

    def infer(self, *inputs: TensorType) -> TensorType:
        points = self._points(inputs)
        known(self, inputs, self.FORMS, form=self.form)
        whole(self, inputs, 1, dim=self.dim, neighbours=self.neighbours, size=self.size)
        if self.tokens is not None:
            whole(self, inputs, 1, tokens=self.tokens)
        fits = self._count(points) <= points.count
        expect(fits, self, "needs at most as many tokens as points", *inputs)
        if self.form == "group":
            return Tokens(self._count(points), self.dim)
        if self.form == "voxel":
            return Volume(self.dim, self.size, self.size, self.size)
        return Image(self.dim, self.size, 2 * self.size)

    def _size(self) -> tuple[int, ...]:
        if self.form == "group":
            return ()
        return (self.size,) * 3 if self.form == "voxel" else (self.size, 2 * self.size)

    def call(self, *inputs: TensorType) -> Call:
        points = self._points(inputs)
        arguments = {
            "dim": self.dim,
            "form": self.form,
            "tokens": self._count(points),
            "neighbours": min(self.neighbours, points.count),
            "size": self._size(),
        }
        return Call(modules.PointEmbed, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        points = self._points(inputs)
        if self.form == "group":
            number = self._count(points) * min(self.neighbours, points.count)
            return counts.pointwise(6, self.dim, number) + counts.pointwise(
                self.dim, self.dim, number
            )
        cells = 1
        for side in self._size():
            cells *= side
        return (
            counts.pointwise(3, self.dim, points.count)
            + counts.pointwise(self.dim, self.dim, points.count)
            + counts.product(cells, points.count, self.dim)
        )


@dataclass(frozen=True, kw_only=True)
class VoteHead(Op):
    """Wanted points as the weighted votes of points, each with a token [Qi2019].

    Takes ``Tokens`` and as many ``Points``.

    Attributes:
        count: Wanted points.
        weighted: Whether votes are weighed, else all points count alike.
    """

    count: int
    weighted: bool = True

    def _inputs(self, inputs: Sequence[TensorType]) -> tuple[Tokens, Points]:
        if len(inputs) == 2 and isinstance(inputs[0], Tokens) and isinstance(inputs[1], Points):
            same = inputs[0].length == inputs[1].count
            expect(same, self, "needs a token for each point", *inputs)
            return inputs[0], inputs[1]
        expect(False, self, "takes Tokens and Points", *inputs)
        raise AssertionError

    def infer(self, *inputs: TensorType) -> Points:
        self._inputs(inputs)
        whole(self, inputs, 1, count=self.count)
        return Points(self.count)

    def call(self, *inputs: TensorType) -> Call:
        dim = self._inputs(inputs)[0].dim
        arguments = {"dim": dim, "count": self.count, "weighted": self.weighted}
        return Call(modules.VoteHead, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        tokens = self._inputs(inputs)[0]
        return counts.norm("layer", tokens.dim) + counts.pointwise(
            tokens.dim, (4 if self.weighted else 3) * self.count, tokens.length
        )

"""Shifted copies of an image, so that a patch sees more than its square.

References:
    [Lee2021] S. H. Lee, S. Lee, B. C. Song. Vision transformer for small-size datasets. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op
from nasplat.graph.types import Image, TensorType
from nasplat.ops.checks import image_of, whole
from nasplat.ops.modules import shift as modules


@dataclass(frozen=True, kw_only=True)
class ShiftedCopies(Op):
    """An image and copies shifted towards its corners, side by side: before patches are cut [Lee2021].

    Five times as many channels go out; where a copy has moved away there are zeros.

    Attributes:
        shift: By how many positions along both axes, at least 1; half a patch in the paper.
    """

    pure: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True

    shift: int = 1

    def infer(self, *inputs: TensorType) -> Image:
        image = image_of(self, inputs)
        whole(self, inputs, 1, shift=self.shift)
        return Image(5 * image.channels, image.height, image.width)

    def call(self, *inputs: TensorType) -> Call:
        self.infer(*inputs)
        return Call(modules.ShiftedCopies, {"shift": self.shift})

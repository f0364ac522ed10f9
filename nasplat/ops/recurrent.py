"""Linear recurrences over time, computed in parallel.

References:
    [Voelker2019] A. Voelker, I. Kajic, C. Eliasmith. Legendre memory units: continuous-time
        representation in recurrent neural networks. NeurIPS 2019.
    [Gupta2022] A. Gupta, A. Gu, J. Berant. Diagonal state spaces are as effective as structured state
        spaces. NeurIPS 2022.
    [Massaroli2023] S. Massaroli et al. Laughing Hyena distillery: extracting compact recurrences from
        convolutions. NeurIPS 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, OpCost
from nasplat.graph.types import TensorType
from nasplat.ops import counts
from nasplat.ops.checks import known, whole
from nasplat.ops.layout import axes, channels, rank
from nasplat.ops.modules import recurrent as modules
from nasplat.ops.series import sequence_of


@dataclass(frozen=True, kw_only=True)
class LinearRecurrence(Op):
    """A memory that a linear recurrence keeps of each channel, read by a linear map; series and tokens.

    It only sees the past. All steps are computed at once, as a causal convolution with the recurrence's
    response to an impulse; the module also takes single steps.

    Attributes:
        basis: ``diagonal``: real decays of its own for each channel [Gupta2022]. ``distilled``: the same
            with rotations, the modal form in which long convolutions are distilled [Massaroli2023].
            ``legendre``: the fixed recurrence whose state holds the window of the last ``window`` steps
            in Legendre polynomials [Voelker2019]; all its states are read.
        order: States of each channel.
        window: Steps that a ``legendre`` memory spans; None: the whole length.
    """

    BASES: ClassVar[tuple[str, ...]] = ("diagonal", "legendre", "distilled")

    basis: str = "diagonal"
    order: int = 8
    window: int | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        item = sequence_of(self, inputs)
        known(self, inputs, self.BASES, basis=self.basis)
        whole(self, inputs, 1, order=self.order)
        if self.window is not None:
            whole(self, inputs, 1, window=self.window)
        return item

    def call(self, *inputs: TensorType) -> Call:
        item = sequence_of(self, inputs)
        arguments = {
            "channels": channels(item),
            "order": self.order,
            "length": axes(item)[0],
            "series": rank(item) > 0,
        }
        if self.basis == "legendre":
            window = self.window or axes(item)[0]
            return Call(modules.LegendreMemory, {**arguments, "window": window})
        return Call(modules.ModalRecurrence, {**arguments, "rotates": self.basis == "distilled"})

    def cost(self, *inputs: TensorType) -> OpCost:
        item = sequence_of(self, inputs)
        width, length = channels(item), axes(item)[0]
        mixed = counts.pointwise(width, width, length)
        if self.basis == "legendre":
            # One memory signal; its order states beside the channels are read by one map.
            enters = counts.pointwise(width, 1, length)
            reads = counts.pointwise(self.order, width, length, bias=False)
            return mixed + enters + reads + counts.product(length, length, self.order)
        states = {"diagonal": 2, "distilled": 4}[self.basis] * width * self.order
        return mixed + OpCost(states + width, width * length * length)

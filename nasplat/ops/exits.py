"""Several exits of one network, of which each example takes the first that is sure.

References:
    [Teerapittayanon2016] S. Teerapittayanon, B. McDanel, H. T. Kung. BranchyNet: fast inference via early
        exiting from deep neural networks. ICPR 2016.
    [Wright2024] G. A. Wright et al. Training dynamic models using early exits for automatic speech
        recognition on resource-constrained devices. ICASSP workshops 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nasplat.graph.op import Call, Op, expect
from nasplat.graph.types import Logits, TensorType, Tokens
from nasplat.ops.checks import known
from nasplat.ops.modules import exits as modules


@dataclass(frozen=True, kw_only=True)
class ExitGate(Op):
    """Logits of one exit for each example: those of the first, in order, that is sure enough.

    In training all exits learn together: their log-probabilities are averaged [Wright2024]. What a
    run saves where it may stop is not part of the cost.

    Attributes:
        rule: ``confidence``: the greatest probability is at least ``threshold``; ``entropy``: the entropy,
            over its greatest value, is at most ``1 - threshold`` [Teerapittayanon2016]. Of tokens the mean
            over all positions counts.
        threshold: In [0, 1].
    """

    RULES: ClassVar[tuple[str, ...]] = ("confidence", "entropy")
    pure: ClassVar[bool] = True

    rule: str = "confidence"
    threshold: float = 0.9

    def infer(self, *inputs: TensorType) -> TensorType:
        one = len(set(inputs)) == 1 and isinstance(inputs[0], Logits | Tokens)
        expect(one, self, "takes one or more Logits, or Tokens, of one type", *inputs)
        known(self, inputs, self.RULES, rule=self.rule)
        expect(0 <= self.threshold <= 1, self, "needs threshold to be from 0 to 1", *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        return Call(modules.ExitGate, {"rule": self.rule, "threshold": float(self.threshold)})

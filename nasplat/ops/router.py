"""Routing between sub-networks: a pool of modules from which every position takes its own.

References:
    [Cowsik2025] A. Cowsik, T. He, A. Gromov. Towards distributed neural architectures. 2025.
    [Fedus2022] W. Fedus et al. Switch transformers. JMLR 23, 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplat.graph.op import Call, Op, OpCost, expect
from nasplat.graph.types import TensorType, Tokens
from nasplat.ops import counts
from nasplat.ops.checks import whole
from nasplat.ops.layout import Channelled, Maps, channels, positions
from nasplat.ops.modules import router as modules


@dataclass(frozen=True, kw_only=True)
class BlockRouter(Op):
    """Each position of the first input says which of the others, the outputs of modules, go on there.

    All modules run everywhere and the cost says so; those not chosen weigh zero. With one chosen its weight
    is its probability [Fedus2022], with more the weights sum to one. Applied several times over with the
    same modules it is a pool through which every token finds a way [Cowsik2025].

    Attributes:
        top_k: Modules that count at a position, at least 1 and at most all.
    """

    top_k: int = 1

    def _taken(self, inputs: Sequence[TensorType]) -> list[Channelled]:
        taken: list[Channelled] = [item for item in inputs if isinstance(item, Maps | Tokens)]
        rule = "takes features and, of the same type, the outputs of one or more modules"
        expect(len(taken) == len(inputs) > 1 and len(set(taken)) == 1, self, rule, *inputs)
        return taken

    def infer(self, *inputs: TensorType) -> TensorType:
        first, *others = self._taken(inputs)
        whole(self, inputs, 1, top_k=self.top_k)
        rule = f"needs top_k ({self.top_k}) to be at most the number of modules ({len(others)})"
        expect(self.top_k <= len(others), self, rule, *inputs)
        return first

    def call(self, *inputs: TensorType) -> Call:
        first, *others = self._taken(inputs)
        arguments = {
            "channels": channels(first),
            "modules": len(others),
            "top_k": self.top_k,
            "maps": isinstance(first, Maps),
        }
        return Call(modules.BlockRouter, arguments)

    def cost(self, *inputs: TensorType) -> OpCost:
        first, *others = self._taken(inputs)
        return counts.pointwise(channels(first), len(others), positions(first), bias=False)

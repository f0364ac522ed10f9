"""``TableOp``: an op of which only a published table knows what it does.

Graphs can be described, told apart and searched with it; none can be built, costed or trained. Where the
library has the op itself, a table uses that.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasplat.errors import UsageError
from nasplat.graph.op import Call, Op, expect
from nasplat.graph.types import TensorType


@dataclass(frozen=True, kw_only=True)
class TableOp(Op):
    """Takes one or more inputs of one type and keeps the type; has a name and no module.

    Attributes:
        name: What the table calls it.
        size: A number that goes with it, such as its heads; 0: none.
        symmetric: Whether the order of its inputs is irrelevant.
        weightless: Whether it has no weights, so that equal inputs give equal outputs.
    """

    name: str
    size: int = 0
    symmetric: bool = False
    weightless: bool = False

    @property
    def commutes(self) -> bool:  # type: ignore[override]  # it depends on what the table says
        """Whether the order of the inputs is irrelevant."""
        return self.symmetric

    @property
    def pure(self) -> bool:  # type: ignore[override]  # it depends on what the table says
        """Whether equal inputs give equal outputs."""
        return self.weightless

    def infer(self, *inputs: TensorType) -> TensorType:
        expect(bool(self.name), self, "needs a name", *inputs)
        expect(len(set(inputs)) == 1, self, "takes one or more inputs of one type", *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        """Refuse.

        Raises:
            UsageError: Always; a table op has no module.
        """
        raise UsageError(
            f"the op {self.name!r} is known by its results in a table only, it has no module",
            hint="Spaces of tables are searched with `nasplat bench`; they cannot be trained.",
        )

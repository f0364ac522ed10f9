"""``Frozen``: a part whose weights stay as they are while the rest trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.graph.op import Expression
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run, label_of
from nasplat.space.plan import product


@dataclass(frozen=True, eq=False)
class Frozen(Combinator):
    """A part of which no weight is trained: a trunk that was trained before, or random features.

    Gradients still flow through it to what stands before. Normalisations by batch statistics go on taking
    them from the batch.

    Args:
        body: The part.
        present: Whether it is frozen: True, False or a decision over these.
    """

    body: Expression
    present: Any = True

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body in its place; the decision is ``frozen`` beside it."""
        decided, present = compiler.reader(self.present, place, "frozen")
        part = compiler.part(self.body, place)

        def emit(run: Run, refs: Refs) -> Refs:
            first = len(run.builder.nodes)
            refs = part.emit(run, refs)
            if present(run.values):
                run.builder.freeze(first)
            return refs

        return Part(product(decided, part.plan), emit)

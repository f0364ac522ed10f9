"""Alternatives: ``Choose`` one sub-graph of several, ``Match`` on a decision made elsewhere, ``Optional``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run, label_of
from nasplat.space.decisions import Choice, Decision


@dataclass(frozen=True, eq=False)
class Match(Combinator):
    """One sub-graph for each value of a decision that other parts may use too.

    Args:
        decision: A decision with countably many values.
        options: The sub-graph for each of its values.

    Raises:
        SpaceError: A value has no sub-graph, or a sub-graph no value.
    """

    decision: Any
    options: Mapping[Any, Expression]

    def __post_init__(self) -> None:
        if not isinstance(self.decision, Decision) or self.decision.count is None:
            raise SpaceError(f"Match needs a decision with countable values, got {self.decision!r}")
        values = [self.decision.value(index) for index in range(self.decision.count)]
        missing = [repr(value) for value in values if value not in self.options]
        extra = [repr(value) for value in self.options if self.decision.index(value) < 0]
        if missing or extra:
            raise SpaceError(
                f"Match on {self.decision} has no option for {', '.join(missing) or 'nothing'} "
                f"and options for no value: {', '.join(extra) or 'none'}"
            )

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Options stand below the name of their value; the decision stands where the match does."""
        point = compiler.point(self.decision, place)
        parts: dict[object, Part] = {}
        met: dict[int, Part] = {}
        for index in range(point.decision.count or 0):
            value = point.decision.value(index)
            option = self.options[value]
            if id(option) not in met:  # values that mean one sub-graph share its place
                below = place.at(_segment(value))
                met[id(option)] = compiler.part(option, below)
                compiler.site(below, met[id(option)].plan)
            parts[value] = met[id(option)]
        branches = tuple(part.plan for part in parts.values())
        path = point.path

        def emit(run: Run, refs: Refs) -> Refs:
            return parts[run.values[path]].emit(run, refs)

        return Part(((point, branches if any(branches) else None),), emit)


def _segment(value: object) -> str:
    """A value as part of a path."""
    return str(value).lower().replace(".", "_")


@dataclass(frozen=True, eq=False, init=False)
class Choose(Match):
    """One of several sub-graphs, each under its own name; the first is the default.

    ``Choose(conv=DepthwiseConv(kernel=Choice(3, 5)), pool=PoolMixer())`` decides for ``"conv"`` or
    ``"pool"``, and for a kernel only below ``conv``.

    Raises:
        SpaceError: There is no option.
    """

    def __init__(self, **options: Expression) -> None:
        if not options:
            raise SpaceError("a Choose needs at least one option: Choose(name=op, ...)")
        object.__setattr__(self, "decision", Choice(*options))
        object.__setattr__(self, "options", options)
        self.__post_init__()


@dataclass(frozen=True, eq=False)
class Optional(Combinator):
    """A part that is there or not; where it is not, what comes in goes on unchanged.

    Args:
        body: The part.
        present: Decision for ``True`` or ``False``; absent by default.
    """

    body: Expression
    present: Any = None

    def __post_init__(self) -> None:
        if self.present is None:
            object.__setattr__(self, "present", Choice(False, True))
        if isinstance(self.present, Decision) and {
            self.present.value(index) for index in range(self.present.count or 0)
        } - {True, False}:
            raise SpaceError(f"Optional decides for True or False, got {self.present}")

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The decision stands at the place of the body, which it shares."""
        if not isinstance(self.present, Decision):
            return (
                compiler.part(self.body, place) if self.present else Part((), lambda _, refs: refs)
            )
        point = compiler.point(self.present, place)
        part = compiler.part(self.body, place)
        present = [point.decision.value(index) for index in range(point.decision.count or 0)]
        branches = tuple(part.plan if value else () for value in present)
        path = point.path

        def emit(run: Run, refs: Refs) -> Refs:
            return part.emit(run, refs) if run.values[path] else refs

        return Part(((point, branches if part.plan else None),), emit)

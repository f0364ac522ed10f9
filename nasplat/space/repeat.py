"""``Repeat``: a body several times over, with decisions and weights of its own or shared; ``Private``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run, label_of
from nasplat.space.decisions import Case, Decision, domain
from nasplat.space.plan import Plan, product

Wire = Callable[[Run, Refs, int], Refs]
"""Adds so many copies to a graph: references in, references out."""


@dataclass(frozen=True, eq=False)
class Repeat(Combinator):
    """A body ``times`` times, each copy on the outputs of the one before.

    Args:
        body: What is repeated.
        times: How often, at least 0: an integer, a decision or a case.
        share: What the copies have in common. ``"nothing"``: every copy decides for itself, under
            ``<place>.0``, ``<place>.1``, ... ``"decisions"``: the copies look alike, each with weights
            of its own. ``"weights"``: one body applied several times over (a loop); parts wrapped in
            :class:`Private` keep weights of their own in every turn.
        common: Decisions, and parts whose decisions, are made once for all copies. A decision that is
            used outside the body too is one decision everywhere without being listed.

    Raises:
        SpaceError: ``times`` is negative or no integer, or ``share`` is not one of the three.
    """

    body: Expression
    times: Any
    share: Literal["nothing", "decisions", "weights"] = "nothing"
    common: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.share not in ("nothing", "decisions", "weights"):
            raise SpaceError(f"share must be nothing, decisions or weights, got {self.share!r}")
        strange = [
            value
            for value in self._times()
            if not isinstance(value, int) or isinstance(value, bool) or value < 0
        ]
        if strange:
            raise SpaceError(f"a body is repeated 0, 1, 2, ... times, got {strange[0]!r}")

    def _times(self) -> list[Any]:
        if isinstance(self.times, Decision) and self.times.count is None:
            raise SpaceError(f"a body is repeated an integer number of times, got {self.times}")
        return domain(self.times)

    def copied(self) -> tuple[object, ...]:
        """The body, unless its copies share decisions."""
        return (self.body,) if self.share == "nothing" else ()

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Copies stand below their number, from 0; ``times`` below the repeated part."""
        parts = self._copies(compiler, place)
        emits = [part.emit for part in parts]

        def wire(run: Run, refs: Refs, number: int) -> Refs:
            for index in range(number):
                refs = emits[index](run, refs)
            return refs

        times = self._times()
        if self.share != "nothing" and min(times) > 0:
            plans = [parts[0].plan] * len(times)  # copies decide alike, however many there are
        else:
            plans = [product(*(part.plan for part in parts[:number])) for number in times]
        return self._part(compiler, place, plans, wire)

    def _copies(self, compiler: Compiler, place: Place) -> list[Part]:
        """The body in the place of every copy."""
        parts: list[Part] = []
        for number in range(max(self._times())):
            copy = self._place(place, number)
            parts.append(compiler.part(self.body, copy))
            if self.share == "nothing":
                compiler.site(copy, parts[-1].plan)
        return parts

    def _with_merges(
        self, compiler: Compiler, place: Place, merge: Expression, label: str
    ) -> tuple[list[Part], list[Part]]:
        """The copies, and a merge below ``label`` of each."""
        parts = self._copies(compiler, place)
        places = [self._place(place, number).at(label) for number in range(len(parts))]
        return parts, [compiler.part(merge, at) for at in places]

    def _part(self, compiler: Compiler, place: Place, plans: list[Plan], wire: Wire) -> Part:
        """The whole: ``plans`` are those for each number of copies in the domain of ``times``."""
        if isinstance(self.times, Case):
            alike = all(plan is plans[0] for plan in plans)
            by_number = {} if alike else dict(zip(self._times(), plans, strict=True))
            decided, read = compiler.switch(
                self.times, place, "times", lambda number: by_number.get(number, ())
            )
            whole = product(decided, plans[0]) if alike else decided
            return Part(whole, lambda run, refs: wire(run, refs, read(run.values)))
        if not isinstance(self.times, Decision):
            number = self.times
            return Part(plans[0], lambda run, refs: wire(run, refs, number))
        point = compiler.point(self.times, place, "times")
        path = point.path

        def emit(run: Run, refs: Refs) -> Refs:
            return wire(run, refs, run.values[path])

        if all(plan is plans[0] for plan in plans):
            return Part(product(((point, None),), plans[0]), emit)
        return Part(((point, tuple(plans) if any(plans) else None),), emit)

    def _place(self, place: Place, number: int) -> Place:
        if self.share == "nothing":
            return place.at(str(number)).copy_of(self, number)
        share = place.share
        if self.share == "weights":
            share = share or place.name or "loop"
        elif share is not None:
            share = f"{share}.{number}"
        return replace(place, name=place.at(str(number)).name, share=share)


@dataclass(frozen=True, eq=False)
class Private(Combinator):
    """A part that keeps weights of its own in every turn of a loop around it, such as a norm.

    Args:
        body: The part.
    """

    body: Expression

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body, without a sharing group."""
        return compiler.part(self.body, replace(place, share=None))

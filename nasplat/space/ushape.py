"""``UShape``: a path down, a bottom, a path up, and skips between equal levels [Ronneberger2015].

References:
    [Ronneberger2015] O. Ronneberger, P. Fischer, T. Brox. U-Net. MICCAI 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run
from nasplat.space.decisions import Decision
from nasplat.space.plan import Entry, product


@dataclass(frozen=True, eq=False, kw_only=True)
class Level:
    """One level of a :class:`UShape`.

    Args:
        encode: On the way down, before the skip leaves.
        down: To the next level.
        up: Back from the next level.
        merge: Takes what comes up and what the skip brings, in this order; ``Pick(0)`` ignores the skip.
        decode: On the way up, after the merge.
        skip: On the skip; None: it carries what ``encode`` gives.
    """

    encode: Expression
    down: Expression
    up: Expression
    merge: Expression
    decode: Expression
    skip: Expression | None = None


@dataclass(frozen=True, eq=False)
class UShape(Combinator):
    """Down through the levels, through the bottom, and up again.

    Args:
        levels: From the outermost in; wrap bodies in ``fresh`` or make them anew for decisions of their
            own at every level.
        bottom: Below the last level.
        depth: How many of the levels are used, from the outermost: an integer or a decision; None: all.

    Raises:
        SpaceError: ``depth`` can be negative or more than there are levels.
    """

    levels: tuple[Level, ...]
    bottom: Expression
    depth: Any = None

    def __post_init__(self) -> None:
        strange = [
            depth
            for depth in self._depths()
            if type(depth) is not int or not 0 <= depth <= len(self.levels)
        ]
        if strange:
            raise SpaceError(f"depth must be in 0..{len(self.levels)}, got {strange[0]!r}")

    def _depths(self) -> list[Any]:
        if self.depth is None:
            return [len(self.levels)]
        if isinstance(self.depth, Decision):
            return [self.depth.value(index) for index in range(self.depth.count or 0)]
        return [self.depth]

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Level ``i`` stands below ``levels.<i>``, the rest below ``bottom`` and ``depth``."""
        point = (
            compiler.point(self.depth, place, "depth") if isinstance(self.depth, Decision) else None
        )
        depths = self._depths()
        levels: list[dict[str, Part]] = []
        for number, level in enumerate(self.levels[: max(depths)]):
            at = place.at("levels").at(str(number))
            parts = {
                name: compiler.part(getattr(level, name), at.at(name))
                for name in ("encode", "down", "skip", "up", "merge", "decode")
                if getattr(level, name) is not None
            }
            levels.append(parts)
            compiler.site(at, product(*(part.plan for part in parts.values())))
        bottom = compiler.part(self.bottom, place.at("bottom"))
        path = None if point is None else point.path

        def emit(run: Run, refs: Refs) -> Refs:
            depth = depths[0] if path is None else run.values[path]
            used = levels[:depth]
            skips: list[Refs] = []
            for parts in used:
                refs = parts["encode"].emit(run, refs)
                skips.append(parts["skip"].emit(run, refs) if "skip" in parts else refs)
                refs = parts["down"].emit(run, refs)
            refs = bottom.emit(run, refs)
            for parts in reversed(used):
                refs = (*parts["up"].emit(run, refs), *skips.pop())
                refs = parts["decode"].emit(run, parts["merge"].emit(run, refs))
            return refs

        plans = [product(*(part.plan for part in parts.values())) for parts in levels]
        branches = tuple(product(*plans[:depth]) for depth in depths)
        if point is None:
            return Part(product(branches[0], bottom.plan), emit)
        entry: Entry = (point, branches if any(branches) else None)
        return Part(product((entry,), bottom.plan), emit)

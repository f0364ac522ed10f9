"""Encoders and decoders of several scales: what flows is a tuple of maps, the finest first.

``Pyramid`` makes such a tuple, ``PerScale`` and plain ops over all of them change it, ``Ladder`` leads it
back to the finest scale. They know parts and places, not what an op computes.

References:
    [Ronneberger2015] O. Ronneberger, P. Fischer, T. Brox. U-Net. MICCAI 2015.
    [Zhou2018] Z. Zhou et al. UNet++: a nested U-Net architecture. 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.errors import GraphTypeError, SpaceError
from nasplat.graph.op import Expression
from nasplat.space.base import Combinator, Compiler, Emit, Part, Place, Refs, Run
from nasplat.space.decisions import Decision
from nasplat.space.plan import Entry, Plan, product


def one(run: Run, part: Part, refs: Refs) -> str:
    """The single value that a part gives."""
    (ref,) = part.emit(run, refs)
    return ref


def counts_of(number: Any, most: int, what: str) -> list[int]:
    """The values of a number of scales.

    Raises:
        SpaceError: One is below 1 or above ``most``.
    """
    met = [number]
    if isinstance(number, Decision):
        met = [number.value(index) for index in range(number.count or 0)]
    strange = [value for value in met if type(value) is not int or not 1 <= value <= most]
    if strange or not met:
        raise SpaceError(f"{what} must be in 1..{most}, got {(strange or met)[:1]}")
    return met


@dataclass(frozen=True, eq=False, kw_only=True)
class Pyramid(Combinator):
    """Stages on ever coarser maps; what each gives goes on, the finest first.

    Args:
        stages: One for each outer scale.
        downs: From each outer scale to the next one: as many as ``stages``.
        bottom: On the coarsest scale.
        levels: How many outer scales are used: an integer or a decision; None: all.

    Raises:
        SpaceError: Numbers do not agree.
    """

    stages: tuple[Expression, ...]
    downs: tuple[Expression, ...]
    bottom: Expression
    levels: Any = None

    def __post_init__(self) -> None:
        if len(self.stages) != len(self.downs):
            raise SpaceError(f"{len(self.stages)} stages need as many downs, got {len(self.downs)}")
        counts_of(
            len(self.stages) if self.levels is None else self.levels, len(self.stages), "levels"
        )

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Stages stand below ``stages.<i>``, the way down below ``stages.<i>.down``, then ``bottom``."""
        levels = len(self.stages) if self.levels is None else self.levels
        counts = counts_of(levels, len(self.stages), "levels")
        point = compiler.point(levels, place, "levels") if isinstance(levels, Decision) else None
        stages: list[tuple[Part, Part]] = []
        for number in range(max(counts)):
            at = place.at("stages").at(str(number))
            stage = compiler.part(self.stages[number], at)
            compiler.site(at, stage.plan)
            stages.append((stage, compiler.part(self.downs[number], at.at("down"))))
        bottom = compiler.part(self.bottom, place.at("bottom"))
        path = None if point is None else point.path

        def emit(run: Run, refs: Refs) -> Refs:
            made: list[str] = []
            for stage, down in stages[: counts[0] if path is None else run.values[path]]:
                made.append(one(run, stage, refs))
                refs = down.emit(run, (made[-1],))
            return (*made, one(run, bottom, refs))

        plans = [product(stage.plan, down.plan) for stage, down in stages]
        branches = tuple(product(*plans[:count]) for count in counts)
        return _decided(point, branches, bottom.plan, emit)


def _decided(point: Any, branches: tuple[Plan, ...], rest: Plan, emit: Emit) -> Part:
    if point is None:
        return Part(product(branches[0], rest), emit)
    entry: Entry = (point, branches if any(branches) else None)
    return Part(product((entry,), rest), emit)


@dataclass(frozen=True, eq=False)
class PerScale(Combinator):
    """One part on each scale, counted from the finest.

    Args:
        bodies: One for each outer scale; the coarsest scale and those beyond go on unchanged.
        streams: How many tuples of scales come in, one after the other; a body takes its scale of each.
        bottom: On the coarsest scale of each stream; None: unchanged.
    """

    bodies: tuple[Expression, ...]
    streams: int = 1
    bottom: Expression | None = None

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Parts stand below the number of their scale, the last below ``bottom``."""
        parts = [
            compiler.part(body, place.at(str(number))) for number, body in enumerate(self.bodies)
        ]
        bottom = None if self.bottom is None else compiler.part(self.bottom, place.at("bottom"))

        def emit(run: Run, refs: Refs) -> Refs:
            scales = _scales(refs, self.streams, place)
            made = [one(run, part, met) for part, met in zip(parts, scales[:-1], strict=False)]
            last = scales[-1] if bottom is None else bottom.emit(run, scales[-1])
            rest = [ref for met in scales[len(made) : -1] for ref in met]
            return (*made, *rest, *last)

        plans = [part.plan for part in parts]
        return Part(product(*plans, () if bottom is None else bottom.plan), emit)


def _scales(refs: Refs, streams: int, place: Place) -> list[Refs]:
    """For each scale what every stream holds there."""
    if not refs or len(refs) % streams:
        raise GraphTypeError(f"at {place.name}: {len(refs)} maps are not {streams} equal pyramids")
    length = len(refs) // streams
    return [refs[number::length] for number in range(length)]


@dataclass(frozen=True, eq=False)
class Finer(Combinator):
    """Every scale reads coarser ones as well.

    Args:
        up: Takes a coarser map and the map whose grid it should have.
        merge: Takes a map and all coarser ones on its grid.
        scales: Most scales, the coarsest included.
        reach: How many of the coarser scales are read, the nearest first; None: all.
    """

    up: Expression
    merge: Expression
    scales: int = 5
    reach: int | None = None

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """``up.<from>_<to>`` and ``merge.<to>`` for every pair of scales."""
        ups = {
            (source, target): compiler.part(self.up, place.at("up").at(f"{source}_{target}"))
            for target in range(self.scales)
            for source in self._read(target, self.scales)
        }
        merges = [
            compiler.part(self.merge, place.at("merge").at(str(target)))
            for target in range(self.scales)
        ]

        def emit(run: Run, refs: Refs) -> Refs:
            made = []
            for target, own in enumerate(refs[:-1]):
                coarser = [
                    one(run, ups[source, target], (refs[source], own))
                    for source in self._read(target, len(refs))
                ]
                made.append(one(run, merges[target], (own, *coarser)))
            return (*made, refs[-1])

        return Part(product(*(part.plan for part in (*ups.values(), *merges))), emit)

    def _read(self, target: int, scales: int) -> range:
        """The coarser scales that one reads."""
        last = scales if self.reach is None else min(scales, target + 1 + self.reach)
        return range(target + 1, last)


@dataclass(frozen=True, eq=False, kw_only=True)
class Equalise(Combinator):
    """The finer and the coarser scales are each gathered in one map; both meet, and all scales take part.

    Args:
        align: Takes a map and the map whose grid and channels it should have.
        groups: Of the finer half and of the coarser half: takes its maps on one grid.
        join: Takes what both halves give.
        add: Takes a scale and what is there for it.
        scales: Most scales, the coarsest included.
    """

    align: Expression
    groups: tuple[Expression, Expression]
    join: Expression
    add: Expression
    scales: int = 5

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """``in.<i>`` and ``out.<i>`` for every scale, ``fine``, ``coarse``, ``join``, ``add.<i>``."""

        def each(label: str, body: Expression) -> list[Part]:
            at = place.at(label)
            return [compiler.part(body, at.at(str(number))) for number in range(self.scales)]

        enter, leave, add = each("in", self.align), each("out", self.align), each("add", self.add)
        fine = compiler.part(self.groups[0], place.at("fine"))
        coarse = compiler.part(self.groups[1], place.at("coarse"))
        join = compiler.part(self.join, place.at("join"))

        def emit(run: Run, refs: Refs) -> Refs:
            half = len(refs) // 2
            grid = refs[half - 1]
            met = tuple([one(run, enter[at], (ref, grid)) for at, ref in enumerate(refs)])
            halves = (one(run, fine, met[:half]), one(run, coarse, met[half:]))
            whole = one(run, join, halves)
            back = [one(run, leave[at], (whole, ref)) for at, ref in enumerate(refs)]
            return tuple(
                [one(run, add[at], pair) for at, pair in enumerate(zip(refs, back, strict=True))]
            )

        parts = (*enter, fine, coarse, join, *leave, *add)
        return Part(product(*(part.plan for part in parts)), emit)


@dataclass(frozen=True, eq=False)
class ToFinest(Combinator):
    """The finest scale becomes a merge of all scales on its grid; the others go on unchanged.

    Args:
        up: Takes a coarser map and the map whose grid it should have.
        merge: Takes the finest map and all others on its grid.
        scales: Most scales, the coarsest included.
    """

    up: Expression
    merge: Expression
    scales: int = 5

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """``up.<from>`` for every coarser scale, then ``merge``."""
        ups = [
            compiler.part(self.up, place.at("up").at(str(source)))
            for source in range(1, self.scales)
        ]
        merge = compiler.part(self.merge, place.at("merge"))

        def emit(run: Run, refs: Refs) -> Refs:
            moved = [one(run, up, (ref, refs[0])) for up, ref in zip(ups, refs[1:], strict=False)]
            return (one(run, merge, (refs[0], *moved)), *refs[1:])

        return Part(product(*(part.plan for part in ups), merge.plan), emit)


@dataclass(frozen=True, eq=False)
class Nested(Combinator):
    """The skips of UNet++: between equal scales stand nodes that read all before them and one below.

    Args:
        up: Takes a coarser map and the map whose grid it should have.
        node: Takes all earlier maps of its scale and the one from below.
        scales: Most scales, the coarsest included.

    References:
        [Zhou2018] Z. Zhou et al. UNet++: a nested U-Net architecture. 2018.
    """

    up: Expression
    node: Expression
    scales: int = 5

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Node ``j`` of scale ``i`` stands below ``<i>_<j>``."""
        cells = {
            (row, column): (
                compiler.part(self.up, place.at(f"{row}_{column}").at("up")),
                compiler.part(self.node, place.at(f"{row}_{column}")),
            )
            for row in range(self.scales)
            for column in range(1, self.scales - row)
        }

        def emit(run: Run, refs: Refs) -> Refs:
            rows = [[ref] for ref in refs]
            for column in range(1, len(refs) - 1):
                for row in range(len(refs) - 1 - column):
                    up, node = cells[row, column]
                    below = one(run, up, (rows[row + 1][column - 1], rows[row][0]))
                    rows[row].append(one(run, node, (*rows[row], below)))
            return tuple(row[-1] for row in rows)

        return Part(product(*(part.plan for cell in cells.values() for part in cell)), emit)


@dataclass(frozen=True, eq=False)
class Queries(Combinator):
    """Learned queries read the scales in turn, from the coarsest, then draw the answer [Cheng2022].

    Args:
        learned: Makes the queries; takes the coarsest map.
        layers: Each takes the queries and a map, and gives the queries.
        head: Takes the queries and the finest map.

    References:
        [Cheng2022] B. Cheng et al. Masked-attention mask transformer. CVPR 2022.
    """

    learned: Expression
    layers: tuple[Expression, ...]
    head: Expression

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """``queries``, ``layers.<i>`` and ``head``."""
        learned = compiler.part(self.learned, place.at("queries"))
        layers = [
            compiler.part(layer, place.at("layers").at(str(number)))
            for number, layer in enumerate(self.layers)
        ]
        head = compiler.part(self.head, place.at("head"))

        def emit(run: Run, refs: Refs) -> Refs:
            queries = one(run, learned, refs[-1:])
            for number, layer in enumerate(layers):
                queries = one(run, layer, (queries, refs[-1 - number % len(refs)]))
            return head.emit(run, (queries, refs[0]))

        return Part(product(learned.plan, *(layer.plan for layer in layers), head.plan), emit)


@dataclass(frozen=True, eq=False, kw_only=True)
class Ladder(Combinator):
    """From the coarsest scale back to the finest, over a skip at each scale.

    Args:
        up: For each scale: takes what comes from below and what the encoder holds there.
        merge: For each scale: takes what came up and what the skip brings, in this order.
        decode: For each scale: after the merge.
        skips: Changes the whole tuple of scales before the way up; for each option of ``reach`` one.
        reach: Decides between the options of ``skips``; None: there is one.
        only: Options with a skip at these scales alone, counted from the finest; elsewhere the merge is
            left out.
        every: Whether all scales go on, the finest first, or only the finest.
        jump: Whether the way leads from the coarsest scale straight to the finest.
    """

    up: tuple[Expression, ...]
    merge: tuple[Expression, ...]
    decode: tuple[Expression, ...]
    skips: Mapping[str, Expression]
    reach: Any
    only: Mapping[str, tuple[int, ...]]
    every: bool = False
    jump: bool = False

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Scales stand below ``<i>.up``, ``<i>.merge`` and ``<i>.decode``; routes below ``skips.<name>``."""
        point = compiler.point(self.reach, place.at("skips"))
        names = [point.decision.value(index) for index in range(point.decision.count or 0)]
        routes = {
            name: compiler.part(self.skips[name], place.at("skips").at(name)) for name in names
        }
        scales: list[tuple[Part, Part, Part]] = []
        for number in range(1 if self.jump else len(self.up)):
            at = place.at(str(number))
            up, merge, decode = (
                compiler.part(part[number], at.at(label))
                for label, part in (("up", self.up), ("merge", self.merge), ("decode", self.decode))
            )
            compiler.site(at, product(up.plan, merge.plan, decode.plan))
            scales.append((up, merge, decode))

        def emit(run: Run, refs: Refs) -> Refs:
            name = run.values[point.path]
            held = refs
            refs = routes[name].emit(run, refs)
            made, x = [refs[-1]], refs[-1]
            used = [0] if self.jump else range(len(refs) - 2, -1, -1)
            for number in used:
                up, merge, decode = scales[number]
                x = one(run, up, (x, held[number]))
                if name not in self.only or number in self.only[name]:
                    x = one(run, merge, (x, refs[number]))
                x = one(run, decode, (x,))
                made.append(x)
            return tuple(reversed(made)) if self.every else (x,)

        plan = product(*(part.plan for up, _, decode in scales for part in (up, decode)))
        branches = tuple(
            product(
                routes[name].plan,
                *(
                    merge.plan
                    for number, (_, merge, _) in enumerate(scales)
                    if name not in self.only or number in self.only[name]
                ),
            )
            for name in names
        )
        entry: Entry = (point, branches if any(branches) else None)
        return Part(product((entry,), plan), emit)

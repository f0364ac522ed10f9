"""What a combinator must offer, and the compiler that gives its parts their place.

A body is a tree of ops and combinators. Compiling it once gives two things: the plan of its decisions
(:mod:`nasplat.space.plan`) and, for every part, a function that adds the part to a graph once all decisions
are closed. Neither knows how genotypes are proposed.

A new combinator is a frozen dataclass with one method, :meth:`Combinator.compile`.
"""

from __future__ import annotations

import copy
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from nasplat.errors import SpaceError
from nasplat.graph.graph import GraphBuilder
from nasplat.graph.op import FLOAT, Bits, Expression, Op, Sequence
from nasplat.space.arithmetic import Formula
from nasplat.space.decisions import Case, Decision
from nasplat.space.plan import Entry, Plan, Point, Site, product

Refs = tuple[str, ...]
Reader = Callable[[Mapping[str, Any]], Any]
"""Reads a hyper-parameter from the values of a closed genotype."""


@dataclass(slots=True)
class Run:
    """One candidate under construction.

    Attributes:
        builder: The graph so far.
        values: The closed genotype.
        bits: Widths for the nodes added now.
        memory: References that :class:`~nasplat.space.wiring.Tap` has put by.
        outputs: Named outputs so far.
    """

    builder: GraphBuilder
    values: Mapping[str, Any]
    bits: Bits = FLOAT
    memory: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


Emit = Callable[[Run, Refs], Refs]
"""Adds a part to the graph: references in, references out."""


@dataclass(frozen=True, slots=True)
class Part:
    """A compiled part of a body: its decisions and how it is added to a graph."""

    plan: Plan
    emit: Emit


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part stands.

    Attributes:
        path: Prefix of the paths of decisions first met here.
        name: Prefix of the names of nodes.
        share: Prefix of sharing groups; None: every node has weights of its own.
        copies: For each enclosing body that is copied: its owner, which copy, and the copy's path.
    """

    path: str = ""
    name: str = ""
    share: str | None = None
    copies: tuple[tuple[int, object, str], ...] = ()

    def at(self, label: str) -> Place:
        """The place of a part called ``label`` in here."""
        share = None if self.share is None else join(self.share, label)
        return replace(self, path=join(self.path, label), name=join(self.name, label), share=share)

    def copy_of(self, owner: object, key: object) -> Place:
        """This place, as the one of a copy with decisions of its own."""
        return replace(self, copies=(*self.copies, (id(owner), key, self.path)))


def join(path: str, label: str) -> str:
    """A path one segment longer."""
    return f"{path}.{label}" if path else label


class Combinator(Expression):
    """Base of all combinators: subclass as ``@dataclass(frozen=True, eq=False)``.

    Its fields hold expressions, decisions, plain values, and tuples or mappings of these.
    """

    @abstractmethod
    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Give every part its place; called once for each place where the combinator stands."""

    def copied(self) -> tuple[object, ...]:
        """The field values of which every copy has decisions of its own."""
        return ()

    @property
    def label(self) -> str:
        """How a sequence calls this part if nobody named it."""
        return snake(type(self).__name__)

    def fresh(self) -> Any:
        """A copy whose decisions are independent of these."""
        return fresh(self)


class Compiler:
    """Compiles one body.

    Attributes:
        points: Every decision in its place, by path, in order of first meeting.
        sites: Parts that recombination may move as a whole.
    """

    def __init__(self, root: object) -> None:
        self.points: dict[str, Point] = {}
        self.sites: list[Site] = []
        self._by_key: dict[object, Point] = {}
        self._nodes: set[str] = set()
        self._homes: dict[int, tuple[int, ...]] = {}
        self._opened: dict[int, tuple[Op, tuple[tuple[str, Any], ...]]] = {}
        self._decided: set[int] = set()
        for met, owners in _occurrences(root, (), {}):
            self._homes[id(met)] = _common(self._homes.get(id(met), owners), owners)

    def part(self, body: Expression, place: Place) -> Part:
        """Compile one part in its place.

        Raises:
            SpaceError: ``body`` is no expression.
        """
        if isinstance(body, Op):
            return self._op(body, place)
        if isinstance(body, Sequence):
            return self._sequence(body, place)
        if isinstance(body, Combinator):
            part = body.compile(self, place)
            return Part((), part.emit) if id(body) in self._decided else part
        raise SpaceError(
            f"at {place.path or 'the top'}: expected an op or a combinator, "
            f"got {body!r} of type {type(body).__name__}"
        )

    @contextmanager
    def deciding(self, parts: Iterable[Expression], place: Place) -> Iterator[Plan]:
        """Decide parts once, whether what is compiled meanwhile uses them or not.

        Gives the plan of their decisions; a use of one of the parts adds nothing to a plan.
        """
        made = [part for part in parts if id(part) not in self._decided]
        plan = product(*(self.part(part, place).plan for part in made))
        self._decided.update(map(id, made))
        try:
            yield plan
        finally:
            self._decided.difference_update(map(id, made))

    def site(self, place: Place, plan: Plan) -> None:
        """Let recombination move this part as a whole."""
        self.sites.append(Site(place.path, plan))

    def point(self, decision: Any, place: Place, label: str = "") -> Point:
        """Give a decision its place, the first where it is met.

        Args:
            decision: What is decided.
            place: Where the part that asks stands.
            label: Which of the part's decisions it is; empty: the part itself.
        """
        copies = self._home(decision, place)
        key = (id(decision), tuple((owner, copy) for owner, copy, _ in copies))
        if key not in self._by_key:
            if decision.name is None:
                path = join(place.path, label) if label else place.path
            else:
                path = join(copies[-1][2] if copies else "", decision.name)
            point = Point(
                self._free(path, label or "choice"), decision, self._before(decision, copies)
            )
            self._by_key[key] = self.points[point.path] = point
        return self._by_key[key]

    def home(self, value: object, place: Place) -> str:
        """Path of the innermost copy that holds every use of a decision or combinator met here."""
        copies = self._home(value, place)
        return copies[-1][2] if copies else ""

    def _home(self, value: object, place: Place) -> tuple[tuple[int, object, str], ...]:
        owners = self._homes.get(id(value))
        if owners is None:
            return place.copies
        return tuple([copy for copy in place.copies if copy[0] in owners])

    def _free(self, path: str, label: str) -> str:
        """A path that no other decision has."""
        if path and path not in self.points:
            return path
        path = join(path, label) if path.rpartition(".")[2] != label else path
        number, unique = 1, path
        while unique in self.points:
            number += 1
            unique = f"{path}_{number}"
        return unique

    def _before(
        self, decision: object, copies: tuple[tuple[int, object, str], ...]
    ) -> Point | None:
        owner, number, _ = copies[-1] if copies else (0, None, "")
        if not isinstance(number, int):
            return None
        outer = tuple((other, copy) for other, copy, _ in copies[:-1])
        return self._by_key.get((id(decision), (*outer, (owner, number - 1))))

    def reader(self, value: Any, place: Place, label: str) -> tuple[Plan, Reader]:
        """Compile a hyper-parameter: a plain value, decision, formula, case, or a tuple of these."""
        if isinstance(value, Decision):
            point = self.point(value, place, label)
            path = point.path
            return ((point, None),), lambda values: values[path]
        if isinstance(value, Case):
            return self.switch(value, place, label, lambda _: ())
        if isinstance(value, Formula):
            left, read_left = self.reader(value.left, place, label)
            right, read_right = self.reader(value.right, place, label)
            combine = Formula.OPERATORS[value.operator]
            plan = product(left, right)
            return plan, lambda values: combine(read_left(values), read_right(values))
        if isinstance(value, tuple) and is_open(value):
            parts = [self.reader(item, place, label) for item in value]
            readers = [read for _, read in parts]
            plan = product(*(plan for plan, _ in parts))
            return plan, lambda values: tuple([read(values) for read in readers])
        return (), lambda values: value

    def switch(
        self, value: Any, place: Place, label: str, plan_of: Callable[[Any], Plan]
    ) -> tuple[Plan, Reader]:
        """Compile a value on which other decisions depend: plain, a countable decision or a case.

        Args:
            value: What is decided.
            place: Where the part that asks stands.
            label: Which of the part's values it is.
            plan_of: The decisions that a value makes active.
        """
        if isinstance(value, Case):
            point = self.point(value.decision, place, f"{label}_case")
            keys = [value.decision.value(index) for index in range(value.decision.count or 0)]
            chosen = {key: self._option(value.options[key], place, label, plan_of) for key in keys}
            plans = tuple(plan for plan, _ in chosen.values())
            path = point.path
            entry: Entry = (point, plans if any(plans) else None)
            return (entry,), lambda values: chosen[values[path]][1](values)
        return self._option(value, place, label, plan_of)

    def _option(
        self, value: Any, place: Place, label: str, plan_of: Callable[[Any], Plan]
    ) -> tuple[Plan, Reader]:
        if isinstance(value, Case):
            return self.switch(value, place, label, plan_of)
        if isinstance(value, Decision) and value.count is not None:
            point = self.point(value, place, label)
            plans = tuple(plan_of(value.value(index)) for index in range(value.count))
            path = point.path
            entry: Entry = (point, plans if any(plans) else None)
            return (entry,), lambda values: values[path]
        if is_open(value):
            return self.reader(value, place, label)
        return plan_of(value), lambda values: value

    def node(self, place: Place) -> tuple[str, str | None]:
        """A name for a node that no other has, and its sharing group."""
        name = place.name or "node"
        number = 1
        while (name if number == 1 else f"{name}_{number}") in self._nodes:
            number += 1
        suffix = "" if number == 1 else f"_{number}"
        self._nodes.add(name + suffix)
        return name + suffix, None if place.share is None else place.share + suffix

    def _op(self, op: Op, place: Place) -> Part:
        name, share = self.node(place)
        if id(op) not in self._opened:
            self._opened[id(op)] = (op, open_fields(op))  # the op is kept: ids stay good
        _, found = self._opened[id(op)]
        opened = {label: self.reader(value, place, label) for label, value in found}
        if not opened:

            def emit_closed(run: Run, refs: Refs) -> Refs:
                return run.builder.add(op, *refs, name=name, bits=run.bits, share=share)

            return Part((), emit_closed)
        names = tuple(opened)
        readers = [read for _, read in opened.values()]
        made: dict[tuple[Any, ...], Op] = {}

        def emit(run: Run, refs: Refs) -> Refs:
            key = tuple([read(run.values) for read in readers])
            closed = made.get(key)
            if closed is None:
                closed = made[key] = replace(op, **dict(zip(names, key, strict=True)))  # type: ignore[type-var]  # ops are dataclasses
            return run.builder.add(closed, *refs, name=name, bits=run.bits, share=share)

        return Part(product(*(plan for plan, _ in opened.values())), emit)

    def _sequence(self, sequence: Sequence, place: Place) -> Part:
        parts = [
            self.part(item, place.at(label))
            for label, item in zip(labels(sequence.items), sequence.items, strict=True)
        ]
        return chain(parts)


def chain(parts: list[Part]) -> Part:
    """Parts one after the other."""
    emits = [part.emit for part in parts]

    def emit(run: Run, refs: Refs) -> Refs:
        for one in emits:
            refs = one(run, refs)
        return refs

    return Part(product(*(part.plan for part in parts)), emit)


def snake(name: str) -> str:
    """``WindowAttention`` as ``window_attention``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def label_of(expression: Expression) -> str:
    """How a sequence calls a part: the name it was given, the kind of an op, the kind of combinator."""
    if isinstance(expression, Op):
        return expression.kind
    if isinstance(expression, Combinator):
        return expression.label
    return "part"


def labels(items: tuple[Expression, ...]) -> list[str]:
    """One label for each part, made different by a number where parts have one label."""
    met: dict[str, int] = {}
    made = []
    for item in items:
        label = label_of(item)
        met[label] = met.get(label, 0) + 1
        made.append(label if met[label] == 1 else f"{label}_{met[label]}")
    return made


def inside(value: object) -> Iterator[object]:
    """What the fields, items or operands of a value hold, one level down."""
    if isinstance(value, Formula):
        yield from (value.left, value.right)
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (tuple, list)):
        yield from value
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield getattr(value, item.name)


def open_fields(op: Op) -> tuple[tuple[str, Any], ...]:
    """The fields of an op that hold decisions, with what they hold."""
    held = ((item.name, getattr(op, item.name)) for item in fields(op))  # type: ignore[arg-type]  # every concrete op is a dataclass
    return tuple((name, value) for name, value in held if is_open(value))


def is_open(value: object) -> bool:
    """Whether a value holds a decision."""
    return isinstance(value, Decision) or any(is_open(item) for item in inside(value))


def _occurrences(
    value: object, owners: tuple[int, ...], common: Mapping[int, tuple[int, ...]]
) -> Iterator[tuple[object, tuple[int, ...]]]:
    """Every decision and combinator with the owners of the copied bodies around it.

    What a combinator lists as common to its copies stands beside them, wherever it is met.
    """
    owners = common.get(id(value), owners)
    if isinstance(value, (Decision, Combinator)):
        yield value, owners
    copied = value.copied() if isinstance(value, Combinator) else ()
    listed = getattr(value, "common", ()) if isinstance(value, Combinator) else ()
    if listed:
        common = {**common, **{id(item): owners for item in listed}}
    for item in inside(value):
        own = any(item is other for other in copied)
        yield from _occurrences(item, (*owners, id(value)) if own else owners, common)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def fresh(value: Any) -> Any:
    """A copy of an expression or a decision whose decisions are independent of the original's.

    What was one decision within ``value`` is one decision within the copy.
    """
    made: dict[int, Any] = {}

    def copied(old: Any) -> Any:
        if id(old) in made:
            return made[id(old)]
        new = old
        if isinstance(old, Decision):
            new = old.fresh()
        elif isinstance(old, Formula):
            new = Formula(old.operator, copied(old.left), copied(old.right))
        elif isinstance(old, Mapping):
            new = {key: copied(item) for key, item in old.items()}
        elif isinstance(old, tuple):
            new = tuple(copied(item) for item in old)
        elif is_dataclass(old) and not isinstance(old, type) and is_open(old):
            new = copy.copy(old)
            for item in fields(old):
                object.__setattr__(new, item.name, copied(getattr(old, item.name)))
        made[id(old)] = new
        return new

    return copied(value)

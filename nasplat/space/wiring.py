"""How parts are named and wired: ``Steps``, ``Named``, ``Shared``, ``Tied``, ``Parallel``, ``Each``, taps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nasplat.errors import GraphTypeError, SpaceError
from nasplat.graph.op import Expression, Sequence
from nasplat.space.base import (
    Combinator,
    Compiler,
    Part,
    Place,
    Refs,
    Run,
    chain,
    join,
    label_of,
    labels,
)
from nasplat.space.plan import product


@dataclass(frozen=True, eq=False)
class Named(Combinator):
    """A part with a name of its own in the paths of decisions and nodes.

    Args:
        name: One segment of a path.
        body: The part.

    Raises:
        SpaceError: The name is empty or holds a dot.
    """

    name: str
    body: Expression

    def __post_init__(self) -> None:
        if not self.name or "." in self.name:
            raise SpaceError(f"a name is one segment of a path, got {self.name!r}")

    @property
    def label(self) -> str:
        """The name."""
        return self.name

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body, which recombination may move as a whole."""
        part = compiler.part(self.body, place)
        compiler.site(place, part.plan)
        return part


def Steps(**parts: Expression) -> Sequence:
    """Named parts one after the other: ``Steps(stem=..., stages=..., head=...)``."""
    return Sequence(tuple(Named(name, body) for name, body in parts.items()))


@dataclass(frozen=True, eq=False)
class Shared(Combinator):
    """A part that stands in several places with the same decisions, whose paths begin with ``name``.

    Without it the paths of such decisions begin where the part is met first.

    Args:
        name: A path, relative to the copy of a repeated body that holds all places.
        body: The part; use the same object in every place.
    """

    name: str
    body: Expression

    @property
    def label(self) -> str:
        """The end of the name."""
        return self.name.rpartition(".")[2]

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Nodes stand in their place, decisions under the name."""
        path = join(compiler.home(self, place), self.name)
        return compiler.part(self.body, replace(place, path=path))


@dataclass(frozen=True, eq=False)
class Tied(Shared):
    """As :class:`Shared`, and with one set of weights for all places: siamese branches, tied layers.

    What comes in must have one type in all places.

    Args:
        name: A path, relative to the copy of a repeated body that holds all places; also the name of
            the sharing groups.
        body: The part; use the same object in every place.
    """

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Nodes stand in their place, decisions and sharing groups under the name."""
        path = join(compiler.home(self, place), self.name)
        return compiler.part(self.body, replace(place, path=path, share=path))


@dataclass(frozen=True, eq=False, init=False)
class Parallel(Combinator):
    """Branches side by side on the same inputs.

    Args:
        branches: The branches, in the order in which the fusion takes their outputs.
        fuse: Takes the outputs of all branches; without it they all go on.
        named: More branches, by name.

    Raises:
        SpaceError: There is no branch.
    """

    branches: tuple[Expression, ...]
    fuse: Expression | None

    def __init__(
        self, *branches: Expression, fuse: Expression | None = None, **named: Expression
    ) -> None:
        every = (*branches, *(Named(name, body) for name, body in named.items()))
        if not every:
            raise SpaceError("a Parallel needs at least one branch")
        object.__setattr__(self, "branches", every)
        object.__setattr__(self, "fuse", fuse)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Branches stand below their labels, the fusion below ``fuse``."""
        parts = [
            compiler.part(branch, place.at(label))
            for label, branch in zip(labels(self.branches), self.branches, strict=True)
        ]
        emits = [part.emit for part in parts]
        fuse = None if self.fuse is None else compiler.part(self.fuse, place.at("fuse"))

        def emit(run: Run, refs: Refs) -> Refs:
            made = tuple([ref for one in emits for ref in one(run, refs)])
            return made if fuse is None else fuse.emit(run, made)

        plans = [part.plan for part in parts]
        return Part(product(*plans, () if fuse is None else fuse.plan), emit)


@dataclass(frozen=True, eq=False, init=False)
class Each(Combinator):
    """One part for each input: the first on the first, and so on, as two streams side by side.

    Args:
        parts: As many as there are inputs.
    """

    parts: tuple[Expression, ...]

    def __init__(self, *parts: Expression, **named: Expression) -> None:
        every = (*parts, *(Named(name, body) for name, body in named.items()))
        object.__setattr__(self, "parts", every)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Parts stand below their labels."""
        parts = [
            compiler.part(part, place.at(label))
            for label, part in zip(labels(self.parts), self.parts, strict=True)
        ]

        def emit(run: Run, refs: Refs) -> Refs:
            if len(refs) != len(parts):
                raise GraphTypeError(
                    f"at {place.name}: Each has {len(parts)} parts for {len(refs)} inputs"
                )
            pairs = zip(parts, refs, strict=True)
            return tuple([out for part, ref in pairs for out in part.emit(run, (ref,))])

        return Part(product(*(part.plan for part in parts)), emit)


@dataclass(frozen=True, eq=False, init=False)
class Pick(Combinator):
    """Hands on some of the inputs by number, in the order given; ``Pick()`` hands on none.

    Args:
        numbers: Which, from 0.
    """

    numbers: tuple[int, ...]

    def __init__(self, *numbers: int) -> None:
        object.__setattr__(self, "numbers", numbers)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Adds no node."""

        def emit(run: Run, refs: Refs) -> Refs:
            if any(not 0 <= number < len(refs) for number in self.numbers):
                raise GraphTypeError(
                    f"at {place.name}: Pick{self.numbers} of {len(refs)} inputs, numbered from 0"
                )
            return tuple([refs[number] for number in self.numbers])

        return Part((), emit)


@dataclass(frozen=True, eq=False)
class First(Combinator):
    """A part on the first input; what comes beside it goes on unchanged, after what the part gives.

    Args:
        body: The part.
    """

    body: Expression

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body stands here."""
        part = compiler.part(self.body, place)

        def emit(run: Run, refs: Refs) -> Refs:
            return (*part.emit(run, refs[:1]), *refs[1:])

        return Part(part.plan, emit)


@dataclass(frozen=True, eq=False)
class Decided(Combinator):
    """A part beside decisions that are made in any case, also where no part of it that is chosen asks.

    What the parts of a stage decide together is thus decided once, at the top of the stage; without it a
    decision is active where something that is chosen uses it.

    Args:
        body: The part.
        decisions: Decisions, cases, and expressions of which only the decisions count.
    """

    body: Expression
    decisions: tuple[Any, ...]

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body stands here."""
        plans = [
            compiler.part(item, place.at("decided")).plan
            if isinstance(item, Expression)
            else compiler.reader(item, place, "decided")[0]
            for item in self.decisions
        ]
        part = compiler.part(self.body, place)
        return Part(product(*plans, part.plan), part.emit)


@dataclass(frozen=True, eq=False)
class Tap(Combinator):
    """Puts by what passes, under a name: as an output of the graph, and for :class:`Recall`.

    Args:
        name: Name of the output.
        head: Applied to what the output gives; what passes on stays as it is (early exits).
        output: Whether it is an output of the graph, or only to be recalled.
    """

    name: str
    head: Expression | None = None
    output: bool = True

    @property
    def label(self) -> str:
        """The name."""
        return self.name

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The head stands in the place of the tap."""
        head = chain([]) if self.head is None else compiler.part(self.head, place)

        def emit(run: Run, refs: Refs) -> Refs:
            tapped = head.emit(run, refs)
            known = run.outputs if self.output else run.memory
            if len(tapped) != 1 or self.name in run.outputs or self.name in run.memory:
                raise GraphTypeError(
                    f"at {place.name}: the tap {self.name!r} takes one value once, "
                    f"met {len(tapped)} values{' again' if self.name in known else ''}"
                )
            run.memory[self.name] = tapped[0]
            if self.output:
                run.outputs[self.name] = tapped[0]
            return refs

        return Part(head.plan, emit)


@dataclass(frozen=True, eq=False, init=False)
class Recall(Combinator):
    """Hands on what comes in, followed by what earlier taps have put by.

    Args:
        names: Names of the taps.
    """

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Adds no node."""

        def emit(run: Run, refs: Refs) -> Refs:
            missing = [name for name in self.names if name not in run.memory]
            if missing:
                raise GraphTypeError(
                    f"at {place.name}: no tap {', '.join(map(repr, missing))} before this place; "
                    f"there are {', '.join(run.memory) or 'none'}"
                )
            return (*refs, *(run.memory[name] for name in self.names))

        return Part((), emit)

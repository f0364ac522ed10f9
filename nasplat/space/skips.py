"""Bodies in a row with longer connections: ``Mirror``, ``Connected``, ``Reads``, and nodes in inverse pairs.

Like every combinator they know parts and places, not what an op computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nasplat.errors import GraphTypeError, SpaceError
from nasplat.graph.op import Expression
from nasplat.ops.merge import Add
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run, label_of
from nasplat.space.decisions import Choice, Decision
from nasplat.space.plan import Entry, Plan, product
from nasplat.space.repeat import Repeat


@dataclass(frozen=True, eq=False)
class Mirror(Repeat):
    """A body ``times`` times, in which copy ``i`` also feeds copy ``times - 1 - i`` [Bao2023].

    What copy ``i`` of the first half gives meets, in ``merge``, what enters its mirror image in the second
    half; of an odd number the middle copy has no partner.

    Args:
        body: What is repeated.
        times: How often: an integer or a decision.
        share: As in :class:`~nasplat.space.repeat.Repeat`.
        common: As in :class:`~nasplat.space.repeat.Repeat`.
        merge: Takes what comes along the chain and what comes over the skip, in this order.

    References:
        [Bao2023] F. Bao et al. All are Worth Words: A ViT Backbone for Diffusion Models. CVPR 2023.
    """

    merge: Expression = field(default_factory=Add)

    def copied(self) -> tuple[object, ...]:
        """Body and merge, unless copies share decisions."""
        return (self.body, self.merge) if self.share == "nothing" else ()

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Copies stand below their number, each merge below ``skip`` of its copy."""
        times = self._times()
        parts, merges = self._with_merges(compiler, place, self.merge, "skip")

        def plan_of(number: int) -> Plan:
            half = number - number // 2
            used = [merges[at] for at in range(half, number)]
            return product(*(part.plan for part in (*parts[:number], *used)))

        def wire(run: Run, refs: Refs, number: int) -> Refs:
            held: list[Refs] = []
            for at in range(number):
                if at >= number - number // 2:
                    refs = merges[at].emit(run, (*refs, *held.pop()))
                refs = parts[at].emit(run, refs)
                if at < number // 2:
                    held.append(refs)
            return refs

        return self._part(compiler, place, [plan_of(number) for number in times], wire)


@dataclass(frozen=True, eq=False)
class Connected(Repeat):
    """A body ``times`` times, each copy on some or all of what came before [Huang2017].

    Copy ``i`` takes what ``merge`` makes of the output of copy ``i - 1``, followed by those of earlier
    copies, the nearest first, and of what enters the whole.

    Args:
        body: What is repeated.
        times: How often: an integer or a decision.
        share: As in :class:`~nasplat.space.repeat.Repeat`.
        common: As in :class:`~nasplat.space.repeat.Repeat`.
        merge: Takes any number of inputs of one type; may hand on several values to the body.
        sources: ``"all"``: every earlier value is read; ``"chosen"``: for each earlier value but the
            nearest a decision says whether it is.
        last: Applied to what all copies gave, the nearest first; None: the last one's output goes on.

    References:
        [Huang2017] G. Huang et al. Densely Connected Convolutional Networks. CVPR 2017.
    """

    merge: Expression = field(default_factory=Add)
    sources: Literal["all", "chosen"] = "all"
    last: Expression | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sources not in ("all", "chosen"):
            raise SpaceError(f"sources must be all or chosen, got {self.sources!r}")

    def copied(self) -> tuple[object, ...]:
        """Body and merge, unless copies share decisions."""
        return (self.body, self.merge) if self.share == "nothing" else ()

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Copies stand below their number, with ``merge`` and ``reads.<source>`` below each."""
        times = self._times()
        parts, merges = self._with_merges(compiler, place, self.merge, "merge")
        last = None if self.last is None else compiler.part(self.last, place.at("last"))
        reads: dict[tuple[int, int], str] = {}
        chosen: list[Plan] = []
        for at in range(max(times)):
            entries: list[Entry] = []
            for source in range(at if self.sources == "chosen" else 0):
                below = self._place(place, at).at("reads")
                point = compiler.point(Choice(False, True), below, str(source))
                reads[at, source] = point.path
                entries.append((point, None))
            chosen.append(tuple(entries))

        def plan_of(number: int) -> Plan:
            used = [part.plan for part in (*parts[:number], *merges[1:number])]
            return product(*used, *chosen[:number], () if last is None else last.plan)

        def wire(run: Run, refs: Refs, number: int) -> Refs:
            met: list[Refs] = [refs]
            for at in range(number):
                near = met[-1]
                far = [
                    ref
                    for source in reversed(range(at))
                    if (at, source) not in reads or run.values[reads[at, source]]
                    for ref in met[source]
                ]
                refs = merges[at].emit(run, (*near, *far)) if at else near
                met.append(parts[at].emit(run, refs))
            if last is None:
                return met[-1]
            return last.emit(run, tuple(ref for refs in reversed(met) for ref in refs))

        return self._part(compiler, place, [plan_of(number) for number in times], wire)


@dataclass(frozen=True, eq=False)
class Reads(Combinator):
    """Reads any subset of what earlier taps have put by: sources that are a set [Wang2020].

    Args:
        names: Of the taps.
        merge: Takes what comes in, followed by what is read; where nothing is read it is left out.
        reads: For each name True, False or a decision over these; absent: a decision, none by default.

    References:
        [Wang2020] H. Wang et al. HAT: Hardware-Aware Transformers. ACL 2020.
    """

    names: tuple[str, ...]
    merge: Expression
    reads: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        open_ = {name: Choice(False, True) for name in self.names if name not in self.reads}
        object.__setattr__(self, "reads", {**self.reads, **open_})
        strange = [name for name in self.reads if name not in self.names]
        if strange:
            raise SpaceError(
                f"Reads knows the taps {self.names}, got a decision for {strange[0]!r}"
            )

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Each decision stands below the name of its tap, the merge here."""
        merge = compiler.part(self.merge, place)
        decided = {name: compiler.reader(self.reads[name], place, name) for name in self.names}

        def emit(run: Run, refs: Refs) -> Refs:
            wanted = [name for name in self.names if decided[name][1](run.values)]
            missing = [name for name in wanted if name not in run.memory]
            if missing:
                raise GraphTypeError(
                    f"at {place.name}: no tap {', '.join(map(repr, missing))} before this place; "
                    f"there are {', '.join(run.memory) or 'none'}"
                )
            if not wanted:
                return refs
            return merge.emit(run, (*refs, *(run.memory[name] for name in wanted)))

        return Part(product(*(plan for plan, _ in decided.values()), merge.plan), emit)


@dataclass(frozen=True, eq=False)
class Paired(Combinator):
    """A body between two nodes that belong together: warp and unwarp, fold and unfold, permute and back.

    Args:
        enter: Applied first; the body takes the first of its outputs.
        body: What runs between the two.
        leave: Undoes ``enter``: takes what the body gives, followed by the other outputs of ``enter``.
        present: True, False or a decision over these; absent: a decision, False by default. Without the
            pair the body runs on what comes in.
    """

    enter: Expression
    body: Expression
    leave: Expression
    present: Any = None

    def __post_init__(self) -> None:
        if self.present is None:
            object.__setattr__(self, "present", Choice(False, True))
        if isinstance(self.present, Decision) and {
            self.present.value(at) for at in range(self.present.count or 0)
        } - {True, False}:
            raise SpaceError(f"Paired decides for True or False, got {self.present}")

    @property
    def label(self) -> str:
        """The name of the body."""
        return label_of(self.body)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The body stands here, the pair below ``enter`` and ``leave``, the decision below ``paired``."""
        body = compiler.part(self.body, place)
        enter = compiler.part(self.enter, place.at("enter"))
        leave = compiler.part(self.leave, place.at("leave"))
        pair = product(enter.plan, leave.plan)

        def around(run: Run, refs: Refs) -> Refs:
            first, *rest = enter.emit(run, refs)
            return leave.emit(run, (*body.emit(run, (first,)), *rest))

        if not isinstance(self.present, Decision):
            if self.present:
                return Part(product(body.plan, pair), around)
            return body
        point = compiler.point(self.present, place, "paired")
        values = [point.decision.value(at) for at in range(point.decision.count or 0)]
        branches = tuple(pair if value else () for value in values)
        entry: Entry = (point, branches if pair else None)
        path = point.path

        def emit(run: Run, refs: Refs) -> Refs:
            return around(run, refs) if run.values[path] else body.emit(run, refs)

        return Part(product((entry,), body.plan), emit)

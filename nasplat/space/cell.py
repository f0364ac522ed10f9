"""``Cell``: a searchable directed acyclic graph of nodes that sum what their edges bring.

With fixed edges, each with a choice of ops, it is the cell of NAS-Bench-201 [Dong2020]; with a choice of
inputs for each node, the cell of DARTS [Liu2019].

References:
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
    [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: differentiable architecture search. ICLR 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.ops.merge import Add
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run
from nasplat.space.decisions import Choice, Decision
from nasplat.space.plan import Entry, Plan, Point, product

_Choices = tuple[tuple[Any, tuple[tuple[int, ...], ...]], ...]


@dataclass(frozen=True, eq=False, init=False)
class Cell(Combinator):
    """Nodes in order; each merges what its edges bring from inputs of the cell and earlier nodes.

    Args:
        edge: What stands on an edge; every edge decides for itself.
        nodes: How many nodes the cell adds to its inputs: an integer or an ``Int``.
        inputs: How many values come in; they are the first nodes, from 0.
        pick: None: a node has an edge from everything before it. ``k``: from ``k`` of these, decided by
            the node (from all, where there are fewer). ``(k, n)``: from ``k`` to ``n`` of them.
        entry: What stands on edges that leave an input of the cell; None: the same as on others.
        merge: Takes what the edges of a node bring; left out for a single edge.
        output: Takes all nodes added by the cell (concatenation in DARTS); None: the last node goes on.
        common: Parts that edges choose among, such as motifs: their decisions are made once for all
            edges, whether an edge chooses the part or not.

    Raises:
        SpaceError: A number is not positive, or ``pick`` is not in order.
    """

    edge: Expression
    nodes: Any
    inputs: int
    entry: Expression | None
    merge: Expression
    output: Expression | None
    choices: _Choices
    """For each node the decision for its sources (None: no choice) and the sets it decides between."""
    common: tuple[Expression, ...] = ()

    def __init__(
        self,
        edge: Expression,
        nodes: Any,
        *,
        inputs: int = 1,
        pick: int | tuple[int, int] | None = None,
        entry: Expression | None = None,
        merge: Expression | None = None,
        output: Expression | None = None,
        common: tuple[Expression, ...] = (),
    ) -> None:
        counts = [nodes]
        if isinstance(nodes, Decision):
            counts = [nodes.value(index) for index in range(nodes.count or 0)]
        low, high = pick if isinstance(pick, tuple) else (pick, pick)
        numbers = [*counts, inputs, *([] if low is None or high is None else [low, high])]
        if not counts or any(type(number) is not int or number < 1 for number in numbers):
            raise SpaceError(
                f"a Cell has 1, 2, ... nodes, inputs and edges, got {nodes=}, {inputs=}, {pick=}"
            )
        if low is not None and high is not None and low > high:
            raise SpaceError(f"pick needs its smaller number first, got {pick!r}")
        choices = []
        for before in range(inputs, inputs + max(counts)):
            least, most = (before, before) if low is None or high is None else (low, high)
            sets = tuple(
                chosen
                for size in range(min(least, before), min(most, before) + 1)
                for chosen in combinations(range(before), size)
            )
            names = ["+".join(map(str, chosen)) for chosen in sets]
            choices.append((Choice(*names) if len(sets) > 1 else None, sets))
        for name, value in (
            ("edge", edge),
            ("nodes", nodes),
            ("inputs", inputs),
            ("entry", entry),
            ("merge", merge or Add()),
            ("output", output),
            ("choices", tuple(choices)),
            ("common", common),
        ):
            object.__setattr__(self, name, value)

    def copied(self) -> tuple[object, ...]:
        """Every edge has decisions of its own."""
        return (self.edge,) if self.entry is None else (self.edge, self.entry)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Node ``i`` stands below ``node<i>``, its edge from ``j`` below ``from<j>``, sources ``inputs``."""
        depth = (
            compiler.point(self.nodes, place, "nodes") if isinstance(self.nodes, Decision) else None
        )
        with compiler.deciding(self.common, place.at("common")) as always:
            nodes = [
                self._node(compiler, place.at(f"node{self.inputs + number}"), *choice)
                for number, choice in enumerate(self.choices)
            ]
        emits = [part.emit for part in nodes]
        output = None if self.output is None else compiler.part(self.output, place.at("output"))
        path = None if depth is None else depth.path

        def emit(run: Run, refs: Refs) -> Refs:
            if len(refs) != self.inputs:
                raise SpaceError(
                    f"at {place.name}: the cell takes {self.inputs} inputs, met {len(refs)}"
                )
            count = len(emits) if path is None else run.values[path]
            values = refs
            for number in range(count):
                values = (*values, *emits[number](run, values))
            return values[-1:] if output is None else output.emit(run, values[self.inputs :])

        plans = [part.plan for part in nodes]
        inner = product(*plans)
        if depth is not None:
            counts = [depth.decision.value(index) for index in range(depth.decision.count or 0)]
            branches = tuple(product(*plans[:count]) for count in counts)
            entry: Entry = (depth, branches if any(branches) else None)
            inner = (entry,)
        inner = product(always, inner)
        compiler.site(place, inner)
        return Part(product(inner, () if output is None else output.plan), emit)

    def _node(
        self, compiler: Compiler, place: Place, decision: Any, sets: tuple[tuple[int, ...], ...]
    ) -> Part:
        point: Point | None = None
        if decision is not None:
            point = compiler.point(decision, place, "inputs")
        edges: dict[int, Part] = {}
        for source in sorted({source for chosen in sets for source in chosen}):
            body = self.edge if source >= self.inputs or self.entry is None else self.entry
            edge = place.at(f"from{source}")
            edges[source] = compiler.part(body, edge.copy_of(self, place.path + f"<-{source}"))
        merge = compiler.part(self.merge, place.at("sum"))
        path = None if point is None else point.path
        chosen_by = {"+".join(map(str, chosen)): chosen for chosen in sets}

        def emit(run: Run, refs: Refs) -> Refs:
            chosen = sets[0] if path is None else chosen_by[run.values[path]]
            met = tuple(
                [out for source in chosen for out in edges[source].emit(run, (refs[source],))]
            )
            return met if len(met) == 1 else merge.emit(run, met)

        plans: list[Plan] = [product(*(edges[source].plan for source in chosen)) for chosen in sets]
        if point is None:
            return Part(product(plans[0], merge.plan), emit)
        entry: Entry = (point, tuple(plans) if any(plans) else None)
        return Part(product((entry,), merge.plan), emit)

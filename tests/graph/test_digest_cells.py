"""Cells share a digest exactly where NetworkX finds their rewritten graphs isomorphic.

The oracle rewrites a graph by the rules that the digest's docstring states, in code of its own: an edge list
in which values are removed, joined and bypassed one at a time until no rule acts, and then the exact search
of VF2 with labels of nodes and places of edges. It uses nothing of ``nasplat.graph.digest``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasplat.blocks.cells import Cells, operations, two_input_cell
from nasplat.content import load_file, path
from nasplat.graph.digest import digest
from nasplat.graph.graph import Graph
from nasplat.graph.types import Image, TensorType
from nasplat.ops.merge import Add
from nasplat.ops.resample import Identity
from nasplat.space.cell import Cell
from nasplat.space.decisions import Int
from nasplat.space.space import Space
from nasplat.space.wiring import Parallel, Steps
from nasplat.testing.graph import shuffles

IMAGE = Image(2, 4, 4)
PAIRS = 3000
"""Random pairs of each family that are compared."""


class Oracle:
    """A graph as values with labels and incoming edges, rewritten until no rule acts.

    ``edges[value]`` counts ``(source, place)``; of an op that commutes every place is 0.
    """

    def __init__(self, graph: Graph) -> None:
        self.ops: dict[str, Any] = {name: None for name in graph.inputs}
        self.types: dict[str, tuple[TensorType, ...]] = {
            name: (graph.types[name],) for name in graph.inputs
        }
        self.edges: dict[str, Counter[tuple[str, int]]] = {name: Counter() for name in graph.inputs}
        for node in graph.nodes:
            self.ops[node.name] = node.op
            self.types[node.name] = graph.input_types(node)
            places = enumerate(node.inputs, start=1)
            commutes = node.op.commutes
            self.edges[node.name] = Counter(
                (ref, 0 if commutes else place) for place, ref in places
            )
        self.bits = {node.name: node.bits for node in graph.nodes}
        (self.output,) = graph.outputs.values()
        self.zeros: set[str] = set()
        while self._rewrite():
            pass

    def _rewrite(self) -> bool:
        """Apply one rule once; whether any did."""
        self._keep_live()
        return any(
            rule() for rule in (self._zero, self._drop, self._bypass, self._inline, self._join)
        )

    def _keep_live(self) -> None:
        live, found = set(), [self.output]
        while found:
            name = found.pop()
            if name not in live:
                live.add(name)
                found += [source for source, _ in self.edges[name]]
        self.edges = {name: met for name, met in self.edges.items() if name in live}

    def _zero(self) -> bool:
        """A value that is zero whatever comes in has no sources."""
        for name, met in self.edges.items():
            op = self.ops[name]
            if op is None or name in self.zeros:
                continue
            nothing = all(source in self.zeros for source, _ in met)
            if op.is_zero(*self.types[name]) or (op.keeps_zero and nothing):
                self.zeros.add(name)
                self.edges[name] = Counter()
                return True
        return False

    def _drop(self) -> bool:
        """A sum leaves out its zeros."""
        for name, met in self.edges.items():
            if isinstance(self.ops[name], Add):
                for source, place in list(met):
                    if source in self.zeros and name not in self.zeros and len(met) > 1:
                        del met[source, place]
                        return True
        return False

    def _bypass(self) -> bool:
        """An identity, or a sum of one value, is that value."""
        for name, met in self.edges.items():
            op = self.ops[name]
            single = isinstance(op, Add) and sum(met.values()) == 1
            if name in self.zeros or not (single or isinstance(op, Identity)):
                continue
            ((source, _),) = met
            for other in self.edges.values():
                for (target, place), times in list(other.items()):
                    if target == name:
                        del other[target, place]
                        other[source, place] += times
            if self.output == name:
                self.output = source
            return True
        return False

    def _inline(self) -> bool:
        """A sum within a sum is spelled out."""
        for name, met in self.edges.items():
            if not isinstance(self.ops[name], Add):
                continue
            for (source, place), times in list(met.items()):
                if isinstance(self.ops[source], Add) and source not in self.zeros:
                    del met[source, place]
                    for (inner, _), more in self.edges[source].items():
                        met[inner, 0] += times * more
                    return True
        return False

    def _join(self) -> bool:
        """Two uses of an op without weights on the same values are one; so are all zeros."""
        kept: dict[Any, str] = {}
        for name, met in self.edges.items():
            op = self.ops[name]
            if name in self.zeros:
                key: Any = "zero"
            elif op is not None and op.pure:
                key = (op, frozenset(met.items()))
            else:
                continue
            first = kept.setdefault(key, name)
            if first != name:
                for other in self.edges.values():
                    for (target, place), times in list(other.items()):
                        if target == name:
                            del other[target, place]
                            other[first, place] += times
                if self.output == name:
                    self.output = first
                return True
        return False

    def graph(self) -> nx.DiGraph[str]:
        """What is left, labelled; the output is a node of its own."""
        made: nx.DiGraph[str] = nx.DiGraph()
        for name in self.edges:
            op = self.ops[name]
            label = "zero" if name in self.zeros else name if op is None else str(op)
            made.add_node(name, label=(label, str(self.bits.get(name))) if op else label)
        for name in self.zeros & set(self.edges):
            made.nodes[name]["label"] = "zero"
        made.add_node("the output", label="output")
        made.add_edge(self.output, "the output", places=((0, 1),))
        for name, met in self.edges.items():
            for source in {source for source, _ in met}:
                places = tuple(
                    sorted((place, n) for (ref, place), n in met.items() if ref == source)
                )
                made.add_edge(source, name, places=places)
        return made


def same(one: Graph, other: Graph) -> bool:
    """Whether the rewritten graphs are isomorphic, told by VF2."""
    first, second = Oracle(one).graph(), Oracle(other).graph()
    matcher = nx.algorithms.isomorphism.DiGraphMatcher(
        first,
        second,
        node_match=lambda a, b: a["label"] == b["label"],
        edge_match=lambda a, b: a["places"] == b["places"],
    )
    return bool(matcher.is_isomorphic())


def _darts(output: bool) -> Space:
    """One cell of two inputs, which are two maps of the image; its nodes are put side by side or added."""
    cells = Cells(2, (3,), (2, 3), (1,), 1)
    cell = two_input_cell(cells)
    if not output:
        cell = Cell(operations(cells), nodes=Int(2, 3), inputs=2, pick=2, output=Add())
    entered = Parallel(Identity(), operations(cells))
    space = Space(Steps(enter=entered, cell=cell), {"image": IMAGE}, check=None)
    # Few ops, most of them without weights: many cells are equal in disguise.
    return space.within({"**.op": ("none", "identity", "sep_conv", "max_pool")})


def _nasbench201() -> Space:
    module = load_file(path("search_spaces") / "nasbench201.py")
    return Space(Steps(cell=module.cell()), {"image": IMAGE}, check=None)


SPACES = {"darts": _darts(True), "darts_sum": _darts(False), "nasbench201": _nasbench201()}


def pairs(space: Space, count: int, seed: int) -> Iterator[tuple[Graph, Graph]]:
    """Random cells and cells near them, so that many pairs are isomorphic and many just not."""
    rng = random.Random(seed)
    for _ in range(count):
        one = other = space.sample(rng)
        for _ in range(rng.randrange(1, 4)):
            other = space.mutate(other, rng)
        yield space.graph(one), space.graph(other)


@pytest.mark.parametrize("family", SPACES)
def test_cells_share_a_digest_exactly_where_they_are_isomorphic(family: str) -> None:
    equal = 0
    for one, other in pairs(SPACES[family], PAIRS // 10, seed=5):
        expected = same(one, other)
        assert (digest(one) == digest(other)) == expected
        equal += expected
    assert equal > 5, "too few isomorphic pairs to tell"


@pytest.mark.slow
@pytest.mark.parametrize("family", SPACES)
def test_thousands_of_cells_share_a_digest_exactly_where_they_are_isomorphic(family: str) -> None:
    for one, other in pairs(SPACES[family], PAIRS, seed=6):
        assert (digest(one) == digest(other)) == same(one, other)


@pytest.mark.parametrize("family", SPACES)
@settings(max_examples=60)
@given(data=st.data())
def test_permuted_cells_share_a_digest(family: str, data: st.DataObject) -> None:
    space = SPACES[family]
    graph = space.graph(space.sample(random.Random(data.draw(st.integers(0, 10**6)))))
    other = data.draw(shuffles(graph))
    assert same(graph, other)
    assert digest(graph) == digest(other)


@settings(max_examples=100)
@given(ops=st.lists(st.integers(0, 4), min_size=5, max_size=5))
def test_two_nodes_of_nasbench201_that_do_not_meet_may_change_places(ops: list[int]) -> None:
    """Without the edge between nodes 1 and 2 the two are alike: exchanging them renames nothing else."""
    space = SPACES["nasbench201"]
    names = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    first, second, from_input, from_one, from_two = (names[op] for op in ops)

    def cell(one: str, two: str, last: str, last_one: str, last_two: str) -> Graph:
        edges = {(1, 0): one, (2, 0): two, (2, 1): "none"}
        edges |= {(3, 0): last, (3, 1): last_one, (3, 2): last_two}
        return space.build(
            {f"cell.node{node}.from{source}": op for (node, source), op in edges.items()}
        ).graph

    one = cell(first, second, from_input, from_one, from_two)
    other = cell(second, first, from_input, from_two, from_one)
    assert digest(one) == digest(other) and same(one, other)

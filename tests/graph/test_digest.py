"""Rules of the digest: what makes two graphs one, what tells them apart, and values that never move."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasplat.graph.digest import digest
from nasplat.graph.graph import Graph, Node
from nasplat.graph.op import Bits
from nasplat.graph.types import Vector
from nasplat.testing.graph import (
    Blend,
    Dense,
    Nought,
    Rectify,
    Skip,
    Sum,
    graphs,
    isomorphic,
    shuffles,
)

X = {"x": Vector(4)}


def made(*nodes: Node, out: str | None = None) -> Graph:
    return Graph(X, nodes, {"y": out or nodes[-1].name})


def node(name: str, op: object, *inputs: str, **more: object) -> Node:
    return Node(name, op, inputs, **more)  # type: ignore[arg-type]  # brief form for tests


GOLDEN = {
    "one layer": made(node("a", Dense(), "x")),
    "narrow": made(node("a", Dense(), "x", bits=Bits(4, 8))),
    "tied": made(node("a", Dense(), "x", share="g"), node("b", Dense(), "a", share="g")),
    "twins": made(node("a", Dense(), "x"), node("b", Dense(), "x"), node("s", Sum(), "a", "b")),
    "ordered": made(node("a", Dense(), "x"), node("b", Blend(dim=2), "a", "x")),
    "two outputs": Graph(X, [node("a", Dense(), "x")], {"y": "a", "z": "x"}),
}
GOLDEN_DIGESTS = {
    "one layer": "g1:60b2cc97c023b43fbb562dfa92a52ebb",
    "narrow": "g1:2606ef88eb1226fbc923e76f656c32f5",
    "tied": "g1:a7cfdf76cd48330b04d137cdd183834d",
    "twins": "g1:aeec2c2bc7917b10c30a585da1607105",
    "ordered": "g1:0a465231324da48107a4a678450c087f",
    "two outputs": "g1:f6a535617567bb42a738e4402284efdd",
}


def test_the_names_and_the_order_of_nodes_do_not_count() -> None:
    one = made(node("a", Dense(), "x"), node("b", Dense(dim=4), "x"), node("s", Sum(), "a", "b"))
    two = made(node("q", Dense(), "x"), node("p", Dense(), "x"), node("z", Sum(), "p", "q"))
    assert digest(one) == digest(two)


def test_dead_nodes_do_not_count() -> None:
    assert digest(made(node("a", Dense(), "x"), node("dead", Dense(), "x"), out="a")) == digest(
        made(node("a", Dense(), "x"))
    )


def test_identities_and_merges_of_one_vanish() -> None:
    plain = made(node("a", Dense(), "x"))
    wrapped = made(
        node("i", Skip(), "x"),
        node("j", Sum(), "i"),
        node("a", Dense(), "j"),
        node("k", Skip(), "a"),
    )
    assert digest(plain) == digest(wrapped)


def test_zeros_vanish_from_sums_and_pass_through_ops_that_keep_zero() -> None:
    plain = made(node("a", Dense(), "x"))
    summed = made(
        node("a", Dense(), "x"),
        node("z", Nought(), "x"),
        node("r", Rectify(), "z"),
        node("s", Sum(), "a", "r", "z"),
    )
    assert digest(plain) == digest(summed)


def test_nested_sums_flatten() -> None:
    a, b, c = (node(name, Dense(), "x") for name in "abc")
    nested = made(a, b, c, node("s", Sum(), "a", "b"), node("t", Sum(), "s", "c"))
    flat = made(a, b, c, node("t", Sum(), "c", "a", "b"))
    assert digest(nested) == digest(flat)


def test_an_op_without_weights_used_twice_is_one() -> None:
    twice = made(node("r", Rectify(), "x"), node("q", Rectify(), "x"), node("s", Sum(), "r", "q"))
    once = made(node("r", Rectify(), "x"), node("s", Sum(), "r", "r"))
    assert digest(twice) == digest(once)


def test_two_sets_of_weights_are_not_one() -> None:
    twice = made(node("a", Dense(), "x"), node("b", Dense(), "x"), node("s", Sum(), "a", "b"))
    once = made(node("a", Dense(), "x"), node("s", Sum(), "a", "a"))
    assert digest(twice) != digest(once)


def test_nodes_that_look_alike_from_below_are_told_apart_by_their_use() -> None:
    """f(a) + g(a) reads one set of weights, f(a) + g(b) two: their expression trees are equal."""
    a, b = node("a", Dense(), "x"), node("b", Dense(), "x")
    f, g = Dense(dim=3), Dense(dim=2)
    ends = (node("fb", Dense(), "f"), node("gb", Dense(), "g"), node("s", Sum(), "fb", "gb"))
    one = made(a, node("f", f, "a"), node("g", g, "a"), *ends)
    two = made(a, b, node("f", f, "a"), node("g", g, "b"), *ends)
    assert digest(one) != digest(two)


def test_sharing_weights_tells_graphs_apart() -> None:
    tied = made(node("a", Dense(), "x", share="g"), node("b", Dense(), "a", share="g"))
    free = made(node("a", Dense(), "x"), node("b", Dense(), "a"))
    other = made(node("a", Dense(), "x", share="other"), node("b", Dense(), "a", share="other"))
    assert digest(tied) != digest(free)
    assert digest(tied) == digest(other)


def test_which_nodes_share_tells_graphs_apart() -> None:
    def chain(*groups: str | None) -> Graph:
        names = ["x", *(f"n{number}" for number in range(len(groups)))]
        return made(
            *(
                node(name, Dense(), before, share=group)
                for before, name, group in zip(names, names[1:], groups, strict=False)
            )
        )

    digests = {digest(chain(*groups)) for groups in (("g", "g", "h", "h"), ("g", "h", "g", "h"))}
    assert len(digests) == 2
    assert digest(chain("g", "h", "g", "h")) == digest(chain("h", "g", "h", "g"))


def test_bits_count_only_where_there_are_weights() -> None:
    narrow = Bits(8, 8)
    assert digest(made(node("a", Dense(), "x", bits=narrow))) != digest(
        made(node("a", Dense(), "x"))
    )
    assert digest(made(node("a", Rectify(), "x", bits=narrow))) == digest(
        made(node("a", Rectify(), "x"))
    )


def test_regular_structures_of_equal_degrees_are_told_apart() -> None:
    """Six sums over pairs of six twins: one ring of six is not two rings of three."""

    def rings(*pairs: tuple[int, int]) -> Graph:
        twins = [node(f"d{number}", Dense(), "x") for number in range(6)]
        sums = [node(f"s{one}{two}", Sum(), f"d{one}", f"d{two}") for one, two in pairs]
        squashed = [node(f"r{item.name}", Rectify(), item.name) for item in sums]
        return made(*twins, *sums, *squashed, node("y", Sum(), *(item.name for item in squashed)))

    six = rings((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0))
    threes = rings((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3))
    assert digest(six) != digest(threes)
    relabelled = rings((3, 1), (1, 5), (5, 0), (0, 4), (4, 2), (2, 3))
    assert digest(six) == digest(relabelled)


@settings(max_examples=200)
@given(data=st.data(), graph=graphs())
def test_a_shuffled_graph_keeps_its_digest(data: st.DataObject, graph: Graph) -> None:
    assert digest(data.draw(shuffles(graph))) == digest(graph)


def all_graphs(size: int) -> Iterator[Graph]:
    """Every graph of ``size`` nodes, each a linear map of one value or a blend of two, in order."""
    for shape in itertools.product(*(list(wirings(number)) for number in range(size))):
        yield made(
            *(
                node(f"n{number}", Dense() if len(inputs) == 1 else Blend(), *inputs)
                for number, inputs in enumerate(shape)
            )
        )


def wirings(number: int) -> Iterator[tuple[str, ...]]:
    refs = ["x", *(f"n{before}" for before in range(number))]
    yield from itertools.product(refs)
    yield from itertools.product(refs, refs)


@pytest.mark.parametrize(("size", "graphs_in_all"), [(1, 2), (2, 12), (3, 144)])
def test_where_no_rule_acts_equal_digests_mean_isomorphic(size: int, graphs_in_all: int) -> None:
    every = list(all_graphs(size))
    assert len(every) == graphs_in_all
    for one, other in itertools.combinations(every, 2):
        assert (digest(one) == digest(other)) == isomorphic(one, other)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_digests_never_move(name: str) -> None:
    assert digest(GOLDEN[name]) == GOLDEN_DIGESTS[name]

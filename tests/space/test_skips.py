"""Longer connections: mirror skips, dense and chosen sources, tapped sets, inverse pairs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nasplat.errors import GraphTypeError, SpaceError
from nasplat.graph.graph import Graph
from nasplat.ops.merge import Add
from nasplat.space.decisions import Choice, Int
from nasplat.space.repeat import Private
from nasplat.space.skips import Connected, Mirror, Paired, Reads
from nasplat.space.wiring import Steps, Tap
from nasplat.testing.space import Keep, small_space


def wiring(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in graph.nodes}


def test_copies_feed_their_mirror_images() -> None:
    space = small_space(Steps(m=Mirror(Keep(), Int(1, 5))))
    (source,) = space.inputs
    assert wiring(space.build({"m.times": 4}).graph) == {
        "m.0": (source,),
        "m.1": ("m.0",),
        "m.2.skip": ("m.1", "m.1"),
        "m.2": ("m.2.skip",),
        "m.3.skip": ("m.2", "m.0"),
        "m.3": ("m.3.skip",),
    }
    odd = wiring(space.build({"m.times": 3}).graph)
    assert odd["m.2.skip"] == ("m.1", "m.0") and "m.1.skip" not in odd
    assert space.size() == 5


def test_decisions_of_a_merge_are_active_only_where_a_skip_arrives() -> None:
    space = small_space(Steps(m=Mirror(Keep(), Int(1, 3), merge=Add() >> Keep(size=Choice(1, 2)))))
    assert space.size() == 1 + 2 + 2
    assert set(space.build({"m.times": 2, "m.1.skip.keep.size": 1}).genotype) == {
        "m.times",
        "m.1.skip.keep.size",
    }


def test_all_earlier_values_reach_every_copy_the_nearest_first() -> None:
    space = small_space(Steps(d=Connected(Keep(), 3)))
    (source,) = space.inputs
    assert wiring(space.build({}).graph) == {
        "d.0": (source,),
        "d.1.merge": ("d.0", source),
        "d.1": ("d.1.merge",),
        "d.2.merge": ("d.1", "d.0", source),
        "d.2": ("d.2.merge",),
    }


def test_chosen_sources_are_decisions_for_every_pair_but_neighbours() -> None:
    space = small_space(Steps(d=Connected(Keep(), Int(1, 4), sources="chosen", last=Add())))
    reads = {path for path in space.points if "reads" in path}
    assert reads == {
        f"d.{at}.reads.{source}" for at, source in [(1, 0), (2, 0), (2, 1), (3, 0)]
    } | {
        "d.3.reads.1",
        "d.3.reads.2",
    }
    assert space.size() == 1 + 2 + 2**3 + 2**6
    chosen = dict.fromkeys(reads, False) | {"d.times": 4, "d.3.reads.1": True}
    graph = space.build(chosen).graph
    assert wiring(graph)["d.3.merge"] == ("d.2", "d.0")
    assert wiring(graph)["d.2.merge"] == ("d.1",)


def test_a_loop_of_connected_copies_shares_its_weights() -> None:
    body = Steps(norm=Private(Keep()), mix=Keep())
    graph = small_space(Steps(d=Connected(body, 2, share="weights"))).build({}).graph
    shares = {node.name: node.share for node in graph.nodes}
    assert shares["d.0.mix"] == shares["d.1.mix"] == "d.mix" and shares["d.0.norm"] is None


def test_any_subset_of_the_taps_is_read() -> None:
    taps = Steps(a=Keep(), ta=Tap("a", output=False), b=Keep(), tb=Tap("b", output=False))
    space = small_space(Steps(taps=taps, c=Keep(), read=Reads(("a", "b"), Add())))
    assert space.size() == 4
    both = space.build({"read.a": True, "read.b": True}).graph
    assert wiring(both)["read"] == ("c", "taps.a", "taps.b")
    assert "read" not in wiring(space.build({"read.a": False, "read.b": False}).graph)


def test_what_no_tap_put_by_cannot_be_read() -> None:
    with pytest.raises(GraphTypeError, match="no tap 'late' before this place; there are none"):
        small_space(Steps(read=Reads(("late",), Add(), {"late": True}))).build({})
    with pytest.raises(SpaceError, match="decision for 'other'"):
        Reads(("a",), Add(), {"other": True})


def test_inverse_nodes_come_together_or_not_at_all() -> None:
    pair = Paired(enter=Keep(form="in"), body=Keep(size=Choice(1, 2)), leave=Keep(form="out"))
    space = small_space(Steps(p=pair))
    assert space.size() == 4
    names = [node.name for node in space.build({"p.paired": True, "p.size": 1}).graph.nodes]
    assert names == ["p.enter", "p", "p.leave"]
    assert len(space.build({"p.paired": False, "p.size": 1}).graph.nodes) == 1
    with pytest.raises(SpaceError, match="True or False"):
        Paired(Keep(), Keep(), Keep(), present=Choice("yes", "no"))

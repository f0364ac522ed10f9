"""A frozen part keeps its weights in training, and says so wherever graphs go."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from nasplat.graph.digest import digest
from nasplat.graph.serialise import graph_from_json, graph_to_json
from nasplat.graph.types import Image, Vector
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.resample import Identity
from nasplat.ops.table import op_table
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.frozen import Frozen
from nasplat.space.space import Space
from nasplat.space.wiring import Steps
from nasplat.testing.space import Keep, SpaceConformance

IMAGE = Image(2, 5, 5)


def graph_of(frozen: Any) -> Any:
    body = Steps(
        trunk=Frozen(Steps(one=Conv(norm="batch"), two=Conv()), present=frozen),
        head=ClassifierHead(classes=3),
    )
    return Space(body, {"image": IMAGE}).graph({})


class TestFrozen(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        body = Frozen(Choose(one=Keep(size=Choice(1, 2)), two=Keep(form="b")), Choice(False, True))
        return Space(body, {"x": Vector(4)})


def test_only_the_frozen_part_keeps_its_weights() -> None:
    from nasplat.graph.lower import lower

    module = lower(graph_of(True), seed=0)
    before = {name: value.clone() for name, value in module.named_parameters()}
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    module(IMAGE.example(2, torch.Generator().manual_seed(0))).sum().backward()
    optimizer.step()
    for name, value in module.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith("trunk"), name


def test_gradients_flow_through_a_frozen_part() -> None:
    from nasplat.graph.lower import lower

    x = IMAGE.example(2).requires_grad_()
    lower(graph_of(True), seed=0)(x).sum().backward()
    assert x.grad is not None and x.grad.any()


def test_a_frozen_graph_has_a_digest_of_its_own_and_survives_json() -> None:
    frozen, free = graph_of(True), graph_of(False)
    assert digest(frozen) != digest(free)
    again = graph_from_json(json.loads(json.dumps(graph_to_json(frozen))), op_table())
    assert again == frozen and digest(again) == digest(frozen)


def test_freezing_what_has_no_weights_changes_nothing() -> None:
    digests = {
        digest(Space(Frozen(Identity(), present), {"x": IMAGE}).graph({}))
        for present in (True, False)
    }
    assert len(digests) == 1

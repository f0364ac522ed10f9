"""A small graph on digits that has every kind of state: weights, running statistics, dropout-free
attention, a mixture of experts with its auxiliary loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nasplat.evaluate.base import Job
from nasplat.graph.digest import digest
from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.op import Bits, Op
from nasplat.graph.serialise import graph_to_json
from nasplat.graph.types import Image
from nasplat.ops.attention import SelfAttention
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Add
from nasplat.ops.moe import MoE
from nasplat.tasks.digits import digits

MakeJob = Callable[..., Job]


def chain(*ops: Op, bits: Bits | None = None) -> Graph:
    """Ops one after the other on digits."""
    builder = GraphBuilder({"input": Image(1, 8, 8)})
    ref = "input"
    for index, op in enumerate(ops):
        (ref,) = builder.add(op, ref, name=f"nodes.{index}", bits=bits or Bits())
    return builder.build({"logits": ref})


@pytest.fixture
def graph() -> Graph:
    builder = GraphBuilder({"input": Image(1, 8, 8)})
    (stem,) = builder.add(
        Conv(channels=8, kernel=3, stride=2, norm="batch", activation="relu"), "input", name="stem"
    )
    (mixed,) = builder.add(SelfAttention(heads=2), stem, name="mixer")
    (joined,) = builder.add(Add(), stem, mixed, name="add")
    (experts,) = builder.add(MoE(experts=2, top_k=1), joined, name="experts")
    (logits,) = builder.add(ClassifierHead(classes=10), experts, name="head")
    return builder.build({"logits": logits})


@pytest.fixture
def make_job(graph: Graph) -> MakeJob:
    """Makes a job on digits; arguments replace its fields."""

    def make(**changes: Any) -> Job:
        chosen = changes.pop("graph", graph)
        fields: dict[str, Any] = {
            "trial": 1,
            "digest": digest(chosen),
            "graph": graph_to_json(chosen),
            "task": digits().spec,
            "fidelities": (1, 2),
            "seed": 0,
            "recipe": {"batch_size": 128},
        }
        return Job(**{**fields, **changes})

    return make

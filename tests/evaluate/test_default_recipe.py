"""The promise of the default recipe: small models learn digits in twenty epochs, whatever the seed."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest

from nasplat.evaluate.train import train_final
from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.op import Op
from nasplat.graph.types import Image
from nasplat.ops.attention import SelfAttention
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.ffn import MLP
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Add
from nasplat.ops.norm import LayerNorm
from nasplat.ops.resample import StridedConv
from nasplat.tasks.digits import digits
from nasplat.tasks.recipe import Recipe
from tests.evaluate.conftest import chain


def plain() -> Graph:
    """Three convolutions, 24 thousand parameters."""
    widths = ((16, 1), (32, 1), (64, 2))
    convolutions = [
        Conv(channels=width, stride=stride, norm="batch", activation="relu")
        for width, stride in widths
    ]
    return chain(*convolutions, ClassifierHead(classes=10))


def hybrid() -> Graph:
    """A convolution block, then an attention block, 58 thousand parameters."""
    builder = GraphBuilder({"input": Image(1, 8, 8)})
    (ref,) = builder.add(Conv(channels=32, norm="batch", activation="gelu"), "input", name="stem")
    mixers: tuple[Op, ...] = (DepthwiseConv(kernel=3), SelfAttention(heads=4))
    for stage, mixer in enumerate(mixers):
        if stage:
            (ref,) = builder.add(StridedConv(channels=64), ref, name="down")
        for part, op in (("mixer", mixer), ("ffn", MLP(ratio=2))):
            path = f"stages.{stage}.{part}"
            (inside,) = builder.add(LayerNorm(), ref, name=f"{path}.norm")
            (inside,) = builder.add(op, inside, name=path)
            (ref,) = builder.add(Add(), ref, inside, name=f"{path}.add")
    (ref,) = builder.add(ClassifierHead(classes=10), ref, name="head")
    return builder.build({"logits": ref})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("make", "least"),
    [
        (plain, 0.98),
        (hybrid, 0.975),  # .982 where it was measured; other processors round otherwise
    ],
)
def test_small_models_learn_digits_in_twenty_epochs(
    make: Callable[[], Graph], least: float
) -> None:
    graph, task = make(), digits()
    found = [train_final(graph, task, Recipe(), 20, seed).metrics["accuracy"] for seed in range(5)]
    print(f"{make.__name__}: {[round(value, 4) for value in found]}")
    assert statistics.mean(found) >= least

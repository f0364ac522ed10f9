"""NAS-Bench-201: one cell of four nodes and six edges, repeated through three stages of a network.

Paper: X. Dong, Y. Yang. NAS-Bench-201: extending the scope of reproducible neural architecture search.
ICLR 2020. Code that defines the names: github.com/D-X-Y/AutoDL-Projects.

Size: 5 ops on 6 edges, 15,625 genotypes. The 6,466 distinct cells of the paper are those of its string rule
(:func:`published_string`), which sorts strings without brackets and keeps the zeros in them; the digest of
this project merges every two cells that compute the same function by construction, of which there are
5,875 classes.

Expected numbers (tables of the paper, 200 epochs, test accuracy in %): best 94.37 on CIFAR-10, 73.51 on
CIFAR-100, 47.31 on ImageNet-16-120; ResNet 93.97, 70.86, 43.63.

Differs from the paper in one place: the shortcut between two stages averages 3x3 positions without their
padding, where the paper averages 2x2; parameters are the same.

Command:
    nasplat search --space nasbench201 --task digits --budget 10min
"""

from __future__ import annotations

from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits, show_types
from nasplat.ops.conv import Conv
from nasplat.ops.conv_cell import ReLUConvBN
from nasplat.ops.head import ClassifierHead
from nasplat.ops.norm import Activation, BatchNorm
from nasplat.ops.resample import Identity, Pool, Zero
from nasplat.space.cell import Cell
from nasplat.space.choose import Choose
from nasplat.space.load import Typed
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Shared, Steps

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""Each edge as (node, source), in the order of the published tables."""
PATHS = tuple(f"cell.node{node}.from{source}" for node, source in EDGES)
"""The path of each edge's decision in genotypes."""
DISTINCT = 5875
"""Cells that differ in what they compute, by the digest."""
TINY = 16
"""Below this side of an image the network is narrower and shallower."""


def space(task: Typed, *, cells: int | None = None, channels: int | None = None) -> Space:
    """The network of the paper around a searched cell.

    Args:
        task: One ``Image`` in, one ``Logits`` out.
        cells: Cells in each stage; 5 as in the paper, 1 for images below 16x16.
        channels: Channels of the first stage, doubled by each later one; 16 as in the paper, 8 below 16x16.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    image, logits = inputs[0], outputs[0]
    if (
        len(inputs) != 1
        or len(outputs) != 1
        or not isinstance(image, Image)
        or not isinstance(logits, Logits)
    ):
        raise SpaceError(
            f"nasbench201 maps one Image to one Logits; "
            f"the task maps {show_types(inputs)} to {show_types(outputs)}"
        )
    tiny = min(image.height, image.width) < TINY
    number = cells or (1 if tiny else 5)
    width = channels or (8 if tiny else 16)
    one = Shared("cell", cell())
    body = Steps(
        stem=Conv(channels=width, kernel=3, norm="batch"),
        stage1=Repeat(one, number, share="decisions"),
        reduce1=_reduction(2 * width),
        stage2=Repeat(one, number, share="decisions"),
        reduce2=_reduction(4 * width),
        stage3=Repeat(one, number, share="decisions"),
        last=BatchNorm() >> Activation(form="relu"),
        head=ClassifierHead(classes=logits.classes, norm="none"),
    )
    return Space(body, task.inputs, task.outputs, name="nasbench201")


def cell() -> Cell:
    """The searched cell: every node adds up one op on each node before it."""
    edge = Choose(
        none=Zero(),
        skip_connect=Identity(),
        nor_conv_1x1=ReLUConvBN(kernel=1),
        nor_conv_3x3=ReLUConvBN(kernel=3),
        avg_pool_3x3=Pool(mode="avg", kernel=3, stride=1),
    )
    return Cell(edge, nodes=3)


def _reduction(channels: int) -> Expression:
    """A residual block that halves the image."""
    return Residual(
        ReLUConvBN(channels=channels, kernel=3, stride=2)
        >> ReLUConvBN(channels=channels, kernel=3),
        skip=Pool(mode="avg", kernel=3, stride=2) >> Conv(channels=channels, kernel=1, bias=False),
    )


def published_string(ops: tuple[str, str, str, str, str, str]) -> str:
    """The string by which the paper's code tells cells apart; ``#`` is zero.

    Args:
        ops: One of :data:`OPS` for each of :data:`EDGES`, in order.
    """
    nodes = {0: "0"}
    for node in (1, 2, 3):
        met = []
        for (target, source), op in zip(EDGES, ops, strict=True):
            if target != node:
                continue
            if op == "none" or nodes[source] == "#":
                met.append("#")
            elif op == "skip_connect":
                met.append(nodes[source])
            else:
                met.append(f"({nodes[source]})@{op}")
        nodes[node] = "+".join(sorted(met))
    return nodes[3]

"""A small table with smooth made-up values: what is measured on it can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasplat.bench.table import Table
from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.head import ClassifierHead
from nasplat.space.decisions import Choice, Int
from nasplat.space.genotype import Genotype
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.testing.strategy import tiny_space


def small_space() -> Space:
    """48 networks, all different."""
    body = (
        Conv(channels=Choice(4, 6, 8, 12), kernel=Choice(1, 3))
        >> Repeat(DepthwiseConv(kernel=Choice(3, 5)), times=Int(1, 2))
        >> ClassifierHead(classes=10)
    )
    return Space(body, {"image": Image(1, 8, 8)}, {"logits": Logits(10)}, name="small", check=None)


def score(genotype: Mapping[str, Any], epochs: int = 9) -> float:
    """Higher is better: best at eight channels, large kernels and two repeats; blurred early on."""
    value = 1.0 - abs(math.log(genotype["conv.channels"] / 8.0))
    value += 0.3 * (genotype["conv.kernel"] == 3)
    value += sum(
        0.1 * v
        for path, v in genotype.items()
        if path.startswith("repeat.") and path.endswith("kernel")
    )
    return value + (0.2 * math.sin(7 * value) if epochs < 9 else 0.0)


def small_table(
    *,
    listed: int | None = None,
    failed: Sequence[int] = (),
    constant: bool = False,
    continues: bool = False,
) -> Table:
    """The table of :func:`small_space`, or of its first rows.

    Args:
        listed: How many rows; all by default.
        failed: Rows whose training failed.
        constant: Whether all scores are equal.
        continues: As for tables.
    """
    space = small_space()
    genotypes: list[Genotype] = list(space.genotypes())[:listed]
    results = {}
    for epochs in (3, 9):
        scores = np.array([1.0 if constant else score(one, epochs) for one in genotypes])
        scores[list(failed)] = np.nan
        macs = np.array([float(space.build(one).cost.macs) for one in genotypes])
        results[epochs] = {"score": scores, "macs": macs}
    return Table(
        name="small",
        title="A small table",
        space=space,
        genotypes=genotypes,
        results=results,
        metrics={"score": "max", "macs": "min"},
        objectives=("score",),
        reference="made up",
        continues=continues,
    )


def tiny_table() -> Table:
    """Six networks, scores by their place."""
    space = tiny_space()
    genotypes = list(space.genotypes())
    results = {1: {"loss": np.arange(len(genotypes), dtype=float)}}
    return Table("tiny", "Six", space, genotypes, results, {"loss": "min"}, ("loss",))

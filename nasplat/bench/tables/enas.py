"""20,020 cells of the macro space of ENAS with the accuracy that shared weights gave them on CIFAR-10.

Six layers in a row; each applies one of six ops to the layer before and adds any earlier ones, as the
code of [Pham2018] does. Cells that are listed twice have the mean of both results.

References:
    [Pham2018] H. Pham et al. Efficient neural architecture search via parameter sharing. ICML 2018.
    [Zhang2019] M. Zhang et al. D-VAE: a variational autoencoder for directed acyclic graphs. NeurIPS 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasplat.bench.source import Source, arrays, merged
from nasplat.bench.table import Table
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv, SeparableConv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Add
from nasplat.ops.norm import BatchNorm
from nasplat.ops.resample import Pool
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.genotype import Genotype
from nasplat.space.space import Space
from nasplat.space.wiring import Parallel, Pick, Recall, Steps, Tap

FILE = "enas/enas.npz"
OPS = ("conv3", "separable3", "conv5", "separable5", "avg_pool", "max_pool")
LAYERS = 6
CHANNELS = 36
REFERENCE = "H. Pham et al. ENAS. ICML 2018; cells of M. Zhang et al. D-VAE. NeurIPS 2019"
TITLE = "ENAS: six-layer networks with skips, accuracy by shared weights on CIFAR-10"


def space() -> Space:
    """Six layers, each with an op and a choice of skips."""
    body = Steps(
        stem=Conv(channels=CHANNELS, kernel=3, norm="batch") >> Tap("layer0", output=False),
        **{f"layer{number}": _layer(number) for number in range(1, LAYERS + 1)},
        head=ClassifierHead(classes=10, norm="none"),
    )
    return Space(body, {"image": Image(3, 32, 32)}, {"logits": Logits(10)}, name="enas", check=None)


def _layer(number: int) -> Expression:
    op = Choose(
        conv3=Conv(kernel=3, norm="batch", activation="relu"),
        separable3=SeparableConv(kernel=3),
        conv5=Conv(kernel=5, norm="batch", activation="relu"),
        separable5=SeparableConv(kernel=5),
        avg_pool=Pool(mode="avg", kernel=3),
        max_pool=Pool(mode="max", kernel=3),
    )
    skips = {
        f"skip{earlier}": Match(
            Choice(False, True),
            {False: Pick(), True: Recall(f"layer{earlier}") >> Pick(1)},
        )
        for earlier in range(number - 1)
    }
    return Steps(
        sum=Parallel(op=op, **skips, fuse=Add()),
        norm=BatchNorm(),
        keep=Tap(f"layer{number}", output=False),
    )


def read(data: Path) -> Table:
    """The table, a sample of the space."""
    held = arrays(data / FILE)
    genotypes = []
    for rows in held["rows"].tolist():
        values: dict[str, Any] = {}
        for number, (op, *skips) in enumerate(rows, start=1):
            values[f"layer{number}.sum.op"] = OPS[op]
            for earlier in range(number - 1):
                values[f"layer{number}.sum.skip{earlier}"] = bool(skips[earlier])
        genotypes.append(Genotype(values))
    unique, results = merged(genotypes, {"accuracy": held["acc"].astype(float)})
    return Table(
        name="enas",
        title=TITLE,
        space=space(),
        genotypes=unique,
        results={1: results},
        metrics={"accuracy": "max"},
        objectives=("accuracy",),
        reference=REFERENCE,
    )


SOURCES = (Source("enas", TITLE, (FILE,), read, REFERENCE),)

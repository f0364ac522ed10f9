"""Channel-Bench: all widths of a small residual network on CIFAR-10, four steps for each of seven.

Five basic blocks in two stages: two widths are those of the stages, five those inside of the blocks. The
table's parameters are those of the network here. Accuracy in % is the mean of three seeds.

References:
    [Su2021] X. Su et al. BCNet: searching for network width with bilaterally coupled network. CVPR 2021.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasplat.bench.source import Source, arrays
from nasplat.bench.table import Table
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.norm import Activation
from nasplat.space.decisions import Int
from nasplat.space.genotype import Genotype
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

FILE = "channel_bench/resnet.npz"
PATHS = (
    "stem.channels",
    "block1.body.inner.channels",
    "block2.body.inner.channels",
    "block3.body.inner.channels",
    "block3.body.outer.channels",
    "block4.body.inner.channels",
    "block5.body.inner.channels",
)
"""The path of each width, in the order of the table."""
STEPS = (64, 64, 64, 128, 128, 128, 128)
"""Channels for each step of these widths."""
REFERENCE = (
    "X. Su et al. BCNet: searching for network width with bilaterally coupled network. CVPR 2021"
)
TITLE = "Channel-Bench: seven widths of a residual network on CIFAR-10"


def space() -> Space:
    """The network, every width open."""
    first, second = Int(64, 256, step=64), Int(128, 512, step=128)

    def block(width: int, outer: Any, *, changes: bool = False) -> Expression:
        body = Steps(
            inner=Conv(
                channels=Int(width, 4 * width, step=width),
                kernel=3,
                stride=2 if changes else 1,
                norm="batch",
                activation="relu",
            ),
            outer=Conv(channels=outer, kernel=3, norm="batch"),
        )
        # The first block of the second stage has no weights beside its two convolutions.
        return Steps(body=body if changes else Residual(body), after=Activation(form="relu"))

    body = Steps(
        stem=Conv(channels=first, kernel=3, stride=2, norm="batch", activation="relu"),
        block1=block(64, first),
        block2=block(64, first),
        block3=block(128, second, changes=True),
        block4=block(128, second),
        block5=block(128, second),
        head=ClassifierHead(classes=10, norm="none"),
    )
    return Space(
        body,
        {"image": Image(3, 32, 32)},
        {"logits": Logits(10)},
        name="channel-bench",
        check=None,
    )


def read(data: Path) -> Table:
    """The table, all 16,384 widths."""
    held = arrays(data / FILE)
    genotypes = [
        Genotype(
            {path: width * step for path, width, step in zip(PATHS, widths, STEPS, strict=True)}
        )
        for widths in held["arch"].tolist()
    ]
    metrics = {
        "accuracy": held["acc"].astype(float).mean(1),
        "params": held["params"].astype(float),
        "macs": held["flops"].astype(float),
    }
    return Table(
        name="channel-bench",
        title=TITLE,
        space=space(),
        genotypes=genotypes,
        results={1: metrics},
        metrics={"accuracy": "max", "params": "min", "macs": "min"},
        objectives=("accuracy",),
        reference=REFERENCE,
    )


SOURCES = (Source("channel-bench", TITLE, (FILE,), read, REFERENCE),)

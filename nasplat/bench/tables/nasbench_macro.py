"""NAS-Bench-Macro: all chains of eight blocks on CIFAR-10, each the identity or one of two MBConvs.

The network is that of the paper: its parameters are those that the table lists. Accuracy in % is the
mean of three seeds.

References:
    [Su2021] X. Su et al. Prioritized architecture sampling with Monto-Carlo tree search. CVPR 2021.
"""

from __future__ import annotations

from pathlib import Path

from nasplat.bench.source import Source, arrays
from nasplat.bench.table import Table
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv, MBConv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.resample import Identity
from nasplat.space.choose import Choose
from nasplat.space.genotype import Genotype
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

FILE = "nasbench_macro/nasbench_macro.npz"
OPTIONS = ("identity", "mb3_k3", "mb6_k5")
CHANNELS = (64, 64, 128, 128, 128, 256, 256, 256)
REFERENCE = "X. Su et al. Prioritized architecture sampling with Monto-Carlo tree search. CVPR 2021"
TITLE = "NAS-Bench-Macro: chains of eight MobileNet blocks on CIFAR-10"


def space() -> Space:
    """The network of the paper."""
    layers = {
        f"layer{number}": _layer(channels, CHANNELS[number - 1] if number else 32)
        for number, channels in enumerate(CHANNELS)
    }
    body = Steps(
        stem=Conv(channels=32, kernel=3, norm="batch", activation="relu"),
        **layers,
        last=Conv(channels=1280, kernel=1, norm="batch", activation="relu"),
        head=ClassifierHead(classes=10, norm="none"),
    )
    return Space(
        body,
        {"image": Image(3, 32, 32)},
        {"logits": Logits(10)},
        name="nb-macro",
        check=None,
    )


def _layer(channels: int, before: int) -> Expression:
    stride = 1 if channels == before else 2

    def block(expand: int, kernel: int) -> Expression:
        made = MBConv(
            channels=channels,
            expand=expand,
            kernel=kernel,
            stride=stride,
            squeeze=0,
            activation="relu",
        )
        return Residual(made) if stride == 1 else made

    shrunk = Conv(channels=channels, kernel=1, stride=2, norm="batch")
    return Choose(
        identity=Identity() if stride == 1 else shrunk,
        mb3_k3=block(3, 3),
        mb6_k5=block(6, 5),
    )


def read(data: Path) -> Table:
    """The table, all 6,561 chains."""
    held = arrays(data / FILE)
    genotypes = [
        Genotype({f"layer{layer}": OPTIONS[option] for layer, option in enumerate(chain)})
        for chain in held["arch"].tolist()
    ]
    metrics = {
        "accuracy": held["acc"].astype(float).mean(1),
        "params": held["params"].astype(float),
        "macs": held["flops"].astype(float),
    }
    return Table(
        name="nb-macro",
        title=TITLE,
        space=space(),
        genotypes=genotypes,
        results={1: metrics},
        metrics={"accuracy": "max", "params": "min", "macs": "min"},
        objectives=("accuracy",),
        reference=REFERENCE,
    )


SOURCES = (Source("nb-macro", TITLE, (FILE,), read, REFERENCE),)

"""Accel-NASBench: 5,138 MnasNet-like networks on ImageNet by a proxy schedule, on real accelerators.

The network is the one whose parameters the table lists; what was trained twice has the mean of both results.
Top-1 and top-5 accuracy in %, throughput in images per second, latency in ms, training time in seconds.

References:
    [Ahmad2024] A. A. Ahmad et al. Accel-NASBench: sustainable benchmarking for accelerator-aware NAS.
        DAC 2024.
    [Tan2019] M. Tan et al. MnasNet: platform-aware neural architecture search for mobile. CVPR 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasplat.bench.source import Floats, Source, arrays, merged, positive
from nasplat.bench.table import SECONDS, Table
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv, MBConv
from nasplat.ops.head import ClassifierHead
from nasplat.space.decisions import Choice, Int
from nasplat.space.genotype import Genotype
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

FILE = "accel_nasbench/accel_nasbench.npz"
STAGES = ((16, 1), (24, 2), (40, 2), (80, 2), (112, 1), (192, 2), (320, 1))
"""Channels and stride of each stage."""
DEEPEST = 5
"""The one stage of up to four layers; the others have up to three."""
PREFIXES = {
    "metrics__val_top1": "top1",
    "metrics__val_top5": "top5",
    "model_info__macs": "macs",
    "model_info__params": "params",
}
REFERENCE = "A. A. Ahmad et al. Accel-NASBench. DAC 2024"
TITLE = "Accel-NASBench: MnasNet-like networks on ImageNet, six accelerators"


def space() -> Space:
    """Expansion, kernel, layers and a squeeze gate for each of seven stages."""
    stages = {
        f"stage{number}": _stage(channels, stride, 4 if number == DEEPEST else 3)
        for number, (channels, stride) in enumerate(STAGES)
    }
    body = Steps(
        stem=Conv(channels=32, kernel=3, stride=2, norm="batch", activation="relu"),
        **stages,
        last=Conv(channels=1280, kernel=1, norm="batch", activation="relu"),
        head=ClassifierHead(classes=1000, norm="none"),
    )
    return Space(
        body, {"image": Image(3, 224, 224)}, {"logits": Logits(1000)}, name="accel-nb", check=None
    )


def _stage(channels: int, stride: int, deepest: int) -> Expression:
    settings: dict[str, Any] = {
        "channels": channels,
        "expand": Choice(1, 4, 6),
        "kernel": Choice(3, 5),
        "squeeze": Choice(0, 0.25),
        "activation": "relu",
    }
    rest = Residual(MBConv(**settings))
    return Steps(
        first=MBConv(stride=stride, **settings),
        rest=Repeat(rest, times=Int(0, deepest - 1), share="decisions"),
    )


def read(data: Path) -> Table:
    """The table, a sample of the space."""
    held = arrays(data / FILE)
    paths = ("first.expand", "first.kernel", "rest.times", "first.squeeze")
    genotypes = []
    for settings in held["arch"].tolist():
        values: dict[str, Any] = {}
        for stage in range(len(STAGES)):
            expand, kernel, layers, squeeze = settings[4 * stage : 4 * stage + 4]
            told = (expand, kernel, layers - 1, 0.25 if squeeze else 0)
            values |= {f"stage{stage}.{path}": one for path, one in zip(paths, told, strict=True)}
        genotypes.append(Genotype(values))
    results = {name: held[key].astype(float) for key, name in PREFIXES.items()}
    results |= _platforms(held)
    results[SECONDS] = held["metrics__train_time"].astype(float)
    unique, results = merged(genotypes, results)
    greater = ("top", "throughput")
    return Table(
        name="accel-nb",
        title=TITLE,
        space=space(),
        genotypes=unique,
        results={1: results},
        metrics={
            name: "max" if name.startswith(greater) else "min"
            for name in results
            if name != SECONDS
        },
        objectives=("top1",),
        reference=REFERENCE,
    )


def _platforms(held: dict[str, Any]) -> dict[str, Floats]:
    """Throughput and latency, ``throughput_a100`` and the like."""
    met = {}
    for key, column in held.items():
        group, _, rest = key.partition("__")
        if group == "platform_perf" and rest.endswith("_mean"):
            met[rest.partition("__")[0]] = positive(column)
    return met


SOURCES = (Source("accel-nb", TITLE, (FILE,), read, REFERENCE),)

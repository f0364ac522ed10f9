"""NAS-Bench-201: every cell of its space on CIFAR-10 and CIFAR-100, with what devices measured of it.

Accuracy in % after a schedule of 12 and of 200 epochs, the mean of the trials; latency in ms and energy
in mJ.

References:
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
    [Li2021] C. Li et al. HW-NAS-Bench: hardware-aware neural architecture search benchmark. ICLR 2021.
    [Lee2021] H. Lee et al. HELP: hardware-adaptive efficient latency prediction for NAS. NeurIPS 2021.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from nasplat import content
from nasplat.bench.source import Floats, Source, arrays, columns, positive
from nasplat.bench.table import Table
from nasplat.errors import UsageError
from nasplat.graph.types import Image, Logits
from nasplat.space.genotype import Genotype
from nasplat.space.load import Types
from nasplat.space.space import Space, unchecked

ACCURACY, HARDWARE = "nasbench201/accuracy.npz", "nasbench201/hardware.npz"
CLASSES = {"c10": 10, "c100": 100}
REFERENCE = "X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020; C. Li et al. HW-NAS-Bench. ICLR 2021"


def read(data_set: str, data: Path) -> Table:
    """The table of a data set, ``c10`` or ``c100``."""
    module = content.load_file(content.find("space", "nasbench201", "search_spaces"))
    types = Types({"image": Image(3, 32, 32)}, {"logits": Logits(CLASSES[data_set])})
    with unchecked():
        # One cell for each stage instead of five: the same cells, cheaper to describe.
        space: Space = module.space(types, cells=1)
    held = arrays(data / ACCURACY)
    edges = [f"{target}<-{source}" for target, source in module.EDGES]
    if list(held["edges"]) != edges or tuple(held["op_names"]) != module.OPS:
        raise UsageError(f"{data / ACCURACY} names other edges or ops than the space nasbench201")
    genotypes = [
        Genotype({path: module.OPS[op] for path, op in zip(module.PATHS, ops, strict=True)})
        for ops in held["ops"].tolist()
    ]
    hardware = _hardware(data_set, data)
    results = {
        epochs: {
            "accuracy": held[f"ep{epochs}_{data_set}_val"].astype(float),
            "test_accuracy": held[f"ep{epochs}_{data_set}_test"].astype(float),
            **(hardware if epochs == 200 else {}),
        }
        for epochs in (12, 200)
    }
    largest = {"accuracy", "test_accuracy", "eyeriss_arithmetic_intensity"}
    return Table(
        name=f"nb201-{data_set}",
        title=_title(data_set),
        space=space,
        genotypes=genotypes,
        results=results,
        metrics={name: "max" if name in largest else "min" for name in results[200]},
        objectives=("accuracy",),
        reference=REFERENCE,
    )


def _hardware(data_set: str, data: Path) -> dict[str, Floats]:
    held = arrays(data / HARDWARE)
    met = columns(held["hwnasbench_columns"], held[f"hwnasbench_{data_set}"])
    met |= columns(held["latency_devices"], held["latency_ms"], "latency_ms_")
    met = {name: positive(column) for name, column in met.items()}
    return {name: column for name, column in met.items() if np.isfinite(column).any()}


def _title(data_set: str) -> str:
    return f"NAS-Bench-201 cells on CIFAR-{CLASSES[data_set]}, 12 and 200 epochs, real devices"


SOURCES = tuple(
    Source(f"nb201-{name}", _title(name), (ACCURACY, HARDWARE), partial(read, name), REFERENCE)
    for name in CLASSES
)

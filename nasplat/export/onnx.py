"""A graph and its module as one ONNX model, in floating point or with integer arithmetic.

This is the artefact that latency is measured on and that an export writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from torch import nn

from nasplat.errors import ExportError
from nasplat.export.assemble import Assembly, assemble
from nasplat.export.quantise import Arrays, QuantisedLayer, Ranges, quantise
from nasplat.graph.graph import Graph

Calibration = Iterable[Arrays | Sequence[NDArray[Any]] | NDArray[Any]]
"""Batches of inputs: arrays by input name, in order of the inputs, or the one input itself."""

CALIBRATION_EXAMPLES = 256
"""Examples that are looked at, at most."""


@dataclass(frozen=True)
class OnnxArtefact:
    """A serialised model and what is known of it.

    Attributes:
        model: The bytes of the file.
        layers: Every layer that is narrower than floating point.
    """

    model: bytes
    layers: tuple[QuantisedLayer, ...]


def to_onnx(
    graph: Graph,
    module: nn.Module,
    *,
    batch: int | None,
    calibration: Calibration | None = None,
) -> bytes:
    """Write a graph as ONNX.

    Args:
        graph: What to write; nodes with bits below 32 become integer arithmetic.
        module: What :func:`nasplat.graph.lower.lower` made of it, trained or not.
        batch: Examples in a batch; ``None`` leaves the axis open.
        calibration: Batches of task data for the ranges of quantised results; ``None`` leaves these in
            floating point, which is exact but slower.

    Returns:
        The serialised model, weights inside; inputs and outputs named as in the graph.

    Raises:
        ExportError: A node cannot be exported, or the module is not that of the graph; names all.
    """
    return build_onnx(graph, module, batch=batch, calibration=calibration).model


def build_onnx(
    graph: Graph,
    module: nn.Module,
    *,
    batch: int | None,
    calibration: Calibration | None = None,
) -> OnnxArtefact:
    """As :func:`to_onnx`, with what became of each quantised layer."""
    made = assemble(graph, module, batch)
    if not any(node.bits.quantised for node in graph.live):
        return OnnxArtefact(made.model().SerializeToString(), ())

    def observe(names: tuple[str, ...]) -> Ranges:
        assert calibration is not None  # asked only when there is data
        return _observed(made, names, feeds(graph, calibration), batch)

    layers = quantise(made, module, observe if calibration is not None else None)
    return OnnxArtefact(model=made.model().SerializeToString(), layers=tuple(layers))


def feeds(graph: Graph, batches: Calibration) -> Iterable[dict[str, NDArray[Any]]]:
    """Batches as arrays by input name, in the element type of the input.

    Raises:
        ExportError: A batch does not fit the inputs of the graph.
    """
    for batch in batches:
        if isinstance(batch, Mapping):
            named = dict(batch)
        elif isinstance(batch, np.ndarray):
            named = dict(zip(graph.inputs, [batch], strict=False))
        else:
            named = dict(zip(graph.inputs, batch, strict=False))
        wrong = sorted(set(graph.inputs) ^ set(named)) + [
            f"{name}: shape {value.shape[1:]} instead of {graph.inputs[name].shape}"
            for name, value in named.items()
            if name in graph.inputs and tuple(value.shape[1:]) != graph.inputs[name].shape
        ]
        if wrong:
            raise ExportError(
                f"the data does not fit the inputs {dict(graph.inputs)}: {'; '.join(wrong)}",
                hint="give batches of arrays by input name, the batch on axis 0",
            )
        yield {
            name: value.astype(np.float32 if np.issubdtype(value.dtype, np.floating) else np.int64)
            for name, value in named.items()
        }


def _observed(
    made: Assembly,
    names: tuple[str, ...],
    batches: Iterable[dict[str, NDArray[Any]]],
    batch: int | None,
) -> Ranges:
    """Smallest and largest element of inner values over calibration data."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    # Only once: what is fused away cannot be watched, and the time to optimise would not come back.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        made.model(names).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    low = np.full(len(names), np.inf)
    high = np.full(len(names), -np.inf)
    seen = 0
    for feed in batches:
        size = len(next(iter(feed.values())))
        for start in range(0, size - (batch or size) + 1, batch or size):
            part = {name: value[start : start + (batch or size)] for name, value in feed.items()}
            for index, value in enumerate(session.run(list(names), part)):
                low[index], high[index] = (
                    min(low[index], value.min()),
                    max(high[index], value.max()),
                )
            seen += batch or size
            if seen >= CALIBRATION_EXAMPLES:
                break
        if seen >= CALIBRATION_EXAMPLES:
            break
    if not seen:
        raise ExportError(
            "there is no calibration data: the batches hold no example, or fewer than "
            f"the {batch or 1} of a batch",
            hint="give at least one batch of task data",
        )
    return {
        name: (float(below), float(above))
        for name, below, above in zip(names, low, high, strict=True)
    }


def example_batches(graph: Graph, batch: int) -> list[dict[str, NDArray[Any]]]:
    """One batch of examples of the input types, for measuring where no data is at hand."""
    return [{name: kind.example(batch).numpy() for name, kind in graph.inputs.items()}]

"""Latency measured on a device through the exported artefact, beside a reference model.

Protocol: warm-up; then rounds, each a short block of runs of the candidate and one of the reference
model, in alternating order; the lower quartile of each block; the median over rounds of their ratio,
times the nominal time of the reference on this device. What slows the machine for a while slows
both blocks of a round and cancels.

With one thread on the processor a run is timed by the clock of the thread, which stands still while the
scheduler gives the core to another process. On an idle machine that is the wall clock.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from torch import nn

from nasplat.errors import DeviceError
from nasplat.export.onnx import Calibration, example_batches, feeds, to_onnx
from nasplat.export.quantise import Arrays
from nasplat.graph.graph import Graph
from nasplat.hardware.device import Device
from nasplat.hardware.reference import reference_model

BLOCK_MS = 4.0
"""Length of one block of runs; short enough to fit into a scheduler's time slice."""

LEAST_ROUNDS = 11
"""With fewer ratios their spread cannot be told."""


CALIBRATION_EXAMPLES = 8
"""A time does not depend on the ranges of activations, so a few examples do."""


@dataclass(frozen=True)
class LatencyMeasurement:
    """One measured latency.

    Attributes:
        value_ms: Milliseconds of one inference, normalised by the reference model.
        raw_median_ms: Median wall-clock milliseconds of one inference, as the machine was.
        iqr_ms: Interquartile range of ``value_ms`` over the rounds.
        reference_ms: Median milliseconds of the reference model during the measurement.
        repeats: Timed runs of the model.
        device: Fingerprint of the device.
        method: Always ``measured``: a predicted or analytic latency is never written here.
    """

    value_ms: float
    raw_median_ms: float
    iqr_ms: float
    reference_ms: float
    repeats: int
    device: str
    method: str = "measured"

    def to_json(self) -> dict[str, Any]:
        """Encode every field."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> LatencyMeasurement:
        """Decode what :meth:`to_json` wrote."""
        return LatencyMeasurement(**data)


def open_session(model: bytes, device: Device) -> ort.InferenceSession:
    """Load an artefact the way it is measured: fixed threads, sequential, never spinning.

    Raises:
        DeviceError: ONNX Runtime on this machine has no provider for the device, or refuses the model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = device.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    for setting in ("intra_op.allow_spinning", "inter_op.allow_spinning"):
        options.add_session_config_entry(f"session.{setting}", "0")
    # Weights of half-trained candidates can be denormal, which is slow and says nothing of the design.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    if device.provider not in ort.get_available_providers():
        raise DeviceError(
            f"ONNX Runtime has no {device.provider} here; it has {ort.get_available_providers()}",
            hint="measure on a machine that has the device, or choose --device cpu",
        )
    try:
        return ort.InferenceSession(model, options, providers=[device.provider])
    except Exception as error:  # onnxruntime's errors share no base class
        raise DeviceError(f"ONNX Runtime cannot load the artefact: {error}") from error


def measure_latency(
    model: bytes,
    device: Device,
    *,
    feeds: Arrays | None = None,
    repeats: int = LEAST_ROUNDS,
    warmup: int = 5,
    reference: bytes | None = None,
    spread: float = 0.01,
    seconds: float = 0.3,
) -> LatencyMeasurement:
    """Measure one artefact.

    Args:
        model: A serialised ONNX model.
        device: Where it runs; must be this machine's.
        feeds: Arrays by input name; default: normal values (zeros where integers are wanted).
        repeats: Timed runs at least.
        warmup: Runs before any is timed, at least 1.
        reference: Another reference model than nasplat's own.
        spread: Stop once the standard error of the value is below this share of it.
        seconds: Stop after this time, once there are ``repeats`` runs in as many rounds as a spread needs.

    Returns:
        The measurement. Without a nominal time on the device the value is scaled by the reference as it
        was during the measurement.

    Raises:
        DeviceError: The model does not load, or an input has an unknown size.
    """
    if repeats < 1 or warmup < 1:
        raise DeviceError(f"repeats and warmup must be at least 1, got {repeats} and {warmup}")
    candidate = _Timed(open_session(model, device), device, feeds, warmup)
    beside = _Timed(open_session(reference or reference_model(), device), device, None, warmup)
    ratios: list[float] = []
    deadline = time.perf_counter() + seconds
    while True:
        pair = (candidate, beside) if len(ratios) % 2 else (beside, candidate)
        for timed in pair:
            timed.run_block()
        ratios.append(candidate.blocks[-1] / beside.blocks[-1])
        enough = len(ratios) >= LEAST_ROUNDS and len(candidate.wall) >= repeats
        if enough and (_relative_error(ratios) < spread or time.perf_counter() > deadline):
            break
    observed = statistics.median(beside.blocks)
    nominal = device.reference_ms or observed
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return LatencyMeasurement(
        value_ms=float(middle * nominal),
        raw_median_ms=statistics.median(candidate.wall),
        iqr_ms=float((high - low) * nominal),
        reference_ms=observed,
        repeats=len(candidate.wall),
        device=device.fingerprint,
    )


def calibrate(device: Device, *, seconds: float = 0.5) -> Device:
    """The device with the nominal time of the reference model, measured now.

    Done once for a device and kept with it, so that the values of one study are comparable.
    """
    beside = _Timed(open_session(reference_model(), device), device, None, warmup=20)
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        beside.run_block()
    return replace(device, reference_ms=statistics.median(beside.blocks))


def measure_candidate(
    graph: Graph,
    module: nn.Module,
    device: Mapping[str, Any],
    calibration: Calibration | None = None,
    **options: Any,
) -> LatencyMeasurement:
    """Export a candidate at the batch of the device and measure it.

    Args:
        graph: The candidate; nodes with bits below 32 are measured as integer arithmetic.
        module: What :func:`nasplat.graph.lower.lower` made of it; trained or not.
        device: JSON of a :class:`Device`.
        calibration: Batches of input arrays for the ranges of quantised nodes, of which a few examples
            are used; those of the input types where there are none.
        **options: As in :func:`measure_latency`.

    Raises:
        ExportError: A node cannot be exported.
        DeviceError: The device is not this machine's, or cannot run the artefact.
    """
    where = Device.from_json(device)
    examples = example_batches(graph, where.batch)
    given = examples if calibration is None else feeds(graph, calibration)
    few = [
        {name: value[: max(CALIBRATION_EXAMPLES, where.batch)] for name, value in batch.items()}
        for batch in itertools.islice(given, 1)
    ]
    model = to_onnx(graph, module, batch=where.batch, calibration=few)
    return measure_latency(model, where, feeds=examples[0], **options)


class _Timed:
    """One session with its inputs and everything that was timed on it, in milliseconds."""

    def __init__(
        self, session: ort.InferenceSession, device: Device, feeds: Arrays | None, warmup: int
    ) -> None:
        self.session = session
        self.feeds = dict(feeds) if feeds is not None else _example_feeds(session, device.batch)
        self.clock: Callable[[], int] = (
            time.thread_time_ns
            if device.name == "cpu" and device.threads == 1
            else time.perf_counter_ns
        )
        self.wall: list[float] = []
        self.blocks: list[float] = []
        self.estimate_ms = min(self._run() for _ in range(warmup))
        self.wall.clear()

    def run_block(self) -> None:
        """Run for about ``BLOCK_MS`` of the model's own time and note the lower quartile.

        The first runs after another process had the core find the caches cold; they are left aside.
        """
        count = min(200, max(1, round(BLOCK_MS / self.estimate_ms)))
        runs = sorted(self._run() for _ in range(count))
        self.blocks.append(runs[(count - 1) // 4])

    def _run(self) -> float:
        begun, started = time.perf_counter_ns(), self.clock()
        self.session.run(None, self.feeds)
        ended, finished = self.clock(), time.perf_counter_ns()
        self.wall.append((finished - begun) / 1e6)
        return max(ended - started, 1) / 1e6


def _example_feeds(session: ort.InferenceSession, batch: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(0)
    feeds: dict[str, NDArray[Any]] = {}
    for value in session.get_inputs():
        shape = [
            batch if index == 0 and not isinstance(size, int) else size
            for index, size in enumerate(value.shape)
        ]
        if not all(isinstance(size, int) for size in shape):
            raise DeviceError(
                f"input {value.name!r} has the shape {value.shape}: pass feeds for it"
            )
        whole = "int" in value.type
        feeds[value.name] = (
            np.zeros(shape, np.int64) if whole else random.standard_normal(shape, np.float32)
        )
    return feeds


def _relative_error(values: list[float]) -> float:
    """Standard error of the median over the median, from the interquartile range."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(1.2533 * (high - low) / 1.349 / np.sqrt(len(values)) / middle)

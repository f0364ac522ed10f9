"""Proof that the artefacts of an export compute what the trained network computed.

The folder carries inputs and the outputs of the trained network; every artefact is run on them, each the
way a user would run it: ``model.py`` in a fresh Python where nasplat cannot be imported, ``model.onnx``
in ONNX Runtime, ``model.pt2`` by ``torch.export``. What a file says of itself is checked against the file.

Tolerances. Floating point: 1e-4, absolute, or relative to the largest output if that is above 1. With
quantised layers a sum in another order can fall on the other side of a rounding tie and results of
convolutions are rounded once more, so the root mean square of the difference may reach a tenth of the
standard deviation of the output, a quarter when a layer is narrower than 8 bits. The metric through ONNX
Runtime may move by 0.005 in floating point and by 0.02 with quantised layers, relative if it is above 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load_file

from nasplat.errors import ExportError
from nasplat.export import manifest as layout
from nasplat.export.trace import quiet

FLOAT_TOLERANCE = 1e-4
QUANTISED_TOLERANCE = {
    "int8": 0.1,
    "simulated in int8": 0.25,
    "simulated in floating point": 0.25,
    "simulated in operators": 0.1,
}
FEW_LEVELS_TOLERANCE = 0.6
"""Of activations below 8 bits: a step is large, and a sum on the border of two falls on either side."""
METRIC_TOLERANCE = {"float": 0.005, "quantised": 0.02}

Outputs = dict[str, NDArray[Any]]
Samples = dict[int, tuple[Outputs, Outputs]]
"""Inputs and expected outputs by batch size."""

Check = dict[str, Any]
"""``ok``, ``message``, and whatever figures belong to it."""

_ALONE = """
import sys
sys.modules["nasplat"] = None  # importing it would fail
sys.path.insert(0, sys.argv[1])
import torch
from safetensors.torch import load_file, save_file
from model import build
model = build(sys.argv[1] + "/weights.safetensors")
names, outputs = sys.argv[4].split(","), sys.argv[5].split(",")
samples, results = load_file(sys.argv[2]), {}
with torch.no_grad():
    for batch in sorted({key.partition("/")[0] for key in samples}):
        result = model(*(samples[f"{batch}/input/{name}"] for name in names))
        named = result if isinstance(result, dict) else {outputs[0]: result}
        results |= {f"{batch}/output/{name}": value.contiguous().clone() for name, value in named.items()}
save_file(results, sys.argv[3])
"""


def verify_export(folder: Path | str) -> dict[str, Any]:
    """Check an export folder, without anything but the folder.

    Returns:
        What ``verify.json`` holds: ``ok``; ``checks`` by name, each with ``ok`` and ``message``;
        ``differences`` by artefact; ``weights``, the types of what ``model.onnx`` stores; ``sizes``.
        The metric is taken over from the export, since it needs the task's data.

    Raises:
        ExportError: The folder is no export.
    """
    folder = Path(folder)
    manifest = layout.read_manifest(folder)
    checks: dict[str, Check] = {"files": _files(folder, manifest)}
    samples = _guarded(lambda: read_samples(folder / layout.SAMPLES))
    differences: dict[str, Any] = {}
    methods = {layer["method"] for layer in manifest["quantisation"]["layers"]}
    allowed = max((QUANTISED_TOLERANCE[method] for method in methods), default=None)
    if any(layer["activation_bits"] < 8 for layer in manifest["quantisation"]["layers"]):
        allowed = FEW_LEVELS_TOLERANCE
    runs: Mapping[str, Callable[[Path, dict[str, Any], Samples], Samples]] = {
        layout.MODEL: _run_source,
        layout.ONNX: _run_onnx,
        layout.PROGRAM: _run_program,
    }
    for name, run in runs.items():
        if isinstance(samples, str):
            checks[name] = _check(False, f"{layout.SAMPLES} cannot be read: {samples}")
            continue
        known = samples
        made = _guarded(lambda run=run, known=known: run(folder, manifest, known))  # type: ignore[misc]  # bound now
        if isinstance(made, str):
            checks[name] = _check(False, f"{name} does not run: {made}")
            continue
        differences[name], checks[name] = _compare(made, known, allowed)
    model = _guarded(lambda: onnx.load(str(folder / layout.ONNX)))
    if isinstance(model, str):
        checks["onnx_checker"] = _check(False, f"{layout.ONNX} cannot be parsed: {model}")
        weights: dict[str, Any] = {}
        checks["weights"] = _check(False, f"{layout.ONNX} cannot be parsed")
    else:
        refused = _guarded(lambda: onnx.checker.check_model(model, full_check=True))
        checks["onnx_checker"] = _check(
            not isinstance(refused, str), refused if isinstance(refused, str) else "valid ONNX"
        )
        weights, checks["weights"] = _weights(model, manifest)
    checks["metric"] = _metric(manifest)
    return {
        "ok": all(check["ok"] for check in checks.values()),
        "checks": checks,
        "differences": differences,
        "weights": weights,
        "sizes": {
            path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()
        },
        "versions": layout.versions(),
    }


def read_samples(path: Path) -> Samples:
    """Inputs and expected outputs, as ``export_model`` stored them."""
    found: Samples = {}
    for key, value in load_file(str(path)).items():
        batch, side, name = key.split("/", 2)
        pair = found.setdefault(int(batch), ({}, {}))
        pair[side == "output"][name] = value
    return dict(sorted(found.items()))


def onnx_session(path: Path) -> ort.InferenceSession:
    """Load a model as a user would, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _guarded(run: Callable[[], Any]) -> Any:
    """The result, or in words why there is none: whatever is wrong with a file is a finding."""
    try:
        return run()
    except ExportError as error:
        return error.message
    except Exception as error:
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"


def _check(ok: bool, message: str, **figures: Any) -> Check:
    return {"ok": bool(ok), "message": message, **figures}


def _files(folder: Path, manifest: Mapping[str, Any]) -> Check:
    known = manifest["files"]
    met = layout.files(folder)
    wrong = [f"{name} is missing" for name in known if name not in met]
    for name, entry in known.items():
        if name in met and met[name] != entry:
            size = met[name]["bytes"]
            was = (
                f"{size} bytes instead of {entry['bytes']}"
                if size != entry["bytes"]
                else "same size"
            )
            wrong.append(f"{name} was changed since the export ({was})")
    return _check(not wrong, "; ".join(wrong) or f"{len(known)} files as they were exported")


def _run_source(folder: Path, manifest: dict[str, Any], samples: Samples) -> Samples:
    with tempfile.TemporaryDirectory(prefix="nasplat-verify-") as scratch:
        made = Path(scratch) / "outputs.safetensors"
        inputs = ",".join(item["name"] for item in manifest["inputs"])
        outputs = ",".join(item["name"] for item in manifest["outputs"])
        arguments = [
            str(folder.resolve()),
            str(folder / layout.SAMPLES),
            str(made),
            inputs,
            outputs,
        ]
        ran = subprocess.run(
            # -I: nothing but the installed packages; -B: the folder stays as it is.
            [sys.executable, "-I", "-B", "-W", "ignore", "-c", _ALONE, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise ExportError((ran.stderr.strip().splitlines() or [f"exit {ran.returncode}"])[-1])
        return read_samples(made)


def _run_onnx(folder: Path, manifest: dict[str, Any], samples: Samples) -> Samples:
    session = onnx_session(folder / layout.ONNX)
    names = [item["name"] for item in manifest["outputs"]]
    held = [item["onnx_name"] for item in manifest["outputs"]]
    return {
        batch: ({}, dict(zip(names, session.run(held, inputs), strict=True)))
        for batch, (inputs, _) in samples.items()
    }


def _run_program(folder: Path, manifest: dict[str, Any], samples: Samples) -> Samples:
    names = [item["name"] for item in manifest["outputs"]]
    results: Samples = {}
    with quiet(), torch.no_grad():
        module = torch.export.load(str(folder / layout.PROGRAM)).module()
        for batch, (inputs, _) in samples.items():
            tensors = [torch.from_numpy(inputs[item["name"]]) for item in manifest["inputs"]]
            result = module(*tensors)
            named = result if isinstance(result, dict) else {names[0]: result}
            results[batch] = ({}, {name: value.numpy() for name, value in named.items()})
    return results


def _compare(
    made: Samples, expected: Samples, allowed: float | None
) -> tuple[dict[str, Any], Check]:
    """Largest differences over all outputs and batch sizes, and whether they may be.

    ``allowed`` is the tolerance for quantised layers, ``None`` without any: the root mean square over all
    batches, since a batch of one says little of a difference that rounding makes.
    """
    absolute = relative = 0.0
    exact = True
    gaps: dict[str, list[NDArray[Any]]] = {}
    spans: dict[str, list[NDArray[Any]]] = {}
    for batch, (_, outputs) in expected.items():
        for name, wanted in outputs.items():
            met = made[batch][1][name].astype(np.float64)
            if met.shape != wanted.shape:
                return {}, _check(False, f"{name} has the shape {met.shape}, not {wanted.shape}")
            gap = np.abs(met - wanted)
            if not np.isfinite(gap).all():
                return {}, _check(False, f"{name} is not finite at a batch of {batch}")
            largest = float(np.abs(wanted).max())
            absolute = max(absolute, float(gap.max()))
            relative = max(relative, float(gap.max()) / max(largest, 1e-12))
            exact &= float(gap.max()) <= FLOAT_TOLERANCE * max(1.0, largest)
            gaps.setdefault(name, []).append(gap.ravel())
            spans.setdefault(name, []).append(wanted.ravel())
    spread = max(
        (
            float(np.sqrt((np.concatenate(gap) ** 2).mean()))
            / max(float(np.concatenate(spans[name]).std()), 1e-12)
            for name, gap in gaps.items()
        ),
        default=0.0,
    )
    within = exact or (allowed is not None and spread <= allowed)
    figures = {
        "max_absolute": absolute,
        "max_relative": relative,
        "rms_over_std": spread,
        "batches": list(expected),
        "tolerance": {"max_absolute": FLOAT_TOLERANCE}
        if allowed is None
        else {"rms_over_std": allowed},
    }
    bound = (
        f"allowed {FLOAT_TOLERANCE:g}"
        if allowed is None
        else f"{spread:.1%} of the spread of the output, allowed {allowed:.0%}"
    )
    return figures, _check(
        within, f"largest difference {absolute:.1e} at batches {list(expected)} ({bound})"
    )


def _weights(model: onnx.ModelProto, manifest: Mapping[str, Any]) -> tuple[dict[str, Any], Check]:
    """Types of what is stored, and whether what is said to be int8 is."""
    held = {item.name: item for item in model.graph.initializer}
    kinds: Counter[str] = Counter()
    for item in held.values():
        kinds[onnx.TensorProto.DataType.Name(item.data_type).lower()] += int(np.prod(item.dims))
    operators = Counter(node.op_type for node in model.graph.node)
    dequantised = {node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    wrong: list[str] = []
    # Weights of 16 bits, and those that operators round, stay in floating point.
    layers = [
        item
        for item in manifest["quantisation"]["layers"]
        if item["weight_bits"] <= 8 and item["method"] != "simulated in operators"
    ]
    for layer in layers:
        wrong += _wrong_layer(layer, held, dequantised)
    figures = {
        "elements": dict(kinds),
        "int8_layers": len(layers),
        "quantize_nodes": operators["QuantizeLinear"],
        "dequantize_nodes": operators["DequantizeLinear"],
    }
    if layers:
        message = (
            f"{len(layers)} layers stored as int8, {operators['QuantizeLinear']} QuantizeLinear and "
            f"{operators['DequantizeLinear']} DequantizeLinear nodes"
        )
    else:
        message = "no layer claims to be stored as int8"
    return figures, _check(not wrong, "; ".join(wrong) or message)


def _wrong_layer(
    layer: Mapping[str, Any], held: Mapping[str, onnx.TensorProto], dequantised: set[str]
) -> list[str]:
    name, bits = layer["layer"], layer["weight_bits"]
    tensor = held.get(layer["weight"])
    if tensor is None:
        return [f"{name} is claimed at {bits} bits but {layer['weight']} is not stored"]
    if tensor.data_type != onnx.TensorProto.INT8:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        return [f"{name} is claimed at {bits} bits but stored as {kind}"]
    if layer["weight"] not in dequantised:
        return [f"{name} is stored as int8 but nothing dequantises it"]
    largest = int(np.abs(numpy_helper.to_array(tensor).astype(np.int16)).max(initial=0))
    if largest > max(1, 2 ** (round(bits) - 1) - 1):
        return [f"{name} is claimed at {bits} bits but holds the level {largest}"]
    return []


def _metric(manifest: Mapping[str, Any]) -> Check:
    """Judge the metric that was computed through ONNX Runtime when the folder was written."""
    evaluation = manifest.get("evaluation")
    if not evaluation:
        return _check(True, "the export was given no data to compute the metric on")
    allowed = METRIC_TOLERANCE["quantised" if manifest["quantisation"]["layers"] else "float"]
    wrong: list[str] = []
    fine: list[str] = []
    for name, trained in evaluation["trained"].items():
        met = evaluation["onnxruntime"][name]
        text = f"{name} {met:.4g} through ONNX Runtime, {trained:.4g} as trained"
        (fine if abs(met - trained) <= allowed * max(1.0, abs(trained)) else wrong).append(text)
    message = "; ".join(wrong or fine) + f" (may differ by {allowed})"
    return _check(not wrong, message, **evaluation)

"""A winner as a folder that runs without nasplat, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from nasplat.errors import ExportError
from nasplat.export import manifest as layout
from nasplat.export.fragment import OPEN_BATCH
from nasplat.export.model import model_source
from nasplat.export.onnx import Calibration, OnnxArtefact, build_onnx, feeds
from nasplat.export.trace import OPSET, quiet
from nasplat.export.verify import onnx_session, verify_export
from nasplat.graph.digest import digest
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.graph.serialise import graph_to_json

BATCHES = (1, 2, 7)
"""Batch sizes at which artefacts are compared with the trained network."""

Score = Callable[[Iterable[dict[str, NDArray[Any]]]], Mapping[str, float]]
"""Metrics from the outputs by name of one batch after the other, in the order of the inputs."""

Evaluation = tuple[Calibration, Score]
"""Batches of inputs, a list or the like that can be gone through twice, and what scores the outputs."""


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        folder: The export.
        verification: The content of its ``verify.json``.
    """

    folder: Path
    verification: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether every check is green."""
        return bool(self.verification["ok"])

    @property
    def max_difference(self) -> float:
        """Largest absolute difference of any artefact; infinite if one did not run."""
        found = self.verification["differences"]
        if set(found) != {layout.MODEL, layout.ONNX, layout.PROGRAM}:
            return float("inf")
        return max(float(item.get("max_absolute", "inf")) for item in found.values())

    def failures(self) -> list[str]:
        """One sentence for each check that is not green."""
        return [
            f"{name}: {check['message']}"
            for name, check in self.verification["checks"].items()
            if not check["ok"]
        ]


def export_model(
    graph: Graph,
    module: nn.Module,
    out: Path | str,
    *,
    manifest: Mapping[str, Any],
    calibration: Calibration | None = None,
    evaluation: Evaluation | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write and verify an export folder.

    Args:
        graph: The winner.
        module: What :func:`nasplat.graph.lower.lower` made of it, trained.
        out: The folder; its parents are made.
        manifest: What the caller knows: ``title``, ``space``, ``genotype``, ``metrics``, ``hardware``,
            ``classes`` (names in the order of the outputs), and anything else that JSON holds.
        calibration: Batches of task data, for the ranges of quantised results.
        evaluation: Batches to compute the metric on, as trained and through ONNX Runtime.
        overwrite: Replace an export that is there.

    Returns:
        The report. Checks that are not green are in it: the folder is written all the same.

    Raises:
        ExportError: The folder exists, cannot be written, or something cannot be exported. Nothing is
            left behind.
    """
    out = Path(out)
    _refuse_existing(out, overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    except OSError as error:
        raise ExportError(
            f"{out} cannot be written: {error}", hint="choose another folder with --out"
        ) from error
    try:
        report = _write(graph, module, scratch, manifest, calibration, evaluation)
        scratch.chmod(0o755)
        _move(scratch, out)
    except OSError as error:
        raise ExportError(
            f"{out} cannot be written: {error}", hint="choose another folder with --out"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # gone already if all went well
    return ExportReport(out, report)


def _refuse_existing(out: Path, overwrite: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not overwrite:
        raise ExportError(
            f"{out} exists", hint="choose another folder with --out, or replace it with --overwrite"
        )
    if not (out / layout.MANIFEST).is_file():
        raise ExportError(
            f"{out} exists and is no export (it has no {layout.MANIFEST}), so it is not replaced",
            hint="choose another folder with --out",
        )


def _move(scratch: Path, out: Path) -> None:
    """Put the finished folder in its place; an older export there goes only when the new one stands."""
    if not out.exists():
        os.rename(scratch, out)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.old-", dir=out.parent))
    os.rename(out, aside / out.name)
    try:
        os.rename(scratch, out)
    except BaseException:
        os.rename(aside / out.name, out)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(
    graph: Graph,
    module: nn.Module,
    folder: Path,
    manifest: Mapping[str, Any],
    calibration: Calibration | None,
    evaluation: Evaluation | None,
) -> dict[str, Any]:
    plain = _copied(graph, module)
    source, packages = model_source(graph, title=str(manifest.get("title") or _title(graph)))
    (folder / layout.MODEL).write_text(source, encoding="utf-8")
    weights = {name: value.contiguous().clone() for name, value in plain.state_dict().items()}
    save_file(weights, folder / layout.WEIGHTS)
    artefact = build_onnx(graph, plain, batch=None, calibration=calibration)
    (folder / layout.ONNX).write_bytes(artefact.model)
    _write_program(graph, plain, folder / layout.PROGRAM)
    with _evaluating(module):
        _write_samples(graph, module, folder / layout.SAMPLES)
    described = _described(graph, artefact, manifest, packages)
    if evaluation is not None:
        with _evaluating(module):
            described["evaluation"] = _evaluated(graph, module, folder / layout.ONNX, evaluation)
    (folder / layout.README).write_text(layout.readme(described), encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes for its owner only
    described["files"] = layout.files(folder)
    layout.write_json(folder / layout.MANIFEST, described)
    report = verify_export(folder)
    layout.write_json(folder / layout.VERIFY, report)
    return report


def _title(graph: Graph) -> str:
    return f"Network {digest(graph)}."


def _copied(graph: Graph, module: nn.Module) -> nn.Module:
    """The same network on the processor, in evaluation mode, free of what training left on it."""
    plain = lower(graph, seed=0)
    try:
        plain.load_state_dict({name: value.cpu() for name, value in module.state_dict().items()})
    except RuntimeError as error:
        raise ExportError(
            f"the module was not made of this graph: {error}",
            hint="pass lower(graph), or the trained copy of it",
        ) from error
    return plain.eval()


def _examples(graph: Graph, batch: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [kind.example(batch, generator) for kind in graph.inputs.values()]


def _write_program(graph: Graph, plain: nn.Module, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in graph.inputs)
    with quiet(), torch.no_grad():
        try:
            program = torch.export.export(
                plain, tuple(_examples(graph, OPEN_BATCH)), dynamic_shapes=shapes, strict=False
            )
        except Exception as error:
            raise ExportError(
                f"torch.export cannot capture the network: {str(error).strip().splitlines()[0]}",
                hint="a forward pass must not depend on the values of its input",
            ) from error
        for operator in program.graph.nodes:
            operator.meta.pop("stack_trace", None)  # paths of this machine
        torch.export.save(program, str(path))


def _write_samples(graph: Graph, trained: nn.Module, path: Path) -> None:
    """Store inputs and what the trained network makes of them."""
    stored: dict[str, torch.Tensor] = {}
    for batch in BATCHES:
        inputs = _examples(graph, batch, seed=batch)
        stored |= {
            f"{batch}/input/{name}": value for name, value in zip(graph.inputs, inputs, strict=True)
        }
        for name, value in _outputs(graph, trained, inputs).items():
            stored[f"{batch}/output/{name}"] = value.contiguous().clone()
    save_file(stored, path)


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _outputs(
    graph: Graph, trained: nn.Module, inputs: Iterable[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Outputs by name, on the processor, wherever the module is."""
    device = next((tensor.device for tensor in trained.parameters()), torch.device("cpu"))
    with torch.no_grad():
        result = trained(*(tensor.to(device) for tensor in inputs))
    named = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    return {name: value.cpu() for name, value in named.items()}


def _evaluated(
    graph: Graph, trained: nn.Module, path: Path, evaluation: Evaluation
) -> dict[str, Any]:
    """The metrics as trained and through ONNX Runtime, on the same data."""
    batches, score = evaluation
    session = onnx_session(path)
    examples = 0

    def as_trained() -> Iterator[dict[str, NDArray[Any]]]:
        nonlocal examples
        for batch in feeds(graph, batches):
            tensors = [torch.from_numpy(batch[name]) for name in graph.inputs]
            examples += len(tensors[0])
            made = _outputs(graph, trained, tensors)
            yield {name: value.numpy() for name, value in made.items()}
        if not examples:
            raise ExportError(
                "there is no data to compute the metric on: the batches hold no example",
                hint="give at least one batch, or no evaluation at all",
            )

    def through_onnx() -> Iterator[dict[str, NDArray[Any]]]:
        for batch in feeds(graph, batches):
            yield dict(zip(graph.outputs, session.run(None, batch), strict=True))

    scores = {
        side: {metric: float(value) for metric, value in score(run()).items()}
        for side, run in (("trained", as_trained), ("onnxruntime", through_onnx))
    }
    return {"examples": examples, **scores}


def _described(
    graph: Graph, artefact: OnnxArtefact, manifest: Mapping[str, Any], packages: tuple[str, ...]
) -> dict[str, Any]:
    ports = layout.ports(graph)
    for item in ports["outputs"]:
        item["onnx_name"] = (
            item["name"] if item["name"] not in graph.inputs else f"{item['name']}_output"
        )
    return {
        "format": layout.FORMAT,
        "title": _title(graph),
        "digest": digest(graph),
        **manifest,
        **ports,
        "opset": OPSET,
        "versions": layout.versions(),
        "requires": list(packages),
        "quantisation": {
            "scheme": "static Q/DQ; weights int8, symmetric, per output channel; activations uint8, affine",
            "layers": [layer.to_json() for layer in artefact.layers],
        },
        "graph": graph_to_json(graph),
    }

"""Tests of export folders: what is written, what is proved, what is noticed later."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from nasplat.errors import ExportError
from nasplat.export import export as export_module
from nasplat.export import manifest as layout
from nasplat.export.export import ExportReport, export_model
from nasplat.export.verify import verify_export
from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.lower import lower
from nasplat.graph.op import Bits
from nasplat.graph.types import Image
from tests.export.nets import SmallFrozen, SmallHead, classifier, network, settle

FILES = {
    "model.py",
    "weights.safetensors",
    "model.onnx",
    "model.pt2",
    "manifest.json",
    "verify.json",
    "verify_inputs.safetensors",
    "README.md",
}
DATA = Image(1, 8, 8).example(64, torch.Generator().manual_seed(5)).numpy()


def score(outputs: Iterable[dict[str, NDArray[Any]]]) -> dict[str, float]:
    classes = [batch["logits"].argmax(1) for batch in outputs]
    return {"mean_class": float(np.concatenate(classes).mean()) / 10}


def exported(graph: Graph, out: Path) -> ExportReport:
    return export_model(
        graph,
        settle(lower(graph, seed=0), graph).train(),
        out,
        manifest={"title": "A small network.", "space": "test", "classes": list("abcdefghij")},
        calibration=[{"image": DATA}],
        evaluation=([DATA[:40], DATA[40:]], score),
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(network(), tmp_path_factory.mktemp("plain") / "deep" / "net").folder


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(classifier(Bits(8, 8)), tmp_path_factory.mktemp("narrow") / "net").folder


@pytest.fixture
def copy(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "copy"))


@pytest.fixture
def narrow_copy(narrow: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(narrow, tmp_path / "copy"))


def read(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text()))


def accept_checksums(folder: Path) -> None:
    """What a forger would do: make the manifest agree with the changed files."""
    manifest = read(folder, "manifest.json")
    manifest["files"] = layout.files(folder)
    layout.write_json(folder / "manifest.json", manifest)


def red(folder: Path) -> dict[str, str]:
    report = verify_export(folder)
    assert not report["ok"]
    return {name: check["message"] for name, check in report["checks"].items() if not check["ok"]}


def test_a_folder_holds_every_artefact_and_nothing_is_left_beside_it(plain: Path) -> None:
    assert {path.name for path in plain.iterdir()} == FILES
    assert list(plain.parent.iterdir()) == [plain]
    manifest = read(plain, "manifest.json")
    assert manifest["space"] == "test"
    assert manifest["digest"].startswith("g1:")
    assert manifest["opset"] == 18
    assert manifest["inputs"][0]["shape"] == ["batch", 1, 8, 8]
    assert manifest["versions"]["torch"] == torch.__version__


def test_floating_point_is_green_within_the_tolerance(plain: Path) -> None:
    report = read(plain, "verify.json")
    assert report["ok"], report["checks"]
    for name in ("model.py", "model.onnx", "model.pt2"):
        assert report["differences"][name]["max_absolute"] <= 1e-4
        assert report["differences"][name]["batches"] == [1, 2, 7]
    assert report["checks"]["metric"]["examples"] == 64
    assert report["weights"]["quantize_nodes"] == 0


def test_int8_is_green_and_counted(narrow: Path) -> None:
    report = read(narrow, "verify.json")
    assert report["ok"], report["checks"]
    weights = report["weights"]
    assert weights["int8_layers"] == 4
    assert weights["quantize_nodes"] >= 4
    assert weights["elements"]["int8"] >= 8 * 8 * 9 + 8 * 8 + 8 * 24 + 8 * 8


def test_verifying_again_needs_the_folder_only(copy: Path) -> None:
    assert verify_export(copy)["ok"]
    assert {path.name for path in copy.iterdir()} == FILES


def test_the_mode_of_the_trained_module_stays(tmp_path: Path) -> None:
    graph = classifier()
    module = settle(lower(graph, seed=0), graph).train()
    report = export_model(graph, module, tmp_path / "net", manifest={})
    assert module.training
    assert report.ok
    assert report.max_difference <= 1e-4
    assert report.failures() == []


@pytest.mark.slow
def test_the_readme_works_as_printed(plain: Path, tmp_path: Path) -> None:
    text = (plain / "README.md").read_text()
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    assert len(blocks) == 3
    for block in blocks:
        code = block.replace("path/to/this/folder", str(plain))
        ran = subprocess.run(
            [
                sys.executable,
                "-I",
                "-B",
                "-c",
                f"import sys\nsys.modules['nasplat'] = None\n{code}",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout


def test_changed_weights_are_noticed_by_checksum_and_by_result(copy: Path) -> None:
    weights = load_file(copy / "weights.safetensors")
    weights["stem.conv.weight"] += 0.05
    save_file(weights, copy / "weights.safetensors")
    found = red(copy)
    assert found["files"] == "weights.safetensors was changed since the export (same size)"
    accept_checksums(copy)
    found = red(copy)
    assert set(found) == {"model.py"}
    assert "largest difference" in found["model.py"]


def test_a_truncated_onnx_is_noticed(copy: Path) -> None:
    path = copy / "model.onnx"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = red(copy)
    assert {"files", "model.onnx", "onnx_checker", "weights"} <= set(found)
    assert "model.onnx was changed since the export" in found["files"]
    assert "cannot be parsed" in found["onnx_checker"]


def test_changed_onnx_weights_are_noticed_although_the_manifest_agrees(copy: Path) -> None:
    model = onnx.load(copy / "model.onnx")
    held = next(item for item in model.graph.initializer if item.name == "stem.conv.weight")
    held.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(held) * np.float32(1.5), held.name))
    onnx.save(model, copy / "model.onnx")
    accept_checksums(copy)
    assert set(red(copy)) == {"model.onnx"}


def test_int8_that_is_stored_as_float_is_noticed(narrow_copy: Path) -> None:
    model = onnx.load(narrow_copy / "model.onnx")
    claimed = read(narrow_copy, "manifest.json")["quantisation"]["layers"][0]["weight"]
    held = {item.name: item for item in model.graph.initializer}
    operator = next(node for node in model.graph.node if claimed in node.input)
    axis = next(item.i for item in operator.attribute if item.name == "axis")
    levels, scales = (numpy_helper.to_array(held[name]) for name in operator.input[:2])
    shape = [-1 if index == axis else 1 for index in range(levels.ndim)]
    floats = levels.astype(np.float32) * scales.reshape(shape)
    held[claimed].CopyFrom(numpy_helper.from_array(floats, claimed))
    operator.CopyFrom(onnx.helper.make_node("Identity", [claimed], list(operator.output)))
    onnx.save(model, narrow_copy / "model.onnx")
    accept_checksums(narrow_copy)
    found = red(narrow_copy)
    assert set(found) == {"weights"}
    assert "is claimed at 8 bits but stored as float" in found["weights"]


def test_missing_and_foreign_files_are_noticed(copy: Path) -> None:
    (copy / "model.pt2").unlink()
    (copy / "model.py").write_text("import nasplat\n")
    found = red(copy)
    assert "model.pt2 is missing" in found["files"]
    assert "model.pt2 does not run" in found["model.pt2"]
    assert "model.py does not run: ModuleNotFoundError" in found["model.py"]


def test_a_metric_that_moved_is_noticed(copy: Path) -> None:
    manifest = read(copy, "manifest.json")
    manifest["evaluation"]["onnxruntime"]["mean_class"] += 0.3
    layout.write_json(copy / "manifest.json", manifest)
    assert set(red(copy)) == {"metric"}


def test_what_is_no_export_is_refused(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(ExportError, match=r"is no export: it has no manifest\.json"):
        verify_export(tmp_path)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(ExportError, match="cannot be read"):
        verify_export(copy)
    (copy / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(ExportError, match="has the layout 99, this nasplat reads layout 1"):
        verify_export(copy)


def test_a_folder_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    graph = classifier()
    out = tmp_path / "net"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"net exists\n.*--out"):
        export_model(graph, lower(graph, seed=0), out, manifest={})
    with pytest.raises(ExportError, match="is no export"):
        export_model(graph, lower(graph, seed=0), out, manifest={}, overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["net", "precious.txt"]


@pytest.mark.slow
def test_overwriting_replaces_an_export_whole(copy: Path) -> None:
    (copy / "left_over.txt").write_text("old")
    graph = classifier()
    report = export_model(graph, lower(graph, seed=1), copy, manifest={}, overwrite=True)
    assert report.ok
    assert {path.name for path in copy.iterdir()} == FILES
    assert list(copy.parent.glob(".*")) == []


def test_what_cannot_be_exported_leaves_nothing_behind(tmp_path: Path) -> None:
    add = GraphBuilder({"image": Image(1, 8, 8)})
    (x,) = add.add(SmallFrozen(), "image", name="odd")
    (x,) = add.add(SmallHead(), x, name="head")
    graph = add.build({"logits": x})
    with pytest.raises(ExportError, match="at odd"):
        export_model(graph, lower(graph, seed=0), tmp_path / "net", manifest={})
    with pytest.raises(ExportError, match="was not made of this graph"):
        export_model(network(), lower(graph, seed=0), tmp_path / "net", manifest={})
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_the_old_export_and_nothing_else(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = layout.files(copy)

    def interrupted(folder: Path) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "verify_export", interrupted)
    graph = classifier()
    with pytest.raises(KeyboardInterrupt):
        export_model(graph, lower(graph, seed=0), copy, manifest={}, overwrite=True)
    assert layout.files(copy) == before
    assert list(copy.parent.iterdir()) == [copy]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    graph = classifier()
    with pytest.raises(ExportError, match="cannot be written"):
        export_model(graph, lower(graph, seed=0), tmp_path / "file" / "net", manifest={})

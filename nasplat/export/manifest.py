"""What an export folder says of itself: ``manifest.json`` and ``README.md``. It knows no torch."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from nasplat.errors import ExportError
from nasplat.graph.graph import Graph
from nasplat.graph.types import Ids, type_to_json

FORMAT = 1
"""Version of the folder's layout."""

MODEL, WEIGHTS, ONNX, PROGRAM = "model.py", "weights.safetensors", "model.onnx", "model.pt2"
MANIFEST, VERIFY, README = "manifest.json", "verify.json", "README.md"
SAMPLES = "verify_inputs.safetensors"
"""Inputs and what the trained module made of them."""

PACKAGES = ("nasplat", "torch", "onnx", "onnxscript", "onnxruntime", "safetensors", "numpy")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write readable JSON, the same for the same data."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of an export.

    Raises:
        ExportError: The folder is no export, or one of a newer layout.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ExportError(
            f"{folder} is no export: it has no {MANIFEST}",
            hint="give the folder that `nasplat export` wrote",
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        layout = data["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{path} cannot be read: {error}", hint="export again: the manifest was damaged"
        ) from error
    if layout != FORMAT:
        raise ExportError(
            f"{path} has the layout {layout}, this nasplat reads layout {FORMAT}",
            hint="verify it with the nasplat that wrote it; the manifest names its version",
        )
    return dict(data)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and checksum of every file but the two that are written last."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": checksum(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in (MANIFEST, VERIFY)
    }


def versions() -> dict[str, str]:
    """Versions of what made the artefacts."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # nasplat run from a checkout
            found[package] = "not installed"
    return found


def ports(graph: Graph) -> dict[str, list[dict[str, Any]]]:
    """Names, types and shapes of inputs and outputs."""

    def described(named: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "type": type_to_json(kind),
                "shape": ["batch", *kind.shape],
                "dtype": "int64" if isinstance(kind, Ids) else "float32",
            }
            for name, kind in named.items()
        ]

    return {"inputs": described(graph.inputs), "outputs": described(graph.output_types)}


def readme(manifest: Mapping[str, Any]) -> str:
    """How to load each artefact."""
    first = manifest["inputs"][0]
    shape = ", ".join(["1", *map(str, first["shape"][1:])])
    integers = first["dtype"] == "int64"
    tensor = f"torch.zeros({shape}, dtype=torch.long)" if integers else f"torch.randn({shape})"
    packages = ", ".join(["torch", "safetensors", *manifest["requires"]])
    narrow = ""
    if manifest["quantisation"]["layers"]:
        narrow = _QUANTISED
    classes = manifest.get("classes")
    named = (
        f"\nClasses, in order of the outputs: {', '.join(map(str, classes))}.\n" if classes else ""
    )
    return f"""# {manifest["title"]}

Input `{first["name"]}`: {first["dtype"]}, shape ({", ".join(map(str, first["shape"]))}).
Outputs: {", ".join(f"`{item['name']}`" for item in manifest["outputs"])}.
{named}
## `model.py` and `weights.safetensors` (needs {packages})

```python
import sys, torch
sys.path.insert(0, "path/to/this/folder")
from model import build
model = build("path/to/this/folder/weights.safetensors")
print(model({tensor}))
```

## `model.onnx` (needs onnxruntime and numpy)

```python
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("path/to/this/folder/model.onnx")
print(session.run(None, {{"{first["name"]}": np.zeros(({shape}), np.{first["dtype"]})}}))
```

## `model.pt2` (needs torch {manifest["versions"]["torch"]} or newer)

```python
import torch
model = torch.export.load("path/to/this/folder/model.pt2").module()
print(model({tensor}))
```
{narrow}
## What else is here

`manifest.json` says where the network comes from and what it was measured at; `verify.json` holds the
differences of every artefact against the trained network. `nasplat verify path/to/this/folder` computes
them again, from the inputs in `{SAMPLES}`.
"""


_QUANTISED = """
## Integer arithmetic

`model.onnx` holds the weights of quantised layers as int8 and rounds activations to uint8; `model.py` and
`model.pt2` compute the same in floating point. Widths below 8 bits use only that many levels of int8; the
manifest calls them simulated. Processors without VNNI instructions may saturate 16-bit sums: set the
session option `session.x64quantprecision` to `1` there.
"""

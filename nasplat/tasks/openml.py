"""``openml:NAME``: a data set of openml.org by name, through scikit-learn's loader and cache.

Columns become one vector per example (categories as one-hot columns), or images when all columns
are pixels. Downloaded once into the cache folder; later loads need no network.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import numpy as np
import torch
from numpy.typing import NDArray

from nasplat import settings
from nasplat.errors import TaskError
from nasplat.graph.types import Image, TensorType, Vector
from nasplat.tasks.arrays import shape_examples
from nasplat.tasks.cache import Arrays, read_cache, write_cache
from nasplat.tasks.classification import ClassificationTask, encode_labels
from nasplat.tasks.splits import split_all

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("error", "mean")


def openml(
    name: str,
    *,
    version: int | str = "active",
    shape: str | None = None,
    missing: str = "error",
    natural: bool = False,
    seed: int = 0,
    data_home: str | None = None,
) -> ClassificationTask:
    """Classes of a data set of openml.org.

    Args:
        name: Its name there, such as ``mnist_784``.
        version: Its version, or ``active`` for the one that is active now.
        shape: ``CxHxW`` to read the columns as images, such as ``1x28x28``. None: images when all
            columns are called ``pixel...`` and their number is a square, else vectors.
        missing: What is done with missing numbers: ``error``, or ``mean`` of the column.
        natural: Whether images keep their class when mirrored.
        seed: Which example is in which split follows from it.
        data_home: Folder of scikit-learn's own cache; None: in nasplat's cache folder.

    Raises:
        TaskError: The data set is unknown, cannot be fetched, or cannot be used.
    """
    if missing not in MISSING:
        raise TaskError(f"missing must be {' or '.join(MISSING)}, got {missing!r}")
    title = f"openml:{name}"
    home = Path(data_home).expanduser().resolve() if data_home else settings.cache() / "openml"
    asked = json.dumps([name, version, shape, missing])
    mark = hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
    kept = home / "nasplat" / f"{mark}.safetensors"
    found = read_cache(kept)
    if found is None:
        found = _prepare(name, version, home, shape, missing)
        write_cache(kept, *found)
    values, about = found
    labels = torch.from_numpy(values["labels"])
    classes = json.loads(about["classes"])
    sizes = values["examples"].shape[1:]
    input_type: TensorType = Image(*sizes) if len(sizes) == 3 else Vector(*sizes)
    return ClassificationTask(
        name=title,
        spec={
            "kind": "openml",
            "name": name,
            "version": version,
            "shape": shape,
            "missing": missing,
            "natural": natural,
            "seed": seed,
            "data_home": None if data_home is None else str(home),
        },
        examples=torch.from_numpy(values["examples"]),
        labels=labels,
        classes=classes,
        splits=split_all(labels.numpy(), seed, classes=classes),
        input_type=input_type,
        natural=natural,
        source={"columns": json.loads(about["columns"])},
        note=str(input_type),
    )


def _prepare(
    name: str, version: int | str, home: Path, shape: str | None, missing: str
) -> tuple[Arrays, dict[str, str]]:
    """Fetch a data set and bring it to examples and labels, as they are kept between processes."""
    title = f"openml:{name}"
    frame, target = _fetch(name, version, home)
    labels, classes = _labels(target, title)
    columns = _columns(frame, missing, title)
    names = [str(column) for column in frame.columns]
    side = math.isqrt(len(names))
    if shape is None and side * side == len(names) and all(n.startswith("pixel") for n in names):
        shape = f"1x{side}x{side}"
    values = _shaped(columns, shape, title)
    about = {"classes": json.dumps(classes), "columns": json.dumps(names)}
    return {"examples": values, "labels": labels.numpy()}, about


def _fetch(name: str, version: int | str, home: Path) -> tuple[pd.DataFrame, pd.Series[Any]]:
    from sklearn.datasets import fetch_openml

    asked = {"version": version, "data_home": str(home), "n_retries": 2, "delay": 0.2}
    try:
        with warnings.catch_warnings():
            # Both are said in the error below when nothing helped.
            warnings.filterwarnings("ignore", "A network error occurred")
            warnings.filterwarnings("ignore", "Invalid cache, redownloading")
            # The faster parser of scikit-learn 1.9 fails on classes named by numbers with pandas 3.
            bunch = fetch_openml(name, as_frame=True, parser="liac-arff", **asked)
    except URLError as error:
        raise TaskError(
            f"openml.org cannot be reached for {name!r}: {error.reason}",
            hint=f"connect once, the data set is then kept in {home}; or give an .npz file",
        ) from error
    except (OSError, ValueError) as error:
        raise TaskError(
            f"the OpenML data set {name!r} (version {version}) cannot be loaded: {error}",
            hint="look its name up on https://www.openml.org/search?type=data",
        ) from error
    if bunch.target is None or bunch.target.ndim != 1:
        raise TaskError(f"the OpenML data set {name!r} has no single target column")
    return bunch.data, bunch.target


def _labels(target: pd.Series[Any], title: str) -> tuple[torch.Tensor, tuple[str, ...]]:
    import pandas as pd

    if target.isna().any():
        raise TaskError(f"{int(target.isna().sum())} examples of {title} have no class")
    number = pd.api.types.is_float_dtype(target.dtype)
    if number and (target != target.round()).any():
        raise TaskError(
            f"the target of {title} is a quantity (such as {target.iloc[0]}), not a class",
            hint="tasks are classification: choose a data set with classes",
        )
    return encode_labels(target.astype(int if number else str).to_numpy())


def _columns(frame: pd.DataFrame, missing: str, title: str) -> NDArray[np.float32]:
    """All columns as numbers: categories one-hot, a missing category is all zeros."""
    import pandas as pd

    numbers = frame.select_dtypes(include=["number", "bool"])
    others = frame.drop(columns=numbers.columns)
    gaps = numbers.columns[numbers.isna().any()]
    if len(gaps) and missing == "error":
        counts = [f"{name} ({int(numbers[name].isna().sum())})" for name in gaps[:10]]
        raise TaskError(
            f"{len(gaps)} columns of {title} have missing numbers: {', '.join(counts)}",
            hint="fill them with the mean of the column: missing=mean",
        )
    filled = numbers.astype(float)
    filled = filled.fillna(filled.mean()).fillna(0.0)
    parts: Sequence[pd.DataFrame] = [filled]
    if others.shape[1]:
        parts = [filled, pd.get_dummies(others.astype("category"))]
    joined: NDArray[np.float32] = pd.concat(parts, axis=1).to_numpy(dtype=np.float32)
    return joined


def _shaped(values: NDArray[np.float32], shape: str | None, title: str) -> NDArray[Any]:
    if shape is None:
        return shape_examples(values, layout=None, where=title)[0]
    try:
        sizes = tuple(int(part) for part in shape.split("x"))
        kind = Image(*sizes)
    except (TypeError, ValueError) as error:
        raise TaskError(f"shape must be CxHxW such as 1x28x28, got {shape!r}") from error
    if kind.numel != values.shape[1]:
        raise TaskError(f"{title} has {values.shape[1]} columns; shape {shape} needs {kind.numel}")
    return values.reshape(-1, *sizes)

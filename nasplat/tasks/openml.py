"""``openml:NAME``: a data set of openml.org by name, through scikit-learn's loader and cache.

Columns become one vector per example (categories as one-hot columns), or images when all columns
are pixels. Downloaded once into the cache folder; later loads need no network.
"""

from __future__ import annotations

import math
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
    """Load a data set of openml.org.

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
    frame, target = _fetch(name, version, data_home)
    labels, classes = _labels(target, title)
    columns = _columns(frame, missing, title)
    names = [str(column) for column in frame.columns]
    side = math.isqrt(len(names))
    if shape is None and side * side == len(names) and all(n.startswith("pixel") for n in names):
        shape = f"1x{side}x{side}"
    values, input_type = _shaped(columns, shape, title)
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
            "data_home": None if data_home is None else str(Path(data_home).resolve()),
        },
        examples=torch.from_numpy(values),
        labels=labels,
        classes=classes,
        splits=split_all(labels.numpy(), seed, classes=classes),
        input_type=input_type,
        natural=natural,
        source={"columns": names if len(names) <= 512 else len(names)},
        note=str(input_type),
    )


def _fetch(
    name: str, version: int | str, data_home: str | None
) -> tuple[pd.DataFrame, pd.Series[Any]]:
    from sklearn.datasets import fetch_openml

    home = Path(data_home).expanduser() if data_home else settings.cache() / "openml"
    try:
        bunch = fetch_openml(
            name, version=version, data_home=str(home), as_frame=True, n_retries=1, delay=0.1
        )
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


def _shaped(
    values: NDArray[np.float32], shape: str | None, title: str
) -> tuple[NDArray[Any], TensorType]:
    if shape is None:
        checked, kind = shape_examples(values, layout=None, where=title)
        assert isinstance(kind, Vector)
        return checked, kind
    try:
        sizes = tuple(int(part) for part in shape.split("x"))
        kind = Image(*sizes)
    except (TypeError, ValueError) as error:
        raise TaskError(f"shape must be CxHxW such as 1x28x28, got {shape!r}") from error
    if kind.numel != values.shape[1]:
        raise TaskError(f"{title} has {values.shape[1]} columns; shape {shape} needs {kind.numel}")
    return values.reshape(-1, *sizes), kind

"""Arrays kept in the cache folder between processes; what is lost there is made again.

It knows neither images nor tables, only names, arrays and a line of text beside them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

Arrays = dict[str, NDArray[Any]]


def read_cache(file: Path) -> tuple[Arrays, dict[str, str]] | None:
    """The arrays and the text kept with them; None when they are not (wholly) there."""
    try:
        with safe_open(file, framework="numpy") as stored:
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a dict
            return arrays, dict(stored.metadata() or {})
    except (OSError, SafetensorError):
        return None


def write_cache(file: Path, arrays: Arrays, text: Mapping[str, str]) -> None:
    """Keep arrays, wholly or not at all; a cache that cannot be written is no failure."""
    data = save(arrays, metadata=dict(text))
    part = ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as opened:
            part = opened.name
            opened.write(data)
        os.replace(part, file)
    except OSError:
        if part:
            Path(part).unlink(missing_ok=True)

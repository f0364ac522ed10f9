"""What tells the architectures of a table apart, worked out once and kept in the user's cache folder.

Building and digesting tens of thousands of graphs takes up to half a minute. The result depends on the
genotypes, the version of the space and the rules of the digest, which together name the kept file; a few
rows are worked out again to see that the library still builds the same graphs.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplat import settings
from nasplat.graph.digest import VERSION

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate
    from nasplat.space.genotype import Genotype
    from nasplat.space.space import Space

SIZE = 16
"""Bytes of an identity."""
WORTH_KEEPING = 500
"""Rows from which on identities are kept."""
CHECKED = 8
"""Rows of a kept file that are worked out again."""


def identity(candidate: Candidate) -> bytes:
    """The same for candidates that compute the same and are trained the same way."""
    recipe = repr(sorted((candidate.recipe or {}).items()))
    return blake2b(f"{candidate.digest} {recipe}".encode(), digest_size=SIZE).digest()


def identities(space: Space, genotypes: Sequence[Genotype]) -> NDArray[np.uint8]:
    """The identity of every genotype, ``(n, SIZE)``."""
    if len(genotypes) < WORTH_KEEPING:
        return _worked_out(space, genotypes)
    mark = blake2b(f"{VERSION} {space.version}".encode(), digest_size=SIZE)
    for genotype in genotypes:
        mark.update(json.dumps(genotype.to_json(), sort_keys=True).encode())
    file = settings.cache() / "tables" / f"{space.name}-{mark.hexdigest()}.npy"
    kept = _read(file, len(genotypes))
    if kept is not None:
        rows = np.linspace(0, len(genotypes) - 1, CHECKED).astype(int)
        if np.array_equal(kept[rows], _worked_out(space, [genotypes[row] for row in rows])):
            return kept
    made = _worked_out(space, genotypes)
    with contextlib.suppress(OSError):  # a cache that cannot be written is none
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part.npy")
        np.save(part, made)
        part.replace(file)
    return made


def _worked_out(space: Space, genotypes: Sequence[Genotype]) -> NDArray[np.uint8]:
    met = b"".join(identity(space.build(genotype)) for genotype in genotypes)
    return np.frombuffer(met, dtype=np.uint8).reshape(len(genotypes), SIZE)


def _read(file: Any, rows: int) -> NDArray[np.uint8] | None:
    try:
        kept: NDArray[np.uint8] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == (rows, SIZE) and kept.dtype == np.uint8 else None

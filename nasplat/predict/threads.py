"""One thread for small linear algebra: on matrices of some hundred rows more threads only wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import scipy.linalg  # noqa: F401  # its BLAS must be loaded before the controller looks for libraries
from threadpoolctl import (  # type: ignore[import-untyped]  # ships no annotations
    ThreadpoolController,
)


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run BLAS on one thread inside the block, and as before after it."""
    with _controller().limit(limits=1, user_api="blas"):
        yield

"""The pytest plug-in that comes with nasplat: it makes the marker of the suites known.

Loaded by pytest wherever nasplat is installed; changes nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``slow``."""
    config.addinivalue_line("markers", 'slow: takes long; leave out with -m "not slow"')

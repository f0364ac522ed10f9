"""Every published design of text networks lies in the space that claims it."""

from __future__ import annotations

from typing import ClassVar

from nasplat.testing.designs import DesignConformance


class TestDesigns(DesignConformance):
    space: ClassVar[str] = "decoder-lm"
    count: ClassVar[int] = 39

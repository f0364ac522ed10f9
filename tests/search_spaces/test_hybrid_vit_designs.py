"""Every published design of vision networks lies inside the space of hybrid vision networks."""

from __future__ import annotations

from typing import ClassVar

from nasplat.testing.designs import DesignConformance


class TestHybridVitDesigns(DesignConformance):
    space: ClassVar[str] = "hybrid-vit"
    count: ClassVar[int] = 73

"""The space of several branches: legal by design for every kind of input that it takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.types import Image, Logits, Series
from nasplat.space.load import examples, load_space
from nasplat.space.space import Space
from nasplat.testing.designs import DesignConformance
from nasplat.testing.space import SpaceConformance

EXAMPLES = examples("dual-branch")


class TestDigits(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return load_space("dual-branch", EXAMPLES["image"])


class TestDesigns(DesignConformance):
    space = "dual-branch"
    count = 12


def test_views_of_one_network_share_their_weights() -> None:
    space = load_space("dual-branch", EXAMPLES["views"])
    tied = space.within(("here", {"contrast": ("view",), "sharing": ("across_branches",)}))
    free = space.within(("here", {"contrast": ("view",), "sharing": ("none",)}))
    one, two = tied.build(tied.default()), free.build(free.default())
    assert one.cost.params < two.cost.params


def test_what_it_cannot_take_is_refused_with_what_it_takes() -> None:
    task = SimpleNamespace(inputs={"x": Series(1, 32)}, outputs={"y": Logits(10)})
    with pytest.raises(SpaceError, match=r"no branches for Series\(1, 32\)"):
        load_space("dual-branch", task)
    other = SimpleNamespace(inputs={"x": Image(1, 8, 8)}, outputs={"y": Image(2, 16, 16)})
    with pytest.raises(SpaceError, match="no branches"):
        load_space("dual-branch", other)

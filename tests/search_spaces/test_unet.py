"""The space of encoder-decoders: legal by design, at every size of image and volume."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.types import Image, Logits, Series, TensorType, Volume
from nasplat.space.load import examples, load_space
from nasplat.space.space import Space, unchecked
from nasplat.testing.candidates import run_for_real, type_check
from nasplat.testing.designs import DesignConformance
from nasplat.testing.space import SpaceConformance

EXAMPLES = examples("unet")


def make(first: TensorType, last: TensorType) -> Space:
    return load_space("unet", SimpleNamespace(inputs={"x": first}, outputs={"y": last}))


class TestImages(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return load_space("unet", EXAMPLES["image"])


class TestDesigns(DesignConformance):
    space = "unet"
    count = 45


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (Image(1, 8, 8), Image(2, 8, 8)),
        (Image(3, 9, 13), Image(2, 9, 13)),
        (Image(3, 30, 50), Image(5, 30, 50)),
        (Volume(1, 8, 9, 11), Volume(2, 8, 9, 11)),
    ],
)
def test_one_rule_gives_a_legal_space_for_every_size(first: TensorType, last: TensorType) -> None:
    space = make(first, last)
    type_check(space, 50, seed=16)
    run_for_real(space, 3, seed=17)


def test_sizes_are_those_of_the_files_own_table() -> None:
    from nasplat.content import find, load_file

    table = load_file(find("space", "unet", "search_spaces")).__doc__ or ""
    cases: dict[str, Image | Volume] = {
        "8x8": Image(1, 8, 8),
        "224x224": Image(3, 224, 224),
        "8x8x8": Volume(1, 8, 8, 8),
    }
    for name, first in cases.items():
        last = replace(first, channels=2)
        with unchecked():
            size = make(first, last).size()
        row = next(line for line in table.splitlines() if line.startswith(f"    {name} "))
        assert f" {size:.1e} " in row, name


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (Image(1, 8, 8), Logits(10)),
        (Image(1, 4, 4), Image(2, 4, 4)),
        (Image(1, 8, 8), Image(2, 16, 16)),
        (Series(1, 32), Series(1, 32)),
    ],
)
def test_what_it_cannot_take_is_refused_with_what_it_takes(
    first: TensorType, last: TensorType
) -> None:
    with pytest.raises(SpaceError, match="one Image or Volume of at least 8 a side"):
        make(first, last)

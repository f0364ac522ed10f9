"""Genotypes as data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasplat.errors import GenotypeError
from nasplat.space.genotype import Genotype

values = st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.integers(), st.text()))


@given(values)
def test_json_brings_the_same_genotype_back(data: dict[str, object]) -> None:
    genotype = Genotype(data)  # type: ignore[arg-type]  # scalars
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert dict(genotype) == data


@given(values)
def test_order_does_not_count_for_equality_or_hash(data: dict[str, object]) -> None:
    turned = dict(reversed(list(data.items())))
    one, other = Genotype(data), Genotype(turned)  # type: ignore[arg-type]  # scalars
    assert one == other and hash(one) == hash(other)


def test_a_genotype_does_not_change_with_what_it_was_made_from() -> None:
    data = {"a": 1}
    genotype = Genotype(data)
    data["a"] = 2
    assert genotype["a"] == 1
    assert genotype == {"a": 1}


@pytest.mark.parametrize("data", ["{", "[1]", [1], {"a": [1]}, {"a": {"b": 1}}, 3])
def test_what_is_no_object_of_scalars_is_refused(data: object) -> None:
    with pytest.raises(GenotypeError):
        Genotype.from_json(data)

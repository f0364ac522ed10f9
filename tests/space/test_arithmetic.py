"""Arithmetic on decisions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nasplat.space.arithmetic import Largest, Smallest
from nasplat.space.decisions import Int
from nasplat.testing.space import Keep, small_space


@given(st.integers(1, 4), st.integers(1, 4))
def test_formulas_are_worked_out_when_a_candidate_is_built(one: int, two: int) -> None:
    a, b = Int(1, 4, name="a"), Int(1, 4, name="b")
    formula = Largest(3 * a - b // 1, Smallest(a, 2) + 1)
    space = small_space(Keep(size=formula, form=(a, "x", b)))
    op = space.build({"a": one, "b": two}).graph.nodes[0].op
    assert isinstance(op, Keep)
    assert op.size == max(3 * one - two, min(one, 2) + 1)
    assert op.form == (one, "x", two)

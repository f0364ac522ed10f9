"""What a space refuses when it is made, and whom it blames."""

from __future__ import annotations

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.types import Vector
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Int
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Parallel, Steps
from nasplat.testing.graph import Dense, Sum
from nasplat.testing.space import Keep, Only


def _space(body: object) -> Space:
    return Space(body, {"x": Vector(4)}, {"y": Vector(4)})  # type: ignore[arg-type]  # any expression


def test_an_option_that_does_not_fit_is_named_with_rule_and_types() -> None:
    mixer = Choose(fine=Keep(), wrong=Dense(dim=5) >> Keep(), other=Dense(dim=7))
    body = Steps(block=Parallel(Keep(), mixer, fuse=Sum()))
    with pytest.raises(SpaceError) as caught:
        _space(body)
    said = str(caught.value)
    assert "block.choose = wrong: at block.fuse" in said
    assert "block.choose = other: at block.fuse" in said
    assert "takes inputs of one type; met Vector(4), Vector(5)" in said
    assert "fine" not in said


def test_a_value_that_does_not_fit_is_named_even_below_an_option_that_is_not_the_default() -> None:
    body = Choose(a=Keep(), b=Only(size=Choice(1, 2, 3)))
    with pytest.raises(SpaceError, match=r"choose = b with choose\.b\.size = 3: at choose\.b"):
        _space(body)


def test_every_copy_of_a_repeated_body_is_tried() -> None:
    body = Repeat(Only(size=Choice(1, 3)), Int(1, 2))
    with pytest.raises(SpaceError) as caught:
        _space(body)
    assert "repeat.0.size = 3" in str(caught.value)
    assert "repeat.times = 2 with repeat.1.size = 3" in str(caught.value)


def test_two_decisions_that_fail_only_together_are_both_named() -> None:
    # 1 + 2 is the refused size; each value alone is fine.
    body = Only(size=Choice(0, 1, name="a") + Choice(0, 2, name="b"))
    with pytest.raises(SpaceError, match="a = 1 with b = 2: at only"):
        _space(body)


def test_a_default_that_fails_is_said_to() -> None:
    with pytest.raises(SpaceError, match="with every decision at its default: at only"):
        _space(Only(size=3))


def test_an_op_that_raises_anything_is_a_space_error() -> None:
    class Broken(Keep):
        def infer(self, *inputs: object) -> Vector:
            raise ZeroDivisionError("oh")

    with pytest.raises(SpaceError, match="ZeroDivisionError: oh"):
        _space(Broken())


def test_long_lists_of_failures_are_cut_and_counted() -> None:
    body = Choose(fine=Keep(), **{f"bad{number}": Dense(dim=9) for number in range(14)})
    with pytest.raises(SpaceError, match="and 4 more"):
        _space(body)

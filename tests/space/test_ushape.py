"""Paths down and up with skips between equal levels."""

from __future__ import annotations

import pytest

from nasplat.errors import SpaceError
from nasplat.graph.types import Image
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.merge import Add, Concat
from nasplat.ops.resample import StridedConv, Upsample
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice, Int
from nasplat.space.space import Space
from nasplat.space.ushape import Level, UShape
from nasplat.space.wiring import Pick, Steps
from nasplat.testing.space import SpaceConformance


def unet() -> Space:
    def at(channels: int) -> Level:
        return Level(
            encode=Conv(channels=channels, kernel=Choice(1, 3)),
            down=StridedConv(channels=2 * channels),
            up=Upsample(factor=2) >> Conv(channels=channels, kernel=1),
            merge=Choose(add=Add(), cat=Concat(), none=Pick(0)),
            decode=DepthwiseConv(kernel=Choice(3, 5)),
            skip=DepthwiseConv(kernel=3),
        )

    body = Steps(u=UShape((at(4), at(8)), Conv(kernel=Choice(1, 3)), depth=Int(1, 2)))
    return Space(body, {"x": Image(1, 8, 8)}, {"y": Image(4, 8, 8)})


class TestUNet(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        return unet()


def test_skips_join_equal_levels_from_the_innermost_out() -> None:
    space = unet()
    graph = space.build(
        {**_full(space), "u.levels.0.merge": "cat", "u.levels.1.merge": "add"}
    ).graph
    wires = {node.name: node.inputs for node in graph.nodes}
    assert wires["u.bottom"] == ("u.levels.1.down",)
    assert wires["u.levels.1.merge.add"] == ("u.levels.1.up.conv", "u.levels.1.skip")
    assert wires["u.levels.1.skip"] == ("u.levels.1.encode",)
    assert wires["u.levels.0.up.interpolate"] == ("u.levels.1.decode",)
    assert wires["u.levels.0.merge.cat"] == ("u.levels.0.up.conv", "u.levels.0.skip")


def _full(space: Space) -> dict[str, object]:
    return next(dict(near) for near in space.neighbours(space.default()) if near["u.depth"] == 2)


def test_depth_decides_how_many_levels_there_are() -> None:
    space = unet()
    assert all("u.levels.1" not in path for path in space.default())
    per_level = 2 * 3 * 2
    assert space.size() == 2 * (per_level + per_level**2)


def test_a_skip_can_be_ignored() -> None:
    space = unet()
    genotype = {**space.default(), "u.levels.0.merge": "none"}
    assert "u.levels.0.skip" not in {node.name for node in space.build(genotype).graph.live}


def test_a_depth_beyond_the_levels_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"depth must be in 0\.\.0, got 2"):
        UShape((), Conv(), depth=Choice(0, 2))

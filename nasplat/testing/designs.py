"""The conformance suite of catalogues: what every design that lies beside a space must keep to.

Inherit from :class:`DesignConformance` in a test file and name the space::

    class TestDesigns(DesignConformance):
        space = "hybrid-vit"
        count = 73

Every test runs for each design of ``search_spaces/designs/``.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any, ClassVar

from nasplat.space.axes import Numeric, holds, matches
from nasplat.space.designs import Design, broken, designs, narrowed
from nasplat.testing.candidates import run, space_of


@lru_cache(maxsize=16)
def sampled(name: str, example: str, count: int = 400) -> tuple[Any, ...]:
    """Random genotypes of the open space."""
    space = space_of(name, example)
    rng = random.Random(0)
    return tuple(space.sample(rng) for _ in range(count))


class DesignConformance:
    """Inherit, name the space, and pytest runs the suite.

    Attributes:
        space: Name of the space.
        count: How many designs there are.
        samples: How many candidates of each design are built and run.
        unheld: Designs that have axes which the space cannot hold.
    """

    space: ClassVar[str] = ""
    count: ClassVar[int] = 0
    samples: ClassVar[int] = 1
    unheld: ClassVar[tuple[str, ...]] = ()

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each design."""
        if "design" in metafunc.fixturenames:
            met = designs(metafunc.cls.space)
            metafunc.parametrize("design", met, ids=[design.slug for design in met])

    def test_the_catalogue_is_complete(self) -> None:
        met = designs(self.space)
        assert len(met) == self.count
        assert tuple(design.slug for design in met if design.unheld) == self.unheld

    def test_samples_of_a_design_run_and_keep_to_every_axis(self, design: Design) -> None:
        space = narrowed(space_of(self.space, design.input), design)
        rng = random.Random(design.slug)
        for number in range(10 * self.samples):
            genotype = space.sample(rng)
            assert not broken(space, design, genotype), f"{design.slug}: {genotype}"
            if number < self.samples:
                run(space.build(genotype))

    def test_no_option_of_a_design_holds_for_every_candidate(self, design: Design) -> None:
        space = space_of(self.space, design.input)
        for axis, choices in design.axes.items():
            if axis in design.unheld or choices.free or isinstance(space.axes[axis], Numeric):
                continue
            for option in choices.options:
                others = sampled(self.space, design.input)
                assert not all(holds(space.axes, other, axis, option) for other in others), (
                    f"{axis} = {option} decides nothing"
                )

    def test_what_a_design_leaves_open_stays_open(self, design: Design) -> None:
        space = narrowed(space_of(self.space, design.input), design)
        rng = random.Random(0)
        genotypes = [space.sample(rng) for _ in range(40)]
        for axis, choices in design.axes.items():
            held = space.axes.get(axis)
            if choices.free and isinstance(held, Numeric):
                met = {
                    tuple(
                        value
                        for path, value in genotype.items()
                        if any(matches(pattern, path) for pattern in held.patterns)
                    )
                    for genotype in genotypes
                }
                assert len(met) > 1, f"{axis} is closed"

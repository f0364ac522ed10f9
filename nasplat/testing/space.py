"""The conformance suite of spaces, and random small spaces for property tests. Needs hypothesis.

Inherit the suite, supply the fixture ``space``, and your space file is checked:

    class TestMine(SpaceConformance):
        @pytest.fixture(scope="class")
        @classmethod
        def space(cls) -> Space:
            return load_space("./my_space.py", load_task("digits"))

The ops here keep the type of their input, so that every body of them type-checks.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import strategies as st
from torch import nn

from nasplat.errors import GenotypeError
from nasplat.graph.op import Call, Expression, Op, OpCost, expect
from nasplat.graph.types import TensorType, Vector
from nasplat.ops.merge import Add
from nasplat.space.cell import Cell
from nasplat.space.choose import Choose, Match, Optional
from nasplat.space.decisions import Choice, Int
from nasplat.space.genotype import Genotype
from nasplat.space.quantised import Quantised
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Parallel


@dataclass(frozen=True, kw_only=True)
class Keep(Op):
    """A linear map of a vector to one of the same size, with hyper-parameters that only tell it apart."""

    size: Any = 0
    form: Any = "a"

    def infer(self, *inputs: TensorType) -> TensorType:
        """One vector in, one out."""
        rule = "takes one Vector"
        expect(len(inputs) == 1 and isinstance(inputs[0], Vector), self, rule, *inputs)
        return inputs[0]

    def call(self, *inputs: TensorType) -> Call:
        """torch's own linear layer."""
        size = inputs[0].numel
        return Call(nn.Linear, {"in_features": size, "out_features": size})

    def cost(self, *inputs: TensorType) -> OpCost:
        """As if the layer had ``1 + size`` numbers, so that costs depend on the decision."""
        return OpCost(params=1 + int(self.size), macs=1 + int(self.size))


@dataclass(frozen=True, kw_only=True)
class Only(Keep):
    """As :class:`Keep`, but refuses one size: what a space must not hold."""

    refused: ClassVar[int] = 3

    def infer(self, *inputs: TensorType) -> TensorType:
        """One vector in, one out, unless the size is refused."""
        expect(self.size != self.refused, self, f"takes any size but {self.refused}", *inputs)
        return super().infer(*inputs)


@st.composite
def bodies(draw: st.DrawFn, depth: int = 2) -> Expression:
    """Random bodies of all combinators on vectors, in which decisions and parts may recur."""
    pool: list[Any] = [Choice(0, 1), Int(1, 2), Choice(1, 2, 4, default=2)]
    made: list[Expression] = []

    def number() -> Any:
        kind = draw(st.integers(0, 3))
        return (0, Choice(0, 5), pool[0], pool[1] * 2 + pool[2])[kind]

    def times() -> Any:
        return draw(st.sampled_from((1, 2, Int(0, 2), Int(1, 2), pool[1])))

    def part(level: int) -> Expression:
        if made and draw(st.integers(0, 5)) == 0:
            return draw(st.sampled_from(made))
        kind = draw(st.integers(0, 9 if level else 0))
        new: Expression
        if kind == 0:
            new = Keep(size=number())
        elif kind == 1:
            new = part(level - 1) >> part(level - 1)
        elif kind == 2:
            new = Choose(one=part(level - 1), two=part(level - 1))
        elif kind == 3:
            new = Match(pool[0], {0: part(level - 1), 1: part(level - 1)})
        elif kind == 4:
            new = Optional(part(level - 1))
        elif kind == 5:
            share: Any = draw(st.sampled_from(("nothing", "decisions", "weights")))
            common = draw(st.sampled_from(((), (pool[0],))))
            new = Repeat(part(level - 1), times(), share=share, common=common)
        elif kind == 6:
            norm = draw(st.sampled_from((None, Keep(form=Choice("l", "r")))))
            placement = draw(st.sampled_from(("pre", Choice("post", "sandwich"))))
            new = Residual(part(level - 1), norm=norm, placement=placement)
        elif kind == 7:
            new = Parallel(part(level - 1), part(level - 1), fuse=Add())
        elif kind == 8:
            pick = draw(st.sampled_from((None, 1, (1, 2))))
            new = Cell(
                Keep(size=number()), nodes=draw(st.sampled_from((1, 2, Int(1, 2)))), pick=pick
            )
        else:
            new = Quantised(part(level - 1), weight=Choice(32, 8))
        made.append(new)
        return new

    return part(depth)


def small_space(body: Expression, **options: Any) -> Space:
    """A space from one ``Vector(4)``, unchecked, for properties that need no graph."""
    return Space(body, {"x": Vector(4)}, check=options.pop("check", None), **options)


class SpaceConformance:
    """What every space keeps, whatever it is made of."""

    SAMPLES: ClassVar[int] = 50

    def _samples(self, space: Space, seed: int = 0) -> list[Genotype]:
        rng = random.Random(seed)
        return [space.sample(rng) for _ in range(self.SAMPLES)]

    def test_samples_are_valid_and_their_graphs_have_the_outputs_of_the_space(
        self, space: Space
    ) -> None:
        for genotype in [space.default(), *self._samples(space)]:
            assert space.validate(genotype) == []
            candidate = space.build(genotype)
            assert candidate.genotype == genotype
            for name, expected in (space.outputs or {}).items():
                assert candidate.graph.output_types[name] == expected
            assert candidate.cost.params >= 0

    def test_a_batch_is_the_candidates_of_samples(self, space: Space) -> None:
        met = [candidate.genotype for candidate in space.batch(5, random.Random(3))]
        rng = random.Random(3)
        assert met == [space.sample(rng) for _ in range(5)]

    def test_a_seed_gives_the_same_samples(self, space: Space) -> None:
        assert self._samples(space, 7) == self._samples(space, 7)

    def test_genotypes_survive_json(self, space: Space) -> None:
        for genotype in self._samples(space):
            again = Genotype.from_json(json.loads(json.dumps(genotype.to_json())))
            assert again == genotype and hash(again) == hash(genotype)
            assert space.contains(again)

    def test_every_offending_path_is_named_at_once(self, space: Space) -> None:
        genotype = space.default()
        missing = next(iter(genotype), None)
        broken = {path: value for path, value in genotype.items() if path != missing}
        with pytest.raises(GenotypeError) as caught:
            space.build({**broken, "no.such.path": 1, "nor.this": 2})
        named = " ".join(caught.value.offences)
        assert all(path in named for path in ("no.such.path", "nor.this", missing or "nor.this"))

    def test_neighbours_are_valid_and_differ(self, space: Space) -> None:
        genotype = self._samples(space)[0]
        found = list(islice(space.neighbours(genotype), 200))
        assert len(set(found)) == len(found)
        for other in found:
            assert other != genotype
            assert space.validate(other) == []

    def test_mutants_are_valid_and_differ(self, space: Space) -> None:
        rng = random.Random(1)
        for genotype in self._samples(space):
            mutant = space.mutate(genotype, rng)
            assert space.validate(mutant) == []
            assert mutant != genotype or space.size() == 1

    def test_crossover_gives_valid_children_that_build(self, space: Space) -> None:
        rng = random.Random(2)
        parents = self._samples(space)
        for one, other in zip(parents, reversed(parents), strict=True):
            child = space.crossover(one, other, rng)
            assert space.validate(child) == []
            space.build(child)

    def test_encodings_have_one_length_and_tell_genotypes_apart(self, space: Space) -> None:
        genotypes = set(self._samples(space))
        vectors = [space.encode(genotype) for genotype in genotypes]
        assert {len(vector) for vector in vectors} == {len(space.encoding.names)}
        assert len({vector.tobytes() for vector in vectors}) == len(genotypes)
        assert all(np.all((vector >= 0) & (vector <= 1)) for vector in vectors)

    def test_optuna_trials_build_the_genotype_that_they_hold(self, space: Space) -> None:
        import optuna

        known = space.distributions()
        for genotype in self._samples(space)[:10]:
            trial = optuna.trial.FixedTrial(genotype.to_json())
            assert space.suggest(trial).genotype == genotype
            assert set(genotype) <= set(known)
            assert list(space.suggest(trial).genotype) == list(genotype)

    def test_every_point_is_met_and_has_one_path(self, space: Space) -> None:
        assert len({point.path for point in space.decisions()}) == len(space.decisions())
        assert space.size() >= 1

"""The cell space of NAS-Bench-201, against its paper."""

from __future__ import annotations

from itertools import permutations, product
from types import ModuleType, SimpleNamespace

import pytest

from nasplat.content import find, load_file
from nasplat.graph.types import Image, Logits
from nasplat.space.load import load_space
from nasplat.space.space import Space
from nasplat.testing.space import SpaceConformance

TASK = SimpleNamespace(inputs={"image": Image(3, 32, 32)}, outputs={"logits": Logits(10)})


@pytest.fixture(scope="module")
def file() -> ModuleType:
    return load_file(find("space", "nasbench201", "search_spaces"))


class TestNasBench201(SpaceConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls) -> Space:
        tiny = SimpleNamespace(inputs={"image": Image(1, 8, 8)}, outputs={"logits": Logits(10)})
        return load_space("nasbench201", tiny)


def test_there_are_15625_genotypes_over_six_edges(file: ModuleType) -> None:
    space = load_space("nasbench201", TASK)
    assert space.size() == 15_625
    assert tuple(space.points) == file.PATHS


def test_edges_and_ops_are_in_the_order_of_the_published_tables(file: ModuleType) -> None:
    assert [f"{node}<-{source}" for node, source in file.EDGES] == [
        *("1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2")
    ]
    assert file.OPS == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def test_the_string_rule_of_the_paper_counts_its_6466(file: ModuleType) -> None:
    assert len({file.published_string(ops) for ops in product(file.OPS, repeat=6)}) == 6466


@pytest.mark.parametrize(
    ("ops", "params", "macs"),
    [
        # Parameters in millions as published, MACs in millions as its counter has them.
        (("nor_conv_3x3",) * 6, 1.531546, 220.12),
        (("skip_connect",) * 6, 0.073306, 7.783),
        (("none",) * 6, 0.073306, 7.783),
    ],
)
def test_networks_have_the_published_parameters(
    file: ModuleType, ops: tuple[str, ...], params: float, macs: float
) -> None:
    space = load_space("nasbench201", TASK)
    cost = space.build(dict(zip(file.PATHS, ops, strict=True))).cost
    assert cost.params == round(params * 1e6)
    assert cost.macs == pytest.approx(macs * 1e6, rel=1e-3)


def test_cells_and_channels_are_parameters(file: ModuleType) -> None:
    small = file.space(TASK, cells=1, channels=8)
    large = file.space(TASK, cells=2, channels=16)
    genotype = dict.fromkeys(file.PATHS, "nor_conv_3x3")
    assert small.build(genotype).cost.params < large.build(genotype).cost.params


def function_of(ops: tuple[str, ...], edges: tuple[tuple[int, int], ...]) -> str:
    """What a cell computes, as text: the least over all ways to name its convolutions.

    An oracle that shares nothing with the digest: sums are flat and hold no zeros, pooling of zero is
    zero, pooling has no weights and so no name, every convolution has a name of its own.
    """
    convolutions = [edge for edge, op in enumerate(ops) if op.startswith("nor_conv")]

    def written(names: dict[int, str]) -> str:
        sums: dict[int, list[str]] = {0: ["x"]}
        for node in (1, 2, 3):
            terms: list[str] = []
            for edge, (target, source) in enumerate(edges):
                inner = sums[source] if target == node else []
                if ops[edge] == "skip_connect":
                    terms += inner
                elif target != node or ops[edge] == "none":
                    continue
                elif edge in names:
                    terms.append(f"{ops[edge]}{names[edge]}({'+'.join(inner)})")
                elif inner:
                    terms.append(f"pool({'+'.join(inner)})")
            sums[node] = sorted(terms)
        return "+".join(sums[3])

    labels = [str(number) for number in range(len(convolutions))]
    return min(
        written(dict(zip(convolutions, order, strict=True))) for order in permutations(labels)
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_digest_tells_cells_apart_by_what_they_compute(file: ModuleType) -> None:
    space = Space(file.cell(), {"x": Image(16, 32, 32)})
    names: dict[str, str] = {}
    for genotype in space.genotypes():
        ops = tuple(str(genotype[path]) for path in file.PATHS)
        function = function_of(ops, file.EDGES)
        assert names.setdefault(space.build(genotype).digest, function) == function
    assert len(names) == len(set(names.values())) == file.DISTINCT

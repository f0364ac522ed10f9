"""Published tables: their spaces hold every row and build the networks whose sizes the tables list.

The data lie beside the checkout or where ``NASPLAT_BENCH_DATA`` says, and are no part of it; without them
these tests are skipped. The spaces themselves are tested in any case.
"""

from __future__ import annotations

import os
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nasplat.bench.harness import run
from nasplat.bench.load import known_tables, load_table
from nasplat.bench.table import SECONDS, Table
from nasplat.bench.tables import (
    accel_nasbench,
    channel_bench,
    enas,
    hwgpt,
    lts,
    nasbench_bert,
    nasbench_graph,
    nasbench_macro,
    nasbench_nlp,
)
from nasplat.errors import UsageError
from nasplat.space.space import Space

DATA = Path(os.environ.get("NASPLAT_BENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
PUBLISHED = {
    "accel-nb": 5125,
    "channel-bench": 16384,
    "enas": 20015,
    "hwgpt-s": 10000,
    "lts-lm1b-gpt2": 200,
    "lts-lm1b-transformer-xl": 186,
    "nb-bert": 491,
    "nb-graph-arxiv": 26207,
    "nb-graph-citeseer": 26207,
    "nb-graph-computers": 26207,
    "nb-graph-photo": 26207,
    "nb-macro": 6561,
    "nb-nlp": 277,
    "nb201-c10": 15625,
    "nb201-c100": 15625,
}
"""Rows of each table."""
SPACES: dict[str, Space] = {
    "accel-nb": accel_nasbench.space(),
    "channel-bench": channel_bench.space(),
    "enas": enas.space(),
    "hwgpt-s": hwgpt.space(),
    "lts-gpt2": lts.space("gpt2"),
    "lts-transformer-xl": lts.space("transformer-xl"),
    "nb-bert": nasbench_bert.space(),
    "nb-graph": nasbench_graph.space(),
    "nb-macro": nasbench_macro.space(),
    "nb-nlp": nasbench_nlp.space(),
}

with_data = pytest.mark.skipif(
    not (DATA / "nasbench201").is_dir(), reason=f"there is no folder of published tables at {DATA}"
)


def a_few(table: Table, count: int = 12) -> list[int]:
    return random.Random(0).sample(range(len(table)), count)


@pytest.mark.parametrize("name", SPACES)
def test_spaces_of_tables_are_ordinary_spaces(name: str) -> None:
    space, rng = SPACES[name], random.Random(0)
    genotype = space.default()
    for _ in range(8):
        other = space.sample(rng)
        genotype = space.crossover(space.mutate(genotype, rng), other, rng)
        assert space.build(genotype).digest == space.build(dict(genotype)).digest
        assert space.encode(other).shape == space.encode(genotype).shape


def test_skips_of_graph_networks_vanish() -> None:
    space = SPACES["nb-graph"]

    def digest(links: str, *ops: str) -> str:
        layers = {f"layer{number}": op for number, op in enumerate(ops, start=1)}
        return space.build({"links": links, **layers}).digest

    assert digest("0012", "skip", "gat", "gcn", "gin") == digest(
        "0001", "gat", "gcn", "skip", "gin"
    )
    assert digest("0000", "gat", "gcn", "gin", "skip") == digest(
        "0000", "skip", "gin", "gat", "gcn"
    )
    assert digest("0000", "gat", "gcn", "gin", "fc") != digest("0001", "gat", "gcn", "gin", "fc")


def test_a_recurrent_cell_is_read_as_the_graph_that_it_is() -> None:
    recipe = {
        "h_new_0": {"op": "elementwise_prod", "input": ["gate", "h_prev_0"]},
        "gate": {"op": "activation_sigm", "input": ["sum"]},
        "sum": {"op": "linear", "input": ["x", "h_prev_0"]},
    }
    genotype = nasbench_nlp.genotype(recipe)
    graph = SPACES["nb-nlp"].build(genotype).graph
    met = [getattr(node.op, "name", node.op.kind) for node in graph.live]
    assert met == ["linear", "sigmoid", "product"]
    assert set(graph.outputs) == {"h_new_0"}
    renamed = {name.replace("gate", "g"): node for name, node in recipe.items()}
    renamed["h_new_0"] = {"op": "elementwise_prod", "input": ["h_prev_0", "g"]}
    other = SPACES["nb-nlp"].build(nasbench_nlp.genotype(renamed))
    assert other.digest == SPACES["nb-nlp"].build(genotype).digest
    with pytest.raises(UsageError, match="in a circle"):
        nasbench_nlp.genotype({"h_new_0": {"op": "activation_tanh", "input": ["h_new_0"]}})


def test_tables_without_data_are_listed_and_refused(tmp_path: Path) -> None:
    known = {one.name: one.available for one in known_tables(tmp_path)}
    assert set(known) == {"digits-mini", *PUBLISHED}
    assert known.pop("digits-mini")
    assert not any(known.values())
    with pytest.raises(UsageError, match=r"needs nasbench201/accuracy\.npz, .* lacks"):
        load_table("nb201-c10", tmp_path)
    with pytest.raises(UsageError, match="no folder is named"):
        load_table("hwgpt-s")
    with pytest.raises(UsageError, match="its own space"):
        load_table("hwgpt-s", tmp_path, space="mine.py")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    for name in ("enas/enas.npz", "nasbench_bert/bert500.json.gz"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(UsageError, match=r"cannot be read as \.npz"):
        load_table("enas", tmp_path)
    with pytest.raises(UsageError, match="cannot be read as gzipped JSON"):
        load_table("nb-bert", tmp_path)


def test_the_table_that_ships_is_whole() -> None:
    table = load_table("digits-mini")
    assert len(table) == 930 == table.space.size()
    assert table.fidelities == [2, 6]
    assert table.complete and table.continues
    best = -table.values(["accuracy"]).min()
    assert 0.9 < best <= 1.0
    assert (table.seconds(6) > table.seconds(2)).all()
    for row in a_few(table):
        cost = table.space.build(table.genotypes[row]).cost
        assert cost.params == table.results[6]["params"][row]


@with_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_tables_are_read(name: str) -> None:
    table = load_table(name, DATA)
    assert table.name == name
    assert len(table) == len(set(table.genotypes)) == PUBLISHED[name]
    for row in a_few(table, 40):
        assert table.space.validate(table.genotypes[row]) == []
    for fidelity, columns in table.results.items():
        assert set(columns) <= {*table.metrics, SECONDS}, fidelity
        assert all(column.shape == (len(table),) for column in columns.values())
    for before, after in pairwise(table.fidelities if table.continues else []):
        known = np.isfinite(table.seconds(before)) & np.isfinite(table.seconds(after))
        assert known.mean() > 0.9
        assert (table.seconds(after) > table.seconds(before))[known].all(), after
    last = table.results[table.fidelities[-1]]
    for metric in table.metrics:
        assert np.isfinite(last[metric]).mean() > 0.6  # some devices refuse some
    assert set(table.objectives) <= set(last)
    space = table.space
    digests = {space.build(table.genotypes[row]).digest for row in a_few(table, 40)}
    assert len(digests) > 30


@with_data
def test_a_published_table_of_curves_pays_only_for_what_goes_on() -> None:
    table = load_table("nb-nlp", DATA)
    assert table.continues and table.fidelities == list(range(1, 51))
    met = run(table, "random", evaluations=8, seed=0, fidelities=[2, 50])
    first, whole = table.seconds(2), table.seconds(50)
    paid = np.diff([0.0, *met.cost]) * np.nanmean(whole)
    spent = [
        whole[row] - first[row] if level == 50 else first[row]
        for row, level in zip(met.rows, met.levels, strict=True)
    ]
    known = np.isfinite(spent)  # what is not known costs as much as the mean
    assert paid[known] == pytest.approx(np.array(spent)[known])
    assert set(met.levels) == {2, 50} and known.mean() > 0.8


@with_data
@pytest.mark.parametrize("name", ["nb-macro", "channel-bench", "hwgpt-s", "accel-nb"])
def test_networks_have_the_parameters_that_tables_list(name: str) -> None:
    table = load_table(name, DATA)
    unit = 1e6 if name == "accel-nb" else 1.0
    for row in a_few(table):
        params = table.space.build(table.genotypes[row]).cost.params
        assert params == pytest.approx(unit * table.results[1]["params"][row], rel=1e-9)


@with_data
def test_optima_are_those_that_are_published() -> None:
    table = load_table("nb201-c10", DATA)
    assert table.results[200]["accuracy"].max() == pytest.approx(91.61, abs=0.005)
    assert load_table("nb201-c100", DATA).results[200]["accuracy"].max() == pytest.approx(
        73.49, abs=0.005
    )
    assert set(table.results[12]) == {"accuracy", "test_accuracy"}


@with_data
@pytest.mark.slow
def test_every_graph_network_of_the_space_has_a_row() -> None:
    table = load_table("nb-graph-arxiv", DATA)
    assert len(np.unique(table.first)) == len(table) == 26_206 + 1
    assert table.missing() == []

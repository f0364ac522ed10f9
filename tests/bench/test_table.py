"""A table finds the row of any candidate of its space, and says which rows are one architecture."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from nasplat.bench.identity import WORTH_KEEPING, identities
from nasplat.bench.opaque import TableOp
from nasplat.bench.rows import Rows
from nasplat.bench.table import SECONDS, Table
from nasplat.errors import GraphTypeError, UsageError
from nasplat.graph.types import Tokens, Vector
from nasplat.ops.resample import Identity
from nasplat.space.choose import Choose
from nasplat.space.space import Space
from nasplat.space.wiring import Steps
from tests.bench.small import small_table, tiny_table

WIDE = Vector(8)


def chains(length: int) -> Space:
    """Chains of ops and skips: a skip in another place is the same chain."""
    layers = {
        f"layer{number}": Choose(
            a=TableOp(name="a"), b=TableOp(name="b"), c=TableOp(name="c"), skip=Identity()
        )
        for number in range(length)
    }
    return Space(Steps(**layers), {"x": WIDE}, name="chains", check=None)


def chain_table(*, covers: bool = False) -> Table:
    space = chains(2)
    listed = [g for g in space.genotypes() if not covers or g["layer0"] != "skip"]
    loss = np.arange(len(listed), dtype=float)
    return Table("chains", "", space, listed, {1: {"loss": loss}}, {"loss": "min"}, ("loss",))


def test_rows_that_compute_the_same_are_the_first_of_them() -> None:
    table = chain_table()
    at = {(g["layer0"], g["layer1"]): row for row, g in enumerate(table.genotypes)}
    assert table.first[at["skip", "a"]] == at["a", "skip"]
    assert table.first[at["a", "b"]] == at["a", "b"] != at["b", "a"]
    values = table.values(["loss"])
    assert np.isnan(values[at["skip", "a"]]).all()
    assert np.isfinite(values).sum() == 9 + 3 + 1
    for genotype in table.genotypes:
        candidate = table.space.build(genotype)
        assert table.row(candidate) == table.first[table.genotypes.index(genotype)]


def test_a_table_that_covers_a_space_is_searched_whole() -> None:
    partial = chain_table(covers=True)
    assert isinstance(partial.searched, Rows)
    assert [dict(one) for one in partial.missing()] == [{"layer0": "skip", "layer1": "skip"}]
    whole = Table(**{**_fields(partial), "covers": True})
    assert whole.searched is whole.space
    unlisted = whole.space.build({"layer0": "skip", "layer1": "b"})
    listed = whole.space.build({"layer0": "b", "layer1": "skip"})
    assert whole.row(unlisted) == whole.row(listed)


def test_a_candidate_without_a_row_is_refused() -> None:
    table = chain_table(covers=True)
    with pytest.raises(UsageError, match="no row for"):
        table.row(table.space.build({"layer0": "skip", "layer1": "skip"}))


def test_unknown_metrics_and_fidelities_are_named() -> None:
    table = small_table()
    with pytest.raises(UsageError, match="unknown metric of small 'scores'; known: score"):
        table.values(["scores"])
    with pytest.raises(UsageError, match="unknown fidelity '4'; known: 3, 9"):
        table.values(["score"], 4)


def test_metrics_that_say_nothing_are_refused() -> None:
    table = tiny_table()
    rows = len(table)
    for column, words in ((np.full(rows, 2.0), "is 2 wherever"), (np.full(rows, np.nan), "no res")):
        flat = Table(**{**_fields(table), "results": {1: {"loss": column}}})
        with pytest.raises(UsageError, match=words):
            flat.values(["loss"])


def test_greater_is_turned_around_and_failures_are_nan() -> None:
    table = small_table(failed=[3])
    values = table.values(["score", "macs"])
    assert np.isnan(values[3]).all()
    assert values[0, 0] == -table.results[9]["score"][0]
    assert values[0, 1] == table.results[9]["macs"][0]


def test_seconds_are_those_of_the_table_or_the_fidelity() -> None:
    table = small_table()
    assert (table.seconds(9) == 9.0).all()
    timed = {1: {"loss": np.arange(6.0), SECONDS: np.full(6, 2.5)}}
    assert (Table(**{**_fields(tiny_table()), "results": timed}).seconds(1) == 2.5).all()


def test_identities_are_kept_and_checked(tmp_path: Path) -> None:
    space = chains(5)
    genotypes = list(space.genotypes())
    assert len(genotypes) >= WORTH_KEEPING
    made = identities(space, genotypes)
    (kept,) = (tmp_path / "cache" / "tables").iterdir()
    assert np.array_equal(identities(space, genotypes), made)
    np.save(kept, np.zeros_like(made))  # as if the library built other graphs by now
    assert np.array_equal(identities(space, genotypes), made)
    kept.write_bytes(b"cut short")
    assert np.array_equal(identities(space, genotypes), made)
    other = random.Random(0).sample(genotypes, len(genotypes))
    identities(space, other)
    assert len(list(kept.parent.iterdir())) == 2


def test_a_table_op_keeps_its_type_and_has_no_module() -> None:
    op = TableOp(name="gat", symmetric=True)
    assert op.infer(WIDE, WIDE) == WIDE
    assert op.commutes and not op.pure
    with pytest.raises(GraphTypeError, match="inputs of one type"):
        op.infer(WIDE, Tokens(2, 8))
    with pytest.raises(GraphTypeError, match="needs a name"):
        TableOp(name="").infer(WIDE)
    with pytest.raises(UsageError, match="known by its results"):
        op.module(WIDE)


def _fields(table: Table) -> dict[str, object]:
    return {name: getattr(table, name) for name in Table.__dataclass_fields__}

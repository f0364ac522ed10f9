"""Features describe what a graph computes, whatever space it comes from."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nasplat.graph.types import Image, Logits
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.resample import Identity, Pool, Zero
from nasplat.predict.features import GROUPS, Features
from nasplat.predict.live import live
from nasplat.space.candidate import Candidate
from nasplat.space.cell import Cell
from nasplat.space.choose import Choose
from nasplat.space.space import Space
from nasplat.testing.strategy import single_space, some_space


@pytest.fixture(scope="module")
def cells() -> Space:
    edge = Choose(
        none=Zero(),
        skip=Identity(),
        conv1=Conv(kernel=1),
        conv3=Conv(kernel=3),
        pool=Pool(kernel=3),
    )
    body = Conv(channels=8, kernel=3) >> Cell(edge, nodes=3) >> ClassifierHead(classes=10)
    return Space(body, {"image": Image(1, 8, 8)}, {"logits": Logits(10)}, name="cells", check=None)


def closed(space: Space, ops: dict[str, str]) -> Candidate:
    """A cell whose edges, in order, hold these ops; the rest is ``none``."""
    paths = list(space.default())
    return space.build({path: ops.get(str(place), "none") for place, path in enumerate(paths)})


def raw(features: Features, candidate: Candidate) -> dict[str, float]:
    row = features([candidate])[0] * features._std + features._mean
    return dict(zip(features.columns, row, strict=True))


def test_rows_are_standardised_over_the_sample(cells: Space) -> None:
    sample = list(cells.batch(200, random.Random(0)))
    rows = Features(sample, encode=cells.encode)(sample)
    assert rows.shape[0] == 200
    assert np.isfinite(rows).all()
    assert np.abs(rows.mean(0)).max() < 0.2
    assert 0.5 < rows.std(0).min() <= rows.std(0).max() < 1.1


def test_one_digest_has_one_structure(cells: Space) -> None:
    features = Features(list(cells.batch(64, random.Random(0))))
    # Costs are those of the graph as it is built, dead weight included.
    structure = [place for place, name in enumerate(features.columns) if name[:5] != "sizes"]
    by_digest: dict[str, np.ndarray] = {}
    for candidate in cells.batch(400, random.Random(1)):
        row = features([candidate])[0, structure]
        assert np.allclose(by_digest.setdefault(candidate.digest, row), row)
    assert len(by_digest) < 400


def test_paths_are_counted_on_the_live_part(cells: Space) -> None:
    features = Features(list(cells.batch(64, random.Random(0))))
    families = features._families
    conv3 = next(place for place, name in enumerate(families) if name == "conv")
    alone = next(
        row
        for row, weights in enumerate(features._paths)
        if weights.sum() == 1 and weights[conv3] == 1
    )
    # Edges in order: 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2.
    chain = raw(features, closed(cells, {"0": "conv3", "2": "conv3", "5": "conv3", "3": "skip"}))
    assert chain[f"paths:longest {alone:02d}"] == pytest.approx(1 + 3)  # stem
    assert chain[f"paths:shortest {alone:02d}"] == pytest.approx(1)
    dead = raw(features, closed(cells, {"0": "conv3", "2": "conv3", "3": "conv3"}))
    assert dead["counts:conv"] - chain["counts:conv"] == pytest.approx(1 - 3)


def test_skips_zeros_and_dead_ends_are_no_values(cells: Space) -> None:
    whole = live(closed(cells, {"3": "skip"}).graph)
    assert [value.op.kind for value in whole.values if value.op] == ["conv", "classifier_head"]
    nothing = live(closed(cells, {}).graph)
    assert len(nothing.values) < len(whole.values)


def test_families_do_not_depend_on_width() -> None:
    body = (
        Conv(channels=8)
        >> DepthwiseConv(kernel=5)
        >> Conv(channels=16)
        >> ClassifierHead(classes=10)
    )
    space = Space(body, {"image": Image(1, 8, 8)}, {"logits": Logits(10)}, check=None)
    families = [value.family for value in live(space.build({}).graph).values if value.op]
    assert families[0] == families[2]
    assert families[1] != families[0]


def test_groups_number_the_columns_without_gaps() -> None:
    space = some_space()
    sample = list(space.batch(64, random.Random(0)))
    features = Features(
        sample, encode=space.encode, extra=lambda one: {"bytes": float(one.cost.weight_bytes)}
    )
    names = [column.partition(":")[0] for column in features.columns]
    assert set(names) <= set(GROUPS)
    assert set(features.groups) == set(range(len(set(names))))
    assert len(set(zip(names, features.groups, strict=True))) == len(set(names))
    assert "extra:bytes" in features.columns


def test_a_space_without_choice_has_no_features() -> None:
    space = single_space()
    one = space.build({})
    features = Features([one, one], encode=space.encode)
    assert features.columns == ()
    assert features([one]).shape == (1, 0)

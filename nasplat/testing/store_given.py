"""What the conformance suite of stores starts from: a store, a study and trials."""

from __future__ import annotations

import pytest

from nasplat.store.records import Lease, NewStudy, NewTrial, SpaceRecord
from nasplat.store.store import Store

WORKER = Lease("worker", seconds=10.0)


def make_study(name: str = "demo", **changes: object) -> NewStudy:
    """A study of two objectives."""
    values: dict[str, object] = {
        "name": name,
        "space": SpaceRecord("hybrid-vit", "s1:1", 3 * 10**30, {"stages": 2}),
        "task": "digits",
        "task_fingerprint": "t1:digits",
        "objectives": [
            {"metric": "accuracy", "direction": "max"},
            {"metric": "latency_ms", "direction": "min"},
        ],
    }
    return NewStudy(**(values | changes))  # type: ignore[arg-type]  # the fields above, changed


def make_trials(count: int, start: int = 0) -> list[NewTrial]:
    """Distinct candidates; each was made from the one before it."""
    return [
        NewTrial(
            digest=f"g1:{index:032x}",
            genotype={"mixer": "conv", "depth": index},
            graph={"nodes": index},
            costs={"params": 100 + index, "macs": 200, "peak": 1.5},
            recipe={"lr": 0.1},
            recipe_key="r1:0",
            seed=7,
            proposed_by="random",
            origin={"parents": [index - 1] if index else []},
        )
        for index in range(start, start + count)
    ]


class GivenStore:
    """What every part of the suite starts from."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError("override the fixture `store` with one that opens your store")

    @pytest.fixture
    def running(self, store: Store) -> Store:
        """The store with the study ``demo`` of four waiting trials."""
        store.create_study(make_study())
        store.add_trials("demo", make_trials(4))
        return store

"""A study on a real PostgreSQL is the same study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nasplat.search.study import Study
from nasplat.store.records import TrialState


def outcome(study: Study) -> list[tuple[object, ...]]:
    return [(t.number, t.digest, t.state, t.fidelity, dict(t.metrics)) for t in study.trials()]


def test_a_search_on_postgresql_gives_what_it_gives_on_sqlite(
    create: Callable[..., Study], postgres_url: str, tmp_path: Path
) -> None:
    there = create("there", storage=postgres_url, strategy="nsga2", budget="20trials")
    here = create(
        "here", storage=f"sqlite:///{tmp_path / 'here.db'}", strategy="nsga2", budget="20trials"
    )
    for study in (there, here):
        study.run()
    assert outcome(there) == outcome(here)
    assert there.status()["front"] == here.status()["front"]
    frame = there.store.query("select digest, accuracy from front where study = 'there'")
    assert sorted(frame["digest"]) == sorted(there.status()["front"])


def test_a_stopped_search_on_postgresql_goes_on(
    create: Callable[..., Study], postgres_url: str
) -> None:
    create("there", storage=postgres_url, budget="5trials").run()
    again = Study.load("there", postgres_url)
    again.extend("9trials")
    again.run()
    assert all(trial.state in (TrialState.COMPLETE, TrialState.STOPPED) for trial in again.trials())
    assert len(again.trials()) == 9

"""The seams in a plain Tune script, as journeys.md section 6 has them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray.exceptions
from ray import tune

from nasplat.errors import Failure, UsageError
from nasplat.execute.base import Verdict
from nasplat.execute.callback import StudyCallback, why_died
from nasplat.execute.profile import Profile
from nasplat.execute.session import ray_session
from nasplat.execute.trainable import Settings, Trainable
from nasplat.execute.tune import ParetoRungs, StudyRungs, StudySearcher
from nasplat.testing.driver import MemoryDriver, make_job
from nasplat.testing.scripted import SPEC


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """Ray for all tests here."""
    with ray_session(Profile(name="test")):
        yield


def searcher_of(driver: MemoryDriver, folder: Path) -> StudySearcher:
    settings = Settings(evaluator=SPEC, scratch=str(folder / "scratch"))
    return StudySearcher(driver, settings=settings, concurrent=2)


def fit(folder: Path, callbacks: list[Any] | None = None, **config: Any) -> tune.ResultGrid:
    return tune.Tuner(
        Trainable,
        tune_config=tune.TuneConfig(num_samples=-1, reuse_actors=True, **config),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, callbacks=callbacks),
    ).fit()


def test_a_searcher_and_pareto_rungs_alone_record_a_study(tmp_path: Path) -> None:
    driver = MemoryDriver(
        [make_job(trial, accuracy=(9 - trial) / 10) for trial in range(8)]
        + [make_job(8, fail="diverged")]
    )
    fit(
        tmp_path,
        search_alg=searcher_of(driver, tmp_path),
        scheduler=ParetoRungs({"accuracy": "max"}, eta=2),
    )
    assert sorted(driver.finished) == list(range(8))
    assert driver.failed == [8]
    reached = {
        trial: max(call.value.fidelity for call in driver.of(trial) if call.name == "report")
        for trial in range(8)
    }
    # They come best first, so once two are at the rung most of the later ones stop there.
    assert reached[0] == 9
    assert sum(fidelity == 1 for fidelity in reached.values()) >= 4


def test_a_study_brings_its_own_settings(tmp_path: Path) -> None:
    class Study:
        """As much of a study as Tune sees."""

        settings = Settings(evaluator=SPEC, scratch="unused")
        profile = Profile(name="mine", cpus=0.5, timeout=77)
        folder = tmp_path / "study"

        def driver(self) -> MemoryDriver:
            return MemoryDriver([make_job(0)])

    searcher = StudySearcher(Study())
    assert searcher.settings == Settings(
        evaluator=SPEC,
        scratch=str(tmp_path / "study" / "checkpoints"),
        timeout=77,
        threads=1,
        request={"CPU": 0.5},
    )
    fit(tmp_path, search_alg=searcher)
    assert (tmp_path / "study" / "checkpoints" / "trial-0").is_dir()


def test_study_rungs_stop_by_the_studys_verdict(tmp_path: Path) -> None:
    driver = MemoryDriver(
        [make_job(trial) for trial in range(3)], verdict=lambda trial, report: Verdict.STOP
    )
    searcher = searcher_of(driver, tmp_path)
    fit(
        tmp_path,
        [StudyCallback(searcher)],
        search_alg=searcher,
        scheduler=StudyRungs(searcher),
    )
    assert sorted(driver.finished) == [0, 1, 2]
    assert driver.num_reports == 3


def test_pareto_rungs_work_for_any_trainable(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        for epoch in range(1, 5):
            tune.report({"epoch": epoch, "loss": config["x"], "size": 1.0})

    results = tune.Tuner(
        train,
        param_space={"x": tune.grid_search([0.0, 1.0, 2.0, 3.0])},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=1,
            scheduler=ParetoRungs(
                {"loss": "min", "size": "min"}, eta=2, rungs=(2,), fidelity="epoch"
            ),
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    ).fit()
    ended = [results[index].metrics or {} for index in range(len(results))]
    epochs = {result["loss"]: result["epoch"] for result in ended}
    assert epochs == {0.0: 4, 1.0: 2, 2.0: 2, 3.0: 2}


@pytest.mark.parametrize("metrics", [{}, {"accuracy": "up"}])
def test_pareto_rungs_refuse_directions_that_are_none(metrics: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="'max' or 'min'"):
        ParetoRungs(metrics)


def test_tune_can_pickle_the_seams_without_the_study(tmp_path: Path) -> None:
    searcher = searcher_of(MemoryDriver([]), tmp_path)
    for seam in (searcher, StudyRungs(searcher), StudyCallback(searcher)):
        assert b"MemoryDriver" not in pickle.dumps(seam)


def test_a_study_is_not_restored_from_tunes_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not restored from Tune's files"):
        searcher_of(MemoryDriver([]), tmp_path).restore("anywhere")


def test_deaths_of_workers_have_classes() -> None:
    died = ray.exceptions.ActorDiedError()
    assert why_died(died)[0] is Failure.LOST
    low: Any = ray.exceptions.OutOfMemoryError
    assert why_died(low("low"))[0] is Failure.OOM
    assert why_died(None)[0] is Failure.BUG

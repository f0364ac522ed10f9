"""Earlier studies inform a new one: which results, whose metrics, and the same again after a resume."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasplat.errors import BudgetSpentError, NotFoundError, UsageError
from nasplat.graph.serialise import graph_to_json
from nasplat.search.objectives import Objective
from nasplat.search.study import Study
from nasplat.search.transfer import earlier, informants
from nasplat.space.candidate import Candidate
from nasplat.store.records import FinishedTrial, NewReport, NewTrial, TrialState

Create = Callable[..., Study]

METRICS = ["accuracy:max", "params:min"]
GUIDED: dict[str, Any] = {
    "strategy": "guided",
    "options": {"drawn": 32, "varied": 16, "refined": 8},
    "objectives": METRICS,
    "budget": "100trials",
}


def accuracy(candidate: Candidate) -> float:
    """Best at a middle size."""
    return 1.0 - abs(math.log(candidate.cost.params / 3000.0)) / 10.0


def fill(study: Study, count: int, **metrics: Callable[[Candidate], float]) -> None:
    """Run trials whose metrics follow from the candidate."""
    for _ in range(count):
        try:
            trial = study.ask()
        except BudgetSpentError:
            return
        told = {name: of(trial.candidate) for name, of in metrics.items()}
        study.tell(trial, {"accuracy": accuracy(trial.candidate), **told})


def steps(study: Study) -> list[tuple[str, str]]:
    """Digest and origin of each trial."""
    return [(trial.digest, str(trial.origin.get("step"))) for trial in study.trials()]


def test_a_study_starts_from_what_an_earlier_one_learned(create: Create) -> None:
    before = create("before", objectives=METRICS, budget="100trials")
    fill(before, 30)
    ended = max(trial.ended or 0.0 for trial in before.trials())
    study = create("after", transfer=["before"], **GUIDED)
    assert study.settings.transfer == {"before": ended}
    fill(study, 2)
    assert [step for _, step in steps(study)][:2] == ["first, random", "first, by earlier searches"]
    assert Study.load("after", study.store).settings.transfer == {"before": ended}


def test_a_resume_proposes_the_same_although_the_earlier_study_has_grown(
    create: Create, tmp_path: Path
) -> None:
    before = create("before", objectives=METRICS, budget="100trials")
    fill(before, 20)
    before.store.close()
    shutil.copy(tmp_path / "results.db", tmp_path / "copy.db")

    whole = create("after", transfer=["before"], **GUIDED)
    fill(whole, 14)
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    part = create("after", transfer=["before"], storage=copy, **GUIDED)
    fill(part, 4)
    fill(Study.load("before", copy), 20)
    resumed = Study.load("after", copy)
    fill(resumed, 10)
    count = min(len(whole.trials()), len(resumed.trials()))
    assert count >= 14
    assert steps(resumed)[:count] == steps(whole)[:count]
    assert "acquisition" in {step for _, step in steps(whole)}


@pytest.mark.parametrize(
    ("theirs", "ours", "informs"),
    [
        (METRICS, METRICS, {"accuracy": "accuracy"}),
        (METRICS, ["f1:max", "accuracy:max"], {"f1": "accuracy", "accuracy": "accuracy"}),
        (["params:min", "loss:min", "accuracy:max"], ["f1:max"], {"f1": "loss"}),
        (["params:min", "loss:min"], ["accuracy:max"], {"accuracy": "accuracy"}),
        (["accuracy:max", "latency_ms:min"], ["loss:min", "latency_ms:min"],
         {"loss": "loss", "latency_ms": "latency_ms"}),
        (["latency_ms:min"], ["latency_ms:min", "top5_accuracy:max"], {"latency_ms": "latency_ms"}),
    ],
)  # fmt: skip
def test_metrics_inform_their_namesakes_and_the_main_score_informs_other_scores(
    create: Create, theirs: list[str], ours: list[str], informs: Mapping[str, str]
) -> None:
    before = create("before", objectives=theirs, budget="100trials")
    fill(before, 8, loss=lambda one: 1.0 - accuracy(one), latency_ms=lambda one: one.cost.macs)
    objectives = [Objective(*text.split(":")) for text in ours]  # type: ignore[arg-type]  # as written
    (found,) = informants(before.store, ["before", "before"], "guided", objectives)
    assert found.informs == informs
    assert found.results == 8
    (made,) = earlier(before.store, {"before": found.until}, objectives)
    assert sorted(made.values) == [
        place for place, one in enumerate(objectives) if one.metric in informs
    ]


def test_results_are_minimised_and_belong_to_their_candidates(create: Create) -> None:
    before = create("before", objectives=METRICS, budget="100trials")
    fill(before, 12)
    (made,) = earlier(before.store, {"before": np.inf}, [Objective("f1", "max")])
    assert made.name == "before"
    assert np.allclose(made.values[0], [-accuracy(one) for one in made.candidates])


def test_what_stopped_early_counts_as_it_would_at_the_last_rung(create: Create) -> None:
    before = create("before", objectives=["accuracy:max"], budget="100trials")
    drawn = dict.fromkeys(before.space.sample(before.strategy().rng_for(k)) for k in range(16))
    trials = []
    for number, candidate in enumerate(map(before.space.build, drawn)):
        final = accuracy(candidate)
        reports = [NewReport(3, {"accuracy": final - 0.5})]
        if number % 2:
            reports.append(NewReport(9, {"accuracy": final}))
        new = NewTrial(
            candidate.digest,
            dict(candidate.genotype),
            graph_to_json(candidate.graph),
            costs=candidate.cost.as_dict(),
        )
        state = TrialState.COMPLETE if number % 2 else TrialState.STOPPED
        trials.append(FinishedTrial(new, reports, state=state))
    before.store.record("before", trials)
    (made,) = earlier(before.store, {"before": np.inf}, [Objective("accuracy", "max")])
    assert len(made.candidates) == len(trials)
    assert np.allclose(made.values[0], [-accuracy(one) for one in made.candidates])


def test_what_cannot_inform_is_refused_with_the_next_step(create: Create, tmp_path: Path) -> None:
    before = create("before", objectives=METRICS, budget="100trials")
    fill(before, 7)

    def refused(kind: type[Exception] = UsageError, **options: Any) -> str:
        with pytest.raises(kind) as caught:
            create("after", **{**GUIDED, "transfer": ["before"], **options})
        return f"{caught.value} {getattr(caught.value, 'hint', '')}"

    assert "'before' has 7 results, too few" in refused()
    fill(before, 3)
    said = refused(objectives=["params:min", "macs:min"])
    assert "accuracy:max, params:min, nothing that informs params:min, macs:min" in said
    assert "take one that does: guided" in refused(strategy="random", options={})
    assert "unknown study 'befor'; known: before" in refused(NotFoundError, transfer=["befor"])
    missing = f"sqlite:///{tmp_path / 'none.db'}"
    assert "no database" in refused(NotFoundError, storage=missing)


def test_ops_of_an_earlier_study_must_still_be_there(create: Create, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text('"""No op at all."""\n')
    before = create("before", objectives=METRICS, budget="100trials", op_files=[str(file)])
    fill(before, 8)
    assert create("after", transfer=["before"], **GUIDED).settings.transfer
    file.unlink()
    with pytest.raises(UsageError, match=r"ops that are defined in .*mine\.py, which does not"):
        create("later", transfer=["before"], **GUIDED)

"""Zero-cost proxies as features of a strategy: by name, once for each architecture, charged to the study."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from nasplat.errors import UsageError
from nasplat.search import proxies
from nasplat.search.proxies import ProxyFeatures, resolved
from nasplat.search.study import Study
from nasplat.space.candidate import Candidate
from nasplat.space.load import load_space
from nasplat.tasks.digits import digits


@pytest.fixture
def candidate() -> Candidate:
    space = load_space("nasbench201", digits())
    return space.build(space.sample(random.Random(0)))


def test_names_become_features_and_other_options_stay() -> None:
    for given in ("synflow, naswot", ["synflow", "naswot"]):
        made = resolved({"first": 4, "extra": given}, digits(), 0)
        assert made["first"] == 4
        assert isinstance(made["extra"], ProxyFeatures)
        assert made["extra"].names == ("synflow", "naswot")
    assert set(resolved({"extra": "all"}, digits(), 0)["extra"].names) >= {"zen", "grasp"}


def test_what_is_no_name_stays_as_it_is() -> None:
    assert resolved({"extra": math.sin}, digits(), 0) == {"extra": math.sin}
    assert resolved({"first": 4}, digits(), 0) == {"first": 4}


@pytest.mark.parametrize(
    ("given", "said"),
    [("synflo", "unknown proxy 'synflo'"), ("params", "names no proxy"), ("", "unknown proxy ''")],
)
def test_names_that_are_none_are_refused(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolved({"extra": given}, digits(), 0)


def test_a_candidate_is_measured_once_and_its_time_is_charged(
    candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "CHARGED", 0.0)
    charged: list[float] = []
    features = ProxyFeatures(["naswot", "fisher"], digits(), 0, charged.append)
    first = features(candidate)
    assert set(first) == {"naswot", "fisher"}
    assert all(math.isfinite(value) for value in first.values())
    assert features(candidate) is first
    assert len(charged) == 1 and charged[0] == features.seconds > 0


def test_what_cannot_be_computed_is_zero(
    candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nasplat.evaluate.proxies import measure

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr(measure, "measure_proxies", fail)
    assert ProxyFeatures(["zen"], digits(), 0)(candidate) == {"zen": 0.0}


def make_study(tmp_path: Path, extra: str) -> Study:
    return Study.create(
        name="guided by proxies",
        space="nasbench201",
        task=digits(),
        budget="4trials",
        objectives=["naswot", "params"],
        evaluator={"kind": "proxies", "names": ["naswot"], "batch_size": 4},
        executor="inline",
        options={"extra": extra, "first": 2, "drawn": 4, "varied": 4, "refined": 4},
        storage=f"sqlite:///{tmp_path / 'proxies.db'}",
    )


def test_a_study_is_guided_by_proxies_and_pays_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "CHARGED", 0.0)
    study = make_study(tmp_path, "naswot")
    study.run()
    assert study.status()["trials"]["complete"] == 4
    paid = [entry for entry in study.store.ledger(study.name) if "proxies" in (entry.note or "")]
    assert sum(entry.used for entry in paid) > 0
    assert all(entry.unit == "cpu" for entry in paid)


def test_a_proxy_that_is_not_known_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown proxy 'naswott'"):
        make_study(tmp_path, "naswott")


def test_a_search_by_proxies_says_which_objectives_there_are(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "space": "nasbench201",
        "task": digits(),
        "budget": "4trials",
        "name": "by proxies",
    }
    storage = f"sqlite:///{tmp_path / 'none.db'}"
    for objectives, said in (([], "needs objectives"), (["accuracy"], "known: .*synflow")):
        with pytest.raises(UsageError, match=said):
            Study.create(
                **asked, objectives=objectives, evaluator={"kind": "proxies"}, storage=storage
            )

"""Part of the conformance suite of stores: studies, and trials before they run."""

from __future__ import annotations

import pytest

from nasplat.errors import NotFoundError, UsageError
from nasplat.store.records import SpaceRecord, StudyState, TrialState
from nasplat.store.store import Store
from nasplat.testing.store_given import WORKER, GivenStore, make_study, make_trials


class StudyRules(GivenStore):
    """Rules of studies and trials."""

    def test_a_study_comes_back_as_it_was_given(self, store: Store) -> None:
        given = make_study(settings={"rungs": [1, 3]}, budget={"gpu": 3600.0}, seed=2**40)
        made = store.create_study(given)
        assert made == store.study("demo") == store.studies()[0]
        assert {name: getattr(made, name) for name in vars(given)} == vars(given)
        assert made.state is StudyState.WAITING and made.created > 1e9

    def test_an_unknown_study_lists_the_known_ones_nearest_first(self, store: Store) -> None:
        for name in ("zebra", "flowers"):
            store.create_study(make_study(name))
        with pytest.raises(NotFoundError, match="unknown study 'flower'; known: flowers, zebra"):
            store.study("flower")

    def test_a_second_study_of_a_name_says_what_differs_and_how_to_go_on(
        self, store: Store
    ) -> None:
        store.create_study(make_study())
        other = make_study(space=SpaceRecord("nasbench201", "s1:2"), task="./flowers")
        with pytest.raises(UsageError) as caught:
            store.create_study(other, exist_ok=True)
        text = str(caught.value)
        assert "space hybrid-vit s1:1 there, nasbench201 s1:2 here" in text
        assert "task digits there, ./flowers here" in text
        assert "objectives" not in text and "nasplat resume demo" in text

    def test_an_equal_study_is_taken_again_only_when_that_is_wanted(self, store: Store) -> None:
        first = store.create_study(make_study())
        assert store.create_study(make_study(), exist_ok=True) == first
        with pytest.raises(UsageError, match="exists already"):
            store.create_study(make_study())

    def test_a_study_changes_only_in_what_is_given(self, store: Store) -> None:
        store.create_study(make_study(settings={"a": 1}))
        changed = store.update_study("demo", state=StudyState.STOPPING, budget={"gpu": 1.0})
        assert (changed.state, changed.budget, changed.settings) == (
            StudyState.STOPPING,
            {"gpu": 1.0},
            {"a": 1},
        )
        assert store.study_state("demo") is StudyState.STOPPING

    def test_trials_keep_the_version_of_the_space_they_came_from(self, running: Store) -> None:
        running.update_study("demo", space=SpaceRecord("hybrid-vit", "s1:2"))
        (number,) = running.add_trials("demo", make_trials(1, start=9))
        versions = [trial.space_version for trial in running.trials("demo")]
        assert versions == ["s1:1"] * 4 + ["s1:2"] and number == 4

    @pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 256])
    def test_a_study_name_that_no_table_can_hold_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(UsageError, match="the study name"):
            store.create_study(make_study(name))

    # trials

    def test_trials_are_numbered_in_order_within_their_study(self, store: Store) -> None:
        store.create_study(make_study())
        store.create_study(make_study("other"))
        assert store.add_trials("demo", make_trials(3)) == [0, 1, 2]
        assert store.add_trials("other", make_trials(2)) == [0, 1]
        assert store.add_trials("demo", make_trials(1)) == [3]
        assert store.add_trials("demo", []) == []

    def test_a_trial_comes_back_as_it_was_given(self, running: Store) -> None:
        given = make_trials(3)[2]
        trial = running.trial("demo", 2)
        for name in ("digest", "genotype", "graph", "costs", "recipe", "recipe_key", "origin"):
            assert getattr(trial, name) == getattr(given, name), name
        assert trial.state is TrialState.WAITING and trial.metrics == {} and trial.attempt == 0

    def test_equal_graphs_are_one_architecture(self, running: Store) -> None:
        running.create_study(make_study("other"))
        running.add_trials("other", [*make_trials(2), *make_trials(2)])
        frame = running.query("select digest, trials, studies from architectures order by digest")
        assert frame["trials"].tolist() == [3, 3, 1, 1]
        assert frame["studies"].tolist() == [2, 2, 1, 1]

    def test_trials_can_be_selected(self, running: Store) -> None:
        running.lease("demo", WORKER)
        assert [t.number for t in running.trials("demo", states=[TrialState.WAITING])] == [1, 2, 3]
        assert [t.number for t in running.trials("demo", after=1, limit=1)] == [2]
        assert [t.number for t in running.trials("demo", numbers=[3, 0])] == [0, 3]
        assert [t.number for t in running.trials(digest=f"g1:{2:032x}")] == [2]
        with pytest.raises(NotFoundError, match="has no trial 9"):
            running.trial("demo", 9)

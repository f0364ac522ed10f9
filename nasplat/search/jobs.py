"""From a candidate to what is stored of it and what a worker needs to evaluate it; plain data only."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from nasplat.evaluate.base import Job
from nasplat.execute.profile import Profile
from nasplat.graph.serialise import graph_to_json
from nasplat.search.history import known_metrics
from nasplat.search.settings import Settings
from nasplat.space.candidate import Candidate
from nasplat.store.records import NewTrial, TrialRecord
from nasplat.tasks.base import Task
from nasplat.tasks.recipe import PREFIX, Recipe


def trial_seed(study_seed: int, digest: str) -> int:
    """The seed of a candidate's evaluation, the same in every study with this seed; in [0, 2**31)."""
    text = f"{study_seed}:{digest}"
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


class JobMaker:
    """Makes the trials and jobs of one study.

    Args:
        study: Name of the study.
        seed: Its seed.
        task: Its task.
        settings: What is fixed for it.
        profile: What one trial gets.
    """

    def __init__(
        self, study: str, seed: int, task: Task, settings: Settings, profile: Profile
    ) -> None:
        self.study = study
        self.seed = seed
        self.task = task
        self.settings = settings
        self.profile = profile

    def new_trial(self, candidate: Candidate, origin: Mapping[str, Any]) -> NewTrial:
        """What is stored of a proposal."""
        plain = {name.removeprefix(PREFIX): value for name, value in candidate.recipe.items()}
        recipe = Recipe.from_mapping({**self.settings.recipe, **plain})
        length = f"{self.settings.fidelities[-1]} epochs"
        if recipe.weights == "bank":
            length += f" of {self.study}"  # what a bank gave depends on who used it before
        return NewTrial(
            digest=candidate.digest,
            genotype=candidate.genotype.to_json(),
            graph=graph_to_json(candidate.graph),
            costs=candidate.cost.as_dict(),
            recipe=recipe.to_json(),
            recipe_key=f"{recipe.key} {length}" if self.settings.trains else "",
            seed=trial_seed(self.seed, candidate.digest),
            proposed_by=str(origin.get("strategy", self.settings.strategy)),
            origin=origin,
        )

    def first(self, number: int, new: NewTrial, metrics: Mapping[str, float]) -> Job:
        """The first job of a trial, with what is known of its architecture already."""
        return self._job(number, new.digest, new.graph, new.recipe, new.seed, metrics, None)

    def again(self, record: TrialRecord) -> Job:
        """The job of a trial that was begun before; goes on from its last checkpoint."""
        return self._job(
            record.number,
            record.digest,
            record.graph,
            record.recipe,
            record.seed,
            known_metrics(record),
            record.checkpoint,
        )

    def _job(
        self,
        number: int,
        digest: str,
        graph: Mapping[str, Any],
        recipe: Mapping[str, Any],
        seed: int,
        metrics: Mapping[str, float],
        checkpoint: str | None,
    ) -> Job:
        return Job(
            trial=number,
            digest=digest,
            graph=graph,
            recipe=recipe,
            task=self.task.spec,
            fidelities=self.settings.fidelities,
            seed=seed,
            latency=None if "latency_ms" in metrics else self.settings.device,
            checkpoint=checkpoint,
            op_files=self.settings.op_files,
            timeout=self.profile.timeout or None,
        )

"""Optuna's samplers as strategies, through its public ask-and-tell interface [Akiba2019].

The study lives in memory and is rebuilt from what was told for every turn, so that a resumed search goes
on exactly as it would have. What is lost on the way: Optuna sees the flat parameters of a trial, not the
graph; two parameter sets of one digest look different to it, so duplicates are asked for again.

References:
    [Akiba2019] T. Akiba et al. Optuna: a next-generation hyperparameter optimization framework. KDD 2019.
"""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FixedTrial, TrialState, create_trial

from nasplat.search.strategies.base import Observation, Strategy, Turn

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

TRIES = 20
"""Samples for each candidate asked for, before random ones take over; a sampler of Optuna that is sure of
its choice repeats it for ever."""


class OptunaStrategy(Strategy):
    """Base of the adapters: a subclass says which sampler."""

    def __init__(self, space: Any, **options: Any) -> None:
        super().__init__(space, **options)
        self._known: dict[Any, tuple[dict[str, Any], dict[str, BaseDistribution]]] = {}

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """Make the sampler; called once for each turn."""

    def propose(self, turn: Turn) -> None:
        with _quiet():
            sampler = self.sampler(turn.rng.getrandbits(31))
            study = self._study(sampler)
            for candidate in turn.pending:
                study.add_trial(self._frozen(candidate, TrialState.RUNNING))
            for _ in range(TRIES * turn.count):
                if turn.full:
                    return
                trial = study.ask()
                candidate = self.space.suggest(trial)
                if turn.allows(candidate):
                    turn.accept(candidate, step=type(sampler).__name__)
                else:
                    study.tell(trial, state=TrialState.FAIL)

    def _study(self, sampler: BaseSampler) -> optuna.Study:
        study = optuna.create_study(directions=["minimize"] * self.objectives, sampler=sampler)
        for seen in self.trials:
            if seen[-1].final:
                self._add(study, sampler, seen[-1])
        return study

    def _add(self, study: optuna.Study, sampler: BaseSampler, result: Observation) -> None:
        if result.values is None:
            study.add_trial(self._frozen(result.candidate, TrialState.FAIL))
            return
        constraints = {"violation": result.violation}
        study.add_trial(self._frozen(result.candidate, TrialState.RUNNING, constraints=constraints))
        trial = study.get_trials(deepcopy=False)[-1]
        if isinstance(sampler, NSGAIISampler):  # generations are counted while trials run
            sampler.get_trial_generation(study, trial)
        study.tell(trial.number, list(result.values))

    def _frozen(
        self, candidate: Candidate, state: TrialState, **results: Any
    ) -> optuna.trial.FrozenTrial:
        params, distributions = self._parameters(candidate)
        return create_trial(state=state, params=params, distributions=distributions, **results)

    def _parameters(
        self, candidate: Candidate
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """The parameters under which Optuna would have suggested a candidate."""
        known = self._known.get(candidate.genotype)
        if known is None:
            trial = FixedTrial(dict(candidate.genotype))
            self.space.suggest(trial)
            known = self._known[candidate.genotype] = (trial.params, trial.distributions)
        return known


class OptunaRandom(OptunaStrategy):
    """``RandomSampler``: uniform over parameters, where ``random`` is uniform as the space says."""

    name = "optuna-random"

    def sampler(self, seed: int) -> BaseSampler:
        return RandomSampler(seed=seed)


class OptunaTPE(OptunaStrategy):
    """``TPESampler``, for one or several objectives.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        startup: Random candidates before it models.
        multivariate: Whether parameters are modelled jointly.
    """

    name = "optuna-tpe"

    def __init__(
        self, space: Any, *, startup: int = 10, multivariate: bool = False, **options: Any
    ) -> None:
        super().__init__(space, **options)
        self.startup = startup
        self.multivariate = multivariate

    def sampler(self, seed: int) -> BaseSampler:
        return TPESampler(
            seed=seed,
            n_startup_trials=self.startup,
            multivariate=self.multivariate,
            group=self.multivariate,
        )


class OptunaNSGA2(OptunaStrategy):
    """``NSGAIISampler``, on flat parameters; for spaces with conditions prefer ``nsga2``.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        population: Size of a generation, at least 2.
    """

    name = "optuna-nsga2"

    def __init__(self, space: Any, *, population: int = 20, **options: Any) -> None:
        super().__init__(space, **options)
        self.population = population

    def sampler(self, seed: int) -> BaseSampler:
        return NSGAIISampler(seed=seed, population_size=self.population)


class OptunaGP(OptunaStrategy):
    """``GPSampler``: expected improvement, of the hypervolume where there are several objectives.

    Args:
        space: As for every strategy; so are the other arguments not listed here.
        startup: Random candidates before it models.
    """

    name = "optuna-gp"

    def __init__(self, space: Any, *, startup: int = 10, **options: Any) -> None:
        super().__init__(space, **options)
        self.startup = startup

    def sampler(self, seed: int) -> BaseSampler:
        return GPSampler(seed=seed, n_startup_trials=self.startup, warn_independent_sampling=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Optuna says about every trial, and that its parts are experimental; restore after."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)

"""The methods that nasplat is measured against, each with code of its own and used as its users would.

Optuna's samplers are asked and told directly: what they propose again is evaluated, and counted, again.
The other methods are in ``rivals.py`` and ``bananas.py``. None of it is used by any search of nasplat.

References:
    [Akiba2019] T. Akiba et al. Optuna: a next-generation hyperparameter optimization framework. KDD 2019.
"""

from __future__ import annotations

import inspect
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nasplat.errors import UsageError

if TYPE_CHECKING:
    from nasplat.space.candidate import Candidate

Values = tuple[float, ...]


class Peer(ABC):
    """A method that proposes candidates and is told what became of each, in the same order.

    Args:
        space: Where candidates come from: a space, or the part of it that a table has rows for.
        objectives: Number of objectives, all minimised.
        seed: Seed of everything random.
    """

    def __init__(self, space: Any, *, objectives: int = 1, seed: int = 0) -> None:
        self.space = space
        self.objectives = objectives
        self.seed = seed

    @abstractmethod
    def ask(self, count: int) -> list[Candidate]:
        """Propose up to ``count`` candidates; none where the method knows that there are no others."""

    @abstractmethod
    def tell(self, candidate: Candidate, values: Values | None) -> None:
        """Take note of a result; ``None`` when it failed."""


class OptunaPeer(Peer):
    """One study of Optuna in memory.

    Where a table holds a part of its space only, what Optuna draws leads to the nearest row, and Optuna
    is asked for exactly that row: the parameters that it is told of are those that were evaluated.

    Args:
        sampler: Makes the sampler from a seed.
        space: As for every peer; so are the other arguments.
    """

    def __init__(self, sampler: Callable[[int], Any], space: Any, **arguments: Any) -> None:
        super().__init__(space, **arguments)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study = optuna.create_study(
                directions=["minimize"] * self.objectives, sampler=sampler(self.seed)
            )
        self._open: deque[tuple[Any, Candidate]] = deque()

    def ask(self, count: int) -> list[Candidate]:
        return [self._ask() for _ in range(count)]

    def tell(self, candidate: Candidate, values: Values | None) -> None:
        from optuna.trial import FixedTrial, TrialState, create_trial

        if self._open and self._open[0][1] is candidate:
            trial, _ = self._open.popleft()
            if values is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, list(values))
            return
        fixed = FixedTrial(dict(candidate.genotype))
        self._suggest(fixed)
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING, params=fixed.params, distributions=fixed.distributions
            )
        )
        self._count_generation()
        number = self._study.get_trials(deepcopy=False)[-1].number
        if values is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, list(values))

    def _ask(self) -> Candidate:
        from optuna.trial import TrialState

        trial = self._study.ask()
        candidate = self._suggest(trial)
        if hasattr(self.space, "near"):
            row = self.space.near(candidate.genotype)
            if row != candidate.genotype:
                self._study.tell(trial, state=TrialState.FAIL)
                self._study.enqueue_trial(dict(row))
                trial = self._study.ask()
                self._count_generation()
                candidate = self._suggest(trial)
        self._open.append((trial, candidate))
        return candidate

    def _count_generation(self) -> None:
        """Let NSGA-II count the newest trial, whose parameters it did not draw itself."""
        count = getattr(self._study.sampler, "get_trial_generation", None)
        if count is not None:
            count(self._study, self._study.get_trials(deepcopy=False)[-1])

    def _suggest(self, trial: Any) -> Candidate:
        whole = getattr(self.space, "whole", self.space)
        candidate: Candidate = whole.suggest(trial)
        return candidate


def optuna_random(space: Any, **arguments: Any) -> Peer:
    """Random search."""
    return OptunaPeer(lambda seed: _samplers().RandomSampler(seed=seed), space, **arguments)


def optuna_tpe(space: Any, **arguments: Any) -> Peer:
    """Tree-structured Parzen estimators, each parameter by itself."""
    return OptunaPeer(
        lambda seed: _samplers().TPESampler(seed=seed, multivariate=False), space, **arguments
    )


def optuna_tpe_multivariate(space: Any, **arguments: Any) -> Peer:
    """Tree-structured Parzen estimators over all parameters together, grouped by what is active.

    Where nothing is open only at times this is what Optuna 5 does by itself with one objective.
    """
    return OptunaPeer(
        lambda seed: _samplers().TPESampler(seed=seed, multivariate=True, group=True),
        space,
        **arguments,
    )


def optuna_gp(space: Any, **arguments: Any) -> Peer:
    """A Gaussian process on the parameters."""
    return OptunaPeer(
        lambda seed: _samplers().GPSampler(seed=seed, warn_independent_sampling=False),
        space,
        **arguments,
    )


def optuna_nsga2(space: Any, *, population: int = 20, **arguments: Any) -> Peer:
    """NSGA-II; a generation as small as searches of some hundred evaluations need."""
    return OptunaPeer(
        lambda seed: _samplers().NSGAIISampler(seed=seed, population_size=population),
        space,
        **arguments,
    )


def _samplers() -> Any:
    from optuna import samplers

    return samplers


PEERS: Mapping[str, tuple[str, str]] = {
    "bananas": ("nasplat.bench.bananas", "Bananas"),
    "local-search": ("nasplat.bench.rivals", "LocalSearch"),
    "optuna-gp": (__name__, "optuna_gp"),
    "optuna-nsga2": (__name__, "optuna_nsga2"),
    "optuna-random": (__name__, "optuna_random"),
    "optuna-tpe": (__name__, "optuna_tpe"),
    "optuna-tpe-multivariate": (__name__, "optuna_tpe_multivariate"),
    "regularised-evolution": ("nasplat.bench.rivals", "RegularisedEvolution"),
}
"""Module and name of what makes each peer."""


def make_peer(
    name: str,
    space: Any,
    *,
    objectives: int = 1,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Peer:
    """Make a peer by name.

    Args:
        name: One of :data:`PEERS`.
        space: Where candidates come from.
        objectives: Number of objectives.
        seed: Seed of everything random.
        options: Settings of the method, such as ``{"population": 50}``.

    Raises:
        UsageError: The peer has no such option.
    """
    check_options(name, options or {})
    module, attribute = PEERS[name]
    made: Peer = getattr(import_module(module), attribute)(
        space, objectives=objectives, seed=seed, **dict(options or {})
    )
    return made


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that a peer does not have.

    Raises:
        UsageError: One is not known; the known ones are listed.
    """
    module, attribute = PEERS[name]
    parameters = inspect.signature(getattr(import_module(module), attribute)).parameters.values()
    allowed = sorted(
        one.name
        for one in parameters
        if one.kind is one.KEYWORD_ONLY and one.name not in ("objectives", "seed")
    )
    if offending := sorted(set(options) - set(allowed)):
        raise UsageError(
            f"{name!r} has no option {', '.join(map(repr, offending))}; "
            f"it has: {', '.join(allowed) or 'none'}"
        )

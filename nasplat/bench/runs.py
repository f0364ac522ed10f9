"""Many searches of one problem: side by side in processes, each kept in a file as soon as it is done.

A folder of runs holds what a report needs, without the table. Runs that are there already are not run
again, as long as the code of the strategy is the same; runs of earlier code stay in the file and are
followed by the new ones.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplat.bench.earlier import EarlierTable
from nasplat.bench.harness import BATCH, run_problem, with_transfer
from nasplat.bench.measures import Problem
from nasplat.bench.peers import PEERS, make_peer
from nasplat.bench.searchers import check
from nasplat.bench.trace import Trace
from nasplat.errors import NotFoundError, UsageError
from nasplat.search.strategies.table import make_strategy

if TYPE_CHECKING:
    from nasplat.bench.table import Table

FILE = "runs.jsonl"
"""Name of the file in a folder of runs: one JSON object in each line."""
SOURCES = ("nasplat.search.strategies", "nasplat.predict", "nasplat.pareto")
"""Packages and modules whose code decides what a strategy of nasplat proposes."""

Key = tuple[str, str, int, int, int]


@dataclass
class Runs:
    """What is known of one problem.

    Attributes:
        problem: What is searched.
        traces: The newest run of each search.
        code: Digest of the code that each was run with.
    """

    problem: Problem
    traces: dict[Key, Trace] = field(default_factory=dict)
    code: dict[Key, str] = field(default_factory=dict)

    def by_strategy(self) -> dict[str, list[Trace]]:
        """The runs of each strategy with its settings, by seed: those that were made like the last one.

        Of runs of one length, in batches of one size and with one code: others are not comparable.
        """
        found: dict[str, dict[Key, Trace]] = {}
        for key, trace in self.traces.items():
            found.setdefault(trace.label, {})[key] = trace
        chosen = {}
        for label, traces in sorted(found.items()):
            last = list(traces)[-1]
            like = (self.code[last], last[3:])
            same = [one for key, one in traces.items() if (self.code[key], key[3:]) == like]
            chosen[label] = sorted(same, key=lambda one: one.seed)
        return chosen


def key_of(trace: Trace) -> Key:
    """What tells one search of a problem from another."""
    options = json.dumps(trace.options, sort_keys=True)
    return trace.strategy, options, trace.seed, trace.evaluations, trace.batch


def read(folder: Path) -> list[Runs]:
    """The problems of a folder with their runs, in the order in which they were first run.

    A last line that was cut short is left out.

    Raises:
        NotFoundError: The folder holds no runs.
        UsageError: Another line cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        raise NotFoundError(
            f"{folder} holds no runs", hint="Make some: nasplat bench run TABLE --out FOLDER"
        )
    found: dict[str, Runs] = {}
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        try:
            data = json.loads(line)
            problem = Problem.from_json(data["problem"])
            trace = Trace.from_json(data["run"])
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) - 1 and not line.endswith("}"):
                break
            raise UsageError(
                f"line {number + 1} of {file} is no run: {error}",
                hint="Delete the line or the file; what is missing is run again.",
            ) from error
        runs = found.setdefault(json.dumps(data["problem"], sort_keys=True), Runs(problem))
        key = key_of(trace)
        runs.traces.pop(key, None)  # what was run again stands last
        runs.traces[key] = trace
        runs.code[key] = data["code"]
    return list(found.values())


def known_runs(folder: Path, problem: Problem) -> Runs:
    """The runs of one problem in a folder; none where there is no folder yet."""
    if (folder / FILE).is_file():
        for runs in read(folder):
            if runs.problem == problem:
                return runs
    return Runs(problem)


@lru_cache(maxsize=64)
def code_of(strategy: str) -> str:
    """Digest of the code that decides what a strategy or a peer proposes."""
    digest = blake2b(digest_size=8)
    for file in _files(strategy):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _files(strategy: str) -> Iterator[Path]:
    if strategy in PEERS:
        modules = {"nasplat.bench.peers", PEERS[strategy][0]}
        yield from (Path(str(_spec(name).origin)) for name in sorted(modules))
        return
    if ".py:" in strategy:
        yield Path(strategy.rpartition(":")[0]).expanduser()
    for name in SOURCES:
        origin = Path(str(_spec(name).origin))
        package = origin.name == "__init__.py"
        yield from sorted(origin.parent.glob("**/*.py")) if package else [origin]


def _spec(name: str) -> Any:
    found = find_spec(name)
    assert found is not None, name
    return found


@dataclass(frozen=True)
class Plan:
    """Searches that are asked for: each strategy with each seed.

    Attributes:
        strategies: Names.
        seeds: How many, from 0.
        evaluations: Of each search.
        batch: Candidates asked for at once.
        options: Settings, given to every strategy.
        transfer: Tables of which rows are known to every strategy from before.
    """

    strategies: Sequence[str]
    seeds: int
    evaluations: int
    batch: int = BATCH
    options: Mapping[str, Any] = field(default_factory=dict)
    transfer: Sequence[EarlierTable] = ()

    @property
    def told(self) -> dict[str, Any]:
        """The settings in words."""
        return with_transfer(self.options, self.transfer)

    def searches(self) -> list[tuple[str, int]]:
        """Strategy and seed of each; all strategies of one seed, then those of the next."""
        return [(name, seed) for seed in range(self.seeds) for name in self.strategies]


def run_all(
    table: Table,
    problem: Problem,
    plan: Plan,
    *,
    processes: int = 1,
    out: Path | None = None,
    done: Callable[[Trace, int, int], None] | None = None,
) -> Runs:
    """Run what is asked for and not known yet.

    Args:
        table: The table.
        problem: What is searched in it.
        plan: The searches.
        processes: Searches side by side.
        out: Folder of runs, made where there is none; ``None`` keeps nothing.
        done: Called after each search with its trace, how many are done, and how many there are.

    Returns:
        The runs that the plan asks for, and no others.

    Raises:
        UsageError: Something that is asked for cannot be run; nothing was started.
    """
    if not plan.strategies or plan.seeds < 1 or processes < 1:
        raise UsageError(
            "a benchmark needs at least one strategy, one seed and one process, got "
            f"{len(plan.strategies)}, {plan.seeds} and {processes}"
        )
    for name in plan.strategies:
        check(problem, name, plan.evaluations, plan.told)
        options = dict(plan.options)
        if plan.transfer:
            options["transfer"] = [one.results(problem.objectives, 0) for one in plan.transfer]
        make = make_peer if name in PEERS else make_strategy
        make(name, table.searched, options=options)  # refuses settings out of their range
    if plan.batch < 1:
        raise UsageError(f"a batch holds at least 1 candidate, got {plan.batch}")
    known = Runs(problem) if out is None else known_runs(out, problem)
    wanted = Runs(problem)
    missing = []
    for name, seed in plan.searches():
        key = (name, json.dumps(plan.told, sort_keys=True), seed, plan.evaluations, plan.batch)
        if known.code.get(key) == code_of(name):
            wanted.traces[key], wanted.code[key] = known.traces[key], known.code[key]
        else:
            missing.append((name, seed))
    total = len(plan.searches())
    for trace in _traces(table, problem, plan, missing, processes):
        key = key_of(trace)
        wanted.traces[key], wanted.code[key] = trace, code_of(trace.strategy)
        if out is not None:
            _append(out, problem, trace)
        if done is not None:
            done(trace, len(wanted.traces), total)
    return wanted


def _append(out: Path, problem: Problem, trace: Trace) -> None:
    out.mkdir(parents=True, exist_ok=True)
    line = {
        "problem": problem.to_json(),
        "run": trace.to_json(),
        "code": code_of(trace.strategy),
    }
    file = out / FILE
    cut = file.is_file() and file.stat().st_size and not file.read_bytes().endswith(b"\n")
    if cut:  # an earlier run was ended in the middle of a line
        text = file.read_text(encoding="utf-8")
        file.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


_shared: dict[str, Any] = {}
"""What forked processes find where they were forked."""


def _traces(
    table: Table,
    problem: Problem,
    plan: Plan,
    searches: Iterable[tuple[str, int]],
    processes: int,
) -> Iterator[Trace]:
    """The searches' traces as they come."""
    searches = list(searches)
    _shared.update(table=table, problem=problem, plan=plan)
    if processes == 1 or len(searches) < 2:
        for search in searches:
            yield _one(search)
        return
    # Children find the table in the memory that they were forked with: reading it again takes longer
    # than most searches.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(processes, len(searches)), mp_context=context) as pool:
        waiting: set[Future[Trace]] = {pool.submit(_one, search) for search in searches}
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _one(search: tuple[str, int]) -> Trace:
    name, seed = search
    plan: Plan = _shared["plan"]
    return run_problem(
        _shared["table"],
        _shared["problem"],
        name,
        evaluations=plan.evaluations,
        seed=seed,
        batch=plan.batch,
        options=plan.options,
        transfer=plan.transfer,
    )

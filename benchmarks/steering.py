"""Measures strategies and predictors on published tables of real results.

Three questions. How many evaluations until the best cell of NAS-Bench-201 is found [Dong2020], and which
share of the hypervolume of the true front is reached after some evaluations of two objectives: accuracy
and latency of NAS-Bench-201 cells on real devices [Li2021], perplexity and latency of GPTs [Sukthanker2024].
How well does each recipe of predictors/ order cells that it was not fitted on?
Candidates are typed graphs of real spaces; only the training is looked up.

    python benchmarks/steering.py --data DATA                    # all three, all strategies, 20 seeds
    python benchmarks/steering.py --data DATA --part optimum --seeds 5 --strategies guided evolution

DATA holds ``nasbench201/`` and ``hw_gpt_benchmarks/`` as .npz files without pickles; without it nothing is
measured, which is said in one line. Every architecture counts once by its digest: a table row whose
digest came earlier in the table is that earlier row.

References:
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
    [Li2021] C. Li et al. HW-NAS-Bench: hardware-aware neural architecture search benchmark. ICLR 2021.
    [Sukthanker2024] R. S. Sukthanker et al. HW-GPT-Bench. NeurIPS 2024.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplat import content
from nasplat.graph.types import Image, Logits, TensorType
from nasplat.ops.attention import SelfAttention
from nasplat.ops.conv import Conv
from nasplat.ops.ffn import MLP
from nasplat.ops.head import ClassifierHead
from nasplat.predict.quality import kendall_tau
from nasplat.predict.targets import RankNormal
from nasplat.predict.threads import one_thread
from nasplat.search.pareto import Frame
from nasplat.search.strategies.base import Observation
from nasplat.search.strategies.table import make_strategy
from nasplat.space.candidate import Candidate
from nasplat.space.decisions import Choice, Int
from nasplat.space.genotype import Genotype
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space

Floats = NDArray[np.float64]

OPTIMUM = {"c10": "nb201-c10", "c100": "nb201-c100"}
FRONTS = (
    "nb201-c10 edgegpu_latency",
    "nb201-c100 pixel3_latency",
    "nb201-c100 raspi4_latency",
    "nb201-c10 eyeriss_energy",
    "hwgpt-s a100",
)
STRATEGIES = ("random", "evolution", "nsga2", "local", "optuna-tpe", "guided")
MARKS = (50, 100, 200)
ROWS = (16, 32, 50, 100, 128)
BATCH = 5


@dataclass(frozen=True)
class Task:
    """What a space file needs to know."""

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]


@dataclass(frozen=True)
class Table:
    """A space with the result of every candidate.

    Attributes:
        space: Where strategies look.
        values: Objectives of each architecture, ``(n, m)``, minimised; NaN where there is no result.
        row: The row of a candidate.
    """

    space: Any
    values: Floats
    row: Callable[[Candidate], int]


@lru_cache(maxsize=1)
def cells() -> tuple[Space, dict[str, int], NDArray[np.int64]]:
    """The space of NAS-Bench-201, the first table row of each digest, and these rows.

    One cell for each stage instead of five: the same cells, cheaper to describe.
    """
    module = content.load_file(content.find("space", "nasbench201", "search_spaces"))
    task = Task({"image": Image(3, 32, 32)}, {"logits": Logits(10)})
    space: Space = module.space(task, cells=1)
    names = [f"{target}<-{source}" for target, source in module.EDGES]
    with np.load(data_folder() / "nasbench201" / "accuracy.npz") as table:
        assert list(table["edges"]) == names and tuple(table["op_names"]) == module.OPS
        rows = table["ops"]
    first: dict[str, int] = {}
    for number, ops in enumerate(rows):
        genotype = {path: module.OPS[op] for path, op in zip(module.PATHS, ops, strict=True)}
        first.setdefault(space.build(genotype).digest, number)
    return space, first, np.array(sorted(first.values()))


def nasbench201(data_set: str, device: str | None = None) -> Table:
    """Validation error in %, and the latency or energy of a device where one is named."""
    space, first, rows = cells()
    folder = data_folder() / "nasbench201"
    with np.load(folder / "accuracy.npz") as table:
        columns = [100.0 - table[f"ep200_{data_set}_val"].astype(float)]
    if device is not None:
        with np.load(folder / "hardware.npz") as table:
            place = list(table["hwnasbench_columns"]).index(device)
            measured = table[f"hwnasbench_{data_set}"][:, place].astype(float)
        columns.append(np.where(measured > 0, measured, np.nan))
    values = np.full((len(columns[0]), len(columns)), np.nan)
    values[rows] = np.stack(columns, axis=1)[rows]
    return Table(space, values, lambda candidate: first[candidate.digest])


class Rows:
    """The part of a space that a table has rows for: variation leads to the nearest row."""

    def __init__(self, space: Space, genotypes: Sequence[Genotype]) -> None:
        self.space: Space = space
        self.genotypes: list[Genotype] = list(genotypes)
        self.codes = np.array([space.encode(genotype) for genotype in genotypes])
        self.build, self.encode, self.size = space.build, space.encode, lambda: len(genotypes)

    def default(self) -> Genotype:
        return self.genotypes[0]

    def sample(self, rng: random.Random) -> Genotype:
        return self.genotypes[rng.randrange(len(self.genotypes))]

    def near(self, genotype: Genotype, other_than: Sequence[Genotype]) -> Genotype:
        distance = np.abs(self.codes - self.space.encode(genotype)).sum(1)
        nearest = np.argsort(distance, kind="stable")[: len(other_than) + 1].tolist()
        return next(one for row in nearest if (one := self.genotypes[int(row)]) not in other_than)

    def mutate(self, genotype: Genotype, rng: random.Random) -> Genotype:
        return self.near(self.space.mutate(genotype, rng), [genotype])

    def crossover(self, one: Genotype, other: Genotype, rng: random.Random) -> Genotype:
        return self.near(self.space.crossover(one, other, rng), [one, other])

    def neighbours(self, genotype: Genotype) -> Iterator[Genotype]:
        distance = np.abs(self.codes - self.space.encode(genotype)).sum(1)
        yield from (self.genotypes[row] for row in np.argsort(distance, kind="stable")[1:25])


@lru_cache(maxsize=1)
def transformers() -> tuple[Rows, dict[Any, int]]:
    """The GPTs of HW-GPT-S as transformers over 1,024 positions, and the row of each."""
    block = Residual(SelfAttention(heads=Choice(4, 8, 12))) >> Residual(MLP(ratio=Choice(2, 3, 4)))
    body = (
        Conv(channels=Choice(192, 384, 768), kernel=1)
        >> Repeat(block, times=Int(10, 12))
        >> ClassifierHead(classes=10)
    )
    space = Space(
        body,
        {"tokens": Image(1, 32, 32)},
        {"logits": Logits(10)},
        recipe={"bias": Choice(False, True)},
        name="hwgpt-s",
        check=None,
    )
    with np.load(data_folder() / "hw_gpt_bench" / "hwgpt_s.npz") as table:
        wanted = ("embed_dim", "n_layer", "n_head", "mlp_ratio", "bias")
        told = [table[name] for name in wanted]
    genotypes = []
    for width, depth, heads, ratios, bias in zip(*told, strict=True):
        values: dict[str, Any] = {
            "conv.channels": int(width),
            "repeat.times": int(depth),
            "recipe.bias": bool(bias),
        }
        for layer in range(int(depth)):
            values[f"repeat.{layer}.self_attention.heads"] = int(heads[layer])
            values[f"repeat.{layer}.mlp.ratio"] = int(ratios[layer])
        genotypes.append(space.build(values).genotype)
    rows: dict[Any, int] = {}
    for number, genotype in enumerate(genotypes):
        rows.setdefault(genotype, number)
    return Rows(space, list(rows)), rows


def hwgpt(device: str) -> Table:
    """Perplexity, and the latency of a device in ms."""
    space, rows = transformers()
    with np.load(data_folder() / "hw_gpt_bench" / "hwgpt_s.npz") as table:
        latency = table["lat_ms_median"][:, list(table["lat_devices"]).index(device)]
        values = np.stack([table["perplexity"], latency], axis=1).astype(float)
    return Table(space, values, lambda candidate: rows[candidate.genotype])


def search(table: Table, name: str, seed: int, budget: int, stop: float | None = None) -> Floats:
    """Values in the order of evaluations; ends early once the first objective is at ``stop``."""
    objectives = table.values.shape[1]
    strategy = make_strategy(name, table.space, objectives=objectives, seed=seed)
    met: list[Floats] = []
    while len(met) < budget:
        proposals = strategy.ask(min(BATCH, budget - len(met)))
        if not proposals:
            break
        for proposal in proposals:
            values = table.values[table.row(proposal.candidate)]
            failed = bool(np.isnan(values).any())
            told = None if failed else tuple(float(value) for value in values)
            strategy.tell(Observation(len(met), proposal.candidate, told))
            met.append(values)
            if stop is not None and values[0] <= stop:
                return np.array(met)
    return np.array(met)


def evaluations(data_set: str, name: str, seed: int, budget: int) -> int:
    """Evaluations until the best cell, one more than the budget when it is not found."""
    table = nasbench201(data_set)
    best = float(np.nanmin(table.values))
    met = search(table, name, seed, budget, stop=best)
    return len(met) if met[-1, 0] <= best else budget + 1


def shares(problem: str, name: str, seed: int) -> list[float]:
    """Share of the true front's hypervolume after each of MARKS evaluations."""
    benchmark, _, device = problem.partition(" ")
    table = hwgpt(device) if benchmark == "hwgpt-s" else nasbench201(benchmark[6:], device)
    known = table.values[~np.isnan(table.values).any(1)]
    frame = Frame(tuple(known.min(0)), tuple(known.max(0)))
    whole = frame.hypervolume(known)
    met = search(table, name, seed, MARKS[-1])
    return [
        frame.hypervolume([row for row in met[:mark] if not np.isnan(row).any()]) / whole
        for mark in MARKS
    ]


def taus(recipe: str, data_set: str, seed: int) -> list[float]:
    """Held-out Kendall's tau of a recipe after each of ROWS training cells.

    Cells are drawn as published figures draw them: from all 15,625, isomorphic ones included.
    """
    table = nasbench201(data_set)
    module = content.load_file(content.find("predictor", recipe, "predictors"))
    features, model = module.predictor(table.space)
    candidates = list(table.space.batch(2000, random.Random(seed)))
    X = features(candidates)
    y = np.array([table.values[table.row(candidate), 0] for candidate in candidates])
    met = []
    for rows in ROWS:
        model.fit(X[:rows], RankNormal(y[:rows]).forward(y[:rows]))
        met.append(kendall_tau(model.predict(X[rows:])[0], y[rows:]))
    return met


def data_folder() -> Path:
    """The folder of tables, as told to this process and its children."""
    return Path(sys.argv[sys.argv.index("--data") + 1])


def optimum_part(arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """Print median evaluations to the optimum."""
    print(f"evaluations until the best cell of NAS-Bench-201, median of {arguments.seeds} seeds")
    for data_set, label in OPTIMUM.items():
        for name in arguments.strategies:
            begun = time.perf_counter()
            task = partial(evaluations, data_set, name, budget=arguments.budget)
            counts = sorted(pool.map(task, range(arguments.seeds)))
            seconds = (time.perf_counter() - begun) / arguments.seeds
            found = sum(count <= arguments.budget for count in counts)
            print(
                f"  {label:<12} {name:<12} {statistics.median(counts):6.1f}   "
                f"found by {found}/{len(counts)} within {arguments.budget}   {seconds:.1f} s a search",
                flush=True,
            )


def front_part(arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """Print median hypervolume shares."""
    marks = ", ".join(map(str, MARKS))
    print(f"share of the true hypervolume after {marks} evaluations, median of {arguments.seeds}")
    for problem in FRONTS:
        if arguments.problem and arguments.problem not in problem:
            continue
        for name in arguments.strategies:
            begun = time.perf_counter()
            table = np.array(list(pool.map(partial(shares, problem, name), range(arguments.seeds))))
            seconds = (time.perf_counter() - begun) / arguments.seeds
            medians = "  ".join(f"{share:.4f}" for share in np.median(table, axis=0))
            print(f"  {problem:<26} {name:<12} {medians}   {seconds:.1f} s a search", flush=True)


def tau_part(arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """Print the held-out rank correlation of every predictor recipe."""
    seeds = min(arguments.seeds, 5)
    print(f"Kendall's tau on held-out cells after {ROWS} rows, mean of {seeds} seeds")
    for data_set, label in OPTIMUM.items():
        for recipe in content.names("predictors"):
            table = np.array(list(pool.map(partial(taus, recipe, data_set), range(seeds))))
            means = "  ".join(f"{tau:.3f}" for tau in table.mean(0))
            print(f"  {label:<12} {recipe:<12} {means}", flush=True)


def main() -> None:
    """Read the command line and print figures."""
    parser = argparse.ArgumentParser(
        description="Measures strategies on published tables of real results."
    )
    parser.add_argument("--data", type=Path, help="folder of tables")
    parser.add_argument("--part", choices=["optimum", "front", "tau", "all"], default="all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=300, help="evaluations in part optimum")
    parser.add_argument("--problem", default="", help="part of the name of a front, for part front")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.data is None or not (arguments.data / "nasbench201").is_dir():
        print(f"skipped: no folder of tables at {arguments.data}; give one with --data")
        return
    with one_thread(), ProcessPoolExecutor(arguments.processes) as pool:
        if arguments.part in ("optimum", "all"):
            optimum_part(arguments, pool)
        if arguments.part in ("front", "all"):
            front_part(arguments, pool)
        if arguments.part in ("tau", "all"):
            tau_part(arguments, pool)


if __name__ == "__main__":
    main()

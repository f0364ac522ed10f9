"""Compares strategies on the task of a space: real training, equal budget, several seeds.

    python benchmarks/space_search.py                                  # hybrid-vit on digits, 40 trials each
    python benchmarks/space_search.py --space unet --budget 3min --seeds 3 --strategies guided random
    python benchmarks/space_search.py --objectives accuracy:max macs:min --epochs 3      # without measuring

Prints the median over seeds of the hypervolume, measured in one frame for all searches: a metric to be
maximised from 0 to 1, every other objective from 0 to the largest value that any search met. Trials of one
process at a time run inline on one thread; ``--processes`` runs several searches side by side, which disturbs
measured latency.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

# Before torch and onnxruntime are loaded: one thread for each search.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from nasplat.search.pareto import Frame
from nasplat.search.study import Study
from nasplat.space.load import default_task
from nasplat.tasks.load import load_task

Values = list[tuple[float, ...]]
Run = tuple[str, int]


def search(run: Run, arguments: argparse.Namespace) -> Values:
    """The (minimised) objectives of every complete trial of one search."""
    name, seed = run
    metrics = [objective.partition(":")[0] for objective in arguments.objectives]
    signs = [-1.0 if one.endswith(":max") else 1.0 for one in arguments.objectives]
    with tempfile.TemporaryDirectory() as folder:
        study = Study.create(
            f"{name}-{seed}",
            space=arguments.space,
            task=arguments.task,
            budget=arguments.budget,
            storage=f"sqlite:///{Path(folder) / 'results.db'}",
            objectives=arguments.objectives,
            strategy=name,
            executor="inline",
            epochs=arguments.epochs,
            min_epochs=arguments.min_epochs or arguments.epochs,
            seed=seed,
        )
        study.run()
        rows = study.trials_dataframe()
        rows = rows[rows["state"].isin(["complete", "stopped"])][metrics].dropna()
        study.store.close()
    return [
        tuple(sign * float(value) for sign, value in zip(signs, row, strict=True))
        for row in rows.to_numpy()
    ]


def main() -> None:
    """Run all searches and print the comparison."""
    parser = argparse.ArgumentParser(description="Compares strategies by real training.")
    parser.add_argument("--space", default="hybrid-vit")
    parser.add_argument("--task", default="", help="the space's own by default")
    parser.add_argument("--objectives", nargs="+", help="the task's metric and macs by default")
    parser.add_argument("--strategies", nargs="+", default=["guided", "nsga2", "random"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", default="40trials", help="of each search")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--min-epochs", type=int, default=0, help="first rung; none by default")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    arguments.task = arguments.task or default_task(arguments.space)
    if not arguments.objectives:
        (metric, direction), *_ = load_task(arguments.task).metrics.items()
        arguments.objectives = [f"{metric}:{direction}", "macs:min"]
    runs = [(name, seed) for seed in range(arguments.seeds) for name in arguments.strategies]
    begun = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        found = dict(zip(runs, pool.map(partial(search, arguments=arguments), runs), strict=True))
    everything = [row for values in found.values() for row in values]
    bounded = [objective.endswith(":max") for objective in arguments.objectives]
    worst = [
        0.0 if top else max(c)
        for top, c in zip(bounded, zip(*everything, strict=True), strict=True)
    ]
    frame = Frame(tuple(-1.0 if top else 0.0 for top in bounded), tuple(worst))
    print(
        f"{arguments.space} on {arguments.task}, {arguments.budget} each, hypervolume by seed and median "
        f"({' '.join(arguments.objectives)})"
    )
    for name in arguments.strategies:
        volumes = [frame.hypervolume(found[name, seed]) for seed in range(arguments.seeds)]
        trials = [len(found[name, seed]) for seed in range(arguments.seeds)]
        each = " ".join(f"{volume:.4f}" for volume in volumes)
        print(f"  {name:<10} {each}   median {statistics.median(volumes):.4f}   trials {trials}")
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()

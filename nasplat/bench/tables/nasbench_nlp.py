"""NAS-Bench-NLP: recurrent cells of any wiring as language models on WikiText-2, with whole curves.

A cell reads the word and up to three states and makes as many new ones; its nodes stand in the order of
the table. Losses are known after each of 50 epochs; four cells diverged. Cells that were trained several
times have the means of their curves. Seconds are those of training.

References:
    [Klyuchnikov2022] N. Klyuchnikov et al. NAS-Bench-NLP: neural architecture search benchmark for natural
        language processing. IEEE Access 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasplat.bench.opaque import TableOp
from nasplat.bench.source import Floats, Source, merged, records
from nasplat.bench.table import SECONDS, Table
from nasplat.errors import UsageError
from nasplat.graph.op import Expression
from nasplat.graph.types import Vector
from nasplat.ops.merge import Add
from nasplat.ops.norm import Activation
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Case, Choice, Int
from nasplat.space.genotype import Genotype
from nasplat.space.repeat import Repeat
from nasplat.space.space import Space
from nasplat.space.wiring import Each, Parallel, Pick, Recall, Shared, Steps, Tap

FILE = "nasbench_nlp/nlp_wikitext2.jsonl.gz"
WIDTH = 600
INPUTS = ("x", "h_prev_0", "h_prev_1", "h_prev_2")
NODES = 15
STATES = 3
EPOCHS = 50
OPTIONS = {
    ("linear", 2): "linear2",
    ("linear", 3): "linear3",
    ("blend", 3): "blend",
    ("elementwise_sum", 2): "sum",
    ("elementwise_prod", 2): "product",
    ("activation_sigm", 1): "sigmoid",
    ("activation_tanh", 1): "tanh",
    ("activation_leaky_relu", 1): "leaky_relu",
}
"""The option for an op and how many values it reads."""
REFERENCE = "N. Klyuchnikov et al. NAS-Bench-NLP. IEEE Access 2022"
TITLE = "NAS-Bench-NLP: recurrent cells on WikiText-2, losses after each of 50 epochs"


def space() -> Space:
    """Up to 15 nodes, each reading any inputs and earlier nodes, and which nodes are the new states."""
    count = Int(1, NODES, name="nodes")
    nodes = {
        f"node{number}": Repeat(
            Shared(f"node{number}", _node(number)),
            times=Case(count, {total: int(total > number) for total in range(1, NODES + 1)}),
            share="decisions",
        )
        for number in range(NODES)
    }
    ends = {total: Shared(f"ends{total}", _ends(total)) for total in range(1, NODES + 1)}
    body = Steps(
        inputs=Each(*(Tap(name, output=False) for name in INPUTS)) >> Pick(0),
        **nodes,
        ends=Match(count, ends),
    )
    return Space(body, dict.fromkeys(INPUTS, Vector(WIDTH)), name="nb-nlp", check=None)


def _source(names: Sequence[str]) -> Expression:
    """One of the values that there are."""
    return Match(Choice(*names), {name: Recall(name) >> Pick(1) for name in names})


def _node(number: int) -> Expression:
    """One op on up to three earlier values."""
    names = (*INPUTS, *(f"node{earlier}" for earlier in range(number)))
    a, b, c = (Shared(f"node{number}.{place}", _source(names)) for place in "abc")
    op = Choose(
        linear2=Parallel(a, b, fuse=TableOp(name="linear", symmetric=True)),
        linear3=Parallel(a, b, c, fuse=TableOp(name="linear", symmetric=True)),
        blend=Parallel(a, b, c, fuse=TableOp(name="blend", weightless=True)),
        sum=Parallel(a, b, fuse=Add()),
        product=Parallel(a, b, fuse=TableOp(name="product", symmetric=True, weightless=True)),
        sigmoid=a >> TableOp(name="sigmoid", weightless=True),
        tanh=a >> TableOp(name="tanh", weightless=True),
        leaky_relu=a >> Activation(form="leaky_relu"),
    )
    return Steps(op=op, keep=Tap(f"node{number}", output=False))


def _ends(count: int) -> Expression:
    """Which of so many nodes are the new states."""
    names = [f"node{number}" for number in range(count)]
    states = [
        Shared(f"ends{count}.h{number}", _source(names[::-1])) >> Tap(f"h_new_{number}")
        for number in range(STATES)
    ]
    return Match(
        Int(1, STATES, name=f"ends{count}.states"),
        {number: Parallel(*states[:number]) for number in range(1, STATES + 1)},
    )


def read(data: Path) -> Table:
    """The table, a sample of the space, at 50 fidelities."""
    held = records(data / FILE)
    results: dict[int, dict[str, Floats]] = {}
    curves = {
        f"{split}_loss": _curves(record[f"{split}_losses"] for record in held)
        for split in ("val", "train", "test")
    }
    curves[SECONDS] = np.cumsum(_curves(record["wall_times"] for record in held), axis=1)
    params = np.array([float(record["num_params"]) for record in held])
    for epoch in range(EPOCHS):
        at = {name: curve[:, epoch] for name, curve in curves.items()}
        results[epoch + 1] = {**at, "params": params}
    genotypes = [genotype(record["recepie"]) for record in held]
    means = {epoch: merged(genotypes, at)[1] for epoch, at in results.items()}
    return Table(
        name="nb-nlp",
        title=TITLE,
        space=space(),
        genotypes=list(dict.fromkeys(genotypes)),
        results=means,
        metrics={"val_loss": "min", "train_loss": "min", "test_loss": "min", "params": "min"},
        objectives=("val_loss",),
        reference=REFERENCE,
        continues=True,
    )


def _curves(rows: Any) -> Floats:
    """One row for each cell; NaN after it diverged."""
    whole = [list(row)[:EPOCHS] for row in rows]
    return np.array([row + [np.nan] * (EPOCHS - len(row)) for row in whole], dtype=float)


def genotype(recipe: Mapping[str, Mapping[str, Any]]) -> Genotype:
    """The genotype of a cell as the table writes it: by node, its op and what it reads.

    Raises:
        UsageError: The nodes read one another in a circle.
    """
    order: list[str] = []
    while len(order) < len(recipe):
        ready = [
            name
            for name, node in recipe.items()
            if name not in order and all(one in order or one not in recipe for one in node["input"])
        ]
        if not ready:
            raise UsageError(f"the nodes {', '.join(set(recipe) - set(order))} read in a circle")
        order.append(ready[0])
    names = {name: f"node{number}" for number, name in enumerate(order)}
    values: dict[str, Any] = {"nodes": len(order)}
    for name in order:
        read = recipe[name]["input"]
        values[f"{names[name]}.op"] = OPTIONS[recipe[name]["op"], len(read)]
        for place, one in zip("abc", read, strict=False):
            values[f"{names[name]}.{place}"] = names.get(one, one)
    ends = f"ends{len(order)}"
    states = [f"h_new_{number}" for number in range(STATES) if f"h_new_{number}" in recipe]
    values[f"{ends}.states"] = len(states)
    values |= {f"{ends}.h{number}": names[state] for number, state in enumerate(states)}
    return Genotype(values)


SOURCES = (Source("nb-nlp", TITLE, (FILE,), read, REFERENCE),)

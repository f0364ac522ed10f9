"""NAS-Bench-Graph: networks of four graph layers in nine wirings, on four graphs of nodes to classify.

A layer reads the input or one layer before it, and the leaves are concatenated; a skip that would put the
input itself beside other leaves is left out. By these rules and the digest the space has 26,206
architectures beside the one without any layer: those of the table. Accuracies are shares of 1, latency is
in seconds, parameters in millions.

References:
    [Qin2022] Y. Qin et al. NAS-Bench-Graph: benchmarking graph neural architecture search. NeurIPS 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nasplat.bench.opaque import TableOp
from nasplat.bench.source import Source, arrays
from nasplat.bench.table import Table
from nasplat.graph.op import Expression
from nasplat.graph.types import Tokens
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.genotype import Genotype
from nasplat.space.space import Space
from nasplat.space.wiring import Named, Parallel, Pick, Shared, Steps, Tap

FILE = "nasbench_graph/nasbench_graph.npz"
LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
"""What each layer reads, in the order of the table's numbers: 0 is the input, 1 the first layer, ..."""
OPS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
INPUT = "projected"
DATA_SETS = ("arxiv", "photo", "citeseer", "computers")
METRICS = {"valid_accuracy": "max", "test_accuracy": "max", "latency_s": "min", "params_m": "min"}
REFERENCE = "Y. Qin et al. NAS-Bench-Graph. NeurIPS 2022"


def space() -> Space:
    """Nine wirings of four layers, each one of nine ops."""
    layers = [Shared(f"layer{number}", _layer()) for number in range(1, 5)]
    wirings = {link: _wired(link, layers) for link in LINKS}
    body = Steps(
        project=TableOp(name="project") >> Tap(INPUT, output=False),
        links=Match(Choice(*LINKS), wirings),
        head=TableOp(name="classify"),
    )
    return Space(body, {"nodes": Tokens(64, 64)}, name="nb-graph", check=None)


def _layer() -> Choose:
    made: dict[str, Expression] = {name: TableOp(name=name) for name in OPS if name != "skip"}
    return Choose(**made, skip=Pick(0))


def _wired(link: str, layers: list[Shared]) -> Expression:
    """The tree of a wiring, its leaves side by side."""

    def below(number: int) -> list[Expression]:
        branches: list[Expression] = []
        for place, source in enumerate(link, start=1):
            if int(source) != number:
                continue
            named = Named(f"layer{place}", layers[place - 1])
            after = below(place)
            branches.append(named >> _beside(after) if after else named)
        return branches

    return _beside(below(0)) >> _Leaves(TableOp(name="concat", symmetric=True))


def _beside(branches: list[Expression]) -> Expression:
    return branches[0] if len(branches) == 1 else Parallel(*branches)


@dataclass(frozen=True, eq=False)
class _Leaves(Combinator):
    """Merges the leaves without the projected input, unless there is nothing else."""

    merge: Expression

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """The merge stands here."""
        part = compiler.part(self.merge, place)

        def emit(run: Run, refs: Refs) -> Refs:
            leaves = tuple(ref for ref in refs if ref != run.memory[INPUT])
            return part.emit(run, leaves or refs[:1])

        return Part(part.plan, emit)


def read(data_set: str, data: Path) -> Table:
    """The table of a data set."""
    held = arrays(data / FILE)
    genotypes = []
    for number in held["hash"].tolist():
        digits = f"{number:05d}"
        values = {"links": LINKS[int(digits[0])]}
        values |= {f"layer{place}": OPS[int(digit)] for place, digit in enumerate(digits[1:], 1)}
        genotypes.append(Genotype(values))
    nothing = dict.fromkeys(genotypes[0], "skip") | {"links": LINKS[-1]}
    genotypes.append(Genotype(nothing))  # the one architecture that was not trained
    measured = np.vstack([held[data_set].astype(float), np.full(len(METRICS), np.nan)])
    results = dict(zip(METRICS, measured.T, strict=True))
    return Table(
        name=f"nb-graph-{data_set}",
        title=_title(data_set),
        space=space(),
        genotypes=genotypes,
        results={1: results},
        metrics=METRICS,
        objectives=("valid_accuracy",),
        reference=REFERENCE,
        covers=True,
    )


def _title(data_set: str) -> str:
    return f"NAS-Bench-Graph: graph networks of four layers on {data_set}"


SOURCES = tuple(
    Source(f"nb-graph-{name}", _title(name), (FILE,), partial(read, name), REFERENCE)
    for name in DATA_SETS
)

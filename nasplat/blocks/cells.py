"""Searched cells: what stands on their edges, how they are wired, how they are stacked into networks.

References:
    [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: differentiable architecture search. ICLR 2019.
    [Liu2018] H. Liu et al. Hierarchical representations for efficient architecture search. ICLR 2018.
    [Cai2018] H. Cai et al. Path-level network transformation for efficient architecture search. ICML 2018.
    [Brock2018] A. Brock et al. SMASH: one-shot model architecture search through hypernetworks. ICLR 2018.
    [Dong2020] X. Dong, Y. Yang. NAS-Bench-201. ICLR 2020.
    [Chen2021] H. Chen et al. Binarized neural architecture search for efficient object recognition. 2021.
    [Wang2023] X. Chu et al. D-DARTS: distributed differentiable architecture search. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from nasplat.graph.op import Expression
from nasplat.ops.conv import Conv, SeparableConv
from nasplat.ops.conv_cell import ReLUConvBN
from nasplat.ops.hyper import Code, GeneratedConv, Hypernetwork
from nasplat.ops.merge import Add, Concat, Split
from nasplat.ops.norm import Activation, BatchNorm
from nasplat.ops.resample import Identity, Pool, Zero
from nasplat.space.cell import Cell
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Case, Choice, Int
from nasplat.space.quantised import Quantised
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, Parallel, Pick, Shared, Steps, Tied


@dataclass(frozen=True)
class Cells:
    """What all cells of one network share.

    Attributes:
        width: Channels of a node in the first stage, a number or a decision.
        kernels: Sides of convolutions.
        nodes: Nodes that a cell adds, from the least to the most.
        depths: Cells in a stage beside the one that halves the image.
        stages: Stages of the network.
    """

    width: Any
    kernels: tuple[int, ...]
    nodes: tuple[int, int]
    depths: tuple[int, ...]
    stages: int

    def channels(self, stage: int) -> Any:
        """Channels of a node in a stage: twice as many in each."""
        return self.width * (1 << stage)

    def depth(self, slot: str) -> Any:
        """The decision for the cells of a stage."""
        return Choice(*self.depths, name=f"{slot}.depth")


def operations(cells: Cells, stride: int = 1) -> Expression:
    """What stands on an edge: nothing, the input, a convolution or a pool [Liu2019].

    Args:
        cells: What the network shares.
        stride: 2 on edges that halve the image.
    """
    kernels = cells.kernels

    def size() -> Any:
        return Choice(*kernels)

    separable = SeparableConv(kernel=size(), stride=stride, repeats=2, pre_activation=True)
    dilated = SeparableConv(kernel=size(), stride=stride, dilation=2, pre_activation=True)
    binary = ReLUConvBN(kernel=size(), stride=stride)
    options: dict[str, Expression] = {
        "none": Zero(stride=stride),
        "identity": Identity() if stride == 1 else ReLUConvBN(kernel=1, stride=stride),
        "conv": ReLUConvBN(kernel=size(), stride=stride),
        "sep_conv": separable,
        "dil_conv": dilated,
        "max_pool": Pool(mode="max", kernel=3, stride=stride),
        "avg_pool": Pool(mode="avg", kernel=3, stride=stride),
        "binary_conv": Quantised(binary, weight=1, activation=1),
    }
    return Steps(op=Choose(**options))


def two_input_cell(cells: Cells, stride: int = 1) -> Cell:
    """Nodes that add up an op on two of the earlier values each, then all of them side by side."""
    return Cell(
        operations(cells),
        nodes=Int(*cells.nodes, default=cells.nodes[1]),
        inputs=2,
        pick=2,
        entry=operations(cells, stride) if stride > 1 else None,
        output=Concat(project=False),
    )


def step(
    cells: Cells, stage: int, cell: Expression, strides: tuple[int, int] = (1, 1)
) -> Expression:
    """``(before, last) -> (last, new)``: a cell on the two latest values, each mapped to its width."""
    width = cells.channels(stage)
    entered = Each(*(ReLUConvBN(channels=width, kernel=1, stride=stride) for stride in strides))
    return Parallel(last=Pick(1), new=entered >> cell)


def stack(cells: Cells, slot: str, *, per_depth: bool = False) -> Expression:
    """Normal and reducing cells in a row; each sees the two before it [Liu2019].

    Args:
        cells: What the network shares.
        slot: Path below which the decisions stand.
        per_depth: Whether every place has a cell of its own [Wang2023], or there is one normal cell and
            one that reduces.
    """
    normal = Shared(f"{slot}.normal", two_input_cell(cells))
    reduce = Shared(f"{slot}.reduce", two_input_cell(cells, stride=2))

    def cell(place: str, stride: int = 1) -> Expression:
        if per_depth:
            return Shared(f"{slot}.{place}", two_input_cell(cells, stride))
        return normal if stride == 1 else reduce

    parts: dict[str, Expression] = {"begin": Pick(0, 0)}
    for stage in range(cells.stages):
        if stage:
            parts[f"reduce{stage}"] = step(cells, stage, cell(f"reduce{stage}", 2))
            # The older of the two values still has the size from before the reduction.
            first = cell(f"stage{stage}.first")
            parts[f"first{stage}"] = step(cells, stage, first, strides=(2, 1))
        inner = two_input_cell(cells) if per_depth else normal
        depth = cells.depth(f"{slot}.stage{stage}")
        share = "nothing" if per_depth else "decisions"
        cells_of_stage = Repeat(step(cells, stage, inner), depth, share=share)  # type: ignore[arg-type]  # one of the two
        parts[f"stage{stage}"] = cells_of_stage
    return Steps(**parts, end=Pick(1))


def row(cells: Cells, slot: str, body: Expression) -> Expression:
    """Stages of one-input bodies that look alike, with residual blocks that halve the image between."""
    parts: dict[str, Expression] = {}
    for stage in range(cells.stages):
        if stage:
            width = cells.channels(stage)
            halves = ReLUConvBN(channels=width, stride=2) >> ReLUConvBN(channels=width)
            around = Pool(mode="avg", kernel=3, stride=2) >> Conv(channels=width, kernel=1)
            parts[f"reduce{stage}"] = Residual(halves, skip=around)
        depth = cells.depth(f"{slot}.stage{stage}")
        parts[f"stage{stage}"] = Repeat(body, depth, share="decisions")
    return Steps(**parts)


def fixed_edges(cells: Cells, slot: str) -> Expression:
    """A cell in which every earlier value feeds every node [Dong2020]."""
    return Shared(f"{slot}.cell", Cell(operations(cells), nodes=cells.nodes[1]))


def nested(cells: Cells, slot: str, motifs: int = 6) -> Expression:
    """A cell whose edges carry motifs, which are small cells whose edges carry ops [Liu2018].

    Args:
        cells: What the network shares.
        slot: Path below which the decisions stand.
        motifs: How many motifs edges choose among.
    """
    low, high = cells.nodes[0], min(3, cells.nodes[1])
    made = {
        f"motif{number}": Shared(
            f"{slot}.motif{number}",
            Cell(operations(cells), nodes=Int(low, high), pick=(1, 2)),
        )
        for number in range(motifs)
    }
    edge = Steps(motif=Choose(**made, none=Zero(), identity=Identity()))
    whole = Cell(edge, nodes=high, common=tuple(made.values()))
    return Shared(f"{slot}.cell", whole >> BatchNorm())


def tree(cells: Cells, levels: int = 2) -> Expression:
    """An op, or a fork into two trees whose results meet [Cai2018].

    A fork hands all channels to both branches, which are added or put side by side and mixed, or half
    of them to each.

    Args:
        cells: What the network shares.
        levels: How many forks may follow each other.
    """
    leaf = operations(cells)
    if not levels:
        return leaf
    replicated = Parallel(
        left=tree(cells, levels - 1),
        right=tree(cells, levels - 1),
        fuse=Steps(merge=Choose(sum=Add(), concat=Concat())),
    )
    halves = Each(left=tree(cells, levels - 1), right=tree(cells, levels - 1))
    split = Split() >> halves >> Concat(project=False)
    return Steps(fork=Choose(none=leaf, replicate=replicated, split=split))


def paths(cells: Cells, slot: str) -> Expression:
    """A tree in place of the convolution of a residual block."""
    grown = tree(cells)
    return Shared(f"{slot}.tree", Residual(BatchNorm() >> grown))


def memory_bank(cells: Cells, slot: str, stage: int, slots: int = 3, layers: int = 3) -> Expression:
    """Layers that read some places of a memory and add what they make to one [Brock2018].

    The weights of their convolutions are their own, or one hypernetwork makes them all from the pattern
    of what is read and written.

    Args:
        cells: What the network shares.
        slot: Path below which the decisions stand.
        stage: Which stage of the network it is.
        slots: Places of the memory, each of the width of the stage.
        layers: Number of layers.
    """
    width, kernel = cells.channels(stage), 3
    sets = [chosen for size in range(1, slots + 1) for chosen in combinations(range(slots), size)]
    names = {"+".join(map(str, chosen)): chosen for chosen in sets}
    reads = [Choice(*names, name=f"{slot}.layer{layer}.reads") for layer in range(layers)]
    writes = [Choice(*range(slots), name=f"{slot}.layer{layer}.writes") for layer in range(layers)]
    pattern = [
        Case(read, {name: float(place in chosen) for name, chosen in names.items()})
        for read in reads
        for place in range(slots)
    ] + [
        Case(write, {value: float(value == place) for value in range(slots)})
        for write in writes
        for place in range(slots)
    ]
    columns = slots * width * kernel * kernel
    maker = Tied(f"{slot}.hypernetwork", Hypernetwork(rows=width, columns=columns))
    source = Choice("generated", "dense", name="weights")
    parts: dict[str, Expression] = {"fill": Pick(*[0] * slots)}
    for layer in range(layers):
        which = tuple(float(layer == other) for other in range(layers))
        values: tuple[Any, ...] = (*which, *pattern)
        code = Code(values=values)
        made = Parallel(Identity(), code >> maker, fuse=GeneratedConv(kernel=kernel))
        own = Conv(channels=width, kernel=kernel, bias=False)
        conv = Match(source, {"generated": made, "dense": own})
        seen = {
            name: Each(*(Identity() if place in chosen else Zero() for place in range(slots)))
            for name, chosen in names.items()
        }
        news = Match(reads[layer], seen) >> Concat(project=False) >> conv
        news = news >> BatchNorm() >> Activation(form="relu")
        written = {
            place: Parallel(
                *(
                    Pick(other, slots) >> Add() if other == place else Pick(other)
                    for other in range(slots)
                )
            )
            for place in range(slots)
        }
        every = Parallel(kept=Pick(*range(slots)), news=news)
        parts[f"layer{layer}"] = Steps(compute=every, write=Match(writes[layer], written))
    return Steps(**parts, join=Concat())


def banks(cells: Cells, slot: str) -> Expression:
    """A memory bank in each stage, with strided convolutions between."""
    parts: dict[str, Expression] = {}
    for stage in range(cells.stages):
        if stage:
            width = cells.channels(stage)
            parts[f"reduce{stage}"] = ReLUConvBN(channels=width, stride=2)
        parts[f"stage{stage}"] = memory_bank(cells, f"{slot}.stage{stage}", stage)
    return Steps(**parts)

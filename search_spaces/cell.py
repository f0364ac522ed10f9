"""Cells: small graphs that are searched once and stacked into a network.

Papers (the choices are theirs; the space as a whole is ours):
    DARTS: H. Liu et al. ICLR 2019.                       D-DARTS: X. Chu et al. 2023.
    Hierarchical representations: H. Liu et al. ICLR 2018. RC-DARTS: X. Jin et al. 2019.
    Path-level transformation: H. Cai et al. ICML 2018.   SMASH: A. Brock et al. ICLR 2018.
    Binarized NAS: H. Chen et al. AAAI 2020.              NAS-Bench-201: X. Dong, Y. Yang. ICLR 2020.

Six ways to wire a cell: two inputs and nodes that pick two sources (one cell for all depths, or one for
each), fixed edges, motifs of motifs, trees of paths, and layers that read and write a memory, whose weights
a hypernetwork may make. On edges stand the ops of DARTS and binary convolutions; the cells may have few
bits.

Size and cost follow from the image by one rule (:func:`sizes`):

    image      candidates   parameters of most random candidates
    8x8        2.2e+49      5 k .. 75 k
    32x32      1.5e+177     75 k .. 1.9 M
    224x224    1.5e+177     0.7 M .. 18 M (1,000 classes)

Command:
    nasplat search --space cell --task digits --budget 10min
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasplat.blocks.cells import Cells, banks, fixed_edges, nested, paths, row, stack
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Image, Logits, show_types
from nasplat.ops.head import ClassifierHead
from nasplat.ops.norm import Activation, BatchNorm
from nasplat.ops.patch import ConvStem
from nasplat.space.axes import Axis, Numeric, Rule
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.load import Typed, Types
from nasplat.space.quantised import Quantised
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

EXAMPLES: Mapping[str, Types] = {
    "digits": Types({"image": Image(1, 8, 8)}, {"logits": Logits(10)}),
    "photos": Types({"image": Image(3, 32, 32)}, {"logits": Logits(10)}),
}
SMALLEST = 4
"""Least side of an image: it is halved once at least."""
STACKED = ("two_input_dag", "per_depth_cells", "fixed_edges", "nested_motifs")
"""Wirings of which the network is a stack of cells."""


def _every(pattern: str, *values: bool | int | float | str) -> Rule:
    return Rule({pattern: values})


OPERATIONS = (
    "none",
    "identity",
    "conv",
    "sep_conv",
    "dil_conv",
    "max_pool",
    "avg_pool",
    "binary_conv",
)
BITS = (32, 8, 4, 2, 1)
AXES: Mapping[str, Axis] = {
    "macro_topology": {
        "cell_stack": _every("wiring", *STACKED),
        "hierarchical": _every("wiring", "tree_paths", "memory_bank"),
    },
    "stage_depths": Numeric("**.depth"),
    "stage_widths": Numeric("width"),
    "cell_wiring": {
        name: _every("wiring", name) for name in (*STACKED, "tree_paths", "memory_bank")
    },
    "cell_operation": {name: _every("**.op", name) for name in OPERATIONS},
    "conv_type": {
        "standard": _every("**.op", "conv", "none", "identity", "max_pool", "avg_pool"),
        "separable": _every("**.op", "sep_conv", "none", "identity", "max_pool", "avg_pool"),
        "binary": Rule({"weight_bits": (1,), "activation_bits": (1,)}),
    },
    "conv_kernel_size": Numeric("**.kernel"),
    "branch_topology": {
        "single": _every("wiring", "memory_bank"),
        "tree": _every("wiring", "tree_paths"),
        "multi_path_block": _every("wiring", *STACKED),
    },
    "branch_fusion": {
        "sum": (
            Rule({"wiring": ("tree_paths",), "**.merge": ("sum",)}),
            _every("wiring", *STACKED),
        ),
        "concat": (
            Rule({"wiring": ("tree_paths",), "**.merge": ("concat",)}),
            _every("wiring", "two_input_dag", "per_depth_cells"),
        ),
    },
    "weight_sharing": {
        "none": _every("wiring", *STACKED, "tree_paths"),
        "hypernetwork": Rule({"wiring": ("memory_bank",), "weights": ("generated",)}),
    },
    "weight_bits": {str(bits): _every("weight_bits", bits) for bits in BITS},
    "activation_bits": {str(bits): _every("activation_bits", bits) for bits in BITS},
    "quant_scheme": {
        "qat": _every("weight_bits", 8, 4, 2),
        "binary": Rule({"weight_bits": (1,), "activation_bits": (1,)}),
    },
    "linear_type": {
        "dense": _every("weights", "dense"),
        "generated": Rule({"wiring": ("memory_bank",), "weights": ("generated",)}),
    },
}
"""For each axis of the survey that concerns cells, its options."""


@dataclass(frozen=True)
class Sizes:
    """The domains that follow from the size of an image; by default from one rule (:func:`sizes`).

    Attributes:
        widths: Channels of a node in the first stage; twice as many in each later one.
        depths: Cells in a stage, beside the one that halves the image and the one behind it.
        nodes: Least and most nodes that a cell adds.
        kernels: Sides of convolutions.
        stages: Stages, each with half the side of the one before.
        stride: Of the stem, a power of two.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    nodes: tuple[int, int]
    stages: int
    stride: int
    kernels: tuple[int, ...] = (3, 5)


def sizes(side: int) -> Sizes:
    """The rule for an image of this shorter side: at most 56 positions behind the stem, 4 to 7 at the end."""
    stride = 1 << max(0, math.ceil(math.log2(side / 56)))
    stages = min(3, max(2, int(math.log2(side / stride / 4)) + 1))
    small = stages == 2
    width = 8 if small else 16 * min(3, stride)
    return Sizes(
        widths=(width // 2, width * 3 // 4, width, width * 3 // 2),
        depths=(1, 2) if small else (1, 2, 3, 4),
        nodes=(2, 3) if small else (2, 4),
        stages=stages,
        stride=stride,
    )


def space(task: Typed, *, recipe: bool = True, sizes: Sizes | None = None) -> Space:
    """The space for images and classes of a task.

    Args:
        task: One ``Image`` of at least 4x4 in, one ``Logits`` out.
        recipe: Whether learning rate and label smoothing are decisions, or left to the trainer.
        sizes: Domains of the decisions; None: by the rule of :func:`sizes`.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    image, logits = inputs[0], outputs[0]
    if (
        len(inputs) != 1
        or len(outputs) != 1
        or not isinstance(image, Image)
        or not isinstance(logits, Logits)
        or min(image.height, image.width) < SMALLEST
    ):
        raise SpaceError(
            f"cell maps one Image of at least {SMALLEST}x{SMALLEST} to one Logits; "
            f"the task maps {show_types(inputs)} to {show_types(outputs)}"
        )
    chosen = sizes or _default(image)
    width = Choice(*chosen.widths, default=chosen.widths[-2], name="width")
    cells = Cells(width, chosen.kernels, chosen.nodes, chosen.depths, chosen.stages)
    wired: dict[str, Expression] = {
        "two_input_dag": stack(cells, "cells"),
        "per_depth_cells": stack(cells, "per_depth", per_depth=True),
        "fixed_edges": row(cells, "edges", fixed_edges(cells, "edges")),
        "nested_motifs": row(cells, "nested", nested(cells, "nested")),
        "tree_paths": row(cells, "paths", paths(cells, "paths")),
        "memory_bank": banks(cells, "bank"),
    }
    body = Steps(
        stem=ConvStem(channels=width, stride=chosen.stride, norm="batch", activation="none"),
        wiring=Quantised(
            Choose(**wired),
            weight=Choice(*BITS, name="weight_bits"),
            activation=Choice(*BITS, name="activation_bits"),
        ),
        last=BatchNorm() >> Activation(form="relu"),
        head=ClassifierHead(classes=logits.classes, norm="none"),
    )
    decided: dict[str, Any] = {
        "lr": Choice(0.002, 0.004, 0.008, default=0.004),
        "label_smoothing": Choice(0.0, 0.05, 0.1, default=0.05),
    }
    return Space(
        body,
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="cell",
        axes=AXES,
    )


def _default(image: Image) -> Sizes:
    return sizes(min(image.height, image.width))

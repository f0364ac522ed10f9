"""NAS-Bench-BERT: 500 encoders of two or four layers with mixed token mixers, pre-trained, scored on GLUE.

Scores are those of the table's authors, ``glue`` their mean. Encoders that were trained twice have the
mean of both results. The transforms and the multiplicative attention have no counterpart in the library.

References:
    [Tuli2023] S. Tuli et al. FlexiBERT: are current transformer architectures too homogeneous and rigid?
        JAIR 2023.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasplat.bench.opaque import TableOp
from nasplat.bench.source import Source, merged, records
from nasplat.bench.table import SECONDS, Table
from nasplat.graph.types import Ids
from nasplat.ops.attention import SelfAttention
from nasplat.ops.conv_dynamic import DynamicConv
from nasplat.ops.ffn import MLP
from nasplat.ops.norm import LayerNorm
from nasplat.ops.text import TokenEmbedding
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.genotype import Genotype
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

FILE = "nasbench_bert/bert500.json.gz"
VOCABULARY, LENGTH = 50265, 512
MIXERS = {
    ("SA", "SDP"): "attention",
    ("SA", "WMA"): "multiplicative",
    ("LT", "DFT"): "fourier",
    ("LT", "DCT"): "cosine",
    ("DSC", "5"): "span5",
    ("DSC", "9"): "span9",
}
"""The option for an operation and its parameter."""
REFERENCE = "S. Tuli et al. FlexiBERT. JAIR 2023"
TITLE = "NAS-Bench-BERT: small encoders of mixed token mixers, GLUE"


def space() -> Space:
    """Width and depth, and layer by layer the mixer, its heads and the feed-forward part."""
    heads = Choice(2, 4, name="heads")
    mixer = Choose(
        attention=SelfAttention(heads=heads),
        multiplicative=TableOp(name="multiplicative_attention", size=heads),
        fourier=TableOp(name="fourier", size=heads),
        cosine=TableOp(name="cosine", size=heads),
        span5=DynamicConv(kernel=5, heads=heads),
        span9=DynamicConv(kernel=9, heads=heads),
    )
    ffn = MLP(hidden=Choice(512, 1024), depth=Choice(2, 4))
    block = Steps(
        mixer=Residual(mixer, norm=LayerNorm(), placement="post"),
        ffn=Residual(ffn, norm=LayerNorm(), placement="post"),
    )
    body = Steps(
        embedding=TokenEmbedding(dim=Choice(128, 256)),
        layers=Repeat(block, times=Choice(2, 4)),
    )
    return Space(body, {"tokens": Ids(LENGTH, VOCABULARY)}, name="nb-bert", check=None)


def read(data: Path) -> Table:
    """The table, a sample of the space."""
    held = records(data / FILE)
    genotypes = []
    for record in held:
        layers = record["layers"]
        values: dict[str, Any] = {
            "embedding.dim": record["hidden"],
            "layers.times": len(layers),
        }
        for number, layer in enumerate(layers):
            place = f"layers.{number}"
            kind = (layer["operation_type"], str(layer["operation_parameter"]))
            values[f"{place}.mixer"] = MIXERS[kind]
            values[f"{place}.heads"] = layer["num_operation_heads"]
            values[f"{place}.ffn.hidden"] = layer["feed_forward_dimension"]
            values[f"{place}.ffn.depth"] = layer["num_feed_forward"] + 1
        genotypes.append(Genotype(values))
    names = ["glue", *(name for name in held[0]["scores"] if name != "glue")]
    columns = {name: np.array([float(one["scores"][name]) for one in held]) for name in names}
    columns[SECONDS] = np.array([float(one["train_s"]) for one in held])
    unique, results = merged(genotypes, columns)
    return Table(
        name="nb-bert",
        title=TITLE,
        space=space(),
        genotypes=unique,
        results={1: results},
        metrics=dict.fromkeys(names, "max"),
        objectives=("glue",),
        reference=REFERENCE,
    )


SOURCES = (Source("nb-bert", TITLE, (FILE,), read, REFERENCE),)

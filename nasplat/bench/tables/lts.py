"""Language models that LTS trained one by one: random GPT-2 and Transformer-XL variants on LM1B.

Perplexities are of words of the table's tokenisers; the two tables cannot be compared. The graphs begin
behind the embedding of words, whose parameters hardly matter for the perplexity.

References:
    [Javaheripi2022] M. Javaheripi et al. LiteTransformerSearch: training-free neural architecture search
        for efficient language models. NeurIPS 2022.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nasplat.bench.opaque import TableOp
from nasplat.bench.source import Floats, Source, records
from nasplat.bench.table import SECONDS, Table
from nasplat.graph.op import Expression
from nasplat.graph.types import Tokens
from nasplat.ops.attention import SelfAttention
from nasplat.ops.conv import Conv
from nasplat.ops.ffn import MLP
from nasplat.ops.norm import LayerNorm
from nasplat.space.choose import Match
from nasplat.space.decisions import Choice, Int
from nasplat.space.genotype import Genotype
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

FILE = "lts_transformers/lts_lm1b.json.gz"
LENGTH = 32
KEYS = {"gpt2": "random_GPT2_lm1b", "transformer-xl": "random_TransXL_lm1b"}
REFERENCE = "M. Javaheripi et al. LiteTransformerSearch. NeurIPS 2022"


def space(family: str) -> Space:
    """Width and depth, and heads and hidden width layer by layer; for GPT-2 the embedding's division."""
    gpt = family == "gpt2"
    block = Steps(
        attention=Residual(
            SelfAttention(
                heads=Choice(2, 4, 8), mask="causal", relative_bias="none" if gpt else "table"
            ),
            norm=LayerNorm(),
            placement="pre" if gpt else "post",
        ),
        ffn=Residual(
            MLP(hidden=Int(512, 2048), activation="gelu" if gpt else "relu"),
            norm=LayerNorm(),
            placement="pre" if gpt else "post",
        ),
    )
    widths = Choice(128, 256, 512) if gpt else Choice(64, 128, 256, 512)
    # The width of rare words is divided by a number for each step of rarity.
    division: dict[str, Expression] = (
        {
            "division": Match(
                Choice(1, 2, 4),
                {by: TableOp(name="adaptive_embedding", size=by) for by in (1, 2, 4)},
            )
        }
        if gpt
        else {}
    )
    body = Steps(
        embedding=Conv(channels=widths, kernel=1, bias=False),
        **division,
        layers=Repeat(block, times=Int(2, 16) if gpt else Int(5, 8)),
    )
    return Space(body, {"words": Tokens(LENGTH, 1)}, name=f"lts-{family}", check=None)


def read(family: str, data: Path) -> Table:
    """The table of a family, ``gpt2`` or ``transformer-xl``."""
    (held,) = records(data / FILE)
    models = list(held[KEYS[family]].values())
    genotypes = [_genotype(family, model["cfg"]) for model in models]
    perplexities = {
        name: _column(model.get("ppl", {}).get(key) for model in models)
        for name, key in (("perplexity", "valid_ppl"), ("test_perplexity", "test_ppl"))
    }
    sizes = {
        name: _column(model.get("params", {}).get(key) for model in models)
        for name, key in (("params", "total"), ("decoder_params", "nonembedding"))
    }
    seconds = _column(model.get("ppl", {}).get("train_elapsed") for model in models)
    results = {**perplexities, **sizes, SECONDS: seconds}
    return Table(
        name=f"lts-lm1b-{family}",
        title=_title(family),
        space=space(family),
        genotypes=genotypes,
        results={1: results},
        metrics=dict.fromkeys([*perplexities, *sizes], "min"),
        objectives=("perplexity",),
        reference=REFERENCE,
    )


def _genotype(family: str, told: dict[str, Any]) -> Genotype:
    values: dict[str, Any] = {
        "embedding.channels": told["d_model"],
        "layers.times": told["n_layer"],
    }
    if family == "gpt2":
        values["division"] = told["div_val"]
    for layer in range(told["n_layer"]):
        values[f"layers.{layer}.attention.heads"] = told["n_head"][layer]
        values[f"layers.{layer}.ffn.hidden"] = told["d_inner"][layer]
    return Genotype(values)


def _column(cells: Any) -> Floats:
    return np.array([np.nan if cell is None else float(cell) for cell in cells])


def _title(family: str) -> str:
    return f"LTS: random {'GPT-2' if family == 'gpt2' else 'Transformer-XL'} variants on LM1B"


SOURCES = tuple(
    Source(f"lts-lm1b-{name}", _title(name), (FILE,), partial(read, name), REFERENCE)
    for name in KEYS
)

"""HW-GPT-Bench at its small scale: 10,000 GPTs with perplexity, and latency and energy on many devices.

The network is the one whose parameters the table lists: heads of 64 channels, gated feed-forward parts,
untied tables. Perplexities come from one supernet. Latency is a median in ms, energy in kWh, memory in
MB.

References:
    [Sukthanker2024] R. S. Sukthanker et al. HW-GPT-Bench: hardware-aware architecture benchmark for
        language models. NeurIPS 2024.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasplat.bench.source import Source, arrays, columns, positive
from nasplat.bench.table import Table
from nasplat.graph.types import Ids
from nasplat.ops.attention import SelfAttention
from nasplat.ops.ffn import GatedMLP
from nasplat.ops.norm import LayerNorm
from nasplat.ops.text import LMHead, TokenEmbedding
from nasplat.space.decisions import Choice, Int
from nasplat.space.genotype import Genotype
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.space import Space
from nasplat.space.wiring import Steps

FILE = "hw_gpt_bench/hwgpt_s.npz"
VOCABULARY, LENGTH = 50254, 1024
REFERENCE = "R. S. Sukthanker et al. HW-GPT-Bench. NeurIPS 2024"
TITLE = "HW-GPT-Bench S: GPTs of 10 to 12 layers, perplexity, latency and energy on real devices"


def space() -> Space:
    """Width, depth, biases, and heads and the ratio of the feed-forward part layer by layer."""
    bias = Choice(False, True)
    block = Steps(
        attention=Residual(
            SelfAttention(
                heads=Choice(4, 8, 12), head_dim=64, mask="causal", bias=bias, out_bias=bias
            ),
            norm=LayerNorm(),
        ),
        ffn=Residual(GatedMLP(ratio=Choice(2, 3, 4), bias=bias), norm=LayerNorm()),
    )
    body = Steps(
        embedding=TokenEmbedding(dim=Choice(192, 384, 768)),
        layers=Repeat(block, times=Int(10, 12), common=(bias,)),
        norm=LayerNorm(),
        head=LMHead(vocabulary=VOCABULARY),
    )
    return Space(body, {"tokens": Ids(LENGTH, VOCABULARY)}, name="hwgpt-s", check=None)


def read(data: Path) -> Table:
    """The table, 10,000 networks of a space of 10^12."""
    held = arrays(data / FILE)
    made = space()
    bias = next(path for path in made.points if path.endswith(".bias"))
    rows = zip(
        *(held[name].tolist() for name in ("embed_dim", "n_layer", "n_head", "mlp_ratio", "bias")),
        strict=True,
    )
    genotypes = []
    for width, depth, heads, ratios, biased in rows:
        values: dict[str, Any] = {
            "embedding.dim": width,
            "layers.times": depth,
            bias: biased,
        }
        for layer in range(depth):
            values[f"layers.{layer}.attention.heads"] = heads[layer]
            values[f"layers.{layer}.ffn.ratio"] = ratios[layer]
        genotypes.append(Genotype(values))
    latency = columns(held["lat_devices"], held["lat_ms_median"], "latency_ms_")
    energy = columns(held["energy_devices"], held["energy_kwh_median"], "energy_kwh_")
    results = {
        "perplexity": held["perplexity"].astype(float),
        "next_token_accuracy": held["next_token_acc"].astype(float),
        **{name: positive(column) for name, column in {**latency, **energy}.items()},
        "memory_mb": held["mem_mb"].astype(float),
        "params": held["params"].astype(float),
        "macs": held["macs"].astype(float),
    }
    return Table(
        name="hwgpt-s",
        title=TITLE,
        space=made,
        genotypes=genotypes,
        results={1: results},
        metrics={name: "max" if name == "next_token_accuracy" else "min" for name in results},
        objectives=("perplexity", "latency_ms_a100"),
        reference=REFERENCE,
    )


SOURCES = (Source("hwgpt-s", TITLE, (FILE,), read, REFERENCE),)

"""Published text models as genotypes of ``decoder-lm``.

Each is a family scaled by the rule of its paper; its parameters equal those of the reference implementations
to the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nasplat.graph.types import Ids, Tokens, Vector
from nasplat.space.designs import Preset
from nasplat.space.load import Types


def chain(
    *,
    vocabulary: int,
    length: int,
    dim: int,
    depth: int,
    heads: int = 1,
    kv_heads: int | None = None,
    vector: bool = False,
    sizes: Mapping[str, Any] | None = None,
    where: Mapping[str, Any] | None = None,
) -> Preset:
    """A chain of blocks that look alike, on integers.

    Args:
        vocabulary: Number of integers.
        length: Number of tokens.
        dim: Channels.
        depth: Blocks.
        heads: Heads of the queries.
        kv_heads: Heads of keys and values; None: as many.
        vector: Whether a vector for the sequence comes out, else scores of the integer at each place.
        sizes: Domains that differ.
        where: Decisions that differ from a language model with softmax attention, RMS normalisation
            before each part, rotations, and maps without biases.
    """
    ids = {"ids": Ids(length, vocabulary)}
    types = Types(
        ids, {"vector": Vector(dim)} if vector else {"logits": Tokens(length, vocabulary)}
    )
    given: dict[str, Any] = {
        "widths": (dim,),
        "depths": (depth,),
        "end_depths": (1,),
        "loops": (1,),
        "heads": (heads,),
        "head_dims": (max(1, dim // heads),),
        "kv_groups": (heads // (kv_heads or heads),),
        "shapes": ("chain",),
        "linears": ("dense",),
        "residuals": ("plain",),
    }
    decided: dict[str, Any] = {
        "shape": "chain",
        "frozen": False,
        "ends": False,
        "tokenizer": "byte",
        "project": False,
        "embed_norm": False,
        "segments": False,
        "bits": 32,
        "linear": "dense",
        "residual": "plain",
        "order": "attention_ffn",
        "position": "rope",
        "norm": "rms",
        "placement": "pre",
        "activation": "gelu",
        "bias": False,
        "stages.1.mixer_part": True,
        "stages.1.mixer": "attention",
        "stages.1.kernel": "softmax",
        "stages.1.ffn_part": True,
    }
    if vector:
        decided |= {"mask": "none", "pool": "first", "pool_activation": "tanh"}
    return Preset(
        space="decoder-lm",
        types=types,
        sizes=given | dict(sizes or {}),
        where=decided | dict(where or {}),
    )


def gpt2(
    dim: int = 768,
    depth: int = 12,
    heads: int = 12,
    vocabulary: int = 50257,
    length: int = 1024,
) -> Preset:
    """GPT-2: A. Radford et al. 2019. Learned positions, one table for embedding and head."""
    return chain(
        vocabulary=vocabulary,
        length=length,
        dim=dim,
        depth=depth,
        heads=heads,
        sizes={"ratios": (4,)},
        where={
            "position": "absolute",
            "norm": "layer",
            "activation": "gelu_tanh",
            "bias": True,
            "stages.1.ffn": "mlp",
            "tied": True,
        },
    )


def pythia(
    dim: int = 768,
    depth: int = 12,
    heads: int = 12,
    vocabulary: int = 50304,
    length: int = 2048,
) -> Preset:
    """Pythia: S. Biderman et al. ICML 2023. Attention beside the MLP, a quarter of a head rotated."""
    return chain(
        vocabulary=vocabulary,
        length=length,
        dim=dim,
        depth=depth,
        heads=heads,
        sizes={"ratios": (4,), "rotaries": (0.25,)},
        where={
            "norm": "layer",
            "order": "parallel_blocks",
            "bias": True,
            "stages.1.ffn": "mlp",
            "tied": False,
        },
    )


def llama(
    dim: int = 2048,
    depth: int = 22,
    heads: int = 32,
    kv_heads: int = 4,
    hidden: int = 5632,
    vocabulary: int = 32000,
    length: int = 2048,
    tied: bool = False,
) -> Preset:
    """LLaMA: H. Touvron et al. 2023. By default of the shape of TinyLlama, P. Zhang et al. 2024."""
    return chain(
        vocabulary=vocabulary,
        length=length,
        dim=dim,
        depth=depth,
        heads=heads,
        kv_heads=kv_heads,
        sizes={"ratios": (hidden / dim,), "rotaries": (1.0,)},
        where={"stages.1.ffn": "gated", "stages.1.gate": "swiglu", "tied": tied},
    )


def mixtral(
    dim: int = 512,
    depth: int = 8,
    heads: int = 8,
    kv_heads: int = 2,
    hidden: int = 1792,
    experts: int = 8,
    top_k: int = 2,
    vocabulary: int = 32000,
    length: int = 1024,
) -> Preset:
    """Mixtral: A. Q. Jiang et al. 2024. As LLaMA, with experts of which the best few count."""
    return chain(
        vocabulary=vocabulary,
        length=length,
        dim=dim,
        depth=depth,
        heads=heads,
        kv_heads=kv_heads,
        sizes={
            "ratios": (hidden / dim,),
            "rotaries": (1.0,),
            "experts": (experts,),
            "top_ks": (top_k,),
        },
        where={
            "stages.1.ffn": "moe",
            "stages.1.expert_gate": "swiglu",
            "stages.1.shared": 0,
            "stages.1.router": "token_choice",
            "tied": False,
        },
    )


def mamba(
    dim: int = 768,
    depth: int = 24,
    state: int = 16,
    vocabulary: int = 50280,
    length: int = 1024,
) -> Preset:
    """Mamba: A. Gu, T. Dao. 2023. Selective scans alone, one table for embedding and head."""
    return chain(
        vocabulary=vocabulary,
        length=length,
        dim=dim,
        depth=depth,
        sizes={"states": (state,)},
        where={
            "position": "none",
            "stages.1.mixer": "ssm",
            "stages.1.expand": 2,
            "stages.1.ffn_part": False,
            "tied": True,
        },
    )


def _encoder(
    *,
    dim: int,
    depth: int,
    heads: int,
    vocabulary: int,
    length: int,
    ratio: float,
    sizes: Mapping[str, Any] | None = None,
    where: Mapping[str, Any] | None = None,
) -> Preset:
    """An encoder after BERT: segments, normalisation after each sum, a pooled first token."""
    return chain(
        vocabulary=vocabulary,
        length=length,
        dim=dim,
        depth=depth,
        heads=heads,
        vector=True,
        sizes={"ratios": (ratio,), **(sizes or {})},
        where={
            "position": "absolute",
            "segments": True,
            "embed_norm": True,
            "norm": "layer",
            "placement": "post",
            "bias": True,
            "stages.1.ffn": "mlp",
            **(where or {}),
        },
    )


def bert(
    dim: int = 768,
    depth: int = 12,
    heads: int = 12,
    vocabulary: int = 30522,
    length: int = 512,
) -> Preset:
    """BERT: J. Devlin et al. NAACL 2019, with the pooler."""
    return _encoder(
        dim=dim, depth=depth, heads=heads, vocabulary=vocabulary, length=length, ratio=4
    )


def fnet(
    dim: int = 768,
    depth: int = 12,
    vocabulary: int = 32000,
    length: int = 512,
    types: int = 4,
) -> Preset:
    """FNet: J. Lee-Thorp et al. NAACL 2022, with the pooler."""
    return _encoder(
        dim=dim,
        depth=depth,
        heads=1,
        vocabulary=vocabulary,
        length=length,
        ratio=4,
        sizes={"embeddings": (dim,), "types": types},
        where={
            "project": True,
            "activation": "gelu_tanh",
            "stages.1.mixer": "fourier",
            "stages.1.transform": "sequence_and_channel",
        },
    )


def albert(
    dim: int = 768,
    depth: int = 12,
    heads: int = 12,
    hidden: int = 3072,
    embedding: int = 128,
    vocabulary: int = 30000,
    length: int = 512,
) -> Preset:
    """ALBERT: Z. Lan et al. ICLR 2020. One layer passed ``depth`` times, a narrow embedding; the pooler."""
    return _encoder(
        dim=dim,
        depth=1,
        heads=heads,
        vocabulary=vocabulary,
        length=length,
        ratio=hidden / dim,
        sizes={"embeddings": (embedding,), "loops": (depth,)},
        where={"project": True, "activation": "gelu_tanh"},
    )


PRESETS: Mapping[str, Callable[..., Preset]] = {
    family.__name__: family for family in (albert, bert, fnet, gpt2, llama, mamba, mixtral, pythia)
}
"""The families by name."""

"""The axes of ``hybrid-vit`` that say how tokens are mixed, as image_axes.py has the others."""

from __future__ import annotations

from collections.abc import Mapping

from nasplat.blocks.image_rules import (
    ATTENDING,
    BLOCK,
    FLAT,
    LOCAL,
    MIXER,
    along,
    attends,
    both,
    convs,
    early_late,
    forms,
    mixers,
    occurring,
    occurs,
    rare_convs,
)
from nasplat.space.axes import Axis, Numeric, Option, Rule


def mixing(stages: int) -> Mapping[str, Axis]:
    """How tokens are mixed, and how different ways of it share a network.

    Args:
        stages: Number of stages of a pyramid.
    """
    nested = Rule({"trunk": ("tokens",), "trunk.tokens": ("nested",)})
    pool = Rule({**FLAT, "layers": ("module_pool",)})
    scopes: dict[str, Option] = {
        "global": mixers("attention"),
        "local": mixers("window"),
        "channel": (Rule(some={MIXER: ("channel",)}), Rule(some={f"{MIXER}.hybrid": ("cascade",)})),
        "spatial_plus_channel": (
            Rule(some={MIXER: ("spatial_channel",)}),
            Rule(some={f"{MIXER}.hybrid": ("dual",), f"{BLOCK}.conv.gate": ("squeeze_excite",)}),
        ),
        "factored_axes": Rule(some={f"{BLOCK}.attention": ("axis",)}),
        "local_plus_global": (
            both({MIXER: LOCAL}, {MIXER: ("attention", "linear")}),
            Rule(some={f"{BLOCK}.attention.sparse": ("local_summary",)}),
            Rule(some={f"{BLOCK}.window": ("dilated", "interleaved")}),
            Rule(some={f"{MIXER}.hybrid": ("scopes",)}),
            Rule(
                some={
                    MIXER: ("hybrid",),
                    f"{BLOCK}.hybrid_attention": ("attention", "linear", "window"),
                }
            ),
            Rule(some={MIXER: LOCAL, "residual_type": ("latents",)}),
            nested,
        ),
        "latent_bottleneck": along("latents"),
        "none": Rule({MIXER: ("conv", "pool", "mlp", "other")}),
    }
    hybrid: Option = (Rule(some={MIXER: ("hybrid",)}), both({MIXER: ("conv",)}, {MIXER: ATTENDING}))
    dynamic: Option = (
        Rule(some={MIXER: ("conv",), f"{BLOCK}.conv.form.computed": ("dynamic",)}),
        Rule(some={MIXER: ("conv",), f"{BLOCK}.conv.form.many": ("multi_path",)}),
    )
    hybrids = f"{BLOCK}.hybrid_attention"
    mixer: dict[str, Option] = {
        "conv": occurs("conv"),
        "large_kernel_conv": Rule(some={MIXER: ("conv",), f"{BLOCK}.conv.form": ("large_kernel",)}),
        "dynamic_conv": dynamic,
        "conv_attention_hybrid": hybrid,
        "self_attention": (occurs("attention"), nested, pool),
        "window_attention": (
            occurs("window"),
            Rule(some={hybrids: ("window",)}),
            Rule(some={f"{MIXER}.hybrid": ("scopes",)}),
        ),
        "linear_attention": (occurs("linear"), Rule(some={hybrids: ("linear",)})),
        "channel_attention": occurs("channel"),
        "spatial_channel_attention": occurs("spatial_channel"),
        "axis_attention": Rule(some={MIXER: ("attention",), f"{BLOCK}.attention": ("axis",)}),
        "subspace_attention": (
            Rule(some={MIXER: ("attention",), f"{BLOCK}.attention.sparse": ("subspace",)}),
            Rule({"layers": ("codes",)}),
        ),
        "token_mlp": occurring("mlp", "axis", "token"),
        "gated_mlp": occurring("mlp", "gating", "gate_network"),
        "moe_mlp": occurring("mlp", "moe"),
        "fourier": occurring("other", "fourier"),
        "circular_conv": occurring("other", "circular_conv"),
        "wavelet": Rule(some={f"{BLOCK}.conv.form.many": ("wavelet",)}),
        "shuffle": occurring("other", "shuffle"),
        "focal_modulation": occurring("other", "focal_modulation"),
        "pool": occurs("pool"),
        "none": occurring("other", "none"),
    }
    kernels: dict[str, Option] = {
        "softmax": Rule({f"{BLOCK}.attention": ("softmax", "pooled", "axis")}),
        "linear": (
            Rule(some={MIXER: ("linear",)}),
            Rule(some={f"{BLOCK}.hybrid_attention": ("linear",)}),
        ),
        "topk": attends("sparse", "topk"),
        "relu": attends("sparse", "relu"),
        "local_summary": attends("sparse", "local_summary"),
        "hashed_binary": attends("sparse", "hashed_binary"),
        "subspace": attends("sparse", "subspace"),
        "circulant": forms("other", "circular_conv"),
    }
    return {
        "num_heads": Numeric(f"{BLOCK}.heads"),
        "layer_allocation": {
            "all_conv": mixers("conv"),
            "all_attention": mixers(*ATTENDING),
            "all_mlp": mixers("mlp"),
            "conv_early_attention_late": (
                early_late(
                    stages, ("conv",), ("attention", "linear", "channel", "window", "hybrid")
                ),
                Rule({"row_stem": ("other",), MIXER: ATTENDING}),
            ),
            "attention_early_conv_late": early_late(stages, ATTENDING, ("conv",)),
            "mlp_early_attention_late": early_late(stages, ("other",), ("attention",)),
            "parallel_conv_attention": forms("hybrid", "dual"),
            "interleaved": (
                both({MIXER: LOCAL}, {MIXER: ("attention", "channel", "hybrid")}),
                Rule(some={MIXER: LOCAL, "residual_type": ("latents",)}),
            ),
            "depth_ramp": Rule(
                {"trunk": ("hierarchical",), f"{MIXER}.hybrid": ("ramp",)}
                | {
                    f"stages.{s}.blocks.*.local_share": ((0.75,) if s == 0 else (0.25, 0.5))
                    for s in range(stages)
                }
            ),
            "free_per_slot": (both({MIXER: ("conv",)}, {MIXER: ("attention",)}), pool),
        },
        "token_mixer": mixer,
        "attention_scope": scopes,
        "window_scheme": {
            kind: Rule({f"{BLOCK}.window": (kind,)})
            for kind in (
                "regular",
                "shifted",
                "block_grid",
                "overlapping",
                "dilated",
                "interleaved",
                "cross_shaped",
            )
        },
        "attention_kernel": kernels,
        "attention_pooling": {
            "none": Rule({f"{BLOCK}.attention": ("softmax", "sparse", "axis")}),
            "kv": Rule(some={f"{BLOCK}.attention.pooled": ("kv",)}),
            "query": (
                Rule(some={"stages.*.down.other": ("pooled_query",)}),
                Rule(some={f"{BLOCK}.attention.pooled": ("query",)}),
            ),
            "qkv": Rule(some={f"{BLOCK}.attention.pooled": ("qkv",)}),
        },
        "head_layout": {
            "split_by_scheme": Rule({f"{BLOCK}.window": ("cross_shaped",)}),
            "grouped_query": Rule({f"{BLOCK}.kv_heads": (1,)}),
            "multi_head": Rule({f"{BLOCK}.kv_heads": (None,)}),
        },
        "attention_mask": {
            kind: Rule({"attention_mask": (kind,)}) for kind in ("none", "causal", "soft_causal")
        },
        "conv_type": {
            "standard": convs("standard"),
            "depthwise": (
                Rule(some={f"{BLOCK}.conv.form": ("depthwise", "mbconv")}),
                Rule(some={f"{MIXER}.hybrid": ("ramp", "cascade")}),
            ),
            "fused_or_depthwise": convs("mbconv"),
            "separable": (
                Rule(some={f"{BLOCK}.conv.form": ("separable",)}),
                Rule(some={f"{BLOCK}.conv.form.many": ("omni_scale",)}),
            ),
            "grouped": Rule({f"{BLOCK}.conv.form": ("bottleneck",)}),
            "large_kernel": Rule(
                {f"{BLOCK}.conv.form": ("large_kernel", "depthwise")},
                some={f"{BLOCK}.conv.form": ("large_kernel",)},
            ),
            "multi_kernel": rare_convs("many", "multi_kernel"),
            "multi_dilation": rare_convs("many", "multi_dilation"),
            "dynamic": dynamic,
            "deformable": Rule(some={f"{BLOCK}.conv.form.computed": ("deformable",)}),
            "parameter_free": occurs("pool"),
        },
        "conv_kernel_size": Numeric(f"{BLOCK}.kernel", f"{BLOCK}.large_kernel"),
        "channel_gate": {
            "none": Rule({f"{BLOCK}.conv.gate": ("none",)}),
            "squeeze_excite": Rule({f"{BLOCK}.conv.gate": ("squeeze_excite",)}),
            "context_modulation": Rule({f"{BLOCK}.conv.gate": ("context_modulation",)}),
            "split_attention": Rule({f"{BLOCK}.conv.form.bottleneck.radix": (2,)}),
            "aggregation_gate": rare_convs("many", "omni_scale"),
        },
        "branch_contrast": {
            "operator": (
                Rule(some={MIXER: ("hybrid",)}),
                Rule(some={f"{BLOCK}.conv.form.many": ("multi_path",)}),
            ),
            "frequency": Rule({f"{MIXER}.hybrid": ("ramp",)}),
            "receptive_field": (
                Rule(some={f"{BLOCK}.conv.form.many": ("omni_scale", "multi_kernel")}),
                Rule(some={f"{MIXER}.hybrid": ("scopes",)}),
            ),
        },
    }

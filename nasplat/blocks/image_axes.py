"""The axes of ``hybrid-vit``: how each option of the survey is read off a genotype."""

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
    downs,
    early_late,
    ffns,
    forms,
    heads,
    mixers,
    norms,
    occurring,
    occurs,
    rare_convs,
    stems,
)
from nasplat.blocks.image_settings import POSITIONS
from nasplat.space.axes import Axis, Numeric, Option, Patterns, Rule


def axes(stages: int, *, image: bool) -> Mapping[str, Axis]:
    """The axes of the space.

    Args:
        stages: Number of stages of a pyramid.
        image: Whether the task wants an image, else classes.
    """
    made: dict[str, Axis] = {
        **_shape(stages, image=image),
        **_mixing(stages),
        **_rest(image=image),
        **_compression(),
    }
    return made


def _shape(stages: int, *, image: bool) -> dict[str, Axis]:
    alone = Rule({"trunk": ("isotropic", "tokens")})
    tokens: dict[str, Option] = {
        "patch": Rule({"*_stem": ("patch",)}),
        "conv_patch": Rule({"*_stem": ("conv",)}),
        "multi_scale_patch": stems("multi_scale"),
        "shifted_patch": stems("shifted"),
        "warped_patch": stems("warped"),
        "cnn_features": stems("cnn_features", "cnn_scales"),
        "nested_patch": Rule({"trunk": ("tokens",), "trunk.tokens": ("nested",)}),
    }
    down: dict[str, Option] = {
        "none": alone,
        "strided_conv": Rule({"stages.*.down": ("strided_conv",)}),
        "patch_merge": Rule({"stages.*.down": ("patch_merge",)}),
        "pool": Rule({"stages.*.down": ("pool",)}),
        "residual_reduction": downs("residual_reduction"),
        "pooled_query": downs("pooled_query"),
        "block_aggregate": downs("block_aggregate"),
        "deformable": downs("deformable"),
        "wavelet": Rule(some={f"{BLOCK}.conv.form.many": ("wavelet",)}),
    }
    if not image:
        down["searched_position"] = downs("searched_position")
    ramp = {
        f"stages.{s}.blocks.*.local_share": (
            (0.75, 0.5, 0.25, 0.25) if stages > 2 else (0.75, 0.25)
        )[s : s + 1]
        for s in range(stages)
    }
    return {
        "macro_topology": {
            "isotropic": alone,
            "hierarchical": Rule({"trunk": ("hierarchical",)}),
            **({} if image else {"module_pool": Rule({**FLAT, "layers": ("module_pool",)})}),
        },
        "stage_depths": Numeric("stages.*.depth"),
        "stage_widths": Numeric("stages.*.width", "width_slope"),
        "width_rule": {
            "per_stage": Rule({"trunk": ("hierarchical",), "width_rule": ("per_stage",)}),
            "curve_over_depth": Rule(
                {"trunk": ("hierarchical",), "width_rule": ("curve_over_depth",)}
            ),
            "constant": alone,
            "scaled": Rule({"stages.all.depth_rule": ("scaled",)}),
        },
        "tokenizer": tokens,
        "patch_size": Numeric("stem.patch", "nested.patch"),
        "downsample": down,
        "upsample": {
            "learned": Rule({f"{BLOCK}.wavelet_upsample": ("learned",)}),
            "interpolate": Rule({f"{BLOCK}.wavelet_upsample": ("nearest",)}),
        },
        "branch_topology": {
            "parallel_dual": forms("hybrid", "dual", "scopes"),
            "channel_split": (
                Rule(some={f"{MIXER}.hybrid": ("cascade",)}),
                along("partial_stage"),
            ),
            "channel_split_asymmetric": Rule(
                {
                    MIXER: ("hybrid",),
                    f"{MIXER}.hybrid": ("split",),
                    f"{BLOCK}.local_share": (0.25, 0.75),
                }
            ),
            "channel_split_ramp": Rule(
                {
                    "trunk": ("hierarchical",),
                    MIXER: ("hybrid",),
                    f"{MIXER}.hybrid": ("ramp",),
                    **ramp,
                }
            ),
            "multi_path_block": (
                Rule(some={f"{BLOCK}.conv.form": ("many",)}),
                Rule(some={f"{BLOCK}.conv.form.bottleneck.radix": (2,)}),
            ),
            "serial": forms("hybrid", "serial"),
            "nested": Rule({"trunk": ("tokens",), "trunk.tokens": ("nested",)}),
        },
    }


def _mixing(stages: int) -> dict[str, Axis]:
    nested = Rule({"trunk": ("tokens",), "trunk.tokens": ("nested",)})
    pool = Rule({**FLAT, "layers": ("module_pool",)})
    scopes: dict[str, Option] = {
        "global": mixers("attention"),
        "local": mixers("window"),
        "channel": (
            Rule(some={MIXER: ("channel",)}),
            Rule(some={f"{MIXER}.hybrid": ("cascade",)}),
        ),
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
    hybrid: Option = (
        Rule(some={MIXER: ("hybrid",)}),
        both({MIXER: ("conv",)}, {MIXER: ATTENDING}),
    )
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


def _rest(*, image: bool) -> dict[str, Axis]:
    fuse = f"{BLOCK}.hybrid_fuse"
    nested = Rule({"trunk": ("tokens",), "trunk.tokens": ("nested",)})
    fusions: dict[str, Option] = {
        name: Rule(some={fuse: (value,)})
        for name, value in (("weighted_sum", "weighted"), ("attention_weighted", "attention"))
    }
    loops = "stages.loop.loops", "stages.pool.hops"
    made: dict[str, Axis] = {
        "branch_fusion": {
            **fusions,
            "sum": (nested, Rule(some={fuse: ("add",)})),
            "concat": (
                Rule(some={f"{MIXER}.hybrid": ("ramp", "cascade")}),
                Rule(some={f"{MIXER}.hybrid.split.fuse": ("concat",)}),
                Rule(some={f"{BLOCK}.conv.form.many": ("multi_path",)}),
                along("partial_stage"),
            ),
            "gated": (
                Rule(some={f"{MIXER}.hybrid.split.fuse": ("gated",)}),
                Rule(some={fuse: ("gate",)}),
            ),
            "multiply": (
                Rule(some={f"{MIXER}.mlp": ("gate_network",)}),
                Rule(some={fuse: ("multiply",)}),
            ),
            "selective": (
                Rule(some={f"{BLOCK}.conv.form.many": ("omni_scale",)}),
                Rule(some={f"{BLOCK}.conv.form.bottleneck.radix": (2,)}),
                Rule(some={fuse: ("selective",)}),
            ),
            "folded_weights": Rule(some={f"{BLOCK}.ffn.other": ("merged_auxiliary",)}),
        },
        "position_encoding": {name: Rule({"position": (name,)}) for name in POSITIONS},
        "ffn_type": {
            "mlp": Rule(some={f"{BLOCK}.ffn": ("mlp",)}),
            "gated": ffns("gated"),
            "depthwise_mlp": ffns("depthwise", "plain"),
            "conv_gated": ffns("depthwise", "gated"),
            "moe": Rule({f"{BLOCK}.ffn": ("moe",)}),
            "moe_shared_expert": Rule(some={f"{BLOCK}.ffn.moe.token_choice.shared_experts": (1,)}),
            "soft_moe": Rule(some={f"{BLOCK}.ffn.moe": ("soft",)}),
            "sparse_coding": (
                Rule(some={f"{BLOCK}.ffn.other": ("sparse_coding",)}),
                Rule({"layers": ("codes",)}),
            ),
            "wave_channel": ffns("other", "wave_channel"),
            "deep_mlp": ffns("other", "deep_mlp"),
            "none": ffns("other", "none"),
        },
        "ffn_ratio": Numeric(f"{BLOCK}.ffn_ratio"),
        "moe_num_experts": Numeric(f"{BLOCK}.experts"),
        "moe_top_k": Numeric(f"{BLOCK}.top_k"),
        "norm_type": {
            "layer": Rule({"stages.*.norm": ("layer",)}),
            "rms": Rule({"stages.*.norm": ("rms",)}),
            "batch": Rule({"stages.*.norm": ("batch",)}),
            "rep_batch": norms("rep_batch"),
            "unified": norms("unified"),
            "batch_instance_mix": norms("batch_instance_mix"),
            "private_per_depth": Rule({"stages.*.loop_norms": ("private_per_depth",)}),
        },
        "norm_placement": {
            **{
                name: Rule({f"{BLOCK}.norm_placement": (name,)})
                for name in ("pre", "post", "sandwich")
            },
            "searched": both(
                {f"{BLOCK}.norm_placement": ("pre",)},
                {f"{BLOCK}.norm_placement": ("post", "sandwich")},
            ),
        },
        "activation": {
            name: Rule({"stages.*.activation": (name,)}) for name in ("relu", "gelu", "silu")
        },
        "residual_type": {
            "plain": Rule({"residual": ("plain",)}),
            **{
                name: along(name)
                for name in (
                    "none",
                    "dense_concat",
                    "partial_stage",
                    "cross_layer_attention",
                    "layer_memory",
                    "residual_group",
                )
            },
        },
        "weight_sharing": {
            "none": Rule({"recipe.weights": ("own",)}),
            "supernet": Rule({"recipe.weights": ("bank",)}),
            "all_layers": Rule({**FLAT, "layers": ("loop",)}),
        },
        "loop_count": Numeric(*loops),
        "linear_type": {
            "dense": Rule({f"{BLOCK}.ffn": ("mlp", "gated", "depthwise", "moe")}),
            "merged_auxiliary": Rule(some={f"{BLOCK}.ffn.other": ("merged_auxiliary",)}),
        },
    }
    routers: dict[str, Option] = {
        name: Rule(some={f"{BLOCK}.ffn.moe": (name,)}) for name in ("expert_choice", "soft")
    }
    routers["token_choice"] = (
        Rule(some={f"{BLOCK}.ffn.moe": ("token_choice",)}),
        Rule(some={f"{MIXER}.mlp": ("moe",)}),
    )
    routers["module_routing"] = Rule({**FLAT, "layers": ("module_pool",)})
    made["moe_router"] = routers
    if image:
        made["weight_sharing"] = {
            **_options(made["weight_sharing"]),
            "tied_directions": Rule(
                {**FLAT, "layers": ("codes",), "code_weights": ("tied_directions",)}
            ),
        }
        made["decoder_type"] = {
            "linear": Rule({"*_head": ("linear",)}),
            "inverse_encoder": Rule({**FLAT, "layers": ("codes",)}),
        }
        return made
    reduction = Rule({"token_reduction": ("prune", "merge")})
    made |= {
        "token_reduction": {
            "none": Rule({"token_reduction": ("none",)}),
            "prune": Rule({"token_reduction": ("prune",)}),
            "merge": (along("cross_layer_attention"), Rule({"token_reduction": ("merge",)})),
            "latent": along("latents"),
        },
        "token_reduction_site": {
            "per_stage": Rule({**reduction.every, "token_reduction_site": ("per_stage",)}),
            "inside_encoder": (
                along("cross_layer_attention"),
                Rule({**reduction.every, "token_reduction_site": ("inside_encoder",)}),
            ),
        },
        "token_keep_ratio": Numeric("token_keep_ratio"),
        "decoder_type": {
            "linear": Rule({"*_head": ("classifier",)}),
            "aggregated_heads": heads("aggregated_heads"),
            "object_query": heads("object_query"),
        },
    }
    return made


def _options(axis: Axis) -> Mapping[str, Option]:
    assert not isinstance(axis, Numeric)
    return axis


def _compression() -> dict[str, Axis]:
    layered: Patterns = {"stages.*.precision": ("per_layer",)}
    sides = {f"{BLOCK}.{layer}_activation_bits": (1,) for layer in ("mixer", "ffn")}
    binary: Patterns = {**layered, **sides}
    after: Patterns = {"recipe.rounding": ("after_training",)}
    rounded: Patterns = {"stages.*.precision": ("int8", "int4", "per_layer")}
    return {
        "weight_bits": {
            "4": Rule({"stages.*.precision": ("int4",)}),
            "8": Rule({"stages.*.precision": ("int8",)}),
            "per_layer": Rule(layered),
        },
        "activation_bits": {
            "1": Rule(binary),
            "8": Rule({"stages.*.precision": ("int8", "int4")}),
            "per_layer": Rule(layered),
        },
        "quant_scheme": {
            "int_ptq": Rule({**after, "recipe.quantisation": ("ptq",), **rounded}),
            "mixed_precision_ptq": Rule({**after, "recipe.quantisation": ("ptq",), **layered}),
            "reparameterised_ptq": Rule(
                {**after, "recipe.quantisation": ("reparameterised",), **rounded}
            ),
            "data_free": Rule({**after, "recipe.quantisation": ("data_free",), **rounded}),
            "qat": Rule({"recipe.rounding": ("in_training",), **rounded}),
            "binary": Rule(binary),
        },
        "prune_unit": {
            "head": Rule({"prune.heads_kept": (2,)}),
            "neuron": Rule({"prune.neurons_kept": (0.5, 0.75)}),
            "group": Rule({"prune.groups_kept": (3,)}),
        },
    }

"""The axes of ``hybrid-vit``: how each option of the survey is read off a genotype."""

from __future__ import annotations

from collections.abc import Mapping

from nasplat.blocks.image_axes_mixing import mixing
from nasplat.blocks.image_rules import (
    BLOCK,
    FLAT,
    MIXER,
    along,
    both,
    downs,
    ffns,
    forms,
    heads,
    norms,
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
        **mixing(stages),
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

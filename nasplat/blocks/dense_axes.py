"""How the design choices of dense prediction are read off genotypes of the unet space.

Where an option can be had in several ways, the first rule names what the others have in common, and a
design says which way is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplat.blocks.stages import ATTENTIONS, CONVOLUTIONS, HYBRIDS
from nasplat.space.axes import Axis, Numeric, Rule

UNITS = "encoder.stages.*.mixer"
OUTER, INNER = "encoder.stages.outer_*.mixer", "encoder.stages.bottom.mixer"
LADDER = {"decoder": ("ladder",)}


def where(path: str, *values: Any) -> Rule:
    """Every active decision of this path has one of these values."""
    return Rule({path: values})


def some(path: str, *values: Any) -> Rule:
    """Some active decision of this path has one of these values."""
    return Rule(some={path: values})


def encoder(*families: str) -> Rule:
    """Every unit of the encoder is of these families."""
    return Rule({UNITS: families})


def everywhere(*families: str) -> tuple[Rule, ...]:
    """Every unit is of these families, also in the decoder where it has units."""
    units = {UNITS: families}
    return (
        Rule({**units, "decoder.mixer": families}),
        Rule({**units, "decoder": ("fusion", "light")}),
    )


AXES: Mapping[str, Axis] = {
    "macro_topology": {
        "u_shape": Rule({**LADDER, "balance": ("symmetric",)}),
        "asymmetric_u": Rule({**LADDER, "balance": ("encoder_heavy", "decoder_heavy")}),
        "nested_u": (
            Rule({**LADDER, OUTER: ("nested",)}),
            Rule({**LADDER, "decoder.*.skips": ("nested",)}),
        ),
        "encoder_decoder": where("decoder", "fusion", "light"),
    },
    "stage_depths": Numeric("encoder.stages.*.depth"),
    "stage_widths": Numeric("widths.base", "widths.stretch.*"),
    "width_rule": {
        "scaled": where("widths.stretch.*", 4),
        "per_stage": some("widths.stretch.*", 3, 5, 6),
    },
    "encoder_decoder_balance": {
        name: Rule({**LADDER, "balance": (name,)})
        for name in ("symmetric", "encoder_heavy", "decoder_heavy")
    },
    "layer_allocation": {
        "all_conv": everywhere(*CONVOLUTIONS),
        "all_attention": everywhere(*ATTENTIONS),
        "all_mlp": everywhere("gated_mlp"),
        "all_ssm": everywhere("ssm"),
        "conv_outer_attention_inner": Rule({OUTER: CONVOLUTIONS, INNER: ATTENTIONS}),
        "attention_encoder_conv_decoder": (
            Rule({UNITS: ATTENTIONS, "decoder.mixer": CONVOLUTIONS}),
            Rule({UNITS: ATTENTIONS, "decoder": ("fusion", "light")}),
        ),
        "parallel_conv_attention": Rule(
            {
                "encoder.contrast": ("operator",),
                UNITS: CONVOLUTIONS,
                "encoder.second.mixer": ATTENTIONS,
            }
        ),
        "interleaved": encoder(*HYBRIDS),
    },
    "token_mixer": {
        "conv": encoder("conv", "nested", "polar"),
        "large_kernel_conv": encoder("large_kernel"),
        "conv_attention_hybrid": Rule(
            {OUTER: ("conv", "conv_attention"), INNER: ("full", "conv_attention")}
        ),
        "conv_ssm_hybrid": encoder("conv_ssm"),
        "self_attention": encoder("full"),
        "window_attention": encoder("window"),
        "spatial_channel_attention": encoder("spatial_channel"),
        "focal_modulation": encoder("focal"),
        "gated_mlp": encoder("gated_mlp"),
        "ssm": encoder("ssm"),
        "xlstm": encoder("xlstm", "conv_xlstm"),
    },
    "attention_scope": {
        "local": Rule({"**.scheme": ("regular", "shifted"), OUTER: ("window",)}),
        "local_plus_global": (
            some("encoder.**.scheme", "dilated"),
            encoder("gated_mlp"),
        ),
        "global": Rule({INNER: ("full",), OUTER: ("full", *CONVOLUTIONS)}),
        "spatial_plus_channel": encoder("spatial_channel"),
    },
    "window_scheme": {
        "none": encoder("full", "ssm", "xlstm", *CONVOLUTIONS),
        "regular": (
            where("encoder.**.scheme", "regular", "dilated"),
            where("decoder.upsample", "attention_upsample"),
        ),
        "shifted": where("encoder.**.scheme", "shifted"),
        "cross_shaped": where("encoder.**.scheme", "cross_shaped"),
        "dilated": where("encoder.**.scheme", "dilated"),
        "block_grid": encoder("gated_mlp"),
    },
    "attention_kernel": {
        "softmax": (where("head.attention_kernel", "softmax"), encoder("full", "window")),
        "clustering": where("head.attention_kernel", "clustering"),
        "prototype": where("head.attention_kernel", "prototype"),
        "topk": encoder("topk"),
    },
    "position_encoding": {
        "none": Rule({"encoder.position": ("none",), OUTER: ("conv", "full", "ssm")}),
        "absolute": where("encoder.position", "absolute"),
        "conv_conditional": where("encoder.position", "conv"),
        "relative_bias": Rule({"encoder.position": ("none",), OUTER: ("window",)}),
    },
    "conv_type": {
        "standard": where("*.conv", "standard"),
        "separable": where("*.conv", "separable"),
        "multi_dilation": where("*.conv", "multi_dilation"),
        "multi_kernel": (some("*.conv", "multi_kernel"), where("decoder.*.skips", "grouped")),
        "deformable": some("*.conv", "deformable"),
        "large_kernel": encoder("large_kernel"),
        "dilated_pyramid": where("decoder.light.context", "dilated_pyramid"),
        "volumetric": where("conv_axes", "volumetric"),
    },
    "conv_kernel_size": Numeric("*.kernel", "**.large_kernel"),
    "channel_gate": {
        name: where("decoder.gate", name)
        for name in ("none", "squeeze_excite", "spatial_and_channel", "context_modulation")
    },
    "ffn_type": {
        name: where("**.ffn", name)
        for name in ("mlp", "gated", "depthwise_mlp", "mixed_scale_conv", "moe", "soft_moe")
    },
    "moe_router": {"soft": where("**.ffn", "soft_moe"), "token_choice": where("**.ffn", "moe")},
    "norm_type": {name: where("norm", name) for name in ("batch", "instance", "layer")},
    "residual_type": {name: where("residual", name) for name in ("plain", "none")},
    "skip_topology": {
        "none": where("decoder.*.skips", "none"),
        "same_scale": where("decoder.*.skips", "same_scale"),
        "sparse": where("decoder.light.link", "sparse"),
        "cross_scale": where("decoder.*.skips", "cross_scale"),
        "dense_interscale": where("decoder.*.skips", "dense", "interscale", "grouped"),
        "nested": (encoder("nested"), where("decoder.*.skips", "nested")),
        "paired_inverse": where("warped", True),
    },
    "skip_merge": {
        **{
            name: where("decoder.merge", name)
            for name in ("add", "concat", "attention_merge", "channel_gate", "cross_gate")
        },
        "cross_attention": (
            some("decoder.merge", "cross_attention"),
            where("decoder.upsample", "attention_upsample"),
        ),
        "interscale_fusion": where("decoder.*.skips", "interscale"),
    },
    "downsample": {
        name: where("encoder.downsample", name) for name in ("strided_conv", "patch_merge", "pool")
    },
    "upsample": {
        name: where("decoder.upsample", name)
        for name in ("interpolate", "pixel_shuffle", "transposed_conv", "attention_upsample")
    },
    "tokenizer": {
        "patch": where("encoder.stem", "patch"),
        "conv_patch": where("encoder.stem", "conv"),
        "small_and_large_patch": where("encoder.contrast", "patch_size"),
        "warped_patch": where("warped", True),
    },
    "branch_topology": {
        "single": where("encoder", "single"),
        "parallel_dual": (
            some("encoder", "dual"),
            where("encoder.contrast", "modality"),
            where("decoder.*.skips", "grouped"),
            encoder("polar"),
        ),
        "siamese": where("encoder.contrast", "view"),
        "channel_split": encoder("gated_mlp"),
        "nested": encoder("nested"),
    },
    "branch_contrast": {
        "operator": Rule(
            {
                "encoder.contrast": ("operator",),
                UNITS: CONVOLUTIONS,
                "encoder.second.mixer": ATTENTIONS,
            }
        ),
        "patch_size": where("encoder.contrast", "patch_size"),
        "modality": where("encoder.contrast", "attention_maps", "modality"),
        "view": where("encoder.contrast", "view"),
        "feature_level": where("decoder.*.skips", "grouped"),
        "coordinate": encoder("polar"),
        "receptive_field": encoder("gated_mlp"),
    },
    "branch_fusion": {
        "none": where("encoder", "single"),
        "concat": (
            some("encoder.fusion", "concat"),
            where("decoder.*.skips", "grouped"),
            encoder("gated_mlp"),
            encoder("polar"),
        ),
        **{
            name: where("encoder.fusion", name)
            for name in ("sum", "gated", "cross_attention", "attention_over_union")
        },
    },
    "fusion_stage": {
        "multi_scale": where("encoder.*_stage", "multi_scale"),
        "early": where("encoder.fusion_stage", "early"),
        "late": where("encoder.*_stage", "late"),
    },
    "conditioning": {
        "none": where("encoder", "single"),
        "frozen_attention_maps": where("encoder.contrast", "attention_maps"),
    },
    "weight_sharing": {
        "none": Rule({"encoder.second.frozen": (False,)}),
        "frozen_trunk": where("encoder.second.frozen", True),
        "across_branches": where("encoder.contrast", "view"),
    },
    "early_exit": {
        name: where("encoder.stages.bottom.early_exit", name)
        for name in ("none", "per_sample_gate")
    },
    "decoder_type": {
        "unet_conv": Rule({**LADDER, "decoder.mixer": CONVOLUTIONS}),
        "unet_attention": Rule({**LADDER, "decoder.mixer": ATTENTIONS}),
        "light_fusion": where("decoder", "light"),
        "multi_level_fusion": where("decoder", "fusion"),
        "mask_query": where("head", "mask_query"),
    },
}

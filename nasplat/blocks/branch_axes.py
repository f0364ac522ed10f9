"""How the design choices of branches are read off genotypes of the dual-branch space."""

from __future__ import annotations

from collections.abc import Mapping

from nasplat.blocks.dense_axes import some, where
from nasplat.blocks.stages import ATTENTIONS
from nasplat.space.axes import Axis, Numeric, Rule

MIXERS = "streams.*.mixer"
CONVS = ("conv", "large_kernel")
CONTRASTS = ("operator", "patch_size", "frequency", "colour", "task", "modality", "planes")
AXES: Mapping[str, Axis] = {
    "macro_topology": {
        name: where("**.topology", name) for name in ("isotropic", "hierarchical", "u_shape")
    },
    "stage_depths": Numeric("streams.*.depth", "rounds"),
    "stage_widths": Numeric("widths.*"),
    "layer_allocation": {
        "all_conv": where(MIXERS, *CONVS),
        "all_attention": where(MIXERS, "linear", *ATTENTIONS),
        "parallel_conv_attention": Rule(
            {"streams.first.mixer": CONVS, "streams.second.mixer": ("linear", *ATTENTIONS)}
        ),
    },
    "token_mixer": {
        "conv": where(MIXERS, *CONVS),
        "self_attention": where(MIXERS, "full"),
        "linear_attention": where(MIXERS, "linear"),
        "window_attention": where(MIXERS, "window"),
        "spatial_channel_attention": where(MIXERS, "spatial_channel"),
        "conv_attention_hybrid": where(MIXERS, "conv_attention"),
        "ssm": where(MIXERS, "ssm"),
    },
    "attention_scope": {
        "global": where(MIXERS, "full", "linear"),
        "local": where(MIXERS, "window"),
        "spatial_plus_channel": where(MIXERS, "spatial_channel"),
    },
    "window_scheme": {
        "regular": where("streams.*.scheme", "regular"),
        "shifted": where("streams.*.scheme", "shifted", "rectangular"),
        "rectangular": where("streams.*.scheme", "rectangular"),
        "cross_shaped": where("streams.*.scheme", "cross_shaped"),
        "dilated": where("streams.*.scheme", "dilated"),
    },
    "attention_kernel": {
        "softmax": where(MIXERS, "full", "window"),
        "linear": where(MIXERS, "linear"),
    },
    "position_encoding": {
        name: where("embed.position", name) for name in ("none", "phase_amplitude", "absolute")
    },
    "conv_type": {
        "standard": where("streams.*.conv", "standard"),
        "separable": where("streams.*.conv", "separable"),
        "multi_kernel": where("streams.*.conv", "multi_kernel"),
        "multi_dilation": where("streams.*.conv", "multi_dilation"),
        "dilated_pyramid": where("**.context", "dilated_pyramid"),
    },
    "channel_gate": {name: where("**.gate", name) for name in ("none", "squeeze_excite")},
    "sublayer_order": {
        name: where("**.sublayer_order", name) for name in ("attention_ffn", "self_parallel_cross")
    },
    "residual_type": {
        "plain": where("residual", "plain"),
        "none": where("residual", "none"),
        "residual_group": where("**.residual_group", True),
        "layer_memory": where("**.memory", True),
    },
    "downsample": {
        **{name: where("**.downsample", name) for name in ("strided_conv", "patch_merge", "pool")},
        "attention_pool": where("**.token_downsample", "attention_pool"),
    },
    "tokenizer": {
        "small_and_large_patch": where("contrast", "patch_size"),
        "patch": some("**.stem", "patch"),
        "conv_patch": some("**.stem", "conv"),
    },
    "patch_size": Numeric("embed.*patch", "embed.stride"),
    "branch_topology": {
        "single": where("contrast", "single"),
        "parallel_dual": where("contrast", *CONTRASTS),
        "parallel_multi": where("contrast", "modalities"),
        "siamese": where("sharing", "across_branches"),
    },
    "branch_contrast": {
        **{name: where("contrast", name) for name in ("patch_size", "frequency", "colour", "task")},
        "modality": where("contrast", "modality", "modalities"),
        "view": where("contrast", "view", "view_projection", "planes"),
        "operator": Rule(
            {"streams.first.mixer": CONVS, "streams.second.mixer": ("linear", *ATTENTIONS)}
        ),
        "receptive_field": (
            where("contrast", "planes"),
            Rule({"streams.first.mixer": ("conv",), "streams.second.mixer": ("large_kernel",)}),
        ),
    },
    "branch_fusion": {
        name: where("**.fusion", name)
        for name in (
            "cross_attention",
            "bidirectional_cross_attention",
            "concat",
            "sum",
            "gated",
            "attention_weighted",
        )
    },
    "fusion_stage": {
        "early": where("**.fusion_stage", "early"),
        "late": where("**.fusion_stage", "late"),
        "periodic": Rule({"**.fusion_stage": ("periodic",), "**.topology": ("isotropic",)}),
        "multi_scale": Rule(
            {"**.fusion_stage": ("periodic",), "**.topology": ("hierarchical", "u_shape")}
        ),
    },
    "modality_fusion": {
        "cross_attention": where("**.fusion", "cross_attention", "bidirectional_cross_attention"),
        "late_merge": where("**.fusion_stage", "late"),
    },
    "weight_sharing": {
        "across_branches": where("sharing", "across_branches"),
        "across_tasks": where("**.head", "matching", "linear"),
        "none": where("sharing", "none"),
    },
    "token_reduction": {
        "none": where("**.reduction", "none"),
        "merge": where("**.reduction", "merge"),
        "similar_neighbours": where("**.neighbours", True),
    },
    "decoder_type": {
        name: where("**.head", name)
        for name in ("linear", "prototype_single_step", "task_branches", "vote")
    }
    | {"matching": where("**.head", "matching", "matching_apart")},
}

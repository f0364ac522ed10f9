"""The axes of the literature on series, as rules on the decisions of their networks."""

from __future__ import annotations

from collections.abc import Mapping

from nasplat.blocks.series_blocks import ATTENTIVE, CONVOLUTIONAL, HYBRIDS
from nasplat.space.axes import Axis, Numeric, Rule

BLOCK = "**.arrangement"
ATTENTION = "**.attention"
TOKENIZED = ("stages", "u_shape", "encoder_decoder", "masked", "exits")
"""Networks in which the way from samples to positions is open."""


def one(pattern: str, *values: bool | int | float | str) -> Rule:
    """Every decision of these paths has one of the values."""
    return Rule({pattern: values})


def _network(*names: str) -> Rule:
    return one("network", *names)


def _tokenizer(name: str) -> Rule:
    return Rule({"network": TOKENIZED, "**.tokenizer": (name,)})


AXES: Mapping[str, Axis] = {
    "macro_topology": {
        "isotropic": (
            Rule({"network": ("stages",), "stages.*.down": ("none",)}),
            _network("masked", "exits", "grid", "two_axes", "two_modalities", "groups"),
        ),
        "hierarchical": Rule({"network": ("stages",), "stages.*.down": ("conv", "pool", "query")}),
        "u_shape": _network("u_shape", "two_domains"),
        "encoder_decoder": _network("encoder_decoder"),
    },
    "stage_depths": Numeric("**.depth"),
    "stage_widths": Numeric("**.width"),
    "num_heads": Numeric("**.heads"),
    "layer_allocation": {
        "all_conv": one(BLOCK, *CONVOLUTIONAL),
        "all_attention": one(BLOCK, *ATTENTIVE),
        "all_ssm": one(BLOCK, "memory"),
        "parallel_conv_attention": one(BLOCK, "split", "gated"),
        "conv_outer_attention_inner": (
            Rule({"network": ("two_domains",)}),
            Rule(
                {
                    "network": ("u_shape",),
                    "u.*.encode.arrangement": CONVOLUTIONAL,
                    "u.*.decode.arrangement": CONVOLUTIONAL,
                    "u.bottom.arrangement": ATTENTIVE,
                }
            ),
        ),
        "attention_early_conv_late": Rule(
            {"encoder.*.arrangement": ATTENTIVE, "decoder.*.arrangement": CONVOLUTIONAL}
        ),
    },
    "token_mixer": {
        "conv": one(BLOCK, *CONVOLUTIONAL),
        "conv_attention_hybrid": one(BLOCK, *HYBRIDS),
        "self_attention": (
            Rule({BLOCK: ("transformer",), ATTENTION: ("global", "pooled")}),
            one(BLOCK, "causal_transformer"),
        ),
        "window_attention": Rule({BLOCK: ("transformer",), ATTENTION: ("window",)}),
        "linear_attention": Rule({BLOCK: ("transformer",), ATTENTION: ("linear",)}),
        "legendre_memory": Rule({BLOCK: ("memory",), "**.basis": ("legendre",)}),
        "ssm": Rule({BLOCK: ("memory",), "**.basis": ("diagonal", "distilled")}),
        "axis_attention": _network("grid"),
    },
    "attention_scope": {
        "global": one(ATTENTION, "global", "linear", "pooled", "sparse"),
        "local": one(ATTENTION, "window"),
        "local_plus_global": one(BLOCK, "gated"),
        "factored_axes": _network("grid", "two_axes"),
        "neighbour_graph": one("**.spatial", "learned_graph"),
    },
    "window_scheme": {
        "none": one(ATTENTION, "global", "linear", "pooled", "sparse"),
        "regular": Rule({ATTENTION: ("window",), "**.shifted": (False,)}),
        "shifted": Rule({ATTENTION: ("window",), "**.shifted": (True,)}),
        "chunk": one(BLOCK, "gated"),
    },
    "attention_kernel": {
        "softmax": (one(ATTENTION, "global", "window", "pooled"), one(BLOCK, "gated")),
        "linear": (one(ATTENTION, "linear"), one(BLOCK, "gated")),
        "block_sparse": (one("domains.attend", "sparse"), one(ATTENTION, "sparse")),
    },
    "attention_pooling": {
        "none": one(ATTENTION, "global", "linear", "window", "sparse"),
        "kv": one(ATTENTION, "pooled"),
        "query": one("**.down", "query"),
    },
    "kv_sharing": {
        "none": one(BLOCK, "transformer", "macaron", "squeeze", "split", "causal_transformer"),
        "attention_weights": one(BLOCK, "modules"),
    },
    "head_layout": {
        "multi_head": one(BLOCK, "transformer", "macaron", "squeeze", "split", "modules"),
        "single_gated": one(BLOCK, "gated"),
    },
    "attention_mask": {
        "none": one(BLOCK, "transformer", *HYBRIDS, "conv"),
        "causal": one(BLOCK, "causal_transformer", "causal_conv"),
    },
    "position_encoding": {
        "none": one("position", "none"),
        "absolute": one("position", "absolute"),
        "conv_conditional": one("position", "conv"),
        "rope": Rule({"position": ("rope",), ATTENTION: ("global",)}),
    },
    "conv_type": {
        "standard": one("**.conv.kind", "standard"),
        "depthwise": one("**.conv.kind", "depthwise"),
        "separable": one("**.conv.kind", "separable"),
        "multi_kernel": (one("**.conv.kind", "multi_kernel"), one("groups.enter", "multi_kernel")),
    },
    "conv_kernel_size": Numeric("**.kernel", "**.causal_kernel"),
    "channel_gate": {
        "none": one("**.conv.squeeze", False),
        "squeeze_excite": one("**.conv.squeeze", True),
    },
    "ffn_type": {
        "mlp": one("**.ffn", "mlp"),
        "gated": one("**.ffn", "gated"),
        "moe": one("**.ffn", "moe"),
    },
    "ffn_ratio": Numeric("**.ratio"),
    "moe_num_experts": Numeric("**.experts"),
    "moe_router": {
        "token_choice": one("**.router", "token_choice"),
        "per_depth": Rule({"**.router": ("per_depth",), "turns": ("private",)}),
    },
    "norm_type": {
        "layer": one("norm", "layer"),
        "rms": one("norm", "rms"),
        "batch": one("norm", "batch"),
        "bias_norm": one("norm", "bias"),
        "private_per_depth": Rule({"turns": ("private",), "**.loops": (2, 3, 4)}),
    },
    "norm_placement": {
        "pre": one("norm_placement", "pre"),
        "post": Rule({"norm_placement": ("post",), "input_scale": (False,)}),
        "sandwich": one("norm_placement", "sandwich"),
        "reduced": Rule({"norm_placement": ("post",), "input_scale": (True,)}),
    },
    "activation": {
        "relu": one("activation", "relu"),
        "gelu": one("activation", "gelu"),
        "silu": one("activation", "silu"),
        "swoosh": one("activation", "swoosh_r"),
        "spiking": one("activation", "spiking"),
    },
    "sublayer_order": {
        "attention_ffn": one(BLOCK, *ATTENTIVE),
        "ffn_attention_ffn": one(BLOCK, "macaron"),
        "attention_ffn_conv_ffn": one(BLOCK, "squeeze"),
        "multi_module": one(BLOCK, "modules"),
    },
    "skip_topology": {
        "none": _network("stages", "encoder_decoder", "masked", "exits"),
        "same_scale": _network("u_shape", "two_domains"),
    },
    "skip_merge": {
        "add": one("**.merge", "add"),
        "concat": one("**.merge", "concat"),
        "quantised_residual": one("**.merge", "quantised"),
    },
    "downsample": {
        "none": Rule({"network": ("stages",), "stages.*.down": ("none",)}),
        "temporal_stride": one("**.down", "conv", "query", "pool"),
        "strided_conv": one("**.down", "conv"),
        "pool": one("**.down", "pool"),
        "pooled_query": one("**.down", "query"),
    },
    "upsample": {
        "interpolate": one("**.up", "interpolate"),
        "transposed_conv": one("**.up", "transposed"),
    },
    "tokenizer": {
        "patch": _tokenizer("patch"),
        "conv_patch": _tokenizer("conv_patch"),
        "spectrogram": (one("**.tokenizer", "spectrogram"), _network("two_domains")),
        "series_variables": (
            _network("grid", "two_modalities"),
            _tokenizer("series_variables"),
        ),
        "single_vq": one("**.quantiser", "single"),
        "residual_vq": one("**.quantiser", "residual"),
        "cross_scale_vq": one("**.merge", "quantised"),
    },
    "branch_topology": {
        "single": _network("stages", "u_shape", "masked", "exits", "grid"),
        "serial": _network("encoder_decoder"),
        "parallel_dual": _network("two_domains", "two_axes", "two_modalities"),
        "parallel_multi": _network("groups"),
        "channel_split": one(BLOCK, "split"),
    },
    "branch_contrast": {
        "domain": _network("two_domains"),
        "axis": _network("two_axes"),
        "modality": _network("two_modalities", "groups"),
        "operator": one(BLOCK, "split"),
    },
    "branch_fusion": {
        "concat": (one(BLOCK, "split"), one("**.fusion", "concat")),
        "gated": (one(BLOCK, "gated"), one("**.fusion", "gated")),
        "retrieval": one("modalities.fusion", "retrieval"),
        "cross_attention": one("**.fusion", "cross_attention"),
        "bidirectional_cross_attention": (
            one("**.meet", "bidirectional_cross_attention"),
            one("**.fusion", "bidirectional_cross_attention"),
        ),
        "sum": (one("groups.fusion", "sum"), one("modalities.fusion", "sum")),
    },
    "fusion_stage": {
        "middle": (one("**.meet", "bidirectional_cross_attention"), one("**.middle", "cross")),
        "late": (one("**.middle", "none"), one("**.meet", "none")),
    },
    "modality_fusion": {
        "cross_attention": one("**.fusion", "cross_attention"),
        "late_merge": one("groups.fusion", "late_merge"),
    },
    "conditioning": {
        "none": one("conditioning", "none"),
        "cross_attention": one("conditioning", "cross_attention"),
        "tokens_in_sequence": one("conditioning", "tokens_in_sequence"),
    },
    "conditioning_site": {
        "skip_path": one("conditioning", "cross_attention"),
        "input": one("conditioning", "tokens_in_sequence"),
    },
    "weight_sharing": {
        "none": one("**.loops", 1),
        "within_block": Rule({"**.loops": (2, 3, 4), "turns": ("shared",)}),
        "layer_groups": Rule({"**.loops": (2, 3, 4), "turns": ("private",)}),
        "frozen_trunk": one("**.frozen", True),
    },
    "loop_count": Numeric("**.loops"),
    "early_exit": {
        "none": _network("stages", "u_shape", "encoder_decoder", "masked"),
        "confidence_or_entropy": _network("exits"),
    },
    "decoder_type": {
        "linear": one("decoder", "linear"),
        "ctc": one("decoder", "ctc"),
        "non_autoregressive": one("decoder", "non_autoregressive"),
    },
}
"""For each axis of the survey that concerns series, its options."""

"""The design choices of the literature on text networks, read off the decisions of the text blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nasplat.blocks.text_ffns import ROUTERS
from nasplat.blocks.text_settings import ACTIVATIONS, LINEARS, NORMS, ORDERS, PLACEMENTS, POSITIONS
from nasplat.space.axes import Axis, Numeric, Option, Rule

MIXER, KERNEL, FFN = "stages.*.mixer", "stages.*.kernel", "stages.*.ffn"
SOME_MIXER = "**.mixer"
"""Names the same decisions as ``MIXER``: two patterns can ask for two values that both occur."""
CHAINS = ("chain", "exits", "skip_middle", "dense")
LOOPED = tuple(range(2, 65))


def _mixers(*values: str) -> Rule:
    return Rule({MIXER: values})


def _kernel(value: str) -> Rule:
    return Rule({MIXER: ("attention",), KERNEL: (value,)})


def _plain(path: str, values: Sequence[str]) -> Mapping[str, Option]:
    return {value: Rule({path: (value,)}) for value in values}


def _shape(value: str) -> Rule:
    return Rule({"shape": (value,)})


def axes(heads: Sequence[int]) -> Mapping[str, Axis]:
    """Every axis with its options.

    Args:
        heads: Domain of the number of heads, whose larger half is "many".
    """
    many = tuple(heads)[len(heads) // 2 :]
    ssm = ("ssm", "recurrence", "xlstm")
    cached = _shape("decoder_decoder")
    sparse = _kernel("block_sparse")
    return {
        "macro_topology": {
            "decoder_only": Rule({"shape": CHAINS, "mask": ("causal",)}),
            "isotropic": Rule({"shape": CHAINS, "mask": ("none", "candidate_isolating")}),
            "hourglass": _shape("hourglass"),
            "global_local_decoder": _shape("global_local"),
            "decoder_decoder": cached,
        },
        "stage_depths": Numeric("stages.1.depth"),
        "stage_widths": Numeric("width"),
        "num_heads": Numeric("stages.*.heads"),
        "layer_allocation": {
            "all_attention": _mixers("attention", "sliding"),
            "all_ssm": _mixers(*ssm),
            "full_attention_in_subset": Rule(
                {MIXER: ("attention", "sliding")},
                {MIXER: ("attention",), SOME_MIXER: ("sliding",)},
            ),
            "ssm_attention_mix": Rule(
                {MIXER: (*ssm, "attention", "sliding")},
                {MIXER: ("attention", "sliding"), SOME_MIXER: ssm},
            ),
        },
        "token_mixer": {
            "self_attention": (_mixers("attention", "sliding"), cached),
            "window_attention": _mixers("sliding"),
            "linear_attention": _mixers("linear"),
            "ssm": _mixers("ssm", "recurrence"),
            "xlstm": _mixers("xlstm"),
            "long_conv": _mixers("long_conv"),
            "fourier": _mixers("fourier"),
            "none": Rule({"stages.*.mixer_part": (False,)}),
        },
        "attention_scope": {
            "global": _mixers("attention", "linear"),
            "local": _mixers("sliding"),
            "local_plus_global": (
                Rule({}, {MIXER: ("sliding",), SOME_MIXER: ("attention", "linear")}),
                Rule({"shape": ("decoder_decoder",)}, {MIXER: ("sliding",)}),
            ),
            "selected_chunks": sparse,
        },
        "window_scheme": {
            "sliding": Rule({}, {MIXER: ("sliding",)}),
            "none": _mixers("attention", "linear", "fourier", "long_conv", *ssm),
        },
        "attention_kernel": {
            **{name: _kernel(name) for name in ("softmax", "topk", "block_sparse")},
            "local_summary": _kernel("local_summary"),
            "linear": _mixers("linear"),
            "linear_toeplitz": Rule({MIXER: ("linear",), "position": ("relative_bias",)}),
            "complex_rotation": _kernel("complex"),
            "gated": (_shape("skip_middle"), _kernel("gated")),
        },
        "kv_sharing": {
            "cross_layer_cache": cached,
            "low_rank_cache": _kernel("low_rank_cache"),
            "pruned_cache": sparse,
        },
        "head_layout": {
            "complex": _kernel("complex"),
            "moe_heads": _kernel("moe"),
            "single_gated": _kernel("gated"),
            "multi_head": Rule({MIXER: ("attention", "sliding"), "stages.*.kv_groups": (1,)}),
            "grouped_query": Rule(
                {MIXER: ("attention", "sliding"), "stages.*.kv_groups": tuple(range(2, 65))}
            ),
            "many_in_one_layer": Rule(
                {
                    "shape": ("chain",),
                    "ends": (False,),
                    "loops": (1,),
                    "stages.*.depth": (1,),
                    MIXER: ("attention",),
                    "stages.*.heads": many,
                }
            ),
        },
        "attention_mask": {
            "causal": Rule({"mask": ("causal",)}, {MIXER: ("attention", "sliding", "linear")}),
            "none": Rule({"mask": ("none",)}),
            "candidate_isolating": Rule({"mask": ("candidate_isolating",)}),
        },
        "position_encoding": {
            **_plain("position", POSITIONS),
            "complex_head": _kernel("complex"),
        },
        "ffn_type": {
            **{
                name: Rule({FFN: (name,)})
                for name in ("mlp", "deep_mlp", "gated", "moe", "lookup_table")
            },
            "moe_shared_expert": (
                Rule({"residual": ("previous_layer_shortcut",), FFN: ("mlp", "gated")}),
                Rule({FFN: ("moe",), "stages.*.shared": (1,)}),
            ),
            "sparse_coding": Rule({FFN: ("sparse_coding",)}),
            "token_parameter": Rule({FFN: ("token_parameter",)}),
            "none": Rule({"stages.*.ffn_part": (False,)}),
        },
        "ffn_ratio": Numeric("stages.*.ratio"),
        "moe_num_experts": Numeric("stages.*.*experts"),
        "moe_top_k": Numeric("stages.*.*top_k"),
        "moe_router": {name: Rule({FFN: ("moe",), "stages.*.router": (name,)}) for name in ROUTERS},
        "norm_type": _plain("norm", NORMS),
        "norm_placement": {
            **_plain("placement", PLACEMENTS),
            "none": Rule({"residual": ("unit_sphere",)}),
        },
        "activation": {
            name: Rule({"activation": (name,), FFN: ("mlp", "deep_mlp", "moe")})
            for name in ACTIVATIONS
        },
        "sublayer_order": _plain("order", ORDERS),
        "residual_type": {
            "plain": Rule({"residual": ("plain",)}),
            "unit_sphere": Rule({"residual": ("unit_sphere",)}),
            "previous_layer_shortcut": Rule({"residual": ("previous_layer_shortcut",)}),
            "dynamic_dense": _shape("dense"),
        },
        "skip_topology": {
            "none": Rule({"shape": ("chain", "exits", "decoder_decoder")}),
            "same_scale": Rule({"skip": (True,)}),
            "dense_layers": _shape("dense"),
        },
        "downsample": _plain("down", ("fixed_blocks", "learned_chunk")),
        "upsample": {
            "dechunk": Rule({"down": ("learned_chunk",)}),
            "token_split": Rule({"down": ("fixed_blocks",)}),
        },
        "tokenizer": _plain("tokenizer", ("byte", "subword", "residual_vq")),
        "weight_sharing": {
            "none": Rule({"shape": ("chain",), "loops": (1,)}),
            "all_layers": Rule({"shape": ("chain",), "ends": (False,), "loops": LOOPED}),
            "layer_groups": Rule({"shape": ("chain",), "loops": LOOPED, "stages.1.depth": LOOPED}),
            "middle_loop": Rule({"shape": ("chain",), "ends": (True,), "loops": LOOPED}),
            "frozen_trunk": Rule({"frozen": (True,)}),
        },
        "loop_count": Numeric("loops"),
        "early_exit": {
            "none": Rule({"shape": ("chain", "dense", "hourglass", "global_local")}),
            "skip_middle": _shape("skip_middle"),
            "prefill_only": cached,
            "truncation": _shape("exits"),
        },
        "token_reduction": {"pool": Rule({"reduction.kind": ("pool",)}), "kv_prune": sparse},
        "token_reduction_site": {
            "input": Rule({"reduction.kind": ("pool",)}),
            "inside_lm": sparse,
        },
        "token_keep_ratio": Numeric("**.keep"),
        "weight_bits": {str(bits): Rule({"bits": (bits,)}) for bits in (1, 1.58, 2, 4, 8)},
        "quant_scheme": {"qat": Rule({"bits": (1, 1.58, 2, 4, 8)})},
        "prune_unit": {
            "block": Rule({"linear": ("merged_auxiliary",)}),
            "semi_structured": Rule({"linear": ("sparse", "dense_sparse")}),
            "subnet_element": tuple(
                Rule({}, {f"stages.*.{part}_part": (False,)}) for part in ("ffn", "mixer")
            ),
        },
        "linear_type": {
            **{name: Rule({"linear": (name,)}) for name in LINEARS if name != "sparse"},
            "low_rank": (Rule({"linear": ("low_rank",)}), _kernel("low_rank_cache")),
        },
        "decoder_type": {
            "autoregressive": Rule({"mask": ("causal",), "tokenizer": ("byte", "subword")}),
            "two_stage_autoregressive": Rule(
                {"shape": ("global_local",), "tokenizer": ("residual_vq",)}
            ),
        },
    }

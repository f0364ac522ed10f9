"""Feed-forward parts of image networks: what happens at each position by itself, or nearly so."""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_settings import NOTHING, Stage
from nasplat.graph.op import Expression
from nasplat.ops.ffn import MLP, DepthwiseMLP, GatedMLP, SparseCodingStep
from nasplat.ops.linear import MergedLinear
from nasplat.ops.mixer_context import WaveChannelMixer
from nasplat.ops.moe import MoE
from nasplat.ops.norm import Activation
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.wiring import Steps


def feed_forwards(stage: Stage, *, plane: bool = True) -> Expression:
    """One of all feed-forward parts, each a sub-layer of its own; ``none`` leaves the sub-layer out.

    Args:
        stage: What the stage decides.
        plane: Whether it stands on images, else on tokens.
    """
    ratio, activation = stage.hidden_ratio, stage.activation
    experts: dict[str, Any] = {
        "experts": stage.experts,
        "width": ratio * 0.5,
        "activation": activation,
    }
    made: dict[str, Expression] = {
        "mlp": MLP(ratio=ratio, activation=activation),
        "gated": GatedMLP(ratio=ratio * 0.75, gate=Choice("swiglu", "geglu")),
    }
    if plane:
        made["depthwise"] = Choose(
            plain=DepthwiseMLP(ratio=ratio, kernel=3, activation=activation),
            gated=GatedMLP(ratio=ratio * 0.75, gate="geglu", kernel=3),
        )
    made["moe"] = Choose(
        token_choice=MoE(**experts, top_k=stage.top_k, shared_experts=Choice(0, 1)),
        expert_choice=MoE(**experts, router="expert_choice"),
        soft=MoE(**experts, router="soft"),
    )
    other = {
        "sparse_coding": SparseCodingStep(),
        "wave_channel": WaveChannelMixer(ratio=ratio),
        "merged_auxiliary": Steps(
            widen=MergedLinear(form="scalar"),
            activation=Activation(form=activation),
            narrow=MergedLinear(form="scalar"),
        ),
        "deep_mlp": MLP(ratio=ratio * 0.75, activation=activation, depth=3),
    }
    options = {name: stage.sublayer(body, "ffn") for name, body in made.items()}
    rare = {name: stage.sublayer(body, "ffn") for name, body in other.items()}
    return Choose(**options, other=Choose(**rare, none=NOTHING))

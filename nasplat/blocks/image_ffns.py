"""Feed-forward parts of image networks: what happens at each position by itself, or nearly so."""

from __future__ import annotations

from nasplat.blocks.image_settings import NOTHING, Stage
from nasplat.graph.op import Expression
from nasplat.ops.ffn import MLP, DepthwiseMLP, GatedMLP, SparseCodingStep
from nasplat.ops.moe import MoE
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice


def feed_forwards(stage: Stage, *, image: bool = True) -> Expression:
    """One of all feed-forward parts, each a sub-layer of its own; ``none`` leaves the sub-layer out.

    Args:
        stage: What the stage decides.
        image: Whether it stands on images, else on tokens.
    """
    ratio, activation = stage.hidden_ratio, stage.activation
    experts = {
        "experts": stage.experts,
        "width": ratio * 0.5,
        "activation": activation,
    }
    made: dict[str, Expression] = {
        "mlp": MLP(ratio=ratio, activation=activation),
        "gated": GatedMLP(ratio=ratio * 0.75, gate=Choice("swiglu", "geglu")),
    }
    if image:
        made["depthwise"] = Choose(
            plain=DepthwiseMLP(ratio=ratio, kernel=3, activation=activation),
            gated=DepthwiseMLP(ratio=ratio * 0.75, kernel=3, activation=activation, gated=True),
        )
    made["moe"] = Choose(
        token_choice=MoE(**experts, top_k=stage.top_k, shared_experts=Choice(0, 1)),
        expert_choice=MoE(**experts, router="expert_choice"),
        soft=MoE(**experts, router="soft"),
    )
    other = {
        "sparse_coding": SparseCodingStep(),
        "deep_mlp": MLP(ratio=ratio * 0.75, activation=activation, depth=3),
    }
    options = {name: stage.sublayer(body, "ffn") for name, body in made.items()}
    rare = {name: stage.sublayer(body, "ffn") for name, body in other.items()}
    return Choose(**options, other=Choose(**rare, none=NOTHING))

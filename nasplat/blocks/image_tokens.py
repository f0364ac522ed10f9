"""Networks over tokens: rows of blocks, loops, a pool of modules, transformers in patches, codes.

References:
    [Xue2022] F. Xue et al. Go wider instead of deeper. AAAI 2022.
    [Pan2021] B. Pan et al. IA-RED2: interpretability-aware redundancy reduction. NeurIPS 2021.
    [Han2021] K. Han et al. Transformer in transformer. NeurIPS 2021.
    [Pai2024] D. Pai et al. Masked completion via structured diffusion with white-box transformers. 2024.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_blocks import row_of_blocks
from nasplat.blocks.image_ffns import feed_forwards
from nasplat.blocks.image_mixers import mixers
from nasplat.blocks.image_settings import NOTHING, Stage
from nasplat.graph.op import Expression
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_forms import SubspaceAttention
from nasplat.ops.attention_window import WindowAttention
from nasplat.ops.ffn import MLP, SparseCodingStep
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add
from nasplat.ops.norm import LayerNorm, LayerScale
from nasplat.ops.patch import PatchStem
from nasplat.ops.resample import ImageToTokens
from nasplat.ops.router import BlockRouter
from nasplat.ops.token_reduction import TokenMerge, TokenPrune
from nasplat.space.choose import Choose, Match, Optional
from nasplat.space.decisions import Choice, Int
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.ushape import Level, UShape
from nasplat.space.wiring import Decided, Each, First, Parallel, Pick, Shared, Steps, Tied


class Reduction:
    """What shortens the tokens, once for a network.

    Args:
        first: How many of the first tokens are never dropped.
    """

    def __init__(self, first: Any) -> None:
        self.form = Choice("none", "prune", "merge", name="token_reduction")
        self.site = Choice("per_stage", "inside_encoder", name="token_reduction_site")
        self.keep = Choice(0.5, 0.7, 0.9, default=0.7, name="token_keep_ratio")
        self.ops: dict[str, Expression] = {
            "none": NOTHING,
            "prune": TokenPrune(keep=self.keep, keep_first=first, places=False),
            "merge": TokenMerge(keep=self.keep, keep_first=first),
        }

    def at(self, site: str) -> Expression:
        """What happens at a place: at the head of every row of blocks, or inside every block."""
        made: dict[str, Expression] = {"none": NOTHING}
        for form in ("prune", "merge"):
            sites = {"per_stage": NOTHING, "inside_encoder": NOTHING, site: self.ops[form]}
            made[form] = Match(self.site, sites)
        return Match(self.form, made)

    @property
    def always(self) -> tuple[Any, ...]:
        """What is decided in any case."""
        return (self.at("per_stage"),)


def extra_tokens(class_token: Any) -> Expression:
    """Registers and a class token beside those of the image."""
    return Steps(
        registers=Optional(LearnedTokens(count=4), Choice(False, True, name="registers")),
        class_token=Match(
            class_token,
            {"none": NOTHING, "first": LearnedTokens(), "last": LearnedTokens(place="last")},
        ),
    )


def loop(stage: Stage) -> Expression:
    """One block applied several times, with norms of its own in every turn or not [Xue2022]."""
    turns = Int(2, 4, default=2, name=f"stages.{stage.label}.loops")
    body = Steps(mixer=mixers(stage, plane=False), ffn=feed_forwards(stage, plane=False))
    block = Repeat(Decided(body, stage.block_always), times=1, common=stage.common)
    turn = Decided(Steps(blocks=block), stage.always)
    return Repeat(turn, times=turns, share="weights")


def module_pool(stage: Stage) -> Expression:
    """Attention, an MLP and a block of both; every token is sent to one or two of them at each hop."""
    hops = Int(2, 4, default=2, name=f"stages.{stage.label}.hops")
    top_k = Choice(1, 2, name=f"stages.{stage.label}.modules")

    def attend() -> Expression:
        return stage.sublayer(SelfAttention(**stage.headed), "mixer")

    def feed() -> Expression:
        return stage.sublayer(MLP(ratio=stage.hidden_ratio, activation=stage.activation), "ffn")

    pool = Parallel(
        whole=Pick(0),
        attention=attend(),
        mlp=feed(),
        block=Steps(attention=attend(), mlp=feed()),
        fuse=BlockRouter(top_k=top_k),
    )
    settled = Decided(pool, (*stage.block_always, stage.heads, stage.ratio))
    block = Repeat(settled, times=1, common=(*stage.common, top_k))
    hop = Decided(Steps(blocks=block), stage.always)
    return Repeat(hop, times=hops, share="weights")


def nested(width: Any, inner: Any, patch: Any, depth: Any) -> Expression:
    """A transformer on the patches, and in each patch a small one on its parts [Han2021].

    Takes the image and gives tokens.

    Args:
        width: Channels of a patch.
        inner: Channels of its parts.
        patch: Side of a patch in pixels, a multiple of 4.
        depth: Number of layers.
    """
    parts = 4
    inside = Steps(
        attend=Residual(WindowAttention(window=parts, heads=2), norm=LayerNorm()),
        mlp=Residual(MLP(ratio=2), norm=LayerNorm()),
    )
    up = Steps(
        parts=Pick(1),
        patch=PatchStem(channels=width, patch=parts, norm="layer"),
        tokens=ImageToTokens(),
    )
    outside = Steps(
        attend=Residual(SelfAttention(heads=4), norm=LayerNorm()),
        mlp=Residual(MLP(ratio=2), norm=LayerNorm()),
    )
    layer = Steps(
        inside=Each(NOTHING, inside),
        join=Parallel(tokens=Parallel(Pick(0), up, fuse=Add()), parts=Pick(1)),
        outside=First(outside),
    )
    return Steps(
        streams=Parallel(
            patches=Steps(
                patch=PatchStem(channels=width, patch=patch, norm="layer"), tokens=ImageToTokens()
            ),
            parts=PatchStem(channels=inner, patch=patch // parts, norm="none"),
        ),
        layers=Repeat(layer, times=depth, share="decisions"),
        tokens=Pick(0),
    )


def codes(stage: Stage) -> Expression:
    """Steps that compress and make sparse, then their inverses in the other order [Pai2024].

    The attention of an inverse step has the weights of the step that it undoes, or its own.
    """
    tied = Choice("tied_directions", "none", name="code_weights")
    subspaces = Choice(*stage.domains.heads, name="codes.subspaces")
    fields = {"subspaces": subspaces, "dim": stage.domains.head_dims[0]}
    levels = []
    for number in range(3):
        attend = Tied(f"codes.{number}.attention", SubspaceAttention(**fields))
        undo = {
            "tied_directions": Residual(attend, norm=LayerNorm(), scale=LayerScale(initial=-1.0)),
            "none": Residual(SubspaceAttention(**fields, step=-1.0), norm=LayerNorm()),
        }
        levels.append(
            Level(
                encode=Steps(
                    compress=Residual(attend, norm=LayerNorm()),
                    norm=LayerNorm(),
                    sparse=SparseCodingStep(),
                ),
                down=NOTHING,
                up=NOTHING,
                merge=Pick(0),
                decode=Steps(dense=Linear(), undo=Match(tied, undo)),
            )
        )
    depth = Int(1, 3, default=2, name="codes.depth")
    body = UShape(tuple(levels), bottom=NOTHING, depth=depth)
    return Decided(body, (subspaces, tied))


def layers(
    row: Stage, looped: Stage, pool: Stage, reduction: Reduction | None, *, code: bool
) -> Expression:
    """What runs over the tokens.

    Args:
        row: Settings of rows of blocks.
        looped: Settings of the block of a loop.
        pool: Settings of the modules of a pool.
        reduction: What shortens the tokens in rows of blocks; None: nothing.
        code: Whether codes and their inverses are offered.
    """
    made: dict[str, Expression] = {
        "blocks": Shared(f"stages.{row.label}", row_of_blocks(row, reduction)),
        "loop": Shared(f"stages.{looped.label}", loop(looped)),
        "module_pool": Shared(f"stages.{pool.label}", module_pool(pool)),
    }
    if code:
        made["codes"] = codes(pool)
    return Choose(**made)

"""Decoders from several scales back to every position, and the heads behind them."""

from __future__ import annotations

from typing import Any

from nasplat.blocks.pyramid import Equalise, Finer, Ladder, Nested, PerScale, Queries, ToFinest
from nasplat.blocks.scales import Parts
from nasplat.blocks.stages import THROUGH, Units, convolutions, units
from nasplat.graph.op import Expression
from nasplat.ops.attention import CrossAttention, SelfAttention
from nasplat.ops.attention_forms import ClusteringCrossAttention
from nasplat.ops.conv import SqueezeGate
from nasplat.ops.conv_multi import MultiDilationConv, MultiKernelConv
from nasplat.ops.dense import (
    ContextGate,
    MaskQueryHead,
    MultiScaleFusion,
    PixelHead,
    PoolTo,
    PositionGate,
    UpsampleTo,
)
from nasplat.ops.ffn import MLP
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.ops.merge import Add, Concat, Gated
from nasplat.ops.norm import LayerNorm
from nasplat.ops.resample import ImageToTokens
from nasplat.ops.resample_attention import AttentionUpsample
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, Named, Parallel, Pick, Recall, Shared, Steps


def _upsample(parts: Parts) -> Expression:
    """To the grid of the next finer scale."""
    modes = {
        "interpolate": "linear",
        "pixel_shuffle": "pixel_shuffle",
        "transposed_conv": "transposed",
    }
    ways: dict[str, Expression] = {name: UpsampleTo(mode=mode) for name, mode in modes.items()}
    if parts.divides:
        ways["attention_upsample"] = AttentionUpsample()
    return Match(Choice(*ways, name="decoder.upsample"), ways)


def decoder(parts: Parts) -> Expression:
    """From all scales to the finest: over a ladder, by fusing all, or in one light step."""
    style, most = parts.style, parts.most
    conv = convolutions(style, "decoder")
    slot = parts.slot("decoder", 0, most - 1)
    block = Shared("decoder.mixer", Choose(**units(slot, conv)))
    up, align = _upsample(parts), UpsampleTo()
    gate = Shared(
        "decoder.gate",
        Choose(
            none=THROUGH,
            squeeze_excite=SqueezeGate(),
            spatial_and_channel=Steps(channels=SqueezeGate(), places=PositionGate()),
            context_modulation=ContextGate(),
        ),
    )
    heads = Choice(*style.heads, name="decoder.merge_heads")
    attend = Each(Pick(0), PoolTo()) >> CrossAttention(heads=heads, head_dim=style.head_dim)
    merges = {
        "concat": Concat(),
        "add": Add(),
        "cross_attention": Parallel(found=attend, skip=Pick(1), fuse=Concat()),
        "attention_merge": Gated(),
        "channel_gate": Parallel(Pick(0), Pick(1) >> SqueezeGate(), fuse=Concat()),
        "cross_gate": Gated(form="product", mutual=True) >> Concat(),
    }
    merge = Shared("decoder.merge", Choose(**merges)) >> gate
    fill = MultiKernelConv(kernels=(3, 5, 7), norm=style.norm, activation="relu")
    skips: dict[str, Expression] = {
        "same_scale": THROUGH,
        "none": THROUGH,
        "sparse": THROUGH,
        "dense": Finer(align, Concat(), most + 1),
        "cross_scale": Finer(align, Concat(), most + 1, reach=1),
        "interscale": MultiScaleFusion(weighting=Choice("attention", "conv")),
        "grouped": Equalise(
            align=align,
            groups=(Concat() >> fill, Concat() >> fill),
            join=Concat() >> gate,
            add=Add(),
        ),
        "nested": Nested(align, Concat() >> conv, most + 1),
    }

    def ladder(
        form: str, decode: tuple[Expression, ...], names: tuple[str, ...], **options: Any
    ) -> Ladder:
        return Ladder(
            up=(up,) * most,
            merge=(merge,) * most,
            decode=decode,
            skips={name: skips[name] for name in names},
            reach=Choice(*names, name=form),
            only={"none": (), "sparse": (0,)},
            **options,
        )

    decode = tuple(
        Steps(units=Units(block, depth, parts.balance, "decoder_heavy")) for depth in parts.depths
    )
    dilated = MultiDilationConv(rates=(2, 4, 6), separable=Choice(False, True))
    context = Choose(dilated_pyramid=PerScale((), bottom=dilated), none=THROUGH)
    every = ("same_scale", "none", "dense", "cross_scale", "interscale", "grouped", "nested")
    fuse = ToFinest(align, Concat() >> conv, most + 1)
    nothing, light = (THROUGH,) * most, (conv,) * most
    return Choose(
        ladder=Steps(
            rungs=ladder("decoder.ladder.skips", decode, every, every=True),
            outputs=Choose(finest=THROUGH, fused=fuse),
        ),
        fusion=Steps(rungs=ladder("decoder.fusion.skips", nothing, every, every=True), fuse=fuse),
        light=Steps(
            context=context,
            rungs=ladder("decoder.light.link", light, ("sparse", "none"), jump=True),
        ),
    )


def _gathered(attention: ClusteringCrossAttention) -> Expression:
    """Queries and what they gather from a map."""
    return Parallel(Pick(0), Named("gathered", attention), fuse=Add())


def heads_of(parts: Parts, classes: int) -> Expression:
    """A class for each position from the finest map, or from masks that queries draw."""
    heads = Choice(*parts.style.heads, name="head.heads")
    head = {"heads": heads, "head_dim": parts.style.head_dim}
    dim = parts.sizes.queries[1]
    kernels: dict[str, Expression] = {
        "softmax": Each(Pick(0), PoolTo()) >> CrossAttention(**head),
        "clustering": _gathered(ClusteringCrossAttention(heads=heads)),
        "prototype": _gathered(ClusteringCrossAttention(assign="prototype_per_query", heads=heads)),
    }
    reads = Match(Choice(*kernels, name="head.attention_kernel"), kernels)
    layer = Steps(
        read=reads,
        mix=Residual(SelfAttention(**head), norm=LayerNorm()),
        ffn=Residual(MLP(ratio=2), norm=LayerNorm()),
    )
    learned = LearnedTokens(count=parts.sizes.queries[0], place="alone", dim=dim)
    queries = Queries(
        learned=ImageToTokens() >> learned,
        layers=tuple(layer for _ in range(3)),
        head=Recall("input") >> MaskQueryHead(classes=classes),
    )
    return Choose(
        pixel=Pick(0) >> Recall("input") >> PixelHead(classes=classes, kernel=Choice(1, 3)),
        mask_query=queries,
    )

"""Forms of image networks that work on tokens: class tokens, attention of classes, a network inside patches.

Each is a function of settings that may be decisions (:mod:`nasplat.blocks.image_details`). They know no
network.

References:
    [Dosovitskiy2021] A. Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021.
    [ElNouby2021] A. El-Nouby et al. XCiT: cross-covariance image transformers. NeurIPS 2021.
    [Touvron2021] H. Touvron et al. Going deeper with image transformers. ICCV 2021.
    [Han2021] K. Han et al. Transformer in transformer. NeurIPS 2021.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.image_details import Table
from nasplat.graph.op import Expression
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_cross import ClassAttention
from nasplat.ops.attention_window import WindowAttention
from nasplat.ops.conv import Conv
from nasplat.ops.ffn import MLP
from nasplat.ops.head import ClassifierHead
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.ops.merge import Add, Concat, Take
from nasplat.ops.norm import LayerNorm, LayerScale
from nasplat.ops.position import AbsolutePosition
from nasplat.ops.resample import ImageToTokens, PatchMerging
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, First, Parallel, Pick, Steps


def class_token(count: Any = 1) -> Expression:
    """Positions as tokens behind class tokens, each with a learned place [Dosovitskiy2021].

    Args:
        count: Tokens in front of those of the image.
    """
    return Steps(
        tokens=ImageToTokens(),
        token=LearnedTokens(count=count),
        position=AbsolutePosition(),
    )


def beside_rest(body: Expression) -> Expression:
    """A part that takes all tokens and gives the first; the others go on behind it."""
    return Parallel(first=body, rest=Take(start=1), fuse=Concat(project=False, axis="sequence"))


def class_attention(classes: int, heads: Any = 4, layers: Any = 2, ratio: Any = 4) -> Expression:
    """A head whose class token attends to all positions in layers of its own [Touvron2021, ElNouby2021].

    Args:
        classes: Number of classes.
        heads: Heads of the attention.
        layers: Number of layers.
        ratio: Hidden over outer channels of the MLP of a layer.
    """
    scored = Steps(token=Take(start=0, count=1), mlp=MLP(ratio=ratio), scale=LayerScale())
    layer = Steps(
        attention=Residual(
            beside_rest(ClassAttention(heads=heads)), norm=LayerNorm(), scale=LayerScale()
        ),
        norm=LayerNorm(),
        ffn=Residual(beside_rest(scored)),
    )
    return Steps(
        tokens=ImageToTokens(),
        token=LearnedTokens(),
        layers=Repeat(layer, times=layers, share="decisions"),
        classify=ClassifierHead(classes=classes, pool="class_token"),
    )


def nested_stem(inner: Any, outer: Any, stride: Any = 4, patch: Any = 4) -> Expression:
    """Pixels inside patches as a map, and patches as tokens behind a class token [Han2021].

    Args:
        inner: Channels of the pixels.
        outer: Channels of the patches.
        stride: Pixels of the image along each side of one that is embedded.
        patch: Embedded pixels along each side of a patch.
    """
    pixels = Steps(
        conv=Conv(channels=inner, kernel=7, stride=stride),
        position=AbsolutePosition(period=patch),
    )
    patches = Steps(
        merge=PatchMerging(channels=outer, factor=patch, bias=True),
        norm=LayerNorm(),
        tokens=class_token(),
    )
    return Steps(pixels=pixels, both=Parallel(pixels=Pick(0), patches=patches))


def nested(
    outer: Any, inner_heads: Any = 4, outer_heads: Any = 6, patch: Any = 4, ratio: Any = 4
) -> Expression:
    """Pixels attend within their patch; what they find is added to the patches, which attend in turn.

    Takes and gives the map of pixels and the tokens of patches [Han2021].

    Args:
        outer: Channels of the patches.
        inner_heads: Heads among the pixels.
        outer_heads: Heads among the patches.
        patch: Pixels along each side of a patch.
        ratio: Hidden over outer channels of both MLPs.
    """

    def transformer(attention: Expression) -> Expression:
        return Steps(
            attention=Residual(attention, norm=LayerNorm()),
            ffn=Residual(MLP(ratio=ratio), norm=LayerNorm()),
        )

    inside = WindowAttention(window=patch, heads=inner_heads, bias=False, relative_bias="none")
    found = Steps(
        pick=Pick(0),
        merge=PatchMerging(channels=outer, factor=patch),
        norm=LayerNorm(),
        tokens=ImageToTokens(),
    )
    rest = Steps(pick=Pick(1), take=Take(start=1))
    told = Parallel(
        token=Steps(pick=Pick(1), take=Take(start=0, count=1)),
        patches=Parallel(rest=rest, found=found, fuse=Add()),
        fuse=Concat(project=False, axis="sequence"),
    )
    return Steps(
        pixels=First(transformer(inside)),
        tell=Parallel(pixels=Pick(0), patches=told),
        patches=Each(
            pixels=Pick(0), patches=transformer(SelfAttention(heads=outer_heads, bias=False))
        ),
    )


def second_head(classes: int) -> Expression:
    """The class token of the second of two inputs, normalised and mapped to classes."""
    return Steps(pick=Pick(1), classify=ClassifierHead(classes=classes, pool="class_token"))


TOKEN_STEMS: Table = {"nested": nested_stem}
TOKEN_POSITIONS: Table = {"class_token": class_token}
TOKEN_BLOCKS: Table = {"nested": nested}
TOKEN_HEADS: Table = {"class_attention": class_attention, "second": second_head}

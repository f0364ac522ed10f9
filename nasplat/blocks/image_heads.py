"""From the last features of an image network to classes, or to an image."""

from __future__ import annotations

from typing import Any

from nasplat.graph.op import Expression
from nasplat.graph.types import Image
from nasplat.ops.attention import CrossAttention
from nasplat.ops.conv import Conv
from nasplat.ops.ffn import MLP
from nasplat.ops.gramian import GramianHead
from nasplat.ops.head import ClassifierHead
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.ops.merge import Add
from nasplat.ops.norm import LayerNorm
from nasplat.ops.rearrange import Unpatchify
from nasplat.ops.resample import ImageToTokens, Upsample
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.residual import Residual
from nasplat.space.wiring import Parallel, Pick, Recall, Steps

IMAGE = "input_image"
"""Under this name the image that comes in is put by, for what reads it at the end."""


def classes(count: int, plain: Expression | None = None, *, plane: bool = True) -> Expression:
    """Classes from features.

    Args:
        count: Number of classes.
        plain: The plain head; absent: the mean over positions.
        plane: Whether features are an image, else tokens.
    """
    tokens: dict[str, Expression] = {"tokens": ImageToTokens()} if plane else {}
    asked = Parallel(
        queries=LearnedTokens(count=Choice(2, 4), place="alone"),
        memory=Pick(0),
        fuse=CrossAttention(heads=2),
    )
    query = Steps(
        **tokens,
        ask=asked,
        mlp=Residual(MLP(ratio=2), norm=LayerNorm()),
        classes=ClassifierHead(classes=count),
    )
    return Choose(
        classifier=plain or ClassifierHead(classes=count),
        other=Choose(
            aggregated_heads=GramianHead(classes=count, heads=Choice(2, 3), attention_heads=2),
            object_query=query,
        ),
    )


def pixels(image: Image, factor: int, stride: Any, *, plane: bool = True) -> Expression:
    """An image from features: a map from every position to its pixels, or that and a convolution.

    Args:
        image: What goes out.
        factor: Its sides over those of the image that came in.
        stride: Pixels that came in from one position to the next.
        plane: Whether features are an image, else tokens.
    """
    tokens: Expression = ImageToTokens() if plane else Steps()
    like = Steps(first=Recall(IMAGE), image=Pick(1), grid=Upsample(factor=factor))
    out = Parallel(
        tokens=tokens, grid=like, fuse=Unpatchify(channels=image.channels, patch=stride * factor)
    )
    refine = Residual(
        Steps(conv=Conv(kernel=3, activation="gelu"), out=Conv(kernel=3)), merge=Add()
    )
    return Choose(linear=out, conv=Steps(linear=out, refine=refine))

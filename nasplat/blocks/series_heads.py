"""From features of a series to what a task asks for: classes, symbols for frames, other series.

References:
    [Graves2006] A. Graves et al. Connectionist temporal classification. ICML 2006.
    [Gao2022] Z. Gao et al. Paraformer: fast and accurate parallel transformer for non-autoregressive
        end-to-end speech recognition. Interspeech 2022.
    [Chen2021] L.-W. Chen, A. Rudnicky. Fine-grained style control in Transformer-based text-to-speech
        synthesis. ICASSP 2022.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.series_blocks import Style, feed_forward, number
from nasplat.graph.op import Expression
from nasplat.graph.types import Logits, Series, TensorType, Tokens
from nasplat.ops.attention import CrossAttention
from nasplat.ops.codec import IntegrateAndFire
from nasplat.ops.head import ClassifierHead
from nasplat.ops.merge import Concat
from nasplat.ops.patch import ConvStem
from nasplat.ops.resample import Identity
from nasplat.ops.series import CTCHead, SeriesHead, ToTokens
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.repeat import Repeat
from nasplat.space.wiring import First, Parallel, Pick, Shared, Steps

MOST_PLACES = 1024
"""Places of a parallel decoder and positions of a map to samples; beyond them a place gives several."""


def decoder(output: TensorType) -> Any:
    """How features become the output: the decision that networks and heads read.

    Args:
        output: Of the task: ``Logits``, ``Tokens`` of frames, or ``Series``.
    """
    if isinstance(output, Logits):
        return Choice("linear", name="decoder")
    first = "ctc" if isinstance(output, Tokens) else "linear"
    return Choice(first, "non_autoregressive", name="decoder")


def head(style: Style, output: TensorType, decoded: Any) -> Expression:
    """The part that reads the features of a network.

    Args:
        style: What the blocks of the network share.
        output: Of the task.
        decoded: What :func:`decoder` gave.
    """
    if isinstance(output, Logits):
        return Match(decoded, {"linear": plain(output)})
    first = "ctc" if isinstance(output, Tokens) else "linear"
    return Match(decoded, {first: plain(output), "non_autoregressive": parallel(style, output)})


def plain(output: TensorType) -> Expression:
    """A linear map of each position, or of their mean."""
    if isinstance(output, Logits):
        return ToTokens() >> ClassifierHead(classes=output.classes)
    if isinstance(output, Tokens):
        return CTCHead(frames=output.length, vocabulary=output.dim)
    assert isinstance(output, Series)
    patch = SeriesHead(channels=output.channels, length=output.length)
    if output.length > MOST_PLACES:
        return patch
    spread = SeriesHead(channels=output.channels, length=output.length, form="linear")
    return Choose(patch=patch, spread=spread)


def parallel(style: Style, output: TensorType) -> Expression:
    """Features fire as many places as the output has, which then read them all at once [Gao2022]."""
    assert isinstance(output, Tokens | Series)
    places = output.length if output.length <= MOST_PLACES else -(-output.length // 16)
    heads = number(style.domains.heads)
    ffn = Shared("places.ffn", feed_forward(style))
    turn = Parallel(CrossAttention(heads=heads), Pick(1)) >> First(style.residual(ffn))
    body = Repeat(turn, number(style.domains.depths, "places.depth"), share="decisions")
    fired = Parallel(fire=IntegrateAndFire(count=places) >> Pick(0), memory=Identity())
    last: Expression
    if isinstance(output, Tokens):
        last = CTCHead(frames=output.length, vocabulary=output.dim)
    else:
        last = SeriesHead(channels=output.channels, length=output.length)
    return Steps(fire=fired, places=body, last=Pick(0) >> last)


def conditioned(style: Style, widths: tuple[int, ...]) -> Expression:
    """A series and a condition beside it: the condition is ignored, read, or put before the series.

    Read by a stack of cross-attentions, each around a skip [Chen2021].

    Args:
        style: What the blocks of the network share.
        widths: Channels of the encoded condition.
    """
    width = number(widths, "condition.width")
    enter = ConvStem(channels=width, stride=2, norm="batch")
    both = Parallel(series=Pick(0), condition=Pick(1) >> enter)
    heads = number(style.domains.heads)
    reading = Parallel(CrossAttention(heads=heads), Pick(1))
    depth = number(style.domains.depths, "condition.depth")
    stack = Repeat(reading, depth, share="decisions") >> Pick(0)
    options = {
        "none": Pick(0),
        "cross_attention": both >> stack,
        "tokens_in_sequence": both >> Concat(axis="sequence"),
    }
    return Shared("conditioning", Choose(**options))

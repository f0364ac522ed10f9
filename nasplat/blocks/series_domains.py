"""A waveform and its spectrogram side by side: two U-shapes that meet in a transformer [Rouard2023].

References:
    [Rouard2023] S. Rouard, F. Massa, A. Defossez. Hybrid transformers for music source separation.
        ICASSP 2023.
"""

from __future__ import annotations

from typing import Any

from nasplat.blocks.series_blocks import convolution, feed_forward, number, sparse
from nasplat.blocks.series_networks import Scale, cross
from nasplat.graph.op import Expression
from nasplat.graph.types import Series, TensorType
from nasplat.ops.attention import LinearAttention, SelfAttention
from nasplat.ops.conv import Conv
from nasplat.ops.merge import Add, Concat
from nasplat.ops.patch import ConvStem
from nasplat.ops.resample import StridedConv, Upsample
from nasplat.ops.series import Flatten, InverseSpectrogram, PadTo, SeriesHead, Spectrogram
from nasplat.space.choose import Choose
from nasplat.space.decisions import Choice
from nasplat.space.repeat import Repeat
from nasplat.space.ushape import Level, UShape
from nasplat.space.wiring import Each, Parallel, Pick, Shared, Steps


def two_domains(scale: Scale, output: TensorType) -> Expression:
    """The network for an output: sources as long as the series by two sums, else features.

    Args:
        scale: What the networks of the space share.
        output: Where it is a series as long as the input, each path gives one and they are added;
            else the features of both paths go on side by side.
    """
    stride = Choice(*scale.strides, name="domains.stride")
    width = scale.width("domains.0")
    wave = ConvStem(channels=width, stride=stride, norm="batch") >> PadTo(multiple=2)
    spectrum = Spectrogram(bins=scale.bins, hop=scale.hop) >> Conv(
        channels=width, kernel=3, norm="batch", activation="silu"
    )
    return Steps(
        enter=Parallel(wave=wave, spectrum=spectrum >> PadTo(multiple=2)),
        domains=UShape((_level(scale, width),), bottom=_inner(scale)),
        leave=_sum(scale, output) if waveform(scale, output) else _features(width),
    )


def waveform(scale: Scale, output: TensorType) -> bool:
    """Whether the network gives the output itself: a series as long as the input."""
    return isinstance(output, Series) and output.length == scale.series.length


def _level(scale: Scale, width: Any) -> Level:
    """Convolutions on both paths, half the positions on the way in."""
    style = scale.style
    below = scale.width("domains.1", min(1, scale.stages - 1))
    convolved = Shared("domains.conv", convolution(style))

    def outer() -> Expression:
        return Each(wave=style.residual(convolved), spectrum=style.residual(convolved))

    def up() -> Expression:
        return Upsample() >> Conv(channels=width, kernel=3)

    return Level(
        encode=outer(),
        down=Each(wave=StridedConv(channels=below), spectrum=StridedConv(channels=below)),
        up=Each(wave=up(), spectrum=up()),
        merge=Parallel(wave=Pick(0, 2) >> Add(), spectrum=Pick(1, 3) >> Add()),
        decode=outer(),
    )


def _inner(scale: Scale) -> Expression:
    """Attention within each path, then between them where they meet, then feed-forward parts."""
    style = scale.style
    heads = number(style.domains.heads)
    attend = Shared(
        "domains.attend",
        Choose(
            **{"global": SelfAttention(heads=heads)},
            linear=LinearAttention(heads=heads),
            sparse=sparse(style, heads),
        ),
    )
    ffn = Shared("domains.ffn", feed_forward(style))
    meet = Choose(
        bidirectional_cross_attention=cross(scale),
        none=Pick(0, 1),
    )
    body = Steps(
        own=Each(wave=style.residual(attend), spectrum=style.residual(attend)),
        meet=Shared("domains.meet", meet),
        ffn=Each(wave=style.residual(ffn), spectrum=style.residual(ffn)),
    )
    depth = number(style.domains.depths, "domains.depth")
    return Repeat(body, depth, share="decisions")


def _sum(scale: Scale, output: TensorType) -> Expression:
    assert isinstance(output, Series)
    parts = Conv(channels=2 * output.channels, kernel=3)
    back = InverseSpectrogram(length=output.length, hop=scale.hop)
    head = SeriesHead(channels=output.channels, length=output.length)
    return Each(wave=head, spectrum=parts >> back) >> Add()


def _features(width: Any) -> Expression:
    flat = Flatten(into="channels") >> Conv(channels=width, kernel=1)
    both = Parallel(wave=Pick(0), spectrum=Pick(1) >> flat)
    return both >> Concat(axis="sequence")

"""Networks over a series: from what is measured to features, by one path or by several that meet.

Each function gives a body from ``Series`` to ``Series(width, positions)``; how many positions is up to
it. What reads the features stands elsewhere (:mod:`nasplat.blocks.series_heads`).

References:
    [Ronneberger2015] O. Ronneberger, P. Fischer, T. Brox. U-Net. MICCAI 2015.
    [Burchi2021] M. Burchi, V. Vielzeuf. Efficient Conformer. ASRU 2021.
    [Defossez2023] A. Defossez et al. High fidelity neural audio compression. TMLR 2023.
    [Gu2024] Y. Gu, E. Diao. ESC: efficient speech coding with cross-scale residual vector quantized
        transformers. EMNLP 2024.
    [Rouard2023] S. Rouard, F. Massa, A. Defossez. Hybrid transformers for music source separation.
        ICASSP 2023.
    [Liu2025] C. Liu et al. TimeCMA. AAAI 2025.
    [Pradeepkumar2024] J. Pradeepkumar et al. Toward interpretable sleep stage classification using
        cross-modal transformers. TNSRE 2024.
    [Wang2025] Z. Wang et al. DBConformer: dual-branch convolutional transformer for EEG decoding. 2025.
    [Xu2020] M. Xu et al. Spatial-temporal transformer networks for traffic flow forecasting. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nasplat.blocks.series_blocks import Style, feed_forward, number, stage
from nasplat.graph.op import Expression
from nasplat.graph.types import Series
from nasplat.ops.attention import CrossAttention
from nasplat.ops.attention_pooled import PooledAttention
from nasplat.ops.attention_window import AxisAttention
from nasplat.ops.codec import VectorQuantize
from nasplat.ops.conv import Conv, DepthwiseConv
from nasplat.ops.merge import Add, Concat, Gated, Split, Take
from nasplat.ops.patch import ConvStem, PatchStem
from nasplat.ops.position import AbsolutePosition, ConvPosition
from nasplat.ops.resample import Identity, PoolProjection, StridedConv, Upsample
from nasplat.ops.selective import RetrievalMerge
from nasplat.ops.series import Flatten, PadTo, Spectrogram, ToSeries, ToTokens, VariableEmbed
from nasplat.ops.variables import NeighbourAttention, SymbolEmbed
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.frozen import Frozen
from nasplat.space.repeat import Repeat
from nasplat.space.residual import Residual
from nasplat.space.ushape import Level, UShape
from nasplat.space.wiring import Each, Parallel, Pick, Shared, Steps


@dataclass(frozen=True)
class Scale:
    """What the networks of one space share.

    Attributes:
        series: The input.
        style: Of the blocks.
        widths: Channels that each stage decides between.
        strides: Samples of a position that the first layer decides between.
        bins: Frequencies of spectrograms.
        hop: Samples from one window of a spectrogram to the next.
        codebooks: Entries of quantisers.
    """

    series: Series
    style: Style
    widths: tuple[tuple[int, ...], ...]
    strides: tuple[int, ...]
    bins: int
    hop: int
    codebooks: tuple[int, ...]
    made: dict[str, Any] = field(default_factory=dict)
    """The decisions for channels so far, by slot: a slot has one."""

    @property
    def stages(self) -> int:
        """Stages of a network."""
        return len(self.widths)

    def width(self, slot: str, level: int = 0) -> Any:
        """The decision for the channels of a stage."""
        if slot not in self.made:
            self.made[slot] = number(self.widths[level], f"{slot}.width")
        return self.made[slot]

    @property
    def multiple(self) -> int:
        """Positions are filled up to a multiple of this, so that halving and doubling are inverse."""
        return 1 << (self.stages - 1)


def spectrum(scale: Scale, form: str) -> Spectrogram:
    """The spectrogram of the series: logarithms of power in linear or mel bands, or complex parts."""
    if form == "mel":
        return Spectrogram(form="mel", bins=scale.bins, hop=scale.hop, window=2 * scale.bins)
    return Spectrogram(form=form, bins=scale.bins, hop=scale.hop)


def tokenizer(scale: Scale, slot: str, width: Any) -> Expression:
    """From samples to positions: frames of samples or spectra, or one position for each variable."""
    stride = Choice(*scale.strides, name=f"{slot}.stride")
    spectra = {
        form: spectrum(scale, form) >> Flatten(into="channels")
        for form in ("magnitude", "mel", "stft")
    }
    options: dict[str, Expression] = {
        "conv_patch": ConvStem(channels=width, stride=stride, norm="batch"),
        "patch": PatchStem(channels=width, patch=stride, norm="layer"),
        "spectrogram": Steps(form=Choose(**spectra), enter=Conv(channels=width, kernel=3)),
    }
    if scale.series.channels > 1:
        options["series_variables"] = VariableEmbed(channels=width)
    return Steps(tokenizer=Shared(f"{slot}.tokenizer", Choose(**options)), order=order(scale))


def order(scale: Scale) -> Expression:
    """The encoding of positions that the whole network uses where one begins."""
    return Match(
        scale.style.position,
        {
            "none": Identity(),
            "absolute": AbsolutePosition(),
            "conv": ConvPosition(),
            "rope": Identity(),
        },
    )


def down(scale: Scale, slot: str, level: int, always: bool = False) -> Expression:
    """To the next stage, with fewer positions or as many: strided convolution, pool, strided queries."""
    width = scale.width(slot, level)
    heads = number(scale.style.domains.heads)
    query = PooledAttention(query_stride=2, kv_stride=1, pool="avg", heads=heads)
    options: dict[str, Expression] = {
        "conv": StridedConv(channels=width),
        "pool": PoolProjection(channels=width, mode=Choice("avg", "max")),
        "query": query >> Conv(channels=width, kernel=1),
    }
    if not always:
        options["none"] = Conv(channels=width, kernel=1)
    return Choose(**options)


def up(width: Any) -> Expression:
    """Twice the positions, at the width of the stage above."""
    return Choose(
        interpolate=Upsample(mode=Choice("linear", "nearest")) >> Conv(channels=width, kernel=1),
        transposed=Conv(channels=width, kernel=2, stride=2, transposed=True),
    )


def chain(scale: Scale, slot: str) -> Expression:
    """Stages one after the other [Burchi2021]; without any step down an isotropic network."""
    parts: dict[str, Expression] = {"0": stage(scale.style, f"{slot}.0")}
    for level in range(1, scale.stages):
        at = f"{slot}.{level}"
        step = Shared(f"{at}.down", down(scale, at, level))
        parts[str(level)] = Steps(down=step, blocks=stage(scale.style, at))
    return Steps(**parts)


def single(scale: Scale) -> Expression:
    """One path of stages from the tokenizer on."""
    return Steps(
        enter=tokenizer(scale, "stages", scale.width("stages.0")), stages=chain(scale, "stages")
    )


def masked(scale: Scale) -> Expression:
    """One stage whose output gates what enters it: masks on an encoded mixture."""
    gate = Gated(form="product", gate_from="second")
    body = Residual(stage(scale.style, "mask"), merge=gate)
    return Steps(enter=tokenizer(scale, "mask", scale.width("mask")), mask=body)


def u_shape(scale: Scale) -> Expression:
    """Down through frame rates and up again, with skips between equal rates [Ronneberger2015].

    A skip is added, put side by side, or brings only what a quantiser keeps of its difference from what
    comes up [Gu2024].
    """

    def level(number_of: int) -> Level:
        slot, below = f"u.{number_of}", f"u.{number_of + 1}"
        quantised = Pick(1, 0) >> VectorQuantize(codebook=Choice(*scale.codebooks)) >> Pick(0)
        return Level(
            encode=stage(scale.style, f"{slot}.encode"),
            down=down(scale, below, number_of + 1, always=True),
            up=up(scale.width(slot, number_of)),
            merge=Choose(add=Add(), concat=Concat(), quantised=quantised),
            decode=stage(scale.style, f"{slot}.decode"),
        )

    return Steps(
        enter=tokenizer(scale, "u", scale.width("u.0")) >> PadTo(multiple=scale.multiple),
        u=UShape(
            tuple(level(number_of) for number_of in range(scale.stages - 1)),
            bottom=stage(scale.style, "u.bottom"),
        ),
    )


def encoder(scale: Scale) -> Expression:
    """Stages with fewer and fewer positions, then a quantiser of one or more levels, or none."""
    book = Choice(*scale.codebooks)
    quantiser = Choose(
        none=Identity(),
        single=VectorQuantize(codebook=book) >> Pick(0),
        residual=VectorQuantize(codebook=book, levels=Choice(2, 4)) >> Pick(0),
    )
    return Steps(
        enter=tokenizer(scale, "encoder", scale.width("encoder.0")),
        encoder=chain(scale, "encoder"),
        quantiser=Shared("encoder.quantiser", quantiser),
    )


def mirrored(scale: Scale) -> Expression:
    """The stages of an encoder in reverse, with more and more positions [Defossez2023]."""
    parts: dict[str, Expression] = {}
    for level in reversed(range(scale.stages)):
        at = f"decoder.{level}"
        blocks = stage(scale.style, at)
        above = scale.width(at, max(0, level - 1))
        rise = Shared(f"{at}.up", up(above))
        parts[str(level)] = Steps(blocks=blocks, up=rise) if level else blocks
    return Steps(decoder=Steps(**parts))


def cross(scale: Scale) -> Expression:
    """Two streams that each read the other."""
    heads = number(scale.style.domains.heads)
    there, back = CrossAttention(heads=heads), CrossAttention(heads=heads)
    return Parallel(there=there, back=Pick(1, 0) >> back)


def meeting(scale: Scale, slot: str) -> Expression:
    """Two streams become one: side by side, or after one or both read the other."""
    heads = number(scale.style.domains.heads)
    return Shared(
        f"{slot}.fusion",
        Choose(
            concat=Concat(axis="sequence"),
            cross_attention=CrossAttention(heads=heads),
            bidirectional_cross_attention=cross(scale) >> Concat(axis="sequence"),
        ),
    )


def two_axes(scale: Scale) -> Expression:
    """One path over time, one over variables (electrodes); they meet late or in the middle [Wang2025]."""
    width = scale.width("axes")
    stride = Choice(*scale.strides, name="axes.stride")

    def path(name: str, enter: Expression) -> Expression:
        return Steps(enter=enter >> order(scale), blocks=stage(scale.style, f"axes.{name}"))

    return Steps(
        axes=Parallel(
            time=path("time", ConvStem(channels=width, stride=stride, norm="batch")),
            variables=path("variables", VariableEmbed(channels=width)),
        ),
        middle=Shared("axes.middle", Choose(none=Pick(0, 1), cross=cross(scale))),
        after=Each(
            time=stage(scale.style, "axes.time_after"),
            variables=stage(scale.style, "axes.variables_after"),
        ),
        fusion=meeting(scale, "axes"),
    )


def variable_grid(scale: Scale) -> Expression:
    """Attention among variables, then along time, in every block [Xu2020]."""
    style = scale.style
    heads = number(style.domains.heads)
    spatial = Shared(
        "grid.spatial",
        Choose(
            learned_graph=NeighbourAttention(heads=heads, neighbours=Choice(2, 4)),
            all_variables=AxisAttention(axis=0, heads=heads),
        ),
    )
    body = Steps(
        spatial=style.residual(spatial),
        temporal=style.residual(AxisAttention(axis=1, heads=heads)),
        ffn=style.residual(Shared("grid.ffn", feed_forward(style))),
    )
    patch = Choice(*scale.strides, name="grid.stride")
    return Steps(
        enter=VariableEmbed(channels=scale.width("grid"), patch=patch) >> order(scale),
        blocks=Repeat(body, number(style.domains.depths, "grid.depth"), share="decisions"),
        flat=Flatten(),
    )


def two_modalities(scale: Scale) -> Expression:
    """Variables as positions beside a frozen network that reads their values as text [Liu2025].

    The last symbol of each variable stands for what was read; the first path retrieves from it.
    """
    style, width = scale.style, scale.width("modalities")
    heads = number(style.domains.heads)
    reader = Repeat(
        Steps(
            attention=style.residual(AxisAttention(axis=0, mask="causal", heads=heads)),
            ffn=style.residual(Shared("modalities.text.ffn", feed_forward(style))),
        ),
        number(style.domains.depths, "modalities.text.depth"),
        share="decisions",
    )
    text = SymbolEmbed(dim=width) >> reader >> Take(start=-1) >> Flatten()
    retrieval = Each(ToTokens(), ToTokens()) >> RetrievalMerge() >> ToSeries()
    fusion = Choose(
        retrieval=retrieval, cross_attention=CrossAttention(heads=heads), concat=Concat(), sum=Add()
    )
    return Steps(
        modalities=Parallel(
            series=VariableEmbed(channels=width) >> stage(style, "modalities.series"),
            text=Frozen(text, Choice(True, False, name="modalities.frozen")),
        ),
        fusion=Shared("modalities.fusion", fusion),
        after=stage(style, "modalities.after"),
    )


def many_modalities(scale: Scale) -> Expression:
    """Groups of variables, each with a convolutional path of its own, then a meeting [Pradeepkumar2024]."""
    style, width = scale.style, scale.width("groups")
    parts = min(3, scale.series.channels)
    kernels = style.domains.kernels
    stride = Choice(*scale.strides, name="groups.stride")
    heads = number(style.domains.heads)
    sizes = {
        f"size{size}": DepthwiseConv(kernel=size, norm="batch", activation="silu")
        for size in kernels
    }
    kinds = Choose(
        multi_kernel=Parallel(fuse=Concat(), **sizes),
        standard=Conv(kernel=number(kernels), norm="batch", activation="silu"),
    )
    convolved = Shared("groups.enter", kinds)
    own = stage(style, "groups.own")
    paths = {
        f"group{part}": ConvStem(channels=width, stride=stride, norm="batch") >> convolved >> own
        for part in range(parts)
    }
    fusion = Choose(
        cross_attention=CrossAttention(heads=heads), late_merge=Concat(), sum=Add(), gated=Gated()
    )
    return Steps(
        split=Split(parts=parts),
        groups=Each(**paths),
        fusion=Shared("groups.fusion", fusion),
        after=stage(style, "groups.after"),
    )

"""Networks over any one-dimensional series: speech, sound, sensors, brain waves, markets.

A series of any number of channels becomes classes, symbols for frames, or other series (separated sources, a
cleaned or decoded waveform, a forecast). Decided are the way from samples to positions, the network as a
whole (a chain of stages, a U, an encoder with its mirrored decoder, or several paths over time and
variables, waveform and spectrum, groups of sensors), the arrangement of attention and convolution in the
blocks of each stage, and what decodes.

Papers (the choices are theirs; the space as a whole is ours):
    Conformer: A. Gulati et al. Interspeech 2020.      Efficient Conformer: M. Burchi et al. ASRU 2021.
    Squeezeformer: S. Kim et al. NeurIPS 2022.         Zipformer: Z. Yao et al. ICLR 2024.
    Paraformer: Z. Gao et al. Interspeech 2022.        EnCodec: A. Defossez et al. TMLR 2023.
    HT Demucs: S. Rouard et al. ICASSP 2023.           MossFormer: S. Zhao et al. ICASSP 2023.
    Tiny-Sepformer: J. Luo et al. Interspeech 2022.    LMUFormer: Z. Liu et al. ICLR 2024.
    STTN: M. Xu et al. 2020.                           TimeCMA: C. Liu et al. AAAI 2025.
and further ones beside the parts in ``nasplat/blocks/series_*.py``.

Size and cost follow from the length of the series by one rule (:func:`sizes`):

    task                                            candidates   parameters of most random candidates
    Series(8, 8) -> Logits(10)                      2.1e+32      2 k .. 58 k
    Series(7, 96) -> Series(7, 96)                  3.0e+48      64 k .. 1.0 M
    Series(80, 1024) -> Tokens(256, 128)            1.5e+48      0.7 M .. 12 M
    Series(1, 16000) -> Series(2, 16000)            1.3e+48      1.3 M .. 29 M

Command:
    nasplat search --space speech --task digits-rows --budget 10min
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nasplat.blocks.series_axes import AXES
from nasplat.blocks.series_blocks import Domains, Style, stage
from nasplat.blocks.series_domains import two_domains, waveform
from nasplat.blocks.series_heads import conditioned, decoder, head, plain
from nasplat.blocks.series_networks import (
    Scale,
    encoder,
    many_modalities,
    masked,
    mirrored,
    single,
    tokenizer,
    two_axes,
    two_modalities,
    u_shape,
    variable_grid,
)
from nasplat.errors import SpaceError
from nasplat.graph.op import Expression
from nasplat.graph.types import Ids, Logits, Series, TensorType, Tokens, show_types
from nasplat.ops.exits import ExitGate
from nasplat.ops.resample import Identity
from nasplat.ops.series import ToSeries
from nasplat.ops.text import TokenEmbedding
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.load import Typed, Types
from nasplat.space.space import Space
from nasplat.space.wiring import First, Pick, Recall, Steps, Tap

TASK = "digits-rows"
"""What the space is searched on by itself."""
EXAMPLES: Mapping[str, Types] = {
    "digits": Types({"series": Series(8, 8)}, {"logits": Logits(10)}),
    "speech": Types({"frames": Series(8, 48)}, {"symbols": Tokens(16, 12)}),
    "sources": Types({"mixture": Series(1, 96)}, {"sources": Series(2, 96)}),
    "forecast": Types({"past": Series(4, 32)}, {"future": Series(4, 8)}),
    "biosignal": Types({"signals": Series(6, 64)}, {"logits": Logits(5)}),
    "text": Types({"text": Ids(12, 30)}, {"frames": Series(8, 40)}),
    "styled": Types({"text": Ids(12, 30), "style": Series(8, 24)}, {"frames": Series(8, 40)}),
}
MOST_BINS = 1024
"""Spectra are offered where channels times frequencies are at most this."""


@dataclass(frozen=True)
class Sizes:
    """The domains that follow from the length of the series; by default from one rule (:func:`sizes`).

    Attributes:
        widths: For each stage the channels it decides between.
        depths: Blocks of a stage.
        heads: Heads of attention.
        kernels: Sides of convolutions.
        windows: Positions of a window.
        ratios: Hidden channels of feed-forward parts over channels.
        experts: Experts of a mixture.
        loops: Turns of a block with one set of weights.
        orders: States of a memory.
        strides: Samples of a position, powers of two.
        bins: Frequencies of a spectrum.
        codebooks: Entries of a quantiser.
    """

    widths: tuple[tuple[int, ...], ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    kernels: tuple[int, ...]
    windows: tuple[int, ...]
    strides: tuple[int, ...]
    bins: int
    codebooks: tuple[int, ...]
    ratios: tuple[float, ...] = (1, 2, 4)
    experts: tuple[int, ...] = (2, 4)
    loops: tuple[int, ...] = (1, 2, 3)
    orders: tuple[int, ...] = (4, 8)


def sizes(length: int) -> Sizes:
    """The rule for a series of this many samples: at most about 256 positions, widths as their root."""
    stride = 1 << max(0, math.ceil(math.log2(length / 256)))
    positions = max(4, length // stride)
    base = 8 * max(2, min(32, round(math.sqrt(length / 8) * 2)))
    small = positions <= 64
    stages = 2 if small else 3
    return Sizes(
        widths=tuple(
            tuple(base * part * (2 + level) // 8 for part in (2, 3, 4, 6))
            for level in range(stages)
        ),
        depths=(1, 2),
        heads=(1, 2, 4) if small else (2, 4, 8),
        kernels=(3, 5, 7) if small else (3, 7, 15, 31),
        windows=(2, 4) if positions <= 16 else (4, 8, 16),
        strides=(stride, 2 * stride),
        bins=1 << max(2, int(math.log2(1.5 * math.sqrt(length)))),
        codebooks=(16, 64) if small else (256, 1024),
    )


def space(task: Typed, *, recipe: bool = True, sizes: Sizes | None = None) -> Space:
    """The space for the types of a task.

    Args:
        task: A ``Series`` or ``Ids`` in, beside it another ``Series`` as a condition or not; ``Logits``,
            ``Tokens`` (frames, symbols) or ``Series`` out.
        recipe: Whether the learning rate is a decision, or left to the trainer.
        sizes: Domains of the decisions; None: by the rule of :func:`sizes`.

    Raises:
        SpaceError: The task has other inputs or outputs.
    """
    inputs, outputs = tuple(task.inputs.values()), tuple(task.outputs.values())
    if (
        not 1 <= len(inputs) <= 2
        or len(outputs) != 1
        or not isinstance(inputs[0], Series | Ids)
        or not all(isinstance(item, Series) for item in inputs[1:])
        or not isinstance(outputs[0], Logits | Tokens | Series)
    ):
        raise SpaceError(
            "speech maps one Series or Ids, beside it another Series as a condition or not, to one "
            "Logits (classes), Tokens (symbols of frames) or Series (sources, samples to come); "
            f"the task maps {show_types(inputs)} to {show_types(outputs)}"
        )
    first, output = inputs[0], outputs[0]
    chosen = sizes or _default(first)
    domains = Domains(
        chosen.depths,
        chosen.heads,
        chosen.kernels,
        chosen.windows,
        chosen.ratios,
        chosen.experts,
        chosen.loops,
        chosen.orders,
    )
    style = Style(domains)
    enter: dict[str, Expression] = {}
    if isinstance(first, Ids):
        width = chosen.widths[0][0]
        enter["embedding"] = First(TokenEmbedding(dim=width) >> ToSeries())
        first = Series(width, first.length)
    if len(inputs) == 2:
        enter["condition"] = conditioned(style, chosen.widths[0])
    scale = Scale(
        first,
        style,
        chosen.widths,
        chosen.strides,
        chosen.bins,
        max(1, chosen.bins // 2),
        chosen.codebooks,
    )
    body = Steps(**enter, network=Choose(**_networks(scale, output)))
    decided: dict[str, Any] = {"lr": Choice(0.001, 0.002, 0.004, 0.008, default=0.004)}
    return Space(
        body,
        task.inputs,
        task.outputs,
        recipe=decided if recipe else None,
        name="speech",
        axes=AXES,
    )


def _default(first: TensorType) -> Sizes:
    assert isinstance(first, Series | Ids)
    return sizes(first.length)


def _networks(scale: Scale, output: TensorType) -> dict[str, Expression]:
    """The networks that the input and the output allow, each with its head."""
    style, decoded = scale.style, decoder(output)
    last = head(style, output, decoded)
    restored = {"linear": mirrored(scale), "ctc": mirrored(scale)}
    values = [decoded.value(index) for index in range(decoded.count)]
    rest = {value: restored.get(value, Identity()) for value in values}
    networks: dict[str, Expression] = {
        "stages": Steps(body=single(scale), head=last),
        "u_shape": Steps(body=u_shape(scale), head=last),
        "encoder_decoder": Steps(body=encoder(scale), rest=Match(decoded, rest), head=last),
        "masked": Steps(body=masked(scale), head=last),
    }
    if not isinstance(output, Series):
        networks["exits"] = _exits(scale, output)
    channels = scale.series.channels
    if channels * 2 * scale.bins <= MOST_BINS:
        ends = waveform(scale, output)
        both = two_domains(_narrow(scale), output)
        networks["two_domains"] = both if ends else Steps(body=both, head=last)
    if channels > 1:
        networks["two_axes"] = Steps(body=two_axes(scale), head=last)
        networks["grid"] = Steps(body=variable_grid(scale), head=last)
        networks["two_modalities"] = Steps(body=two_modalities(scale), head=last)
        networks["groups"] = Steps(body=many_modalities(scale), head=last)
    return networks


def _narrow(scale: Scale) -> Scale:
    """The same with kernels for planes instead of lines."""
    domains = replace(scale.style.domains, kernels=(3, 5))
    return replace(scale, style=replace(scale.style, domains=domains))


def _exits(scale: Scale, output: TensorType) -> Expression:
    """A chain of stages with a head behind each; the first that is sure answers."""
    width = scale.width("exits")
    parts: dict[str, Expression] = {"enter": tokenizer(scale, "exits", width)}
    for number in range(scale.stages):
        parts[f"stage{number}"] = stage(scale.style, f"exits.{number}")
        if number < scale.stages - 1:
            parts[f"exit{number}"] = Tap(f"exit{number}", plain(output), output=False)
    names = [f"exit{number}" for number in range(scale.stages - 1)]
    gate = ExitGate(rule=Choice("confidence", "entropy"), threshold=Choice(0.5, 0.7, 0.9))
    collected = plain(output) >> Recall(*names) >> Pick(*range(1, scale.stages), 0)
    return Steps(**parts, last=collected, gate=gate)

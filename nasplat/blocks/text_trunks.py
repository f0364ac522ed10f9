"""Shapes of text networks: chains and loops, hourglasses, global and local levels, and other wirings.

References:
    [Nawrot2022] P. Nawrot et al. Hierarchical transformers are more efficient language models. 2022.
    [Yu2023] L. Yu et al. MEGABYTE: predicting million-byte sequences with multiscale transformers. 2023.
    [Hwang2025] S. Hwang, B. Wang, A. Gu. Dynamic chunking for hierarchical sequence modeling. 2025.
    [Sun2024] Y. Sun et al. You only cache once: decoder-decoder architectures for language models. 2024.
    [Lawson2025] T. Lawson, L. Aitchison. Learning to skip the middle layers of transformers. 2025.
    [Xiao2025] D. Xiao et al. MUDDFormer: breaking residual bottlenecks in transformers. ICML 2025.
    [Gurioli2025] A. Gurioli et al. One model to train them all: hierarchical self-distillation. 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplat.blocks.text_ffns import FFNDomains, ffn_part, shortcut_experts
from nasplat.blocks.text_mixers import (
    Heads,
    MixerDomains,
    heads_of,
    mixer_part,
    projected_part,
)
from nasplat.blocks.text_settings import TextSettings
from nasplat.graph.op import Expression
from nasplat.ops.attention import SelfAttention
from nasplat.ops.attention_edges import CachedAttention, KVProjection
from nasplat.ops.chunk import DeChunk, DynamicChunk, FoldTokens, ShiftTokens, UnfoldTokens
from nasplat.ops.layer_mix import DynamicLayerMix
from nasplat.ops.linear import Linear
from nasplat.ops.merge import Add
from nasplat.ops.text import Exits, SkipGate, SkipMerge
from nasplat.space.choose import Match, Optional
from nasplat.space.decisions import Choice, domain
from nasplat.space.frozen import Frozen
from nasplat.space.repeat import Repeat
from nasplat.space.skips import Connected
from nasplat.space.wiring import Each, First, Parallel, Pick, Recall, Steps, Tap, Tied


@dataclass(frozen=True, eq=False)
class Stage:
    """Blocks that look alike.

    Attributes:
        name: Where its decisions stand.
        depth: Number of blocks.
        mixer: Mixer of a block.
        ffn: Feed-forward part of a block.
        heads: Decisions on heads for attentions that are not part of ``mixer``.
        body: All blocks.
    """

    name: str
    depth: Any
    mixer: Expression
    ffn: Expression
    heads: Heads
    body: Expression


def stage_of(
    s: TextSettings,
    name: str,
    depths: tuple[int, ...],
    mixers: MixerDomains,
    ffns: FFNDomains,
) -> Stage:
    """A stage with decisions of its own."""
    depth = Choice(*depths, name=f"{name}.depth")
    mixer, ffn = mixer_part(s, name, mixers), ffn_part(s, name, ffns)
    block = Steps(
        paths=Parallel(
            dense=_block(s, name, mixer, ffn),
            experts=s.part(
                s.residual,
                {"previous_layer_shortcut": shortcut_experts(s, name, ffns)},
                Pick(),
            ),
        ),
        sum=s.part(s.residual, {"previous_layer_shortcut": Add()}, Steps()),
    )
    body = Repeat(block, times=depth, share="decisions")
    return Stage(name, depth, mixer, ffn, heads_of(f"{name}.streams", mixers), body)


def _block(s: TextSettings, name: str, mixer: Expression, ffn: Expression) -> Expression:
    """A mixer, and a feed-forward part that reads what the mixer gives or what enters the block."""
    present = [Choice(True, False, name=f"{name}.{part}_part") for part in ("mixer", "ffn")]
    entry = s.part(s.order, {"parallel_blocks": Pick(0)}, Pick(1))
    inner = Steps(
        entry=entry,
        norm=s.norm_where("pre", "sandwich", "sub_layer"),
        ffn=ffn,
        norm_out=s.norm_where("sandwich"),
    )
    second = Steps(
        paths=Parallel(around=Pick(1), inner=inner, fuse=s.merge()), norm=s.norm_where("post")
    )
    return Steps(
        mixer=Parallel(entry=Steps(), mixed=Optional(s.residual_part(mixer), present[0])),
        ffn=Match(present[1], {True: second, False: Pick(1)}),
    )


@dataclass(frozen=True, eq=False)
class Trunks:
    """The shapes that one set of three stages can take.

    Attributes:
        settings: Of the network.
        stages: Three stages, in the order in which tokens meet them.
        length: Number of tokens.
        loops: How often the middle stage of a chain is passed.
        ends: Whether a chain has its first and its last stage.
        down: ``fixed_blocks`` or ``learned_chunk``: how tokens become fewer.
        skip: Whether tokens go around the part where they are fewer.
        block: Tokens of a fixed block.
        ratio: Tokens of a learned chunk that a loss pulls to.
    """

    settings: TextSettings
    stages: tuple[Stage, Stage, Stage]
    length: int
    loops: Any
    ends: Any
    down: Any
    skip: Any
    block: Any
    ratio: Any

    def chain(self, head: Expression) -> Expression:
        """A first stage, a stage that is passed several times, a last stage; and the head.

        The weights of the stages may stay as they are made.
        """
        frozen = Choice(False, True, name="frozen")
        return Steps(stages=Frozen(Steps(**self._chain()), frozen), head=head)

    def _chain(self) -> dict[str, Expression]:
        first, middle, last = (stage.body for stage in self.stages)
        return {
            "first": Optional(first, self.ends),
            "middle": Repeat(middle, times=self.loops, share="weights"),
            "last": Optional(last, self.ends),
        }

    def exits(self, head: Expression) -> Expression:
        """A chain with one head behind each stage, all with the same weights [Gurioli2025]."""
        steps = self._chain()
        tied = Tied("exit", head)
        return Steps(
            first=steps["first"],
            keep_first=Tap("first", output=False),
            middle=steps["middle"],
            keep_middle=Tap("middle", output=False),
            last=steps["last"],
            outputs=Recall("first", "middle"),
            order=Pick(1, 2, 0),
            heads=Each(first=tied, middle=tied, last=tied),
            exit=Exits(),
        )

    def hourglass(self, head: Expression) -> Expression:
        """Tokens, fewer tokens, as many tokens again [Nawrot2022]."""
        return self._levels(head, self.stages[0].body)

    def global_local(self, head: Expression) -> Expression:
        """A large model of blocks or chunks, whose states a small model of tokens reads [Yu2023]."""
        encoder = self.part(self.down, {"learned_chunk": self.stages[0].body})
        return self._levels(head, encoder)

    @staticmethod
    def part(decision: Any, chosen: dict[Any, Expression]) -> Expression:
        """A part for some values of a decision, nothing for the others."""
        return Match(decision, {value: chosen.get(value, Steps()) for value in domain(decision)})

    def _levels(self, head: Expression, encoder: Expression) -> Expression:
        """An encoder of tokens, the middle stage on fewer of them, and the last stage on all again."""
        inner = Match(self.down, {"fixed_blocks": self._blocks(), "learned_chunk": self._chunks()})
        levels = Parallel(
            inner=inner,
            around=Match(self.skip, {True: Steps(), False: Pick()}),
            fuse=self.part(self.skip, {True: Add()}),
        )
        return Steps(first=encoder, levels=levels, last=self.stages[2].body, head=head)

    def _blocks(self) -> Expression:
        """Fixed blocks of tokens; what returns to a token knows only earlier blocks [Yu2023]."""
        return Steps(
            fold=FoldTokens(block=self.block),
            narrow=Linear(dim=self.settings.width),
            shift=ShiftTokens(by=1),
            blocks=self.stages[1].body,
            widen=Linear(dim=self.settings.width * self.block),
            unfold=UnfoldTokens(length=self.length, block=self.block),
        )

    def _chunks(self) -> Expression:
        """Chunks of learned lengths, and back [Hwang2025]."""
        return Steps(
            chunk=DynamicChunk(target_ratio=self.ratio),
            inner=First(self.stages[1].body),
            kept=Pick(0, 2),
            dechunk=DeChunk(),
        )

    def dense(self, head: Expression) -> Expression:
        """Every block reads weighted sums of all before it, one each for queries, keys, values, residual."""
        s, stage = self.settings, self.stages[1]
        norms = {name: s.norm_part() for name in ("query", "key", "value")}
        attend = Steps(
            three=Pick(0, 1, 2),
            norms=Each(**norms),
            attention=projected_part(s, stage.heads, "dense", streams=True),
        )
        block = Steps(
            mixer=Parallel(around=Pick(3), attend=attend, fuse=s.merge()),
            ffn=s.residual_part(stage.ffn),
        )
        body = Connected(
            Steps(streams=DynamicLayerMix(streams=4), block=block),
            times=stage.depth,
            share="decisions",
            merge=Steps(),
            last=DynamicLayerMix(),
        )
        return Steps(blocks=body, head=head)

    def decoder_decoder(self, head: Expression) -> Expression:
        """A lower half whose output makes one cache that all layers of the upper half read [Sun2024]."""
        s, (lower, middle, upper) = self.settings, self.stages
        rotary = {"rotary": s.rotated, "rotary_base": s.rotary_base}
        cache = KVProjection(
            heads=upper.heads.shared, head_dim=upper.heads.width, bias=s.bias, **rotary
        )
        kept = Steps(norm=s.norm_part(), cache=cache, keep=Tap("cache", output=False), none=Pick())
        read = Steps(
            cache=Recall("cache"),
            attention=CachedAttention(
                heads=upper.heads.count,
                bias=s.bias,
                out_bias=s.bias,
                mask=s.order_mask,
                **rotary,
            ),
        )
        block = Steps(mixer=s.residual_part(read), ffn=s.residual_part(upper.ffn))
        return Steps(
            lower=lower.body,
            middle=middle.body,
            cache=Parallel(tokens=Steps(), cache=kept),
            upper=Repeat(block, times=upper.depth, share="decisions"),
            head=head,
        )

    def skip_middle(self, head: Expression) -> Expression:
        """Pairs of layers around a middle that tokens may skip, as seen by a gate [Lawson2025]."""
        pairs = Choice(1, 2, name="skip_middle.pairs")
        nested = {number: self._pair(0, number) for number in (1, 2)}
        return Steps(layers=Match(pairs, nested), head=head)

    def _pair(self, level: int, pairs: int) -> Expression:
        if level == pairs:
            return self._gated(1, level)
        gate = f"gate{level}"
        outer = (Recall(f"gate{level - 1}"),) if level else ()
        made = Steps(
            **({"outer": outer[0]} if outer else {}),
            gate=SkipGate(),
            keep=Tap(gate, output=False),
            none=Pick(),
        )
        inner = Steps(
            gate=Parallel(tokens=Steps(), gate=made),
            spans=Parallel(around=Steps(), inner=self._pair(level + 1, pairs)),
            recall=Recall(gate),
            merge=SkipMerge(),
        )
        return Steps(first=self._gated(0, level), inner=inner, last=self._gated(2, level))

    def _gated(self, number: int, level: int) -> Expression:
        """A block whose attention sees only tokens that did not skip it."""
        s, stage = self.settings, self.stages[number]
        heads = stage.heads
        attention = SelfAttention(
            mask=s.mask,
            rotary=s.rotated,
            rotary_base=s.rotary_base,
            relative_bias=s.relative,
            bias=s.bias,
            out_bias=s.bias,
            **heads.fields,
        )
        seen = Steps(gate=Recall(f"gate{level - 1}"), attention=attention) if level else attention
        return Steps(mixer=s.residual_part(seen), ffn=s.residual_part(stage.ffn))

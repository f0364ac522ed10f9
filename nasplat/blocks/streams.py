"""Networks of several streams side by side: what flows is a tuple with one value for each stream.

``Exchange`` lets streams read each other at one depth. The functions below give bodies with open decisions
for streams of maps and of tokens; a space decides which streams there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nasplat.blocks.stages import THROUGH, Slot, Style, Units, convolutions, units
from nasplat.errors import GraphTypeError
from nasplat.graph.op import Expression
from nasplat.ops.attention import CrossAttention, LinearAttention, SelfAttention
from nasplat.ops.attention_sparse import TopKAttention
from nasplat.ops.conv import Conv
from nasplat.ops.dense import PoolTo, UpsampleTo
from nasplat.ops.ffn import MLP
from nasplat.ops.merge import Add, Concat, Gated, Split
from nasplat.ops.norm import LayerNorm
from nasplat.ops.resample import PatchMerging, PoolProjection, StridedConv
from nasplat.ops.selective import AttentionMerge
from nasplat.ops.token_reduction import TokenMerge, TokenPool
from nasplat.ops.views import Extrude, FromAbove
from nasplat.space.base import Combinator, Compiler, Part, Place, Refs, Run
from nasplat.space.choose import Choose, Match
from nasplat.space.decisions import Choice
from nasplat.space.plan import product
from nasplat.space.residual import Residual
from nasplat.space.wiring import Each, Named, Parallel, Pick, Shared, Steps, Tied

NAMES = ("first", "second", "third")


@dataclass(frozen=True, eq=False, init=False)
class Exchange(Combinator):
    """One part for each stream: it takes its own stream first, then all others.

    Args:
        parts: As many as there are streams.
    """

    parts: tuple[Expression, ...]

    def __init__(self, *parts: Expression) -> None:
        object.__setattr__(self, "parts", parts)

    def compile(self, compiler: Compiler, place: Place) -> Part:
        """Parts stand below the names of their streams."""
        parts = [
            compiler.part(part, place.at(name))
            for name, part in zip(NAMES, self.parts, strict=False)
        ]

        def emit(run: Run, refs: Refs) -> Refs:
            if len(refs) != len(parts):
                raise GraphTypeError(
                    f"at {place.name}: Exchange has {len(parts)} parts for {len(refs)} streams"
                )
            made: list[str] = []
            for at, part in enumerate(parts):
                made += part.emit(run, (refs[at], *refs[:at], *refs[at + 1 :]))
            return tuple(made)

        return Part(product(*(part.plan for part in parts)), emit)


@dataclass(frozen=True)
class Stream:
    """What is known of one stream before a candidate is built.

    Attributes:
        name: Of its decisions; streams of one name are alike in all groups.
        rank: Position axes; 0: tokens.
        positions: Most positions.
        classed: Whether the first token stands for the whole.
    """

    name: str
    rank: int
    positions: int
    classed: bool = False


@dataclass(frozen=True)
class Group:
    """Streams that run side by side.

    Attributes:
        streams: In order.
        style: Of their units.
        alike: Whether all have one type.
        tied: Decides whether blocks share weights across streams; None: they do not.
        depths: Units in a round.
        rounds: Numbers of rounds.
        width: Channels of streams of maps.
        whole: Whether every position of the input is asked for at the end.
        met: Decisions and parts of the space so far: what several groups ask for is decided once.
    """

    streams: tuple[Stream, ...]
    style: Style
    alike: bool
    tied: Any
    depths: tuple[int, ...]
    rounds: tuple[int, ...]
    width: Any
    whole: bool
    met: dict[str, Any]

    @property
    def kind(self) -> str:
        """What the streams are made of, as part of a path."""
        kind = "maps" if self.alike and self.streams[0].rank else "tokens"
        return f"single_{kind}" if len(self.streams) == 1 else kind

    @property
    def key(self) -> tuple[Any, ...]:
        """Groups of equal keys may have one trunk."""
        return (self.streams, self.alike, self.tied is None)

    def decide(self, name: str, *values: Any) -> Any:
        """The decision of this name; one with another domain stands below the kind of the group."""
        known = self.met.setdefault(name, Choice(*values, name=name))
        if known.values == values:
            return known
        return self.decide(f"{self.kind}.{name}", *values)

    def among(self, name: str, options: Mapping[Any, Expression]) -> Expression:
        """One of several parts, by the decision of this name."""
        return Match(self.decide(name, *options), options)

    def once(self, name: str, make: Callable[[], Expression]) -> Expression:
        """The part of this name, made when it is first asked for."""
        key = f"{self.kind}/{name}"
        if key not in self.met:
            self.met[key] = make()
        part: Expression = self.met[key]
        return part

    def heads(self, name: str) -> dict[str, Any]:
        """Heads of an attention."""
        heads = self.decide(f"{name}.heads", *self.style.heads)
        return {"heads": heads, "head_dim": self.style.head_dim}


def blocks(group: Group, stream: Stream) -> Expression:
    """The units of one stream in one round, which look alike in all rounds."""
    return group.once(f"blocks.{stream.name}", lambda: _blocks(group, stream))


def _blocks(group: Group, stream: Stream) -> Expression:
    path = f"streams.{stream.name}"
    style = replace(group.style, rank=max(stream.rank, 2))
    slot = Slot(path, style, stream.positions, 4)
    heads = group.heads(f"{path}.linear" if stream.rank else path)

    def unit(mixer: Expression) -> Expression:
        ffn = MLP(ratio=ratio)
        return Steps(mix=style.around(mixer), ffn=style.around(ffn))

    ratio = group.decide(f"{path}.ratio", 2, 4)
    linear = unit(
        LinearAttention(feature_map=group.decide(f"{path}.feature_map", "relu", "elu"), **heads)
    )
    options: dict[str, Expression] = {"full": unit(SelfAttention(**heads)), "linear": linear}
    if stream.rank:
        every = units(slot, convolutions(style, path))
        names = ("conv", "window", "large_kernel", "spatial_channel", "conv_attention", "ssm")
        options = {name: every[name] for name in names} | {"linear": linear}
        if "full" in every:
            options["full"] = every["full"]
    block = Shared(f"{path}.mixer", Choose(**options))
    depth = group.decide(f"{path}.depth", *group.depths)
    chain: Expression = Units(block, depth, None, "heavy")
    if stream.rank:
        grouped = Residual(Steps(units=chain, conv=Conv(kernel=3)))
        chain = group.among("residual_group", {False: Steps(units=chain), True: grouped})
    return chain


def attend(group: Group, own: Stream, other: Stream, residual: bool = True) -> Expression:
    """One stream reads another: keys of large maps are means over blocks."""
    few = PoolTo() if other.rank and not own.classed else THROUGH
    queries = "class_token" if own.classed else "all"
    attention = CrossAttention(queries=queries, residual=residual, **group.heads("fusion"))
    return Each(Pick(0), Steps(keys=few)) >> attention


def fusions(group: Group) -> dict[str, Expression]:
    """The ways in which streams take part in each other at one depth."""
    streams = group.streams
    pairs = [(own, [other for other in streams if other is not own]) for own in streams]

    def reads(own: Stream, others: list[Stream]) -> Expression:
        if len(others) == 1:
            return attend(group, own, others[0])
        fewer = [
            Named(f"keys{at}", PoolTo() if other.rank else THROUGH)
            for at, other in enumerate(others)
        ]
        return Each(Pick(0), *fewer) >> CrossAttention(**group.heads("fusion"))

    both = [reads(own, others) for own, others in pairs]
    ways: dict[str, Expression] = {
        "bidirectional_cross_attention": Exchange(*both),
        "cross_attention": Exchange(both[0], *(Pick(0) for _ in both[1:])),
    }
    if any(stream.classed for stream in streams):
        ways = {"cross_attention": Exchange(*both)}
    if group.alike:
        merges = {"concat": Concat(), "sum": Add(), "gated": Gated()}
        merges["attention_weighted"] = AttentionMerge()
        for name, merge in merges.items():
            ways[name] = Exchange(*(merge for _ in streams))
    elif {stream.rank for stream in streams} == {2, 3}:
        lift, flat = Pick(1, 0) >> Extrude(), Pick(1) >> FromAbove()
        for name, merge in (("sum", Add()), ("concat", Concat()), ("gated", Gated())):
            volume, image = (
                Parallel(Pick(0), Named("other", way), fuse=merge) for way in (lift, flat)
            )
            ways[name] = Exchange(*((volume, image) if streams[0].rank == 3 else (image, volume)))
    return ways


def joined(group: Group) -> dict[str, Expression]:
    """The ways in which streams become one; of a volume and an image a volume."""
    if group.alike:
        return {
            "concat": Concat(),
            "attention_weighted": AttentionMerge(),
            "sum": Add(),
            "gated": Gated(),
        }
    lifted = Parallel(Pick(0), Named("other", Pick(1, 0) >> Extrude()))
    return {"concat": lifted >> Concat(), "sum": lifted >> Add()}


def parallel_round(group: Group, number: int) -> Expression:
    """Each stream attends to itself and to the others at once; both join before the feed-forward part."""
    first, second = group.streams

    def body(own: Stream, other: Stream) -> Expression:
        alone = SelfAttention(**group.heads("fusion"))
        both = Parallel(
            self_=Pick(0) >> alone, cross=attend(group, own, other, residual=False), fuse=Concat()
        )
        return Steps(
            both=Residual(both, skip=Pick(0)), ffn=Residual(MLP(ratio=2), norm=LayerNorm())
        )

    apart = Exchange(body(first, second), body(second, first))
    if group.tied is None:
        return apart
    same = Tied(f"rounds.{number}.parallel", body(first, second))
    return Match(group.tied, {"none": apart, "across_branches": Exchange(same, same)})


def trunk(group: Group) -> Expression:
    """Rounds of blocks on every stream, in a row, on ever fewer positions, or down and up again."""
    streams = group.streams
    if len(streams) == 1:
        return _alone(group)
    fuse = group.among("fusion", fusions(group))
    neighbours: dict[Any, Expression] = {False: THROUGH}
    if group.alike and streams[0].positions * len(streams) <= 2048:
        near = TopKAttention(keep=0.25, **group.heads("fusion"))
        neighbours[True] = (
            Concat(axis="sequence", project=False)
            >> near
            >> Split(parts=len(streams), axis="sequence")
        )
    near_too = group.among("neighbours", neighbours)
    stages = {name: THROUGH for name in ("late", "early")} | {"periodic": fuse}
    stage = group.decide("fusion_stage", "periodic", "late", "early")
    after = Match(stage, stages)

    def one_round(number: int) -> Expression:
        own: Expression = Each(**{stream.name: blocks(group, stream) for stream in streams})
        if group.tied is not None:
            same = Tied(f"rounds.{number}", blocks(group, streams[0]))
            tied = Each(**{stream.name: same for stream in streams})
            own = Match(group.tied, {"none": own, "across_branches": tied})
        serial = Steps(blocks=own, fuse=after, neighbours=near_too)
        small = len(streams) == 2 and all(stream.positions <= 1024 for stream in streams)
        if not small or any(stream.classed for stream in streams):
            return serial
        return group.among(
            "sublayer_order",
            {"attention_ffn": serial, "self_parallel_cross": parallel_round(group, number)},
        )

    rounds = [Named(str(number), one_round(number)) for number in range(max(group.rounds))]
    row = _row(group, rounds)
    down, up = _down(group), _up(group)
    deep = Steps(outer=rounds[0], down=down, inner=rounds[1])
    shapes: dict[str, Expression] = {"isotropic": row}
    if not group.whole:
        shapes["hierarchical"] = deep
    shapes["u_shape"] = Steps(
        outer=rounds[0],
        around=Parallel(below=Steps(down=down, inner=rounds[1]), skip=THROUGH),
        up=up,
    )
    shape = group.among("topology", shapes)
    edge = {"early": fuse, "late": THROUGH, "periodic": THROUGH}
    end = {"late": fuse, "early": THROUGH, "periodic": THROUGH}
    return Steps(before=Match(stage, edge), rounds=shape, after=Match(stage, end))


def _alone(group: Group) -> Expression:
    """Rounds of one stream."""
    own = Each(**{stream.name: blocks(group, stream) for stream in group.streams})
    rounds = [Named(str(number), own) for number in range(max(group.rounds))]
    shapes: dict[str, Expression] = {"isotropic": _row(group, rounds)}
    deep = Steps(down=_down(group), inner=own)
    if not group.whole:
        shapes["hierarchical"] = Steps(outer=own, deep=deep)
    around = Parallel(below=deep, skip=THROUGH)
    shapes["u_shape"] = Steps(outer=own, around=around, up=_up(group))
    return group.among("topology", shapes)


def _row(group: Group, rounds: list[Named]) -> Expression:
    """One round after the other, as many as are decided for."""
    count = group.decide("rounds", *group.rounds)
    return Steps(
        **{
            part.name: Match(
                count, {number: part.body if at < number else THROUGH for number in group.rounds}
            )
            for at, part in enumerate(rounds)
        }
    )


def _down(group: Group) -> Expression:
    """Every stream on fewer positions, with as many channels."""
    norm = group.style.norm
    parts = []
    for stream in group.streams:
        if stream.rank:
            ways: dict[str, Expression] = {
                "strided_conv": StridedConv(channels=group.width, norm=norm),
                "patch_merge": PatchMerging(channels=group.width),
                "pool": PoolProjection(channels=group.width, norm=norm),
            }
            kind = group.decide("downsample", *ways)
        else:
            first = 1 if stream.classed else 0
            ways = {"merge": TokenMerge(keep=0.5, keep_first=first)}
            if not stream.classed:
                ways = {"attention_pool": TokenPool(mode="attention", factor=2), **ways}
            kind = group.decide("token_downsample", *ways)
        parts.append(Match(kind, ways))
    return Each(*(Named(name, part) for name, part in zip(NAMES, parts, strict=False)))


def _up(group: Group) -> Expression:
    """Every stream back on the positions that the skip holds, to which it is added."""
    parts = []
    count = len(group.streams)
    for at, stream in enumerate(group.streams):
        pair = Pick(at, count + at)
        if stream.rank:
            back: Expression = Parallel(
                Named("grown", UpsampleTo()), Named("skip", Pick(1)), fuse=Add()
            )
        else:
            back = Pick(1, 0) >> CrossAttention(**group.heads("fusion"))
        parts.append(Named(stream.name, pair >> back))
    return Parallel(*parts)

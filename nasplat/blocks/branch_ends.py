"""What follows streams side by side: classes, pixels, matches, votes, one head for each task."""

from __future__ import annotations

from nasplat.blocks.stages import THROUGH
from nasplat.blocks.streams import Group, joined
from nasplat.graph.op import Expression
from nasplat.graph.types import Logits, Points, Scores, TensorType, Vector
from nasplat.ops.attention import CrossAttention
from nasplat.ops.attention_edges import AttentionScores
from nasplat.ops.conv import Conv, SqueezeGate
from nasplat.ops.conv_multi import MultiDilationConv
from nasplat.ops.dense import PixelHead, UpsampleTo
from nasplat.ops.head import ClassifierHead
from nasplat.ops.learned_tokens import LearnedTokens
from nasplat.ops.linear import Linear
from nasplat.ops.match import CorrelationVolume, MatchingFlow, PrototypeHead
from nasplat.ops.merge import Concat, Split, Take
from nasplat.ops.resample import ImageToTokens
from nasplat.ops.selective import LayerMemory
from nasplat.ops.text import EmbeddingHead
from nasplat.ops.token_reduction import TokenMerge
from nasplat.ops.views import Average, VoteHead
from nasplat.space.choose import Match
from nasplat.space.wiring import Each, Named, Parallel, Pick, Recall, Steps


def end(
    group: Group, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]
) -> Expression:
    """From the streams to the outputs."""
    if isinstance(outputs[0], Logits):
        return _classes(group, outputs[0].classes)
    alone = len(group.streams) == 1
    if isinstance(outputs[0], Scores):
        scores = {
            "matching": CorrelationVolume(match="softmax"),
            "linear": AttentionScores(heads=1),
        }
        head = group.among("head", scores)
        return Split(axis="sequence") >> head if alone else head
    if isinstance(outputs[0], Points):
        count, tokens = outputs[0].count, Pick(0 if alone else 1) >> Recall("input1")
        votes = {
            "vote": tokens >> VoteHead(count=count),
            "linear": tokens >> VoteHead(count=count, weighted=False),
        }
        return group.among("head", votes)
    if isinstance(outputs[0], Vector):
        return _association(group, outputs[0].dim)
    return _pixels(group, [output.sizes[0] for output in outputs])


def _tokens(group: Group) -> Expression:
    return ImageToTokens() if group.streams[0].rank else THROUGH


def _classes(group: Group, classes: int) -> Expression:
    """The mean of one classifier for each stream, or one classifier of what they are joined to."""
    reduce = group.decide("reduction", "none", "merge")
    parts = {}
    for stream in group.streams:
        merge = Steps(
            tokens=ImageToTokens() if stream.rank else THROUGH,
            merge=TokenMerge(keep=0.5, keep_first=1 if stream.classed else 0),
        )
        flat = ImageToTokens() if stream.rank == 3 else THROUGH
        fewer = Match(reduce, {"none": flat, "merge": merge})
        first = Take(count=1) if stream.classed else THROUGH
        parts[stream.name] = Steps(
            reduce=fewer, first=first, classify=ClassifierHead(classes=classes)
        )
    average = Steps(classify=Each(**parts), mean=Average())
    if not group.alike or len(group.streams) == 1:
        return average
    ways = joined(group)
    gate = group.among("gate", {"none": THROUGH, "squeeze_excite": SqueezeGate()})
    memory = group.among("memory", {False: THROUGH, True: _remember(group)})
    last = _tokens(group) if group.streams[0].rank == 3 else THROUGH
    single = {
        name: Steps(
            join=way, gate=gate, memory=memory, flat=last, classify=ClassifierHead(classes=classes)
        )
        for name, way in ways.items()
    }
    return group.among("join", {"average": average, **single})


def _remember(group: Group) -> Expression:
    """Reads a memory that begins with learned slots, writes to it and reads it again."""
    slots = Steps(tokens=_tokens(group), slots=LearnedTokens(count=4, place="alone"))
    return Steps(
        slots=Parallel(Named("x", Pick(0)), Named("memory", slots)),
        write=LayerMemory(),
        read=LayerMemory(),
        last=Pick(0),
    )


def _join(group: Group) -> Expression:
    gate = group.among("gate", {"none": THROUGH, "squeeze_excite": SqueezeGate()})
    if len(group.streams) == 1:
        return Steps(gate=gate)
    ways = joined(group)
    return Steps(join=group.among("join", ways), gate=gate)


def _pixels(group: Group, channels: list[int]) -> Expression:
    """Pixels of every output: of joined streams, of matches, from prototypes, or a stream for each task."""
    join = _join(group)
    dilated = MultiDilationConv(rates=(1, 2, 3))
    context = group.among("context", {"none": THROUGH, "dilated_pyramid": dilated})
    sized = [Recall("input0") >> PixelHead(classes=count) for count in channels]
    every = Parallel(*(Named(f"out{at}", head) for at, head in enumerate(sized)))
    ways: dict[str, Expression] = {"linear": Steps(join=join, context=context, pixels=every)}
    if len(channels) == 1:
        prototypes = PrototypeHead(classes=channels[0])
        grown = Recall("input0") >> UpsampleTo(channels=channels[0])
        ways["prototype_single_step"] = Steps(join=join, prototypes=prototypes, grown=grown)
    if len(channels) == 2 and len(group.streams) == 2 and group.tied is None:
        each = {stream.name: head for stream, head in zip(group.streams, sized, strict=True)}
        ways["task_branches"] = Each(**each)
    if group.tied is not None and len(group.streams) == 2:
        matched = Parallel(
            Named("flow", MatchingFlow()), Named("own", Pick(0)), fuse=Concat(project=False)
        )
        ways["matching"] = Steps(
            match=matched, refine=Conv(kernel=3, norm="layer", activation="gelu"), pixels=every
        )
        if len(channels) == 2:
            apart = [
                Steps(
                    match=matched,
                    refine=Conv(kernel=3, norm="layer", activation="gelu"),
                    pixels=head,
                )
                for head in sized
            ]
            ways["matching_apart"] = Parallel(
                *(Named(f"out{at}", head) for at, head in enumerate(apart))
            )
    return group.among("head", ways)


def _association(group: Group, dim: int) -> Expression:
    """One stream, two streams that look for each other, or are joined, as one vector."""
    if len(group.streams) == 1:
        return Steps(tokens=_tokens(group), pool=EmbeddingHead(dim=4 * dim), out=Linear(dim=dim))
    heads = group.heads("head")
    one, other = (
        Parallel(
            Pick(*order[:1]), Pick(*order) >> CrossAttention(residual=False, **heads), fuse=Concat()
        )
        for order in ((0, 1), (1, 0))
    )
    both = Parallel(one=one, other=other)
    ways = {"matching": both >> Concat(), "linear": _join(group)}
    pooled = {
        name: Steps(
            meet=way, tokens=_tokens(group), pool=EmbeddingHead(dim=4 * dim), out=Linear(dim=dim)
        )
        for name, way in ways.items()
    }
    return group.among("head", pooled)

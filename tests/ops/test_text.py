"""First and last ops of text keep the contract of ops."""

from __future__ import annotations

import torch
from torch.nn import functional

from nasplat.graph.cost import cost
from nasplat.graph.digest import digest
from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.lower import lower
from nasplat.graph.types import Ids, Logits, Presence, Tokens, Vector, Weights
from nasplat.ops.text import (
    CandidateHead,
    EmbeddingHead,
    Exits,
    LMHead,
    NgramEmbedding,
    SegmentEmbedding,
    SkipGate,
    SkipMerge,
    TokenEmbedding,
)
from nasplat.testing.ops import Case, OpConformance

IDS = Ids(6, 11)
TOKENS = Tokens(6, 4)
GATE = Presence(6)


class TestTokenEmbedding(OpConformance):
    cases = (
        Case(TokenEmbedding(dim=4), IDS),
        Case(TokenEmbedding(dim=4, scaled=True, table=True), IDS),
        Case(TokenEmbedding(dim=3, levels=2, table=True), IDS),
    )
    refused = (
        Case(TokenEmbedding(dim=4), TOKENS),
        Case(TokenEmbedding(dim=0), IDS),
        Case(TokenEmbedding(dim=4, levels=0), IDS),
    )
    larger = ((Case(TokenEmbedding(dim=4), IDS), Case(TokenEmbedding(dim=6), IDS)),)
    golden = ((Case(TokenEmbedding(dim=768), Ids(1024, 50257)), 38597376, 0),)

    def test_levels_are_read_in_turn(self) -> None:
        module = TokenEmbedding(dim=3, levels=2).module(IDS)
        rows = module(torch.full((1, 6), 5))[0]
        table = module.get_parameter("embedding.weight")
        torch.testing.assert_close(rows, table[[5, 16, 5, 16, 5, 16]])


class TestNgramEmbedding(OpConformance):
    cases = (
        Case(NgramEmbedding(buckets=7), TOKENS, IDS),
        Case(NgramEmbedding(longest=2, buckets=50), TOKENS, IDS),
    )
    refused = (
        Case(NgramEmbedding(), TOKENS),
        Case(NgramEmbedding(), TOKENS, Ids(5, 11)),
        Case(NgramEmbedding(longest=1), TOKENS, IDS),
        Case(NgramEmbedding(longest=9), TOKENS, IDS),
    )
    larger = (
        (
            Case(NgramEmbedding(buckets=7), TOKENS, IDS),
            Case(NgramEmbedding(buckets=9), TOKENS, IDS),
        ),
    )
    golden = ((Case(NgramEmbedding(buckets=7), TOKENS, IDS), 28, 0),)

    def test_equal_groups_add_equal_vectors_and_later_ones_do_not_count(self) -> None:
        module = NgramEmbedding(longest=3).module(TOKENS, IDS)
        ids = torch.tensor([[1, 2, 3, 1, 2, 3]])
        added = module(torch.zeros(1, 6, 4), ids)[0]
        torch.testing.assert_close(added[2], added[5])
        assert not torch.equal(added[0], added[3])
        ids[0, 4:] = 9
        torch.testing.assert_close(module(torch.zeros(1, 6, 4), ids)[0, :4], added[:4])


class TestSegmentEmbedding(OpConformance):
    cases = (Case(SegmentEmbedding(), TOKENS), Case(SegmentEmbedding(boundary=2), TOKENS))
    refused = (
        Case(SegmentEmbedding(), IDS),
        Case(SegmentEmbedding(types=0), TOKENS),
        Case(SegmentEmbedding(types=1, boundary=2), TOKENS),
    )
    larger = ((Case(SegmentEmbedding(), TOKENS), Case(SegmentEmbedding(types=4), TOKENS)),)
    golden = ((Case(SegmentEmbedding(), Tokens(512, 768)), 1536, 0),)


class TestLMHead(OpConformance):
    cases = (
        Case(LMHead(vocabulary=11), TOKENS),
        Case(LMHead(vocabulary=11, bias=True), TOKENS),
        Case(LMHead(), TOKENS, Weights(11, 4)),
        Case(LMHead(bias=True), TOKENS, Weights(11, 4)),
    )
    refused = (
        Case(LMHead(), TOKENS),
        Case(LMHead(), IDS),
        Case(LMHead(), TOKENS, Weights(11, 5)),
        Case(LMHead(vocabulary=12), TOKENS, Weights(11, 4)),
        Case(LMHead(), TOKENS, TOKENS),
    )
    larger = ((Case(LMHead(vocabulary=5), TOKENS), Case(LMHead(vocabulary=11), Tokens(6, 8))),)
    golden = (
        (Case(LMHead(vocabulary=11), TOKENS), 44, 264),
        (Case(LMHead(), TOKENS, Weights(11, 4)), 0, 264),
    )


def language_model(tied: bool) -> Graph:
    builder = GraphBuilder({"ids": IDS})
    builder.add(TokenEmbedding(dim=4, table=True), "ids", name="embed")
    head = LMHead(vocabulary=11)
    refs = ("embed", "embed:1") if tied else ("embed",)
    (out,) = builder.add(head, *refs, name="head")
    return builder.build({"scores": out})


def test_a_common_table_counts_once_and_tells_graphs_apart() -> None:
    tied, untied = language_model(True), language_model(False)
    assert (cost(tied).params, cost(untied).params) == (44, 88)
    assert cost(tied).macs == cost(untied).macs
    assert digest(tied) != digest(untied)
    module = lower(tied, seed=0)
    assert sum(parameter.numel() for parameter in module.parameters()) == 44
    ids = IDS.example(2)
    table = module.get_parameter("embed.embedding.weight")
    torch.testing.assert_close(module(ids), functional.embedding(ids, table) @ table.T)


def test_one_embedding_reads_sequences_of_two_lengths() -> None:
    builder = GraphBuilder({"one": IDS, "two": Ids(3, 11)})
    for name in ("one", "two"):
        builder.add(TokenEmbedding(dim=4), name, name=f"embed.{name}", share="embed")
    graph = builder.build({"one": "embed.one", "two": "embed.two"})
    module = lower(graph, seed=0)
    assert sum(parameter.numel() for parameter in module.parameters()) == cost(graph).params == 44
    out = module(IDS.example(2), torch.zeros(2, 3, dtype=torch.long))
    assert [tuple(value.shape) for value in out.values()] == [(2, 6, 4), (2, 3, 4)]


class TestEmbeddingHead(OpConformance):
    cases = tuple(
        Case(EmbeddingHead(dim=3, pool=pool, activation=activation), TOKENS)
        for pool, activation in (("first", "tanh"), ("last", "none"), ("mean", "none"))
    )
    refused = (
        Case(EmbeddingHead(dim=3), Vector(4)),
        Case(EmbeddingHead(dim=0), TOKENS),
        Case(EmbeddingHead(dim=3, pool="x"), TOKENS),
        Case(EmbeddingHead(dim=3, activation="relu"), TOKENS),
    )
    larger = ((Case(EmbeddingHead(dim=3), TOKENS), Case(EmbeddingHead(dim=5), Tokens(6, 8))),)
    golden = ((Case(EmbeddingHead(dim=768, pool="first"), Tokens(512, 768)), 590592, 589824),)


class TestCandidateHead(OpConformance):
    cases = (
        Case(CandidateHead(prefix=2, segment=2), TOKENS),
        Case(CandidateHead(prefix=0, segment=3), TOKENS),
    )
    refused = (
        Case(CandidateHead(prefix=1, segment=2), TOKENS),
        Case(CandidateHead(prefix=6, segment=2), TOKENS),
        Case(CandidateHead(prefix=2, segment=0), TOKENS),
        Case(CandidateHead(prefix=2, segment=2), IDS),
    )
    larger = (
        (
            Case(CandidateHead(prefix=2, segment=2), TOKENS),
            Case(CandidateHead(prefix=2, segment=2), Tokens(6, 8)),
        ),
    )
    golden = ((Case(CandidateHead(prefix=2, segment=2), TOKENS), 5, 8),)


class TestExits(OpConformance):
    cases = (
        Case(Exits(), Logits(3)),
        Case(Exits(), Logits(3), Logits(3)),
        Case(Exits(weight=0.1), TOKENS, TOKENS, TOKENS),
    )
    refused = (
        Case(Exits(), Logits(3), Logits(4)),
        Case(Exits(), IDS, IDS),
        Case(Exits(weight=-1), Logits(3)),
    )
    golden = ((Case(Exits(), Logits(3), Logits(3)), 0, 0),)

    def test_earlier_outputs_learn_from_later_ones_in_training_alone(self) -> None:
        module = Exits(weight=2).module(Logits(3), Logits(3))
        one, two = Logits(3).example(4).requires_grad_(), Logits(3).example(4).requires_grad_()
        assert module(one, two) is two
        divergence = functional.kl_div(one.log_softmax(-1), two.softmax(-1), reduction="batchmean")
        loss = module.auxiliary_loss
        assert isinstance(loss, torch.Tensor)
        torch.testing.assert_close(loss, 2 * divergence)
        torch.autograd.backward(loss)
        assert one.grad is not None and two.grad is None
        module.eval()(one, two)
        assert module.auxiliary_loss is None


class TestSkipGate(OpConformance):
    cases = (Case(SkipGate(), TOKENS), Case(SkipGate(), TOKENS, GATE))
    refused = (
        Case(SkipGate(), IDS),
        Case(SkipGate(), TOKENS, Presence(5)),
        Case(SkipGate(), TOKENS, GATE, GATE),
    )
    larger = ((Case(SkipGate(), TOKENS), Case(SkipGate(), Tokens(6, 8))),)
    golden = ((Case(SkipGate(), TOKENS), 5, 24),)


class TestSkipMerge(OpConformance):
    cases = (Case(SkipMerge(), TOKENS, TOKENS, GATE),)
    refused = (
        Case(SkipMerge(), TOKENS, TOKENS),
        Case(SkipMerge(), TOKENS, Tokens(6, 5), GATE),
    )
    golden = ((Case(SkipMerge(), TOKENS, TOKENS, GATE), 0, 0),)

    def test_a_closed_gate_bypasses_the_span(self) -> None:
        x, inner = TOKENS.example(1), TOKENS.example(1)
        gate = torch.tensor([[1.0, 0, 1, 0, 1, 0]])
        y = SkipMerge().module(TOKENS, TOKENS, GATE)(x, inner, gate)
        torch.testing.assert_close(y[:, 1::2], x[:, 1::2])
        torch.testing.assert_close(y[:, ::2], inner[:, ::2])

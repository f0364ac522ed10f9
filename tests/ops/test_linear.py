"""Linear maps of all forms keep the contract of ops."""

from __future__ import annotations

import torch
from torch.nn import functional

from nasplat.graph.types import Grid, Ids, Image, Series, Tokens, Vector, Volume
from nasplat.ops.linear import (
    Adapter,
    FactorisedLinear,
    HashLookupLinear,
    Linear,
    MergedLinear,
    TokenParameterAttention,
)
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(5, 6)
LARGE = Tokens(5, 9)
IMAGE = Image(6, 2, 3)
IDS = Ids(5, 6)


class TestLinear(OpConformance):
    cases = (
        Case(Linear(), TOKENS),
        Case(Linear(dim=3, bias=False), IMAGE),
        Case(Linear(dim=3), Series(2, 4)),
        Case(Linear(), Volume(2, 2, 2, 3)),
        Case(Linear(), Grid(2, 2, 2, 1, 2)),
        Case(Linear(dim=4, kept=2), Vector(7)),
        Case(Linear(kept=1, bias=False), IMAGE),
    )
    refused = (
        Case(Linear(), IDS),
        Case(Linear(dim=0), TOKENS),
        Case(Linear(kept=0), TOKENS),
        Case(Linear(), TOKENS, TOKENS),
    )
    larger = ((Case(Linear(), TOKENS), Case(Linear(), LARGE)),)
    golden = ((Case(Linear(dim=4), TOKENS), 28, 120),)

    def test_two_of_every_four_weights_count_and_all_learn(self) -> None:
        module = Linear(dim=3, kept=2, bias=False).module(Tokens(2, 8))
        weight = module.get_parameter("linear.weight")
        x = torch.eye(8).unsqueeze(0)
        used = module(x)[0].T
        for row in range(3):
            for group in (slice(0, 4), slice(4, 8)):
                largest = weight[row, group].abs().topk(2).indices
                kept = torch.zeros(4).scatter(0, largest, 1.0)
                torch.testing.assert_close(used[row, group], weight[row, group] * kept)
        used.sum().backward()
        assert weight.grad is not None and (weight.grad != 0).all()


class TestFactorisedLinear(OpConformance):
    cases = (
        Case(FactorisedLinear(), TOKENS),
        Case(FactorisedLinear(rank=3, dim=4, bias=False), IMAGE),
        Case(FactorisedLinear(form="dense_sparse", ratio=1), TOKENS),
        Case(FactorisedLinear(form="dense_sparse", kept=1), Vector(9)),
    )
    refused = (
        Case(FactorisedLinear(), IDS),
        Case(FactorisedLinear(form="x"), TOKENS),
        Case(FactorisedLinear(rank=0), TOKENS),
        Case(FactorisedLinear(ratio=0), TOKENS),
        Case(FactorisedLinear(kept=4), TOKENS),
    )
    larger = ((Case(FactorisedLinear(rank=2), TOKENS), Case(FactorisedLinear(rank=3), LARGE)),)
    golden = ((Case(FactorisedLinear(rank=2, dim=4), TOKENS), 24, 100),)


class TestMergedLinear(OpConformance):
    cases = (
        Case(MergedLinear(), TOKENS),
        Case(MergedLinear(form="scalar", dim=4, bias=False), IMAGE),
    )
    refused = (
        Case(MergedLinear(), IDS),
        Case(MergedLinear(form="x"), TOKENS),
        Case(MergedLinear(rank=0), TOKENS),
    )
    larger = ((Case(MergedLinear(rank=2), TOKENS), Case(MergedLinear(rank=3), LARGE)),)
    golden = ((Case(MergedLinear(dim=4, rank=2), TOKENS), 72, 168),)

    def test_it_folds_into_one_matrix(self) -> None:
        module = MergedLinear(rank=2).module(TOKENS)
        part = module.get_parameter
        weight = part("own.weight") + part("left") @ part("right") * part("merged.weight")
        x = TOKENS.example(2)
        wanted = functional.linear(x, weight, part("own.bias"))
        torch.testing.assert_close(module(x), wanted)


class TestHashLookupLinear(OpConformance):
    cases = (
        Case(HashLookupLinear(address_bits=3), TOKENS),
        Case(HashLookupLinear(address_bits=4, dim=3), IMAGE),
    )
    refused = (
        Case(HashLookupLinear(), IDS),
        Case(HashLookupLinear(address_bits=0), TOKENS),
        Case(HashLookupLinear(address_bits=17), TOKENS),
    )
    larger = (
        (
            Case(HashLookupLinear(address_bits=3), TOKENS),
            Case(HashLookupLinear(address_bits=3), LARGE),
        ),
    )
    golden = ((Case(HashLookupLinear(address_bits=4, dim=3), TOKENS), 96, 0),)

    def test_it_reads_the_rows_that_the_signs_name(self) -> None:
        module = HashLookupLinear(address_bits=3, dim=2).module(TOKENS)
        tables = module.get_parameter("tables.weight").view(2, 8, 2)
        x = TOKENS.example(1)
        wanted = torch.zeros(2)
        for group in range(2):
            part = x[0, 0, 3 * group : 3 * group + 3]
            row = sum(1 << bit for bit in range(3) if part[bit] > 0)
            wanted = wanted + tables[group, row] / (1 + torch.exp(-2 * part.abs())).prod()
        torch.testing.assert_close(module(x)[0, 0], wanted)


class TestTokenParameterAttention(OpConformance):
    cases = (
        Case(TokenParameterAttention(), TOKENS),
        Case(TokenParameterAttention(parameter_tokens=9, dim=3), IMAGE),
    )
    refused = (
        Case(TokenParameterAttention(), IDS),
        Case(TokenParameterAttention(ratio=0), TOKENS),
        Case(TokenParameterAttention(parameter_tokens=0), TOKENS),
    )
    larger = (
        (Case(TokenParameterAttention(), TOKENS), Case(TokenParameterAttention(ratio=2), LARGE)),
    )
    golden = ((Case(TokenParameterAttention(parameter_tokens=7, dim=4), TOKENS), 70, 350),)


class TestAdapter(OpConformance):
    cases = (Case(Adapter(rank=2), TOKENS), Case(Adapter(form="lora", rank=3), IMAGE))
    refused = (
        Case(Adapter(), IDS),
        Case(Adapter(form="x"), TOKENS),
        Case(Adapter(rank=0), TOKENS),
    )
    larger = ((Case(Adapter(rank=2), TOKENS), Case(Adapter(rank=3), LARGE)),)
    golden = ((Case(Adapter(rank=2), TOKENS), 32, 120),)

    def test_a_new_adapter_changes_nothing(self) -> None:
        x = TOKENS.example(2)
        assert torch.equal(Adapter().module(TOKENS)(x), x)

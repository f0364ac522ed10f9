"""Recurrent mixers keep the contract of ops and compute their recurrences."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Series, Tokens, Vector, Volume
from nasplat.ops.modules.ssm import linear_scan
from nasplat.ops.ssm import XLSTM, SelectiveSSM
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 3, 4)


class TestSelectiveSSM(OpConformance):
    cases = (
        Case(SelectiveSSM(state=4), Tokens(7, 6)),
        Case(SelectiveSSM(state=2, scans="two_way", expand=1), Series(5, 6)),
        Case(SelectiveSSM(state=2, scans="four_way"), SMALL),
        Case(SelectiveSSM(state=2, scans="four_way", step_rank=2), Volume(3, 2, 3, 2)),
    )
    refused = (
        Case(SelectiveSSM(), Vector(4)),
        Case(SelectiveSSM(scans="four_way"), Tokens(7, 6)),
        Case(SelectiveSSM(scans="x"), Tokens(7, 6)),
        Case(SelectiveSSM(state=0), Tokens(7, 6)),
        Case(SelectiveSSM(step_rank=0), Tokens(7, 6)),
        Case(SelectiveSSM(expand=0), Tokens(7, 6)),
    )
    larger = (
        (
            Case(SelectiveSSM(state=2, scans="two_way"), Tokens(7, 6)),
            Case(SelectiveSSM(state=4, scans="two_way"), Tokens(7, 20)),
        ),
    )
    # 768 channels, state 16: the mixer of mamba-130m.
    golden = ((Case(SelectiveSSM(), Tokens(1, 768)), 3770880, 3741696),)


class TestXLSTM(OpConformance):
    cases = (
        Case(XLSTM(heads=2), Tokens(7, 6)),
        Case(XLSTM(heads=2, directions=2), SMALL),
        Case(XLSTM(heads=3, memory="scalar", directions=2), Volume(3, 2, 3, 2)),
        Case(XLSTM(heads=2, memory="scalar", expand=1), Series(4, 5)),
    )
    refused = (
        Case(XLSTM(), Vector(4)),
        Case(XLSTM(memory="x"), Tokens(7, 6)),
        Case(XLSTM(directions=3), Tokens(7, 6)),
        Case(XLSTM(heads=0), Tokens(7, 6)),
    )
    larger = (
        (Case(XLSTM(heads=2), Tokens(7, 6)), Case(XLSTM(heads=4), Tokens(7, 20))),
        (Case(XLSTM(heads=2), Tokens(7, 6)), Case(XLSTM(heads=2), Tokens(7, 8))),
    )
    golden = ((Case(XLSTM(heads=2), Tokens(7, 6)), 556, 4872),)


def test_a_scan_in_chunks_is_the_recurrence() -> None:
    generator = torch.Generator().manual_seed(0)
    for length in (1, 2, 5, 16, 23):
        log_decay = -torch.rand(2, length, 3, generator=generator)
        x = torch.randn(2, length, 3, generator=generator)
        state, wanted = torch.zeros(2, 3), []
        for step in range(length):
            state = log_decay[:, step].exp() * state + x[:, step]
            wanted.append(state)
        torch.testing.assert_close(linear_scan(log_decay, x), torch.stack(wanted, 1))


def test_forward_recurrences_never_look_ahead() -> None:
    for op in (SelectiveSSM(state=4), XLSTM(heads=2), XLSTM(heads=2, memory="scalar")):
        case = Case(op, Tokens(9, 6))
        module = case.module().eval()
        (x,) = case.examples(2)
        changed = x.clone()
        changed[:, 5:] += 1.0
        with torch.no_grad():
            before, after = module(x), module(changed)
        torch.testing.assert_close(before[:, :5], after[:, :5])
        assert not torch.allclose(before[:, 5:], after[:, 5:])

"""Linear recurrences keep the contract of ops, and single steps give what all steps at once give."""

from __future__ import annotations

import pytest
import torch

from nasplat.graph.types import Image, Series, Tokens
from nasplat.ops.modules import recurrent as modules
from nasplat.ops.recurrent import LinearRecurrence
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(7, 4)


class TestLinearRecurrence(OpConformance):
    cases = (
        Case(LinearRecurrence(order=3), TOKENS),
        Case(LinearRecurrence(basis="distilled", order=2), Series(4, 5)),
        Case(LinearRecurrence(basis="legendre", order=3), TOKENS),
        Case(LinearRecurrence(basis="legendre", order=2, window=3), Series(4, 6)),
        Case(LinearRecurrence(order=2), Series(3, 1)),
    )
    refused = (
        Case(LinearRecurrence(), Image(2, 3, 4)),
        Case(LinearRecurrence(basis="fourier"), TOKENS),
        Case(LinearRecurrence(order=0), TOKENS),
        Case(LinearRecurrence(basis="legendre", window=0), TOKENS),
    )
    larger = (
        (
            Case(LinearRecurrence(order=2), TOKENS),
            Case(LinearRecurrence(order=3), Tokens(7, 6)),
        ),
    )
    golden = (
        (Case(LinearRecurrence(order=3), TOKENS), 20 + 24 + 4, 112 + 4 * 49),
        (Case(LinearRecurrence(basis="distilled", order=3), TOKENS), 20 + 48 + 4, 112 + 4 * 49),
        (
            Case(LinearRecurrence(basis="legendre", order=3), TOKENS),
            20 + 5 + 12,
            7 * 16 + 7 * 4 + 7 * 12 + 49 * 3,
        ),
    )

    @pytest.mark.parametrize("basis", LinearRecurrence.BASES)
    def test_single_steps_give_what_all_steps_at_once_give(self, basis: str) -> None:
        case = Case(LinearRecurrence(basis=basis, order=3), TOKENS)
        module = case.module()
        assert isinstance(module, modules.ModalRecurrence | modules.LegendreMemory)
        x = TOKENS.example(2)
        wanted, state = module(x), None
        for time in range(7):
            y, state = module.step(x[:, time], state)
            torch.testing.assert_close(y, wanted[:, time], atol=1e-5, rtol=1e-4)

    def test_a_legendre_memory_holds_the_window(self) -> None:
        """The sum of all polynomials at the old end is the signal of the window's length ago."""
        module = modules.LegendreMemory(1, order=12, length=60, series=True, window=20)
        signal = torch.sin(torch.arange(60.0) / 8)
        padded = torch.nn.functional.pad(signal, (59, 0))[None, None]
        states = torch.nn.functional.conv1d(padded, module.response.flip(1)[:, None])[0]
        torch.testing.assert_close(states.sum(0)[45:], signal[25:40], atol=0.1, rtol=0)

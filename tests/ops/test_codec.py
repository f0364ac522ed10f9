"""Vector quantisation and integrate-and-fire keep the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Image, Logits, Series, Tokens, Vector
from nasplat.ops.codec import IntegrateAndFire, VectorQuantize
from nasplat.ops.modules import codec as modules
from nasplat.testing.ops import Case, OpConformance

TOKENS = Tokens(5, 6)
SERIES = Series(6, 7)


class TestVectorQuantize(OpConformance):
    cases = (
        Case(VectorQuantize(codebook=4, dim=3), TOKENS),
        Case(VectorQuantize(codebook=4, dim=2, levels=3), SERIES),
        Case(VectorQuantize(codebook=4, dim=3), Image(4, 2, 3), Image(4, 2, 3)),
        Case(VectorQuantize(codebook=4, dim=3), Vector(6)),
    )
    refused = (
        Case(VectorQuantize(), Logits(4)),
        Case(VectorQuantize(), TOKENS, SERIES),
        Case(VectorQuantize(), TOKENS, TOKENS, TOKENS),
        Case(VectorQuantize(codebook=1), TOKENS),
        Case(VectorQuantize(levels=0), TOKENS),
    )
    larger = (
        (
            Case(VectorQuantize(codebook=4, dim=3), TOKENS),
            Case(VectorQuantize(codebook=8, dim=4, levels=2), Tokens(5, 8)),
        ),
    )
    golden = (
        (
            Case(VectorQuantize(codebook=4, dim=3, levels=2), TOKENS),
            21 + 24 + 24,
            5 * 36 + 2 * 5 * 12,
        ),
    )

    def test_an_entry_is_its_own_nearest_and_training_draws_entries_near(self) -> None:
        module = VectorQuantize(codebook=8, dim=3).module(TOKENS).train()
        assert isinstance(module, modules.VectorQuantize)
        optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
        x, losses = TOKENS.example(16), []
        for _ in range(60):
            module(x)
            assert module.auxiliary_loss is not None
            optimiser.zero_grad()
            module.auxiliary_loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            losses.append(float(module.auxiliary_loss.detach()))
        assert losses[-1] < 0.5 * losses[0]
        module.eval()(x)
        assert module.auxiliary_loss is None

    def test_numbers_name_the_entries(self) -> None:
        module = VectorQuantize(codebook=8, dim=3, levels=2).module(TOKENS).eval()
        assert isinstance(module, modules.VectorQuantize)
        quantised, numbers = module(TOKENS.example(2))
        first, second = numbers.split(5, 1)
        summed = module.entries[0][first] + module.entries[1][second]
        torch.testing.assert_close(module.leave(summed), quantised)

    def test_what_is_known_already_is_kept(self) -> None:
        module = VectorQuantize(codebook=8, dim=3).module(TOKENS, TOKENS).eval()
        known = TOKENS.example(2)
        torch.testing.assert_close(module(known, known)[0] - known, module(0 * known)[0])


class TestIntegrateAndFire(OpConformance):
    cases = (
        Case(IntegrateAndFire(count=3), TOKENS),
        Case(IntegrateAndFire(count=9, greatest=3.0), SERIES),
    )
    refused = (
        Case(IntegrateAndFire(count=3), Image(2, 3, 4)),
        Case(IntegrateAndFire(count=0), TOKENS),
        Case(IntegrateAndFire(count=3, greatest=0), TOKENS),
    )
    larger = (
        (
            Case(IntegrateAndFire(count=3), TOKENS),
            Case(IntegrateAndFire(count=3), Tokens(5, 8)),
        ),
    )
    golden = ((Case(IntegrateAndFire(count=3), TOKENS), 7, 30 + 3 * 5 * 6),)

    def test_it_fires_as_often_as_the_weights_say(self) -> None:
        module = IntegrateAndFire(count=5, greatest=1.0).module(Tokens(6, 1))
        assert isinstance(module, modules.IntegrateAndFire)
        with torch.no_grad():
            module.weigh.weight.zero_()
            module.weigh.bias.zero_()  # every weight is a half
        fired, occupied = module(torch.arange(6.0).view(1, 6, 1))
        torch.testing.assert_close(fired[0, :3, 0], torch.tensor([0.5, 2.5, 4.5]))
        assert occupied.tolist() == [[1, 1, 1, 0, 0]] and not fired[0, 3:].any()

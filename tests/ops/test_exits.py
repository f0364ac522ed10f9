"""The choice among exits keeps the contract of ops."""

from __future__ import annotations

import torch

from nasplat.graph.types import Logits, Tokens, Vector
from nasplat.ops.exits import ExitGate
from nasplat.testing.ops import Case, OpConformance

CLASSES = Logits(3)
FRAMES = Tokens(4, 5)


class TestExitGate(OpConformance):
    cases = (
        Case(ExitGate(threshold=0.6), CLASSES, CLASSES, CLASSES),
        Case(ExitGate(rule="entropy", threshold=0.3), FRAMES, FRAMES),
        Case(ExitGate(), CLASSES),
    )
    refused = (
        Case(ExitGate(), Vector(3)),
        Case(ExitGate(), CLASSES, Logits(4)),
        Case(ExitGate()),
        Case(ExitGate(rule="depth"), CLASSES),
        Case(ExitGate(threshold=1.5), CLASSES),
    )
    golden = ((Case(ExitGate(), CLASSES, CLASSES), 0, 0),)

    def test_the_first_sure_exit_is_taken(self) -> None:
        module = ExitGate().module(CLASSES, CLASSES).eval()
        sure, unsure = torch.tensor([9.0, 0.0, 0.0]), torch.tensor([1.0, 0.9, 0.8])
        last = torch.tensor([0.0, 0.0, 1.0])
        chosen = module(torch.stack([sure, unsure]), torch.stack([last, last]))
        assert torch.equal(chosen, torch.stack([sure, last]))

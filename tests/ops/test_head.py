"""Heads keep the contract of ops."""

from __future__ import annotations

from nasplat.graph.types import Image, Logits, Tokens, Vector
from nasplat.ops.head import ClassifierHead
from nasplat.testing.ops import Case, OpConformance

SMALL = Image(6, 5, 7)


class TestClassifierHead(OpConformance):
    cases = (
        Case(ClassifierHead(classes=10), SMALL),
        Case(ClassifierHead(classes=3, norm="batch"), Tokens(9, 6)),
        Case(ClassifierHead(classes=3, norm="batch"), Vector(6)),
        Case(ClassifierHead(classes=2, norm="rms"), SMALL),
        Case(ClassifierHead(classes=2, norm="none"), SMALL),
        Case(ClassifierHead(classes=2, pool="class_token"), Tokens(3, 6)),
        Case(ClassifierHead(classes=2, hidden=5), SMALL),
        Case(ClassifierHead(classes=2, hidden=5, hidden_bias=False), SMALL),
        Case(ClassifierHead(classes=2, hidden=5, hidden_norm="layer", norm_first=True), SMALL),
        Case(ClassifierHead(classes=2, hidden=5, activation="gelu", hidden_norm="layer"), SMALL),
    )
    refused = (
        Case(ClassifierHead(classes=10), Logits(4)),
        Case(ClassifierHead(classes=0), SMALL),
        Case(ClassifierHead(classes=2, norm="x"), SMALL),
        Case(ClassifierHead(classes=2, pool="class_token"), SMALL),
        Case(ClassifierHead(classes=2, hidden=5, activation="x"), SMALL),
    )
    larger = (
        (Case(ClassifierHead(classes=10), SMALL), Case(ClassifierHead(classes=10), Image(8, 5, 7))),
    )
    golden = ((Case(ClassifierHead(classes=10), SMALL), 82, 60),)

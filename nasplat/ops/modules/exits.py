"""Choosing among the exits of one network; they know nothing of ops."""

from __future__ import annotations

import math

import torch
from torch import nn


class ExitGate(nn.Module):
    """The logits of the first exit that is sure; in training the mean of all log-probabilities.

    Args:
        rule: ``confidence`` or ``entropy``.
        threshold: How sure, in [0, 1].
    """

    def __init__(self, rule: str, threshold: float) -> None:
        super().__init__()
        self.rule = rule
        self.threshold = threshold

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            return torch.stack([x.log_softmax(-1) for x in inputs]).mean(0)
        chosen = inputs[-1]
        for x in reversed(inputs[:-1]):
            chosen = torch.where(self._sure(x), x, chosen)
        return chosen

    def _sure(self, x: torch.Tensor) -> torch.Tensor:
        scores = x.log_softmax(-1)
        if self.rule == "confidence":
            certainty = scores.exp().amax(-1)
        else:
            greatest = math.log(max(2, x.shape[-1]))
            certainty = 1 + (scores.exp() * scores).sum(-1) / greatest
        if certainty.dim() == 2:
            certainty = certainty.mean(1)
        return (certainty >= self.threshold).view(-1, *(1 for _ in x.shape[1:]))

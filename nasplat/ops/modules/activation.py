"""Point-wise non-linearities that torch does not have; they know nothing of ops.

References:
    [Zhuo2024] Z. Zhuo et al. Polynomial composition activations. 2024.
    [So2021] D. So et al. Primer: searching for efficient transformers for language modeling. NeurIPS 2021.
    [Yu2024] W. Yu et al. MetaFormer baselines for vision. TPAMI 46, 2024.
    [Yao2024] Z. Yao et al. Zipformer: a faster and better encoder for speech recognition. ICLR 2024.
    [Neftci2019] E. O. Neftci et al. Surrogate gradient learning in spiking neural networks. 2019.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Polynomial(nn.Module):
    """A learned sum of the powers 0 to ``degree`` of ReLU [Zhuo2024].

    All powers but the 0th weigh the same at first.

    Args:
        degree: Highest power, at least 1.
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))
        self.weight = nn.Parameter(torch.full((degree,), 1.0 / degree))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        positive = functional.relu(x)
        power, total = positive, self.shift + self.weight[0] * positive
        for factor in self.weight[1:]:
            power = power * positive
            total = total + factor * power
        return total


class SquaredReLU(nn.Module):
    """The square of ReLU [So2021]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x).square()


class StarReLU(nn.Module):
    """The square of ReLU with a learned scale and shift [Yu2024].

    They start where a standard normal input gives a mean of zero and a variance of one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.8944))
        self.shift = nn.Parameter(torch.tensor(-0.4472))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * functional.relu(x).square() + self.shift


class Swoosh(nn.Module):
    """``log(1 + exp(x - offset)) - 0.08 x - c`` [Yao2024]: SwooshL at an offset of 4, SwooshR at 1.

    Args:
        offset: Where the softplus stands; at 1 the constant ``c`` makes zero map to zero.
    """

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset
        # In single precision softplus(-1) is this very number.
        self.constant = 0.3132616877555847 if offset == 1.0 else 0.035

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.softplus(x - self.offset) - 0.08 * x - self.constant


def spike(excess: torch.Tensor) -> torch.Tensor:
    """1 where ``excess`` is above zero, else 0, with the gradient of a steep sigmoid [Neftci2019]."""
    smooth = torch.sigmoid(4.0 * excess)
    return (excess > 0.0).to(excess) + (smooth - smooth.detach())


class Spike(nn.Module):
    """One above a threshold of one and zero below."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return spike(x - 1.0)


class LeakyIntegrator(nn.Module):
    """Neurons that gather their input over time, leak, and fire and reset above one [Neftci2019].

    Args:
        decay: Part of the potential that is left after one step, in ``[0, 1]``.
        axis: The axis of time.
    """

    def __init__(self, decay: float, axis: int) -> None:
        super().__init__()
        self.decay = decay
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = x.unbind(self.axis)
        potential = torch.zeros_like(steps[0])
        fired = []
        for step in steps:
            potential = self.decay * potential + step
            fired.append(spike(potential - 1.0))
            potential = potential * (1.0 - fired[-1])
        return torch.stack(fired, self.axis)

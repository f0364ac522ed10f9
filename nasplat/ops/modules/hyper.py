"""Layers that make weights and apply them; they know nothing of ops.

Shapes: ``B`` batch, ``O`` outputs, ``I`` inputs times the kernel, ``E`` size of a code.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Code(nn.Module):
    """A constant vector for every example, ``(B, E)``.

    Args:
        values: The numbers.
    """

    values: torch.Tensor

    def __init__(self, values: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(values), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values.expand(x.shape[0], -1)


class Hypernetwork(nn.Module):
    """Makes a matrix from a code, ``(B, E) -> (B, O, I)``.

    Args:
        code: Size of the code.
        outputs: Rows, ``O``.
        inputs: Columns, ``I``.
        hidden: Width of the hidden layer.
        rank: Outer products that are summed.
        learned: Whether the last map is learned, or random and fixed.
    """

    def __init__(
        self, code: int, outputs: int, inputs: int, hidden: int, rank: int, learned: bool
    ) -> None:
        super().__init__()
        self.sizes = (outputs, inputs)
        self.rank = rank
        self.enter = nn.Linear(code, hidden)
        self.last: nn.Module
        if learned:
            self.last = nn.Linear(hidden, rank * (outputs + inputs))
        else:
            self.last = FixedLinear(hidden, rank * (outputs + inputs))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        made = self.last(functional.gelu(self.enter(code))).unflatten(1, (self.rank, -1))
        rows, columns = made.split(self.sizes, 2)
        return rows.transpose(1, 2) @ columns / self.rank


class FixedLinear(nn.Module):
    """A linear map with random weights that are not learned.

    Args:
        inputs: Numbers that come in.
        outputs: Numbers that go out.
    """

    weight: torch.Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(outputs, inputs) / inputs**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight)


class GeneratedConv(nn.Module):
    """A convolution with weights of its own for each example.

    It gathers the neighbourhood of each position and multiplies it with the weights.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out, ``O``.
        kernel: Odd side of the kernel.
        rank: Number of position axes, 1 to 3.
        norm: Whether each filter has a learned norm.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, rank: int, norm: bool) -> None:
        super().__init__()
        self.inputs = inputs
        self.kernel = kernel
        self.axes = rank
        self.gain = nn.Parameter(torch.ones(outputs)) if norm else None

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        if self.gain is not None:
            length = weights.square().sum(2, keepdim=True)
            weights = weights * torch.rsqrt(length + 1e-6) * self.gain[:, None]
        y = weights @ self._neighbours(x)
        return y.reshape(y.shape[0], y.shape[1], *x.shape[2:])

    def _neighbours(self, x: torch.Tensor) -> torch.Tensor:
        """The kernel's places around each position, ``(B, C * kernel^axes, L)``."""
        if self.kernel == 1:
            return x.flatten(2)
        half = self.kernel // 2
        padded = functional.pad(x, [half] * (2 * self.axes))
        for axis in range(self.axes):
            size = x.shape[2 + axis]
            shifts = [padded.narrow(2 + axis, at, size) for at in range(self.kernel)]
            padded = torch.cat(shifts, 1)
        return padded.flatten(2)

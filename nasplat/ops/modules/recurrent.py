"""Linear recurrences as causal convolutions and as single steps; they know nothing of ops.

Shapes: ``B`` batch, ``C`` channels, ``T`` steps, ``N`` states. Tokens are ``(B, T, C)``, a series is
``(B, C, T)``.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class ModalRecurrence(nn.Module):
    """``s_t = a s_{t-1} + x_t`` with ``N`` diagonal states for each channel, summed by weights, then mixed.

    Args:
        channels: Number of channels.
        order: States of each channel.
        length: Steps.
        series: Whether the channels are the first axis after the batch, else they are the last.
        rotates: Whether states turn by an angle in each step, as complex numbers of which the real part
            is read.
    """

    def __init__(self, channels: int, order: int, length: int, series: bool, rotates: bool) -> None:
        super().__init__()
        self.series = series
        self.length = length
        spans = torch.logspace(0, math.log2(max(2, length)), order, base=2.0)
        self.decay = nn.Parameter(torch.log(1 / spans).expand(channels, -1).clone())
        self.weight = nn.Parameter(torch.randn(channels, order) / order)
        if rotates:
            turns = math.pi * torch.arange(order) / order
            self.angle = nn.Parameter(turns.expand(channels, -1).clone())
            self.phase = nn.Parameter(torch.zeros(channels, order))
        self.skip = nn.Parameter(torch.ones(channels))
        self.rotates = rotates
        self.mix = nn.Linear(channels, channels)

    def impulse(self) -> torch.Tensor:
        """The response to an impulse, ``(C, T)``."""
        time = torch.arange(self.length, device=self.decay.device, dtype=self.decay.dtype)
        response = torch.exp(-self.decay.exp().unsqueeze(2) * time)
        if self.rotates:
            turned = self.angle.unsqueeze(2) * time + self.phase.unsqueeze(2)
            response = response * torch.cos(turned)
        return (self.weight.unsqueeze(2) * response).sum(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.series else x.transpose(1, 2)
        padded = functional.pad(x, (self.length - 1, 0))
        kernel = self.impulse().flip(1).unsqueeze(1)
        y = functional.conv1d(padded, kernel, groups=x.shape[1])
        y = self.mix((y + self.skip.unsqueeze(1) * x).transpose(1, 2))
        return y.transpose(1, 2) if self.series else y

    def step(
        self, x: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step: ``x`` is ``(B, C)``; the state, ``(2, B, C, N)``, holds real and imaginary parts."""
        size = torch.exp(-self.decay.exp())
        angle = self.angle if self.rotates else torch.zeros_like(size)
        phase = self.phase if self.rotates else torch.zeros_like(size)
        if state is None:
            state = torch.zeros(2, *x.shape, size.shape[1], dtype=x.dtype, device=x.device)
        real, imaginary = state[0], state[1]
        a, b = size * angle.cos(), size * angle.sin()
        real, imaginary = a * real - b * imaginary + x[..., None], b * real + a * imaginary
        seen = real * phase.cos() - imaginary * phase.sin()
        y = (self.weight * seen).sum(-1) + self.skip * x
        return self.mix(y), torch.stack([real, imaginary])


class LegendreMemory(nn.Module):
    """A signal drawn from the channels, remembered in Legendre polynomials and read beside the channels.

    Args:
        channels: Number of channels.
        order: Polynomials.
        length: Steps.
        series: Whether the channels are the first axis after the batch, else they are the last.
        window: Steps that the memory spans.
    """

    response: torch.Tensor
    transition: torch.Tensor
    entry: torch.Tensor

    def __init__(self, channels: int, order: int, length: int, series: bool, window: int) -> None:
        super().__init__()
        self.series = series
        self.length = length
        self.enter = nn.Linear(channels, 1)
        self.mix = nn.Linear(channels, channels)
        self.read = nn.Linear(order, channels, bias=False)
        transition, entry = _legendre(order, max(window, 2))
        state, states = entry, []
        for _ in range(length):
            states.append(state)
            state = transition @ state
        for name, value in (
            ("transition", transition),
            ("entry", entry),
            ("response", torch.stack(states, 1)),  # (N, T)
        ):
            self.register_buffer(name, value.float(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2) if self.series else x
        signal = functional.pad(self.enter(x).transpose(1, 2), (self.length - 1, 0))
        memory = functional.conv1d(signal, self.response.flip(1).unsqueeze(1))
        y = self.mix(x) + self.read(memory.transpose(1, 2))
        return y.transpose(1, 2) if self.series else y

    def step(
        self, x: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step: ``x`` is ``(B, C)``; the state is ``(B, N)``."""
        news = self.enter(x) * self.entry
        state = news if state is None else state @ self.transition.T + news
        return self.mix(x) + self.read(state), state


def _legendre(order: int, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Transition, ``(N, N)``, and entry, ``(N,)``, of the delay of ``window`` steps, held for one step."""
    rows = torch.arange(order, dtype=torch.float64)[:, None]
    columns = rows.T
    scale = (2 * rows + 1) / window
    signs = torch.where((rows - columns) % 2 == 0, -1.0, 1.0)
    upper = rows < columns
    continuous = scale * torch.where(upper, torch.full_like(signs, -1.0), signs)
    drive = scale[:, 0] * torch.where(rows[:, 0] % 2 == 0, 1.0, -1.0)
    joint = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    joint[:order, :order] = continuous
    joint[:order, order] = drive
    held = torch.linalg.matrix_exp(joint)
    return held[:order, :order], held[:order, order]

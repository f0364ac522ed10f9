"""Recurrences with gates that depend on the input, computed in parallel; they know nothing of ops.

Tokens are ``(B, L, C)``. Maps, ``(B, C, *axes)``, are read row by row; ``rank`` is the number of their
position axes, 0 for tokens. No loop runs over all positions: lengths are known when a module is made.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

CONVS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class LocalConv(nn.Module):
    """A convolution of each channel and SiLU: causal along tokens and series, centred on other maps.

    Args:
        channels: Number of channels.
        kernel: Taps of a causal kernel; a centred one has the next smaller odd side.
        rank: Position axes of what comes in.
    """

    def __init__(self, channels: int, kernel: int, rank: int) -> None:
        super().__init__()
        self.causal = rank < 2
        side = kernel if self.causal else kernel - 1 + kernel % 2
        self.lead = kernel - 1 if self.causal else 0
        padding = 0 if self.causal else side // 2
        self.conv = CONVS[max(rank, 1)](channels, channels, side, padding=padding, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.causal:
            x = functional.pad(x, (self.lead, 0))
        return functional.silu(self.conv(x))


def linear_scan(log_decay: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``h[t] = exp(log_decay[t]) * h[t - 1] + x[t]`` along axis 1, from zero.

    Chunks of about the root of the length run side by side, then their last states are passed on: twice
    the root in steps, and memory as one step over all positions. ``log_decay`` is at most 0.
    """
    length = x.shape[1]
    chunk = math.ceil(math.sqrt(length))
    count = -(-length // chunk)
    missing = count * chunk - length
    if missing:
        pad = (0, 0) * (x.dim() - 2) + (0, missing)
        log_decay, x = functional.pad(log_decay, pad), functional.pad(x, pad)
    log_decay = log_decay.unflatten(1, (count, chunk))
    x = x.unflatten(1, (count, chunk))
    # Taken apart at once: the gradient of one step is then no tensor of all positions.
    first, *later = x.unbind(2)
    states = [first]
    for decay, entry in zip(log_decay.exp().unbind(2)[1:], later, strict=True):
        states.append(decay * states[-1] + entry)
    local = torch.stack(states, 2)
    total = log_decay.cumsum(2).exp()
    carried = [torch.zeros_like(first[:, 0])]
    for decay, last in zip(total[:, :-1, -1].unbind(1), states[-1][:, :-1].unbind(1), strict=True):
        carried.append(decay * carried[-1] + last)
    whole = local + total * torch.stack(carried, 1).unsqueeze(2)
    return whole.flatten(1, 2)[:, :length]


def _running_mean(logs: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The mean of values up to each position, each weighed by the exponential of its log.

    Logs are ``(B, h, L)``, values ``(B, h, L, d)``. Weights are told from the largest so far, so that none
    overflows: the state of the scan shrinks where a larger one comes in.
    """
    top, reach = logs, 1
    while reach < logs.shape[2]:
        top = torch.maximum(top, functional.pad(top[:, :, :-reach], (reach, 0), value=-math.inf))
        reach *= 2
    decay = functional.pad(top[:, :, :-1] - top[:, :, 1:], (1, 0))
    weight = (logs - top).exp().unsqueeze(3)
    both = torch.cat([weight * value, weight], 3).transpose(1, 2)
    total = linear_scan(decay.transpose(1, 2).unsqueeze(3), both).transpose(1, 2)
    return total[..., :-1] / total[..., -1:]


class SelectiveSSM(nn.Module):
    """Widen, convolve, scan with state matrices read off the input, gate, narrow [Gu2023].

    Args:
        channels: Channels that come in and go out.
        hidden: Channels inside.
        state: Size of the state of each channel.
        rank: Position axes of what comes in, 0 for tokens.
        low: Rank of the step sizes.
        scans: 1: forward; 2: both ways; 4: both ways along rows and along columns.
        kernel: Of the convolution before the scan.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        state: int,
        rank: int,
        low: int,
        scans: int,
        kernel: int,
    ) -> None:
        super().__init__()
        self.hidden, self.state, self.rank = hidden, state, rank
        self.low, self.scans = low, scans
        self.in_proj = nn.Linear(channels, 2 * hidden, bias=False)
        self.local = LocalConv(hidden, kernel, rank)
        self.x_proj = nn.Conv1d(
            scans * hidden, scans * (low + 2 * state), 1, groups=scans, bias=False
        )
        self.dt_proj = nn.Conv1d(scans * low, scans * hidden, 1, groups=scans)
        rates = torch.arange(1, state + 1).float().log().repeat(scans, hidden, 1)
        self.log_rate = nn.Parameter(rates)
        self.skip = nn.Parameter(torch.ones(scans, hidden))
        self.out_proj = nn.Linear(hidden, channels, bias=False)
        steps = torch.exp(torch.rand(scans * hidden) * math.log(100.0) + math.log(0.001))
        if self.dt_proj.bias is not None:
            with torch.no_grad():
                self.dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))

    def _directions(self, x: torch.Tensor) -> torch.Tensor:
        """Positions in the order of every scan: ``(B, scans, hidden, L)`` from channels first."""
        rows = x.flatten(2)
        orders = [rows]
        if self.scans == 4:
            orders.append(x.permute(0, 1, *range(x.dim() - 1, 1, -1)).flatten(2))
        if self.scans > 1:
            orders += [order.flip(2) for order in orders]
        return torch.stack(orders, 1)

    def _together(self, y: torch.Tensor, axes: list[int]) -> torch.Tensor:
        """The sum of all scans with positions row by row: ``(B, hidden, L)``."""
        if self.scans == 1:
            return y[:, 0]
        half = self.scans // 2
        y = y[:, :half] + y[:, half:].flip(3)
        if half == 1:
            return y[:, 0]
        columns = y[:, 1].unflatten(2, axes[::-1])
        columns = columns.permute(0, 1, *range(columns.dim() - 1, 1, -1))
        return y[:, 0] + columns.flatten(2)

    def _scan(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, scans, hidden, L)`` in and out."""
        asked = self.x_proj(x.flatten(1, 2)).unflatten(1, (self.scans, -1))
        low, into, out = asked.split([self.low, self.state, self.state], 2)
        step = functional.softplus(self.dt_proj(low.flatten(1, 2)))
        step = step.unflatten(1, (self.scans, -1)).permute(0, 3, 1, 2).unsqueeze(4)
        x = x.permute(0, 3, 1, 2)  # (B, L, scans, hidden)
        into = into.permute(0, 3, 1, 2).unsqueeze(3)
        states = linear_scan(-self.log_rate.exp() * step, step * into * x.unsqueeze(4))
        y = (states * out.permute(0, 3, 1, 2).unsqueeze(3)).sum(4) + self.skip * x
        return y.permute(0, 2, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axes = list(x.shape[2:]) if self.rank else []
        tokens = x.flatten(2).transpose(1, 2) if self.rank else x
        inner, gate = self.in_proj(tokens).chunk(2, 2)
        inner = inner.transpose(1, 2)
        if self.rank > 1:
            inner = inner.unflatten(2, axes)
        mixed = self._together(self._scan(self._directions(self.local(inner))), axes)
        out = self.out_proj(mixed.transpose(1, 2) * functional.silu(gate))
        return out.transpose(1, 2).unflatten(2, axes) if self.rank else out


class XLSTM(nn.Module):
    """Widen, convolve, remember with exponential gates, gate, narrow [Beck2024].

    Args:
        channels: Channels that come in and go out.
        heads: Number of heads, each with gates of its own.
        head_dim: Channels of a head inside.
        rank: Position axes of what comes in, 0 for tokens.
        matrix: Whether a head remembers a matrix, read by queries, or one value for each channel.
        directions: 1: forward; 2: both ways, with gates of their own, summed.
        kernel: Of the convolution before the memory.
    """

    mask: torch.Tensor

    def __init__(
        self,
        channels: int,
        heads: int,
        head_dim: int,
        rank: int,
        matrix: bool,
        directions: int,
        kernel: int,
        length: int,
    ) -> None:
        super().__init__()
        hidden = heads * head_dim
        self.heads, self.rank = heads, rank
        self.matrix, self.directions = matrix, directions
        self.in_proj = nn.Linear(channels, 2 * hidden, bias=False)
        self.local = LocalConv(hidden, kernel, rank)
        self.qk = nn.Conv1d(hidden, 2 * hidden, 1, groups=heads, bias=False) if matrix else None
        self.value = nn.Conv1d(hidden, hidden, 1, groups=heads, bias=False)
        self.gates = nn.Conv1d(hidden, 2 * directions * heads, 1)
        self.norm = nn.LayerNorm(head_dim)
        self.out_proj = nn.Linear(hidden, channels, bias=False)
        future = torch.ones(*((length, length) if matrix else (1, 1)), dtype=torch.bool).triu(1)
        self.register_buffer("mask", future, persistent=False)
        if self.gates.bias is not None:
            with torch.no_grad():
                bias = self.gates.bias.view(directions, 2, heads)
                bias[:, 0] = -2.0
                bias[:, 1] = torch.linspace(3.0, 6.0, heads)

    def _memory(
        self, gates: torch.Tensor, scores: torch.Tensor | None, value: torch.Tensor
    ) -> torch.Tensor:
        """One direction. Gates ``(B, 2, h, L)``, scores ``(B, h, L, L)``, values ``(B, h, L, d)``."""
        into, keep = gates[:, 0], functional.logsigmoid(gates[:, 1])
        past = keep.cumsum(2)
        if scores is None:
            return _running_mean(into - past, value)
        logs = past.unsqueeze(3) - (past - into).unsqueeze(2)
        logs = logs.masked_fill(self.mask, float("-inf"))
        # Both sides of the quotient are scaled by it, so that its gradient is none.
        top = logs.detach().amax(3, keepdim=True)
        weights = (logs - top).exp() * scores
        total = torch.maximum(weights.sum(3, keepdim=True).abs(), (-top).exp())
        return torch.matmul(weights, value) / (total + 1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axes = list(x.shape[2:]) if self.rank else []
        tokens = x.flatten(2).transpose(1, 2) if self.rank else x
        inner, gate = self.in_proj(tokens).chunk(2, 2)
        inner = inner.transpose(1, 2)
        local = self.local(inner.unflatten(2, axes) if self.rank > 1 else inner).flatten(2)
        gates = self.gates(local).unflatten(1, (self.directions, 2, self.heads))
        value = self.value(inner).unflatten(1, (self.heads, -1)).transpose(2, 3)
        scores: torch.Tensor | None = None
        if self.qk is not None:
            query, key = self.qk(local).unflatten(1, (self.heads, 2, -1)).unbind(2)
            scores = torch.matmul(query.transpose(2, 3), key) * query.shape[2] ** -0.5
        else:
            value = torch.tanh(value)
        found = self._memory(gates[:, 0], scores, value)
        if self.directions == 2:
            other = None if scores is None else scores.flip(2, 3)
            found = found + self._memory(gates[:, 1].flip(3), other, value.flip(2)).flip(2)
        mixed = self.norm(found).transpose(1, 2).flatten(2)
        out = self.out_proj(mixed * functional.silu(gate))
        return out.transpose(1, 2).unflatten(2, axes) if self.rank else out

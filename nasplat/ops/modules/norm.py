"""Normalisations and scales of tensors of any layout; they know nothing of ops.

Shapes: maps are ``(B, C, *axes)`` with ``rank`` position axes; tokens ``(B, L, C)`` and vectors ``(B, C)``
have rank 0 here: their channels are the last axis.

References:
    [Guo2024] X. Guo et al. SLAB: simplified linear attention and progressive re-parameterized batch
        normalization. ICML 2024.
    [Yang2022] Q. Yang et al. Unified normalization for accelerating and stabilizing transformers. 2022.
    [Yao2024] Z. Yao et al. Zipformer: a faster and better encoder for speech recognition. ICLR 2024.
    [Nam2018] H. Nam, H.-E. Kim. Batch-instance normalization. NeurIPS 2018.
    [Jiang2023] Z. Jiang et al. Pre-RMSNorm and Pre-CRMSNorm transformers. NeurIPS 2023.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from nasplat.ops.modules.channels import channel_shape


def make_norm(form: str, channels: int, *, rank: int) -> nn.Module:
    """Make the normalisation called ``form`` over the channels; ``"none"`` is the identity.

    Args:
        form: Its name.
        channels: Number of channels.
        rank: Number of position axes behind the channels; 0: the channels are the last axis.
    """
    if form == "none":
        return nn.Identity()
    if form == "layer":
        return ChannelLayerNorm(channels) if rank else nn.LayerNorm(channels)
    if form == "batch":
        return batch_norm(rank)(channels)
    if form == "group":
        return GroupNorm(math.gcd(32, channels), channels, rank)
    if form == "instance":
        return GroupNorm(channels, channels, rank)
    if form == "unit":
        return UnitNorm(rank)
    if form == "compressed_rms":
        return RMSNorm(channels, rank, compressed=True)
    forms: dict[str, type[nn.Module]] = {
        "rms": RMSNorm,
        "rep_batch": RepBatchNorm,
        "unified": UnifiedNorm,
        "bias": BiasNorm,
        "batch_instance": BatchInstanceNorm,
    }
    return forms[form](channels, rank)


def make_pooled_norm(form: str, channels: int, rank: int) -> nn.Module:
    """As :func:`make_norm` for maps with a single position."""
    return SteadyBatchNorm(channels) if form == "batch" else make_norm(form, channels, rank=rank)


def batch_norm(rank: int) -> type[nn.Module]:
    """The class of batch normalisation for so many position axes."""
    kinds: dict[int, type[nn.Module]] = {
        0: TokenBatchNorm,
        1: nn.BatchNorm1d,
        2: nn.BatchNorm2d,
        3: nn.BatchNorm3d,
    }
    return kinds.get(rank, FlatBatchNorm)


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation of maps, ``(B, C, *axes)``, over the channels at each position."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class RMSNorm(nn.Module):
    """Divide the channels at each position by their root mean square, then scale them.

    Args:
        channels: Number of channels.
        rank: Position axes behind the channels; 0: the channels are the last axis.
        compressed: Whether the channels are all but the last of a vector whose sum is zero [Jiang2023]:
            the mean square counts the missing one.
        eps: Added to the mean square.
        affine: Whether channels are scaled by learned numbers.
    """

    def __init__(
        self,
        channels: int,
        rank: int,
        compressed: bool = False,
        eps: float = 1e-6,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.axis = 1 if rank else -1
        self.shape = channel_shape(channels, rank)
        self.compressed = compressed
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.compressed:
            power = x.square().sum(self.axis, keepdim=True)
            missing = x.sum(self.axis, keepdim=True).square()
            mean_square = (power + missing) / (self.shape[0] + 1)
        else:
            mean_square = x.square().mean(self.axis, keepdim=True)
        x = x * torch.rsqrt(mean_square + self.eps)
        return x if self.weight is None else x * self.weight.view(self.shape)


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of tokens, ``(B, L, C)``, over batch and positions, or of vectors, ``(B, C)``."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.dim() == 2:
            return super().forward(input)
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class FlatBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of maps with any number of position axes."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.flatten(2)).unflatten(2, input.shape[2:])


class SteadyBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of pooled maps; a batch of one example is normalised by the running statistics.

    Such a batch has no variance, and torch's layer refuses it.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        x = input.flatten(2)
        if self.training and x.shape[0] * x.shape[2] == 1:
            y = nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        else:
            y = super().forward(x)
        return y.unflatten(2, input.shape[2:])


class GroupNorm(nn.GroupNorm):
    """Group normalisation of any layout; with a group for each channel it is instance normalisation.

    One position is no error, unlike in torch's layer: it becomes the shift.

    Args:
        groups: Groups of channels that share mean and variance.
        channels: Number of channels.
        rank: Position axes behind the channels; 0: the channels are the last axis.
        affine: Whether channels are scaled and shifted by learned numbers.
    """

    def __init__(self, groups: int, channels: int, rank: int, affine: bool = True) -> None:
        super().__init__(groups, channels, affine=affine)
        self.last = rank == 0

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        x = input.movedim(-1, 1) if self.last else input
        # With the channels last in memory torch subtracts squares on the CPU, which loses half the digits.
        x = torch.group_norm(x.contiguous(), self.num_groups, self.weight, self.bias, self.eps)
        return x.movedim(1, -1) if self.last else x


class UnitNorm(nn.Module):
    """Divide the channels at each position by their length."""

    def __init__(self, rank: int, eps: float = 1e-12) -> None:
        super().__init__()
        self.axis = 1 if rank else -1
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().sum(self.axis, keepdim=True) + self.eps)


class BiasNorm(nn.Module):
    """``x / RMS(x - bias) * exp(log_scale)``: the length of a vector leaves a trace [Yao2024]."""

    def __init__(self, channels: int, rank: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.axis = 1 if rank else -1
        self.shape = channel_shape(channels, rank)
        self.eps = eps
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        power = (x - self.bias.view(self.shape)).square().mean(self.axis, keepdim=True)
        return x * torch.rsqrt(power + self.eps) * self.log_scale.exp()


class UnifiedNorm(nn.Module):
    """Divide each channel by its root mean square over batch and positions, smoothed over steps.

    Training divides by the geometric mean of the last ``window`` batches' mean squares, evaluation by
    their moving average: a fixed scale and shift that a neighbouring linear map can take in [Yang2022].

    Args:
        channels: Number of channels.
        rank: Position axes behind the channels; 0: the channels are the last axis.
        window: Batches in the geometric mean.
        momentum: Weight of a new batch in the moving average.
    """

    history: torch.Tensor
    batches: torch.Tensor
    running: torch.Tensor

    def __init__(
        self, channels: int, rank: int, window: int = 4, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.axis = 1 if rank else -1
        self.shape = channel_shape(channels, rank)
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("history", torch.zeros(window, channels))
        self.register_buffer("batches", torch.tensor(0))
        self.register_buffer("running", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        power = self._smoothed(x) if self.training else self.running
        scale = self.weight * torch.rsqrt(power + self.eps)
        return x * scale.view(self.shape) + self.bias.view(self.shape)

    def _smoothed(self, x: torch.Tensor) -> torch.Tensor:
        others = [axis for axis in range(x.dim()) if axis != self.axis % x.dim()]
        new = (x.square().mean(others) + self.eps).log()
        with torch.no_grad():
            # Until the window is full the first batches count several times.
            old = torch.where(self.batches == 0, new.detach().expand_as(self.history), self.history)
            self.history = torch.cat([old[1:], new.detach()[None]])
            self.batches = self.batches + 1
        power = (new + self.history[:-1].sum(0)).div(self.history.shape[0]).exp()
        with torch.no_grad():
            share = torch.where(self.batches == 1, 1.0, self.momentum)
            self.running = torch.lerp(self.running, power.detach(), share)
        return power


class BatchInstanceNorm(nn.Module):
    """A mix of batch and instance normalisation; each channel learns its share, in [0, 1] [Nam2018]."""

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.shape = channel_shape(channels, rank)
        self.batch = batch_norm(rank)(channels, affine=False)
        self.instance = GroupNorm(channels, channels, rank, affine=False)
        self.share = nn.Parameter(torch.full((channels,), 0.5))
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share = self.share.clamp(0.0, 1.0).view(self.shape)
        mixed = share * self.batch(x) + (1.0 - share) * self.instance(x)
        return mixed * self.weight.view(self.shape) + self.bias.view(self.shape)


class RepBatchNorm(nn.Module):
    """Layer normalisation that turns into batch normalisation beside a scaled skip while it trains.

    ``share * LN(x) + (1 - share) * (BN(x) + skip * x)`` [Guo2024]. The training loop tells how far it is
    through :meth:`follow_training`; ``share`` falls from 1 to 0 along a line and is 0 from ``end`` on.
    Then evaluation computes the batch normalisation alone: one scale and one shift.

    Args:
        channels: Number of channels.
        rank: Position axes behind the channels; 0: the channels are the last axis.
        end: Part of the training after which nothing of the layer normalisation is left.
    """

    share: torch.Tensor

    def __init__(self, channels: int, rank: int, end: float = 0.9) -> None:
        super().__init__()
        self.end = end
        self.layer = make_norm("layer", channels, rank=rank)
        self.batch = batch_norm(rank)(channels)
        self.skip = nn.Parameter(torch.ones(1))
        self.register_buffer("share", torch.tensor(1.0))
        self._turned = False

    def follow_training(self, progress: float) -> None:
        """Take note of the part of the training that is done, in [0, 1]."""
        share = max(0.0, 1.0 - progress / self.end) if self.end > 0 else 0.0
        self.share = torch.full_like(self.share, share)

    def train(self, mode: bool = True) -> RepBatchNorm:
        """As every module's; going to evaluation settles whether anything is left to blend."""
        self._settle()
        return super().train(mode)

    def _settle(self) -> None:
        self._turned = not self.share.is_meta and self.share.item() == 0.0

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self._settle()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        turned = self.batch(x) + self.skip * x
        if not self.training and self._turned:
            return turned
        return self.share * self.layer(x) + (1.0 - self.share) * turned


class LayerScale(nn.Module):
    """Multiply each channel by a learned number.

    Args:
        channels: Number of channels.
        initial: Value of every number before training.
        rank: Position axes behind the channels; 0: the channels are the last axis.
    """

    def __init__(self, channels: int, initial: float, rank: int) -> None:
        super().__init__()
        self.shape = channel_shape(channels, rank)
        self.gamma = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma.view(self.shape)


class Affine(nn.Module):
    """Multiply each channel by a learned number and add another.

    Args:
        channels: Number of channels.
        rank: Position axes behind the channels; 0: the channels are the last axis.
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.shape = channel_shape(channels, rank)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight.view(self.shape) + self.bias.view(self.shape)

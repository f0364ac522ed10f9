"""Linear attention of an image, ``(B, C, H, W)``, over several scales; it knows nothing of ops."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class MultiScaleLinearAttention(nn.Module):
    """Linear attention whose queries, keys and values are gathered at several scales.

    Args:
        channels: Channels of the input and of the output.
        heads: Number of heads at one scale.
        head_dim: Width of a head.
        scales: Odd sides of the convolutions that gather.
    """

    def __init__(self, channels: int, heads: int, head_dim: int, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.head_dim = head_dim
        width = 3 * heads * head_dim
        self.qkv = nn.Conv2d(channels, width, 1, bias=False)
        self.gather = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, side, padding=side // 2, groups=width, bias=False),
                nn.Conv2d(width, width, 1, groups=3 * heads, bias=False),
            )
            for side in scales
        )
        self.out = nn.Conv2d((1 + len(scales)) * heads * head_dim, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.qkv(x)
        made = torch.cat([made, *(gather(made) for gather in self.gather)], 1)
        heads = made.flatten(2).unflatten(1, (-1, 3, self.head_dim))  # (B, h, 3, d, N)
        query, key = functional.relu(heads[:, :, 0]), functional.relu(heads[:, :, 1])
        # Means instead of sums: the same quotient, in the range of half floats.
        key = key / key.shape[3]
        value = functional.pad(heads[:, :, 2], (0, 0, 0, 1), value=1.0)
        mixed = torch.matmul(torch.matmul(value, key.transpose(2, 3)), query)  # (B, h, d + 1, N)
        mixed = mixed[:, :, :-1] / (mixed[:, :, -1:] + 1e-6)
        return self.out(mixed.flatten(1, 2).unflatten(2, x.shape[2:]))

"""A few latent vectors read many positions; they know nothing of ops.

Shapes: ``B`` batch, ``N`` positions, ``M`` latents, ``C`` channels.

References:
    [Jaegle2021] A. Jaegle et al. Perceiver: general perception with iterative attention. ICML 2021.
    [Alayrac2022] J.-B. Alayrac et al. Flamingo: a visual language model for few-shot learning. NeurIPS 2022.
"""

from __future__ import annotations

import torch
from torch import nn

from nasplat.ops.modules.heads import HeadProjection, attend, share_heads


class LatentLayer(HeadProjection):
    """Latents attend to positions and to themselves, then pass a feed-forward part.

    Args:
        channels: As in :class:`HeadProjection`, like all up to ``head_dim``.
        hidden: Hidden width of the feed-forward part.
    """

    def __init__(
        self, channels: int, heads: int, kv_heads: int, head_dim: int, hidden: int
    ) -> None:
        super().__init__(channels, heads, kv_heads, head_dim, 0)
        self.norm = nn.LayerNorm(channels)
        self.latent_norm = nn.LayerNorm(channels)
        self.feed = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, hidden),
            nn.GELU(),
            nn.Linear(hidden, channels),
        )

    def forward(self, latents: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        asking = self.latent_norm(latents)
        seen = torch.cat([self.norm(x), asking], 1)
        key = share_heads(self.rows(self.key(seen), self.kv_heads), self.heads)
        value = share_heads(self.rows(self.value(seen), self.kv_heads), self.heads)
        found = attend(self.rows(self.query(asking), self.heads), key, value, None)
        latents = latents + self.merged_rows(found, latents)
        return latents + self.feed(latents)


class LatentResampler(nn.Module):
    """Learned latents read the positions in several layers, and go out [Jaegle2021, Alayrac2022].

    Args:
        latents: Number of latents.
        layers: Number of layers.
        rank: Number of position axes behind the channels; 0: the channels are the last axis.
        channels: As in :class:`LatentLayer`, like all that follow.
    """

    def __init__(
        self,
        latents: int,
        layers: int,
        rank: int,
        channels: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.rank = rank
        self.latents = nn.Parameter(0.02 * torch.randn(latents, channels))
        self.layers = nn.ModuleList(
            LatentLayer(channels, heads, kv_heads, head_dim, hidden) for _ in range(layers)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.rank:
            x = x.flatten(2).transpose(1, 2)
        latents = self.latents.repeat(x.shape[0], 1, 1)
        for layer in self.layers:
            latents = layer(latents, x)
        return latents

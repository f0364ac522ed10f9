"""Shifted copies of maps; it knows nothing of ops. Shapes: images ``(B, C, H, W)``."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class ShiftedCopies(nn.Module):
    """An image and copies of it, shifted towards its four corners, side by side in the channels.

    Args:
        shift: Positions along both axes; zeros come in.
    """

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shift, height, width = self.shift, x.shape[2], x.shape[3]
        padded = functional.pad(x, (shift, shift, shift, shift))
        copies = [x]
        for top in (0, 2 * shift):
            for left in (0, 2 * shift):
                copies.append(padded[:, :, top : top + height, left : left + width])
        return torch.cat(copies, 1)

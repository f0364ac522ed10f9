"""A small graph network in plain torch: messages along the edges of the live graph, both ways [Shi2020].

Before it sees a result it learns to tell the costs of the rows that it is given, which are free
[Dai2021]; then several copies are fitted on results, with a loss on values and one on the order of pairs.
Each leaves out rows of its own. The disagreement of the copies is the deviation; by how much more they
miss on what they left out is the noise.

References:
    [Shi2020] H. Shi et al. Bridging the gap between sample-based and one-shot neural architecture search
        with BONAS. NeurIPS 2020.
    [Dai2021] X. Dai et al. FBNetV3: joint architecture-recipe search using predictor pretraining. CVPR 2021.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplat.predict.base import Floats, Remembering
from nasplat.predict.graph_rows import SOURCES_UP_TO, GraphRows

WIDTH = 32
ROUNDS = 3
"""Rounds of messages."""
RATE = 5e-3
BATCH = 32


class GraphNet(Remembering):
    """Predicts from rows of :class:`~nasplat.predict.graph_rows.GraphRows`.

    Args:
        layout: What made the rows.
        known: Rows without results that the network learns costs from, ``(k, d)``.
        members: Copies, at least 2.
        epochs: How often each sees its rows.
        steps: Steps of training at least, where these are fewer.
        seed: Seed of weights and orders.
    """

    def __init__(
        self,
        layout: GraphRows,
        known: Floats | None = None,
        *,
        members: int = 4,
        epochs: int = 60,
        steps: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.members = members
        self.epochs = epochs
        self.steps = steps
        self.seed = seed
        self._known = known
        self._begun: _Net | None = None
        self._noise = 0.0

    @property
    def noise(self) -> float:
        return self._noise

    def fit(self, X: Floats, y: Floats) -> None:
        super().fit(X, y)
        self._centre, self._spread = float(self.y.mean()), float(self.y.std()) or 1.0
        target = torch.tensor((self.y - self._centre) / self._spread, dtype=torch.float32)[:, None]
        graphs = _taken_apart(self.X, self.layout)
        self._nets = []
        self._noise = 0.0
        if np.ptp(self.y) == 0:
            return
        start = self._pretrained()
        generator = torch.Generator().manual_seed(self.seed)
        left_out_by = torch.randperm(len(target), generator=generator) % self.members
        if len(target) < 2 * self.members:
            left_out_by[:] = -1
        for member in range(self.members):
            generator = torch.Generator().manual_seed(self.seed + member)
            net = deepcopy(start)
            net.renew(generator, 1)
            kept = torch.nonzero(left_out_by != member)[:, 0]
            _train(net, _at(graphs, kept), target[kept], self._steps(len(kept)), generator)
            self._nets.append(net)
        if len(target) >= 2 * self.members:
            self._noise = self._missed(graphs, target, left_out_by)

    def _steps(self, rows: int) -> int:
        return max(self.steps, self.epochs * rows // BATCH)

    def _missed(self, graphs: Graphs, target: Tensor, left_out_by: Tensor) -> float:
        """Error on left-out rows beyond the disagreement of the copies there, in units of ``y``."""
        with torch.no_grad():
            each = torch.cat([net(*graphs) for net in self._nets], dim=1)
        error = each.gather(1, left_out_by[:, None]) - target
        beyond = float((error**2).mean() - each.var(dim=1, correction=0).mean())
        return float(self._spread * np.sqrt(max(beyond, 0.0)))

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        rows = self.asked(X)
        if not self._nets:
            return np.full(len(rows), self._centre), np.zeros(len(rows))
        graphs = _taken_apart(rows, self.layout)
        with torch.no_grad():
            each = np.array([net(*graphs)[:, 0].double().numpy() for net in self._nets])
        return self._centre + self._spread * each.mean(0), self._spread * each.std(0)

    def _pretrained(self) -> _Net:
        """A network that tells costs, if there are rows to learn them from."""
        if self._begun is None:
            generator = torch.Generator().manual_seed(self.seed)
            net = _Net(self.layout, generator)
            if self._known is not None and len(self._known) > 1:
                graphs = _taken_apart(self._known, self.layout)
                net.renew(generator, self.layout.costs)
                blind = (*graphs[:-1], torch.zeros_like(graphs[-1]))
                steps = self._steps(len(self._known))
                _train(net, blind, graphs[-1], steps, generator)
            self._begun = net
        return self._begun


class _Net(nn.Module):
    """Messages from sources and from readers, then the mean over values beside the costs."""

    def __init__(self, layout: GraphRows, generator: torch.Generator) -> None:
        super().__init__()
        self.family = nn.Embedding(layout.families, WIDTH, padding_idx=0)
        self.size = nn.Linear(1, WIDTH)
        self.mix = nn.ModuleList(nn.Linear(3 * WIDTH, WIDTH) for _ in range(ROUNDS))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(ROUNDS))
        self.read = nn.Linear(2 * WIDTH + layout.costs, WIDTH)
        self.out = nn.Linear(WIDTH, 1)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                with torch.no_grad():
                    parameter.normal_(0.0, parameter.shape[-1] ** -0.5, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def renew(self, generator: torch.Generator, outputs: int) -> None:
        """A fresh last layer."""
        self.out = nn.Linear(WIDTH, outputs)
        with torch.no_grad():
            self.out.weight.normal_(0.0, WIDTH**-0.5, generator=generator)
            self.out.bias.zero_()

    def forward(self, family: Tensor, size: Tensor, adjacent: Tensor, costs: Tensor) -> Tensor:
        there = (family > 0).float()[:, :, None]
        h = (self.family(family) + self.size(size[:, :, None])) * there
        back = adjacent.transpose(1, 2)
        # Means over what a value reads, and over what reads it.
        around = torch.cat([adjacent, back], dim=1)
        around = around / around.sum(2, keepdim=True).clamp(min=1)
        for mix, norm in zip(self.mix, self.norms, strict=True):
            sources, readers = (around @ h).chunk(2, dim=1)
            message = mix(torch.cat([h, sources, readers], dim=2))
            h = (h + functional.silu(norm(message))) * there
        whole = h.sum(1) / there.sum(1).clamp(min=1)
        peak = h.masked_fill(there == 0, -1e4).amax(1)
        told: Tensor = self.out(functional.silu(self.read(torch.cat([whole, peak, costs], dim=1))))
        return told


Graphs = tuple[Tensor, Tensor, Tensor, Tensor]


def _taken_apart(rows: Floats, layout: GraphRows) -> Graphs:
    """Families ``(n, v)``, sizes ``(n, v)``, who reads whom ``(n, v, v)`` and costs ``(n, c)``."""
    count = len(rows)
    each = 2 + SOURCES_UP_TO
    table = rows[:, : layout.values * each].reshape(count, layout.values, each)
    longest = int((table[:, :, 0] > 0).sum(1).max(initial=1))
    table = table[:, :longest].copy()
    family = torch.tensor(np.rint(table[:, :, 0]).clip(0, layout.families - 1), dtype=torch.long)
    size = torch.tensor(table[:, :, 1] / 5.0, dtype=torch.float32)
    places = torch.tensor(np.rint(table[:, :, 2:]).clip(0, longest), dtype=torch.long)
    adjacent = torch.zeros(count, longest, longest + 1)
    adjacent.scatter_(2, places, 1.0)
    costs = torch.tensor(rows[:, layout.values * each :].copy(), dtype=torch.float32)
    return family, size, adjacent[:, :, 1:], costs


def _at(graphs: Graphs, rows: Tensor) -> Graphs:
    """Some of the graphs."""
    family, size, adjacent, costs = graphs
    return family[rows], size[rows], adjacent[rows], costs[rows]


def _train(
    net: _Net, graphs: Graphs, target: Tensor, steps: int, generator: torch.Generator
) -> None:
    """Fit values in batches, the rate falling along a cosine; a single target also by its order."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.randperm(len(target), generator=generator)[:BATCH]
        told = net(*_at(graphs, batch))
        wanted = target[batch]
        loss = functional.mse_loss(told, wanted)
        if target.shape[1] == 1 and len(batch) > 1:
            sign = torch.sign(wanted - wanted.T)
            loss = loss + (functional.softplus(-sign * (told - told.T)) * sign.abs()).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        schedule.step()

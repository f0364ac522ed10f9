"""A small graph network in plain torch: messages along the edges of the live graph, both ways [Shi2020].

Before it sees a result it learns to tell the costs of the rows that it is given, which are free
[Dai2021]; then several copies are fitted on results in random orders, with a loss on values and one on the
order of pairs. Their disagreement is the deviation.

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


class GraphNet(Remembering):
    """Predicts from rows of :class:`~nasplat.predict.graph_rows.GraphRows`.

    Args:
        layout: What made the rows.
        known: Rows without results that the network learns costs from, ``(k, d)``.
        members: Copies, at least 2.
        steps: Steps of training for each.
        seed: Seed of weights and orders.
    """

    def __init__(
        self,
        layout: GraphRows,
        known: Floats | None = None,
        *,
        members: int = 3,
        steps: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.members = members
        self.steps = steps
        self.seed = seed
        self._known = known
        self._begun: _Net | None = None

    def fit(self, X: Floats, y: Floats) -> None:
        super().fit(X, y)
        self._centre, self._spread = float(self.y.mean()), float(self.y.std()) or 1.0
        target = torch.tensor((self.y - self._centre) / self._spread, dtype=torch.float32)[:, None]
        graphs = _taken_apart(self.X, self.layout)
        self._nets = []
        if np.ptp(self.y) == 0:
            return
        start = self._pretrained()
        for member in range(self.members):
            torch_seed = torch.Generator().manual_seed(self.seed + member)
            net = deepcopy(start)
            net.renew(torch_seed, 1)
            _train(net, graphs, target, self.steps, torch_seed, ordered=True)
            self._nets.append(net)

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
                _train(net, blind, graphs[-1], self.steps, generator, ordered=False)
            self._begun = net
        return self._begun


class _Net(nn.Module):
    """Messages from sources and from readers, then the mean over values beside the costs."""

    def __init__(self, layout: GraphRows, generator: torch.Generator) -> None:
        super().__init__()
        self.family = nn.Embedding(layout.families, WIDTH, padding_idx=0)
        self.size = nn.Linear(1, WIDTH)
        self.own = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(ROUNDS))
        self.from_sources = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(ROUNDS))
        self.from_readers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(ROUNDS))
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
        down = adjacent / adjacent.sum(2, keepdim=True).clamp(min=1)
        up = back / back.sum(2, keepdim=True).clamp(min=1)
        for own, sources, readers, norm in zip(
            self.own, self.from_sources, self.from_readers, self.norms, strict=True
        ):
            message = own(h) + sources(down @ h) + readers(up @ h)
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
    family = torch.tensor(np.rint(table[:, :, 0]).clip(0, layout.families - 1), dtype=torch.long)
    size = torch.tensor(table[:, :, 1] / 5.0, dtype=torch.float32)
    places = torch.tensor(np.rint(table[:, :, 2:]).clip(0, layout.values), dtype=torch.long)
    adjacent = torch.zeros(count, layout.values, layout.values + 1)
    adjacent.scatter_(2, places, 1.0)
    costs = torch.tensor(rows[:, layout.values * each :], dtype=torch.float32)
    return family, size, adjacent[:, :, 1:], costs


def _train(
    net: _Net,
    graphs: Graphs,
    target: Tensor,
    steps: int,
    generator: torch.Generator,
    *,
    ordered: bool,
) -> None:
    """Fit in batches of at most 64 rows, the rate falling along a cosine."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.randperm(len(target), generator=generator)[:64]
        told = net(*(part[batch] for part in graphs))
        wanted = target[batch]
        loss = functional.mse_loss(told, wanted)
        if ordered and len(batch) > 1:
            sign = torch.sign(wanted - wanted.T)
            loss = loss + (functional.softplus(-sign * (told - told.T)) * sign.abs()).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        schedule.step()

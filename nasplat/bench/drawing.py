"""Draws curves of several strategies, means with bands, as SVG. It knows numbers and names."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nasplat.bench.measures import Floats, bootstrap

_COLOURS = ("#0b6e99", "#d1495b", "#2e8b57", "#8d6a9f", "#e08e2b", "#4d4d4d", "#7fb7be", "#b5838d")


@dataclass(frozen=True)
class Curves:
    """One drawing.

    Attributes:
        x: Where curves are read, ``(n,)``.
        runs: For each strategy, ``(runs, n)``.
        across: What ``x`` is.
        up: What the curves show.
        log: Whether they are shown on a logarithm.
    """

    x: Floats
    runs: Mapping[str, Floats]
    across: str
    up: str
    log: bool = False


def draw(curves: Curves) -> str:
    """Means with the range in which the mean lies at 95 %, as an ``<svg>`` element."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nasplat"}):
        figure = Figure(figsize=(8, 4.4), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        floor = _floor(curves) if curves.log else None
        for number, (name, table) in enumerate(curves.runs.items()):
            colour = _COLOURS[number % len(_COLOURS)]
            dashes = ("solid", "dashed", "dotted")[number // len(_COLOURS) % 3]
            low, high = bootstrap(table)
            mean = table.mean(0)
            if floor is not None:
                mean, low, high = (np.maximum(one, floor) for one in (mean, low, high))
            axes.step(
                curves.x, mean, where="post", color=colour, label=name, lw=1.4, linestyle=dashes
            )
            axes.fill_between(
                curves.x, low, high, step="post", color=colour, alpha=0.15, linewidth=0
            )
        if floor is not None:
            axes.set_yscale("log")
        axes.set_xlabel(curves.across)
        axes.set_ylabel(curves.up)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _floor(curves: Curves) -> float | None:
    """What stands for 0 on a logarithm, the least mean above 0 halved; ``None``: all is 0."""
    means = np.concatenate([table.mean(0) for table in curves.runs.values()])
    above = means[means > 1e-9]
    return float(above.min()) / 2 if len(above) else None

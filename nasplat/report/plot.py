"""The Pareto plot: every candidate as a dot, the front as a staircase; PNG or one HTML file.

The HTML holds its own drawing (SVG), style and script, so that it opens anywhere without a network.
This module draws numbers; it does not know where they come from.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nasplat.errors import NotFoundError, UsageError
from nasplat.report import units

SUFFIXES = (".png", ".html")
_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 24, 28, 56
_FRONT, _OTHER = "#b5320b", "#8fa3b5"


@dataclass(frozen=True)
class Point:
    """One candidate: its two values, whether it is on the front, and the lines of its hover."""

    x: float
    y: float
    front: bool
    label: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        name: What it shows.
        direction: ``max`` or ``min``: which way is better.
        values: What it must span.
    """

    name: str
    direction: str
    values: tuple[float, ...] = field(repr=False)

    @property
    def log(self) -> bool:
        """Whether the values span so much that only a logarithm shows them."""
        return min(self.values) > 0 and max(self.values) / min(self.values) > 30

    @property
    def title(self) -> str:
        """The label beside the axis."""
        return f"{self.name} ({'higher' if self.direction == 'max' else 'lower'} is better)"

    def range(self) -> tuple[float, float]:
        """The ends of the axis: the values and a margin of 5 %."""
        low, high = min(self.values), max(self.values)
        if self.log:
            margin = (high / low) ** 0.05
            return low / margin, high * margin
        margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        return low - margin, high + margin

    def place(self, value: float) -> float:
        """Where a value lies between the ends, 0..1."""
        low, high = self.range()
        if self.log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values between the ends: about six, or 1-2-5 per decade."""
        low, high = self.range()
        if self.log:
            decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            marks = [step * 10.0**power for power in decades for step in (1, 2, 5)]
            return [mark for mark in marks if low <= mark <= high]
        raw = (high - low) / 6
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
        first = math.ceil(low / step)
        return [index * step for index in range(first, math.floor(high / step) + 1)]


def save(
    points: Sequence[Point],
    file: Path,
    *,
    title: str,
    x: tuple[str, str],
    y: tuple[str, str],
) -> None:
    """Draw points into a file whose ending says how.

    Args:
        points: At least one; those whose values are not finite are left out.
        file: Ends with ``.png`` or ``.html``; an existing file is replaced.
        title: Above the plot.
        x: Name and direction (``max`` or ``min``) of the horizontal axis.
        y: The same of the vertical axis.

    Raises:
        UsageError: The ending is another one, or the folder does not exist.
        NotFoundError: There is no point to draw.
    """
    if file.suffix not in SUFFIXES:
        raise UsageError(f"a plot is written as {' or '.join(SUFFIXES)}, got {str(file)!r}")
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist")
    drawn = [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
    if not drawn:
        raise NotFoundError("there is nothing to plot yet: no trial has finished")
    across = Axis(*x, tuple(point.x for point in drawn))
    up = Axis(*y, tuple(point.y for point in drawn))
    if file.suffix == ".png":
        _png(drawn, file, title, across, up)
    else:
        file.write_text(to_html(drawn, title, across, up), encoding="utf-8")


def staircase(points: Sequence[Point], x: Axis, y: Axis) -> list[tuple[float, float]]:
    """The corners of the line that separates what the front dominates from the rest."""
    front = sorted((point.x, point.y) for point in points if point.front)
    corners: list[tuple[float, float]] = []
    for here, after in zip(front, [*front[1:], None], strict=True):
        corners.append(here)
        if after is not None:
            # Between two points the worse value of both axes holds.
            worse_x = max if x.direction == "min" else min
            worse_y = max if y.direction == "min" else min
            corners.append((worse_x(here[0], after[0]), worse_y(here[1], after[1])))
    return corners


def _png(points: Sequence[Point], file: Path, title: str, x: Axis, y: Axis) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for front, colour, name in ((False, _OTHER, "evaluated"), (True, _FRONT, "front")):
        chosen = [point for point in points if point.front is front]
        axes.scatter(
            [point.x for point in chosen],
            [point.y for point in chosen],
            s=26 if front else 14,
            color=colour,
            label=f"{name} ({len(chosen)})",
            zorder=3 if front else 2,
        )
    corners = staircase(points, x, y)
    if corners:
        axes.plot(*zip(*corners, strict=True), color=_FRONT, linewidth=1.2)
    axes.set_xscale("log" if x.log else "linear")
    axes.set_yscale("log" if y.log else "linear")
    axes.set_xlabel(x.title)
    axes.set_ylabel(y.title)
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    figure.savefig(file)


def to_html(points: Sequence[Point], title: str, x: Axis, y: Axis) -> str:
    """The plot as one HTML page; every dot shows its details under the pointer."""

    def at(across: float, up: float) -> tuple[float, float]:
        return (
            round(_LEFT + x.place(across) * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - y.place(up) * (_HEIGHT - _TOP - _BOTTOM), 1),
        )

    parts = []
    for tick in x.ticks():
        left, _ = at(tick, y.range()[0])
        parts.append(
            f'<line class="grid" x1="{left}" x2="{left}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        )
        parts.append(
            f'<text class="x" x="{left}" y="{_HEIGHT - _BOTTOM + 18}">{_tick(x.name, tick)}</text>'
        )
    for tick in y.ticks():
        _, top = at(x.range()[0], tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{top}" y2="{top}"/>'
        )
        parts.append(f'<text class="y" x="{_LEFT - 8}" y="{top + 4}">{_tick(y.name, tick)}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="x" x="{middle}" y="{_HEIGHT - 12}">{html.escape(x.title)}</text>')
    parts.append(
        f'<text class="x" transform="translate(18,{(_TOP + _HEIGHT - _BOTTOM) / 2}) rotate(-90)">'
        f"{html.escape(y.title)}</text>"
    )
    corners = " ".join("{},{}".format(*at(*corner)) for corner in staircase(points, x, y))
    parts.append(f'<polyline points="{corners}"/>')
    for point in sorted(points, key=lambda point: point.front):
        left, top = at(point.x, point.y)
        lines = "\n".join((point.label, *point.details))
        kind = "front" if point.front else "other"
        parts.append(
            f'<circle class="{kind}" cx="{left}" cy="{top}" r="{5 if point.front else 3.5}" '
            f'tabindex="{0 if point.front else -1}"><title>{html.escape(lines)}</title></circle>'
        )
    data = [
        {"label": point.label, x.name: point.x, y.name: point.y, "front": point.front}
        for point in points
    ]
    return _PAGE.format(
        title=html.escape(title),
        width=_WIDTH,
        height=_HEIGHT,
        front=_FRONT,
        other=_OTHER,
        drawing="\n".join(parts),
        # Inside a script element nothing but "</" could end the data.
        data=json.dumps(data).replace("</", "<\\/"),
    )


def _tick(name: str, value: float) -> str:
    return html.escape(units.value(name, value) if abs(value) >= 1000 else f"{value:.6g}")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{
  font: 15px/1.4 system-ui, sans-serif; color: #1b232b; background: #fff;
  margin: 2rem auto; max-width: {width}px;
}}
h1 {{ font-size: 1.1rem; }}
svg {{ width: 100%; height: auto; }}
svg text {{ font-size: 12px; fill: #46525e; }}
text.x {{ text-anchor: middle; }}
text.y {{ text-anchor: end; }}
line.grid {{ stroke: #e3e8ec; }}
polyline {{ fill: none; stroke: {front}; stroke-width: 1.5; }}
circle.front {{ fill: {front}; }}
circle.other {{ fill: {other}; fill-opacity: 0.7; }}
circle:hover, circle:focus {{ stroke: #1b232b; stroke-width: 2; outline: none; }}
pre {{ min-height: 8em; }}
</style>
</head>
<body>
<h1>{title}</h1>
<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">
{drawing}
</svg>
<pre id="details">Point at a dot to read what it is.</pre>
<script type="application/json" id="points">{data}</script>
<script>
const details = document.getElementById("details");
for (const dot of document.querySelectorAll("circle"))
  for (const kind of ["mouseenter", "focus"])
    dot.addEventListener(kind, () => {{ details.textContent = dot.querySelector("title").textContent; }});
</script>
</body>
</html>
"""

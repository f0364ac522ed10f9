"""The verb ``nasplat space proxies``: zero-cost proxies of random candidates, before anything is trained."""

from __future__ import annotations

import random
from typing import Annotated, Any

import typer

from nasplat.cli import output
from nasplat.cli.options import FormatOption, TaskOption
from nasplat.cli.space import SpaceArgument, load
from nasplat.report import units
from nasplat.report.tables import Format, render


def register(app: typer.Typer) -> None:
    """Add the verb to those about spaces."""
    app.command()(proxies)


def proxies(
    space: SpaceArgument,
    task: TaskOption = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 5,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="grad_norm, snip, grasp, fisher, synflow, zen, jacob or naswot; may be repeated. "
            "Parameters and MACs are always there.  [default: all]",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds draw the same.")] = 0,
    batch_size: Annotated[int, typer.Option(min=2, help="Examples that they are seen on.")] = 64,
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda|auto", help="Where they are computed.")
    ] = "cpu",
    form: FormatOption = Format.TABLE,
) -> None:
    """Compute zero-cost proxies of random candidates of a space, and the seconds that each takes."""
    from nasplat.evaluate.proxies.measure import COSTS, check_names, measure_proxies
    from nasplat.tasks.load import load_task

    names = check_names(proxy or ())
    loaded, task = load(space, task)
    data = load_task(task)
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    spent = dict.fromkeys((name for name in names if name not in COSTS), 0.0)
    for _ in range(count):
        candidate = loaded.build(loaded.sample(rng))
        found = measure_proxies(
            candidate.graph, data, seed, names=names, batch_size=batch_size, device=device
        )
        rows.append(
            {
                "digest": candidate.digest,
                "proxies": dict(found.values),
                "seconds": dict(found.seconds),
                "genotype": dict(candidate.genotype),
            }
        )
        values = {name: units.value(name, value) for name, value in found.values.items()}
        shown.append({"digest": units.short(candidate.digest), **values})
        for name, seconds in found.seconds.items():
            spent[name] += seconds
    means = {name: f"{seconds / count:.3f} s" for name, seconds in spent.items()}
    shown.append({"digest": "mean time", **dict.fromkeys(COSTS, ""), **means})
    output.line(render(rows, form, shown=shown))

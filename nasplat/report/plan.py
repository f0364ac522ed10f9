"""The plan of a search, as ``--dry-run`` prints it: task, space, and what the budget lasts for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplat.graph.types import show_types
from nasplat.report import units
from nasplat.search.plan import Plan, seconds_per_epoch

_RANGES = ("params", "macs")


def plan_record(plan: Plan) -> dict[str, Any]:
    """The facts of a plan; a candidate of middle size is trained for one epoch to know its time."""
    epoch = seconds_per_epoch(plan) if plan.settings.trains else None
    cheap = any(constraint.cheap for constraint in plan.constraints)
    return {
        "study": plan.name,
        "task": plan.task.describe(),
        "space": plan.space.name,
        "inputs": show_types(tuple(plan.space.inputs.values())),
        "size": plan.space.size(),
        "ranges": {name: list(ends) for name, ends in plan.space.cost_ranges().items()},
        "feasible": plan.share_feasible() if cheap else None,
        "objectives": [objective.to_json() for objective in plan.objectives],
        "constraints": [str(constraint) for constraint in plan.constraints],
        "strategy": plan.settings.strategy,
        "transfer": [one.to_json() for one in plan.transfer],
        "budget": str(plan.budget),
        "executor": plan.settings.executor,
        "workers": plan.profile.name,
        "slots": plan.slots,
        "gpus": plan.profile.gpus,
        "rungs": list(plan.settings.fidelities),
        "device": None if plan.device is None else str(plan.device),
        "seconds_per_epoch": epoch,
        "candidates": None if epoch is None else plan.candidates(epoch),
        "seed": plan.seed,
    }


def plan_text(record: Mapping[str, Any]) -> str:
    """A plan in some lines."""
    ranges = ", ".join(
        f"{name} {units.value(name, low)} .. {units.value(name, high)}"
        for name, (low, high) in record["ranges"].items()
        if name in _RANGES
    )
    space = f"{record['space']} for {record['inputs']}: {units.size(record['size'])} candidates; {ranges}"
    if record["feasible"] is not None:
        space += (
            f"; {record['feasible']:.0%} of random candidates satisfy the cheap constraints"
        ).replace("%", " %")
    objectives = "  ".join(f"{item['metric']}:{item['direction']}" for item in record["objectives"])
    side = "trial" if record["slots"] == 1 else "trials"
    plan = (
        f"{record['budget']} with {record['slots']} {side} at a time "
        f"({record['executor']}, profile {record['workers']})"
    )
    if record["candidates"] is not None:
        epoch = record["seconds_per_epoch"]
        took = f"{epoch:.2f} s" if epoch < 10 else units.duration(epoch)
        plan += (
            f": about {record['candidates']:,} candidates at rungs "
            f"{'/'.join(map(str, record['rungs']))} epochs "
            f"(measured {took} per epoch on a mid-size candidate)"
        )
    lines = [
        ("study", record["study"]),
        ("task", record["task"]),
        ("space", space),
        ("optimise", f"{objectives}  by {record['strategy']}, seed {record['seed']}"),
        ("learns from", "; ".join(map(_informant, record["transfer"]))),
        ("subject to", "  ".join(record["constraints"])),
        ("measured on", record["device"] or ""),
        ("plan", plan),
    ]
    width = max(len(label) for label, text in lines if text)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in lines if text)


def _informant(record: Mapping[str, Any]) -> str:
    informs = ", ".join(
        f"{objective} by {metric}" for objective, metric in record["informs"].items()
    )
    return f"study {record['study']}, {record['results']:,} results: {informs}"

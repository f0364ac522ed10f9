"""Refuses, before anything starts, what a cluster can never schedule or spend.

Compares the resources that a profile asks for one trial, and the units of a budget, with what the
cluster has. It starts nothing and knows no study.
"""

from __future__ import annotations

from collections.abc import Sequence

from nasplat.errors import BudgetError, UsageError
from nasplat.execute.cluster import Cluster
from nasplat.execute.profile import Profile

GPU_HOURS = "gpu-h"
"""The unit of a budget that only GPUs can spend."""


def preflight(profile: Profile, cluster: Cluster, budget: Sequence[tuple[str, float]] = ()) -> int:
    """Check that trials of this profile can run and that the budget can be spent.

    Args:
        profile: What one trial asks for.
        cluster: What there is.
        budget: Limits as (unit, amount), for instance ``("gpu-h", 100.0)``.

    Returns:
        How many trials run at the same time, >= 1.

    Raises:
        BudgetError: The budget counts GPU hours, and no trial will ever hold a GPU.
        UsageError: No node can ever hold one trial.
    """
    for unit, limit in budget:
        if unit == GPU_HOURS:
            _check_gpu_hours(profile, cluster, limit)
    slots = cluster.slots(profile.request)
    if slots == 0:
        raise UsageError(
            f"a trial of profile {profile.name!r} can never be scheduled: it asks for "
            f"{_amounts(profile.request)} on one node; {_largest(profile, cluster)}",
            hint="Lower the profile's resources (workers/*.toml), use --workers laptop, or join "
            "a larger node: ray start --address=...",
        )
    return min(slots, profile.concurrent) if profile.concurrent else slots


def _check_gpu_hours(profile: Profile, cluster: Cluster, limit: float) -> None:
    if cluster.gpus == 0:
        alternative = max(1, 2 * cluster.cpus)
        raise BudgetError(
            f"a budget of {limit:g} gpu-h can never be spent: the cluster has {cluster}.",
            hint=f"use a budget this machine can spend, e.g. --budget {alternative}cpu-h or "
            "--budget 30min, or join a GPU node: ray start --address=...",
        )
    if profile.gpus == 0:
        raise BudgetError(
            f"a budget of {limit:g} gpu-h can never be spent: trials of profile "
            f"{profile.name!r} use 0 GPUs; the cluster has {cluster}.",
            hint="use --workers gpu, or a budget in cpu-h",
        )


def _amounts(request: dict[str, float]) -> str:
    return ", ".join(
        f"{amount / 1e9:g} GB of memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in request.items()
    )


def _largest(profile: Profile, cluster: Cluster) -> str:
    if not cluster.nodes:
        return "the cluster has no nodes"
    names = profile.request
    most = {name: max(node.get(name, 0.0) for node in cluster.nodes) for name in names}
    return f"the most that a node has is {_amounts(most)}; the cluster has {cluster}"

"""What a cluster has: processors, GPUs and memory, node by node.

Counts this machine without Ray and, given an address, asks a running Ray cluster. It knows no
trials; whether they fit is `preflight`'s to say.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nasplat.execute.profile import Profile


@dataclass(frozen=True)
class Cluster:
    """Nodes, each as amounts by Ray's names of resources (``CPU``, ``GPU``, ``memory`` in bytes)."""

    nodes: tuple[Mapping[str, float], ...]

    def total(self, resource: str) -> float:
        """Sum of one resource over all nodes."""
        return sum(node.get(resource, 0.0) for node in self.nodes)

    @property
    def cpus(self) -> int:
        """Processors of all nodes."""
        return int(self.total("CPU"))

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return int(self.total("GPU"))

    def slots(self, request: Mapping[str, float]) -> int:
        """Count how many trials with this request run at the same time; no trial spans nodes."""
        return sum(_fits(node, request) for node in self.nodes)

    def __str__(self) -> str:
        machines = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        cpus = "1 CPU" if self.cpus == 1 else f"{self.cpus} CPUs"
        gpus = "1 GPU" if self.gpus == 1 else f"{self.gpus} GPUs"
        return f"{gpus} ({cpus} on {machines})"


def _fits(node: Mapping[str, float], request: Mapping[str, float]) -> int:
    # A part in 10^9 of slack: ten trials of 0.1 GPU fit on one.
    return min(
        (math.floor(node.get(name, 0.0) / amount + 1e-9) for name, amount in request.items()),
        default=0,
    )


def this_machine() -> Cluster:
    """Count what this machine offers to this process: its processors, GPUs and memory."""
    return Cluster(
        (
            {
                "CPU": float(count_cpus()),
                "GPU": float(count_gpus()),
                "memory": float(count_memory()),
            },
        )
    )


def running_cluster() -> Cluster:
    """Count what the nodes of the Ray cluster have that this process is connected to."""
    import ray

    known = ray.nodes()  # type: ignore[no-untyped-call]  # Ray annotates it not
    nodes = [node["Resources"] for node in known if node["Alive"]]
    return Cluster(tuple(dict(node) for node in nodes))


def cluster_address() -> str:
    """The address (host:port) at which other machines join the cluster of this process."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


def local_cluster(profile: Profile) -> Cluster:
    """Count this machine as the profile's Ray will see it: with the profile's own resources."""
    (node,) = this_machine().nodes
    return Cluster(({**node, **{name: float(n) for name, n in profile.resources.items()}},))


def count_cpus() -> int:
    """Processors that this process may use, >= 1: its affinity, within the container's quota."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_cpus()
    return max(1, min(available or 1, math.floor(quota) if quota else available or 1))


def _cgroup_cpus() -> float | None:
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(1.0, int(limit) / int(period))


def count_gpus() -> int:
    """GPUs that this process may use, without taking hold of one."""
    import torch

    return torch.cuda.device_count()


def count_memory() -> int:
    """Bytes of this machine's memory, within the container's limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return total if limit == "max" else min(total, int(limit))

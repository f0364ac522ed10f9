"""What can never be scheduled or spent is an error before anything starts."""

from __future__ import annotations

import pytest

from nasplat.errors import BudgetError, UsageError
from nasplat.execute.cluster import Cluster, count_cpus, this_machine
from nasplat.execute.preflight import preflight
from nasplat.execute.profile import Profile

LAPTOP = Cluster(({"CPU": 2.0, "GPU": 0.0, "memory": 8e9},))
RACK = Cluster(({"CPU": 16.0, "GPU": 2.0, "memory": 64e9}, {"CPU": 8.0, "memory": 32e9}))


def test_a_gpu_budget_without_gpus_is_refused_with_what_can_be_spent() -> None:
    with pytest.raises(BudgetError) as caught:
        preflight(Profile(name="laptop"), LAPTOP, [("gpu-h", 100.0)])
    assert caught.value.message == (
        "a budget of 100 gpu-h can never be spent: the cluster has 0 GPUs (2 CPUs on 1 node)."
    )
    assert caught.value.hint == (
        "use a budget this machine can spend, e.g. --budget 4cpu-h or --budget 30min, "
        "or join a GPU node: ray start --address=..."
    )
    assert caught.value.exit_code == 2


def test_a_gpu_budget_needs_trials_that_use_gpus() -> None:
    with pytest.raises(BudgetError, match="trials of profile 'laptop' use 0 GPUs"):
        preflight(Profile(name="laptop"), RACK, [("gpu-h", 1.0)])


def test_other_budgets_need_no_gpu() -> None:
    assert preflight(Profile(name="laptop"), LAPTOP, [("cpu-h", 4.0), ("trials", 5.0)]) == 2


def test_a_trial_must_fit_on_one_node() -> None:
    with pytest.raises(UsageError) as caught:
        preflight(Profile(name="big", cpus=20, gpus=1), RACK)
    assert "it asks for 20 CPU, 1 GPU on one node" in caught.value.message
    assert "the most that a node has is 16 CPU, 2 GPU" in caught.value.message
    assert "2 GPUs (24 CPUs on 2 nodes)" in caught.value.message


@pytest.mark.parametrize(
    ("profile", "slots"),
    [
        (Profile(name="p"), 24),
        (Profile(name="p", cpus=3), 5 + 2),
        (Profile(name="p", gpus=0.5), 4),
        (Profile(name="p", cpus=0.5, gpus=0.1), 20),
        (Profile(name="p", memory_gb=30), 2 + 1),
        (Profile(name="p", concurrent=3), 3),
    ],
)
def test_trials_at_once_are_what_each_node_holds(profile: Profile, slots: int) -> None:
    assert preflight(profile, RACK) == slots


def test_a_resource_that_no_node_has_is_named() -> None:
    with pytest.raises(UsageError, match="1 jetson"):
        preflight(Profile(name="edge", resources={"jetson": 1}), RACK)


def test_this_machine_is_counted_without_ray() -> None:
    machine = this_machine()
    assert machine.cpus == count_cpus() >= 1
    assert machine.total("memory") > 1e8

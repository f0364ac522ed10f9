"""A bank of weights: candidates start from their slices and give back what they learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nasplat.errors import TrialFailure
from nasplat.evaluate.bank import Bank, slots
from nasplat.evaluate.base import Context, Job
from nasplat.evaluate.train import TrainEvaluator
from nasplat.graph.graph import Graph, GraphBuilder
from nasplat.graph.lower import lower
from nasplat.graph.serialise import graph_to_json
from nasplat.graph.types import Image
from nasplat.ops.conv import Conv
from nasplat.ops.head import ClassifierHead
from nasplat.ops.table import op_table
from nasplat.tasks.load import load_task


def network(channels: int, kernel: int) -> Graph:
    builder = GraphBuilder({"image": Image(1, 8, 8)})
    (made,) = builder.add(Conv(channels=channels, kernel=kernel), "image", name="stem")
    (made,) = builder.add(ClassifierHead(classes=10), made, name="head")
    return builder.build({"logits": made})


def test_a_smaller_candidate_gets_the_slices_of_a_larger(tmp_path: Path) -> None:
    bank = Bank(tmp_path, op_table())
    large, small = network(8, 5), network(4, 3)
    learned, fresh = lower(large, seed=0), lower(small, seed=1)
    bank.keep(large, learned)
    assert bank.inherit(small, fresh) == len(list(slots(small, fresh)))
    kernel = learned.get_parameter("stem.conv.weight")
    got = fresh.get_parameter("stem.conv.weight")
    assert torch.equal(got, kernel[:4, :, 1:4, 1:4])


def test_what_a_smaller_candidate_learned_is_in_the_larger_one(tmp_path: Path) -> None:
    bank = Bank(tmp_path, op_table())
    large, small = network(8, 5), network(4, 3)
    bank.keep(large, lower(large, seed=0))
    trained = lower(small, seed=1)
    bank.keep(small, trained)
    next_one = lower(large, seed=2)
    bank.inherit(large, next_one)
    inside = next_one.get_parameter("stem.conv.weight")[:4, :, 1:4, 1:4]
    assert torch.equal(inside, trained.get_parameter("stem.conv.weight"))
    first = lower(large, seed=0).get_parameter("stem.conv.weight")
    assert torch.equal(next_one.get_parameter("stem.conv.weight")[4:], first[4:])


def test_a_candidate_that_outgrows_the_bank_keeps_its_own_and_takes_the_place(
    tmp_path: Path,
) -> None:
    bank = Bank(tmp_path, op_table())
    small, large = network(4, 3), network(8, 5)
    bank.keep(small, lower(small, seed=0))
    grown = lower(large, seed=1)
    before = grown.get_parameter("stem.conv.weight").detach().clone()
    bank.inherit(large, grown)
    assert torch.equal(grown.get_parameter("stem.conv.weight"), before)
    bank.keep(large, grown)
    again = lower(small, seed=2)
    assert bank.inherit(small, again) > 0
    assert torch.equal(again.get_parameter("stem.conv.weight"), before[:4, :, 1:4, 1:4])


def test_an_empty_or_broken_bank_gives_nothing(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "none", op_table())
    graph = network(4, 3)
    assert bank.inherit(graph, lower(graph, seed=0)) == 0
    (tmp_path / "bank.safetensors").write_bytes(b"half a file")
    assert Bank(tmp_path, op_table()).inherit(graph, lower(graph, seed=0)) == 0


def test_a_bank_that_cannot_be_written_is_a_failure_with_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    graph = network(4, 3)
    with pytest.raises(TrialFailure, match=r"the bank of weights .*file.* cannot be written"):
        Bank(tmp_path / "file" / "bank", op_table()).keep(graph, lower(graph, seed=0))


def test_a_trial_starts_where_another_ended(tmp_path: Path) -> None:
    def accuracy(number: int, weights: str, seed: int) -> float:
        graph = network(16, 3)
        job = Job(
            trial=number,
            digest=f"g1:{number}",
            graph=graph_to_json(graph),
            task=load_task("digits").spec,
            fidelities=(1,),
            seed=seed,
            recipe={"weights": weights},
        )
        (report,) = TrainEvaluator().evaluate(job, Context(tmp_path / str(number)))
        return report.metrics["accuracy"]

    alone = accuracy(0, "own", 3)
    accuracy(1, "bank", 1)
    accuracy(2, "bank", 2)
    assert accuracy(3, "bank", 3) > alone + 0.05
    assert (tmp_path / "bank.safetensors").is_file()

"""The training loop: reproducible, exact when it goes on, honest about divergence."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nasplat.errors import Failure, TrialFailure, UsageError
from nasplat.evaluate.training import Trainer, derive_seed, evaluate, seeded, threads
from nasplat.graph.graph import Graph
from nasplat.graph.lower import lower
from nasplat.tasks.digits import digits
from nasplat.tasks.recipe import Recipe

CPU = torch.device("cpu")
TASK = digits()


def make(graph: Graph, *, epochs: int = 4, seed: int = 0, **recipe: Any) -> Trainer:
    chosen = Recipe.from_mapping({"batch_size": 256, **recipe})
    return Trainer(lower(graph, seed=1), TASK, chosen, epochs=epochs, seed=seed, device=CPU)


def linear(outputs: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))


RECIPES = [
    {},
    {"optimizer": "sgd", "lr": 0.05, "ema": 0.9, "clip_norm": 0.0},
    {"mixup": 0.2, "augment": "strong", "ema": 0.99, "schedule": "onecycle"},
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_runs_are_equal_bit_for_bit(graph: Graph, recipe: dict[str, Any]) -> None:
    runs = []
    for _ in range(2):
        trainer = make(graph, **recipe)
        torch.manual_seed(torch.seed())
        points = [trainer.train_epoch() for _ in range(2)]
        losses = [point["loss"] for point in points]
        runs.append((losses, trainer.validate(), trainer.tensors()))
    assert runs[0][:2] == runs[1][:2]
    assert all(torch.equal(value, runs[1][2][name]) for name, value in runs[0][2].items())


@pytest.mark.parametrize("recipe", RECIPES)
def test_going_on_from_its_state_is_exact(graph: Graph, recipe: dict[str, Any]) -> None:
    whole = make(graph, **recipe)
    for _ in range(3):
        whole.train_epoch()
    first = make(graph, **recipe)
    first.train_epoch()
    saved = {name: value.clone() for name, value in first.tensors().items()}
    rest = make(graph, **recipe)
    rest.load(saved, first.state())
    for _ in range(2):
        rest.train_epoch()
    expected = whole.tensors()
    found = rest.tensors()
    assert set(expected) == set(found)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    assert whole.validate() == rest.validate()


def test_other_seeds_give_other_runs(graph: Graph) -> None:
    assert make(graph).train_epoch()["loss"] != make(graph, seed=1).train_epoch()["loss"]


def test_training_leaves_torchs_global_generator_alone(graph: Graph) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make(graph).train_epoch()
    assert torch.equal(torch.rand(3), expected)


def test_points_of_the_curve_count_epochs_and_the_loss_falls(graph: Graph) -> None:
    trainer = make(graph, epochs=6, batch_size=64)
    points = [trainer.train_epoch() for _ in range(6)]
    assert [point["epoch"] for point in points] == [1, 2, 3, 4, 5, 6]
    assert points[-1]["loss"] < 0.95 * points[0]["loss"]
    assert points[-1]["lr"] < 0.1 * points[0]["lr"]


def test_auxiliary_losses_are_trained_on() -> None:
    class Extra(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.auxiliary_loss: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            self.auxiliary_loss = self.scale.square()
            return x

    extra = Extra()
    recipe = Recipe(batch_size=512, clip_norm=0.0)
    module = nn.Sequential(linear(), extra)
    Trainer(module, TASK, recipe, epochs=2, seed=0, device=CPU).train_epoch()
    assert float(extra.scale.detach()) < 1.0


def test_averaged_weights_are_evaluated_and_kept(graph: Graph) -> None:
    trainer = make(graph, ema=0.9)
    trainer.train_epoch()
    raw = trainer.tensors()[first_weight(trainer)].clone()
    with trainer.averaged() as module:
        inside = next(module.parameters()).detach().clone()
    assert not torch.equal(inside, raw)
    assert torch.equal(next(trainer.module.parameters()).detach(), raw)
    assert torch.equal(next(trainer.finish().parameters()).detach(), inside)


def first_weight(trainer: Trainer) -> str:
    return "model." + next(iter(dict(trainer.module.named_parameters())))


def test_weight_decay_spares_vectors() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear()
            self.matrix = nn.Parameter(torch.ones(2, 2))
            self.vector = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.inner(x)
            return logits + 0 * (self.matrix.sum() + self.vector.sum())

    module = Unused()
    recipe = Recipe(weight_decay=0.5, batch_size=512)
    Trainer(module, TASK, recipe, epochs=2, seed=0, device=CPU).train_epoch()
    assert (module.matrix < 1).all()
    assert (module.vector == 1).all()


class Constant(nn.Module):
    """Returns its one weight, ten times over."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value] + [0.0] * 9))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.expand(len(x), 10)


def test_a_loss_that_is_no_number_is_divergence() -> None:
    trainer = Trainer(Constant(math.nan), TASK, Recipe(), epochs=2, seed=0, device=CPU)
    with pytest.raises(TrialFailure, match="training loss is nan in epoch 1") as met:
        trainer.train_epoch()
    assert met.value.failure is Failure.DIVERGED


def test_a_loss_that_explodes_is_divergence() -> None:
    recipe = Recipe(lr=10.0, optimizer="sgd", momentum=0.999, clip_norm=0.0, warmup=0.0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    trainer = Trainer(module, TASK, recipe, epochs=5, seed=0, device=CPU)
    with pytest.raises(TrialFailure, match=r"exploded: .* in epoch 1, 2\.\d+ in the first") as met:
        for _ in range(5):
            trainer.train_epoch()
    assert met.value.failure is Failure.DIVERGED


def test_outputs_that_are_no_numbers_are_divergence() -> None:
    trainer = Trainer(Constant(math.inf), TASK, Recipe(), epochs=2, seed=0, device=CPU)
    with pytest.raises(TrialFailure, match="outputs are no numbers after epoch 0"):
        trainer.validate()


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(UsageError, match="no weights"):
        Trainer(nn.Flatten(), TASK, Recipe(), epochs=1, seed=0, device=CPU)


def test_scores_over_batches_are_those_of_the_whole_split(graph: Graph) -> None:
    module = lower(graph, seed=1).train()
    found = [
        evaluate(module, TASK.batches("validation", size), TASK.meter(), CPU) for size in (50, 500)
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert module.training
    (batch,) = TASK.batches("validation", 500)
    with torch.no_grad():
        assert TASK.score(module.eval()(*batch.inputs), batch.targets) == pytest.approx(found[1])


def test_outputs_beside_that_of_the_task_are_trained_and_do_not_score() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.exit, self.other = linear(), linear(), linear(3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            assert not torch.is_grad_enabled() or self.training
            return {"early": self.exit(x), "logits": self.main(x), "features": self.other(x)}

    module = Two()
    before = [part[1].weight.detach().clone() for part in (module.main, module.exit, module.other)]
    trainer = Trainer(
        module, TASK, Recipe(batch_size=512, weight_decay=0.0), epochs=2, seed=0, device=CPU
    )
    trainer.train_epoch()
    after = [part[1].weight for part in (module.main, module.exit, module.other)]
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert moved == [True, True, False]
    with torch.no_grad():
        (batch,) = TASK.batches("validation", 500)
        alone = TASK.score(module.main(*batch.inputs), batch.targets)
    assert trainer.validate() == pytest.approx(alone)


def test_a_loss_that_is_no_number_ends_the_epoch_early() -> None:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    recipe = Recipe(batch_size=4)
    trainer = Trainer(Constant(math.nan), TASK, recipe, epochs=1, seed=0, device=CPU)
    with pytest.raises(TrialFailure, match="training loss is nan in epoch 1"):
        trainer.train_epoch(count)
    assert steps == 50 < TASK.sizes["train"] / 4


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_derived_seeds_are_stable_and_differ() -> None:
    assert derive_seed(0, "epoch", 1) == 5334857300518036437
    assert len({derive_seed(0, "epoch", n) for n in range(1000)}) == 1000
    with seeded(3, CPU):
        first = torch.rand(2)
    with seeded(3, CPU):
        assert torch.equal(torch.rand(2), first)

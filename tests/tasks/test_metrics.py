"""Metrics against scikit-learn's, on random and on degenerate predictions."""

from __future__ import annotations

import pytest
import torch
from sklearn import metrics as oracle

from nasplat.errors import TaskError
from nasplat.tasks.metrics import METRICS, metrics_for


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(60, 7, generator=generator)
    targets = torch.cat([torch.arange(7), torch.randint(7, (53,), generator=generator)])
    y, guess = targets.numpy(), logits.argmax(1).numpy()
    chances = logits.double().softmax(1).numpy()
    expected = {
        "accuracy": oracle.accuracy_score(y, guess),
        "balanced_accuracy": oracle.balanced_accuracy_score(y, guess),
        "f1": oracle.f1_score(y, guess, average="macro"),
        "top5_accuracy": oracle.top_k_accuracy_score(y, chances, k=5),
        "loss": oracle.log_loss(y, chances),
    }
    for name, value in expected.items():
        assert METRICS[name].function(logits, targets) == pytest.approx(value), name


def test_classes_that_do_not_occur_are_left_out_of_means() -> None:
    logits = torch.tensor([[5.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    targets = torch.tensor([0, 0])
    assert METRICS["balanced_accuracy"].function(logits, targets) == 1.0
    assert METRICS["f1"].function(logits, targets) == 1.0


def test_calibration_error_is_the_gap_between_confidence_and_truth() -> None:
    sure = torch.tensor([[20.0, -20.0]] * 4)
    assert METRICS["calibration_error"].function(sure, torch.tensor([0, 0, 0, 0])) < 1e-6
    half = METRICS["calibration_error"].function(sure, torch.tensor([0, 0, 1, 1]))
    assert half == pytest.approx(0.5)


def test_directions_are_right_for_a_perfect_prediction() -> None:
    targets = torch.arange(8) % 8
    perfect = torch.nn.functional.one_hot(targets, 8) * 50.0
    poor = perfect.roll(1, 1)
    for metric in METRICS.values():
        if metric.name == "top5_accuracy":
            continue
        good, bad = metric.function(perfect, targets), metric.function(poor, targets)
        assert (good > bad) == (metric.direction == "max"), metric.name


def test_top5_needs_more_than_five_classes() -> None:
    assert "top5_accuracy" not in metrics_for(5)
    assert "top5_accuracy" in metrics_for(6)


def test_unknown_metrics_list_the_known_ones_nearest_first() -> None:
    with pytest.raises(TaskError, match="unknown metric 'acuracy'; known: accuracy, "):
        metrics_for(10, ["acuracy"])
    assert list(metrics_for(10, ["f1"])) == ["f1"]

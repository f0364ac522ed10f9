"""Running scores: known values, what counts nowhere, and the best order of sources."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from nasplat.tasks.meters import (
    DIRECTIONS,
    IGNORE,
    Confusion,
    ErrorScore,
    ImageScore,
    SeparationScore,
    TokenScore,
    best_si_sdr,
    directions,
)


def logits_of(classes: torch.Tensor, count: int) -> torch.Tensor:
    return F.one_hot(classes, count).movedim(-1, 1).float()


def test_every_metric_of_a_meter_has_a_direction() -> None:
    meters = (Confusion, TokenScore, ErrorScore, SeparationScore, ImageScore)
    assert {name for meter in meters for name in meter.METRICS} == set(DIRECTIONS)
    assert list(directions(("mae", "mse"))) == ["mae", "mse"]


def test_miou_is_the_mean_over_classes_of_the_whole_split() -> None:
    targets = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]])
    guessed = torch.tensor([[0, 1, 1, 1], [0, 0, 0, 0]])
    meter = Confusion(3)
    for row in range(2):
        meter.add(logits_of(guessed[row : row + 1], 3), targets[row : row + 1])
    # Class 0: 5 of 6; class 1: 2 of 3; class 2 occurs nowhere and does not count.
    assert meter.result() == pytest.approx({"miou": (5 / 6 + 2 / 3) / 2, "pixel_accuracy": 7 / 8})


def test_positions_without_a_class_count_nowhere() -> None:
    meter = Confusion(2)
    meter.add(logits_of(torch.tensor([[0, 1]]), 2), torch.tensor([[0, IGNORE]]))
    assert meter.result() == {"miou": 1.0, "pixel_accuracy": 1.0}
    assert Confusion(2).result() == {"miou": 0.0, "pixel_accuracy": 0.0}


def test_guessing_bytes_costs_eight_bits() -> None:
    meter = TokenScore()
    meter.add(torch.zeros(2, 3, 256), torch.randint(1, 256, (2, 3)))
    assert meter.result()["bits_per_byte"] == pytest.approx(8)
    sure = TokenScore()
    targets = torch.tensor([[5, IGNORE, 7]])
    sure.add(100 * F.one_hot(targets.clamp_min(0), 256).float(), targets)
    assert sure.result() == pytest.approx({"bits_per_byte": 0.0, "accuracy": 1.0})


def test_errors_are_means_over_all_elements() -> None:
    meter = ErrorScore()
    meter.add(torch.zeros(1, 1, 2), torch.tensor([[[1.0, -3.0]]]))
    meter.add(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))
    assert meter.result() == {"mse": 2.5, "mae": 1.0}


def test_psnr_is_of_values_in_the_unit_range() -> None:
    meter = ImageScore(torch.tensor([[[0.1]]]))
    meter.add(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
    assert meter.result() == pytest.approx({"psnr": 20.0, "mse": 0.01})


def test_the_ratio_of_signal_to_distortion_knows_no_scale_and_no_order() -> None:
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(3, 2, 400, generator=generator).double()
    noise = torch.randn(3, 2, 400, generator=generator).double()
    plain = best_si_sdr(sources + 0.1 * noise, sources)
    assert plain == pytest.approx(torch.full((3,), 20.0).double(), abs=1.0)
    changed = (7 * (sources + 0.1 * noise) + 2).flip(1)
    assert torch.allclose(best_si_sdr(changed, sources), plain, atol=1e-4)


def test_the_ratio_is_that_of_its_definition() -> None:
    generator = torch.Generator().manual_seed(1)
    found, wanted = torch.randn(2, 1, 1, 50, generator=generator).double().unbind()
    found, wanted = found - found.mean(), wanted - wanted.mean()
    target = (found * wanted).sum() / wanted.square().sum() * wanted
    expected = 10 * math.log10(target.square().sum() / (found - target).square().sum())
    assert float(best_si_sdr(found, wanted)) == pytest.approx(expected, abs=1e-4)


def test_silence_has_a_ratio_too() -> None:
    assert torch.isfinite(best_si_sdr(torch.zeros(1, 2, 8), torch.randn(1, 2, 8))).all()
    assert torch.isfinite(best_si_sdr(torch.randn(1, 2, 8), torch.zeros(1, 2, 8))).all()


def test_taking_the_mixture_improves_nothing() -> None:
    sources = torch.randn(4, 2, 100)
    meter = SeparationScore()
    meter.add(sources.sum(1, keepdim=True).expand_as(sources), sources)
    assert meter.result()["si_sdr_improvement"] == pytest.approx(0, abs=1e-6)

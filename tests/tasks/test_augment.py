"""Augmentation: what each kind does to known images, and that seeds decide all of it."""

from __future__ import annotations

import pytest
import torch

from nasplat.tasks.augment import Augment, erase, shift


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shift_moves_whole_images_and_pads_with_zeros() -> None:
    x = torch.zeros(200, 2, 16, 16)
    x[:, :, 8, 8] = 1.0
    moved = shift(x, 0.125, generator())
    assert moved.shape == x.shape
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert moved.sum((1, 2, 3)).eq(2).all()
    where = moved[:, 0].flatten(1).argmax(1)
    rows, columns = where // 16, where % 16
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}


def test_shift_by_less_than_a_pixel_does_nothing() -> None:
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(shift(x, 0.1, generator()), x)


def test_erase_sets_one_rectangle_to_zero_in_a_part_of_the_images() -> None:
    x = torch.ones(400, 3, 16, 12)
    erased = erase(x, 0.25, generator())
    touched = (erased == 0).any(dim=1).any(dim=1).any(dim=1)
    assert 0.15 < touched.float().mean() < 0.35
    for image in erased[touched][:20]:
        assert torch.equal(image[0], image[2])
        rows = (image[0] == 0).any(1).sum()
        columns = (image[0] == 0).any(0).sum()
        assert (image[0] == 0).sum() == rows * columns
        assert 4 <= rows <= 8
        assert 3 <= columns <= 6


def test_flip_mirrors_half_of_the_images_left_to_right() -> None:
    x = torch.arange(4.0).expand(300, 1, 2, 4)
    flipped = Augment(flip=True).images(x, generator())
    mirrored = (flipped[:, 0, 0, 0] == 3).float().mean()
    assert 0.4 < mirrored < 0.6
    assert flipped.sort(dim=3).values.equal(x)


def test_mixing_keeps_inputs_and_targets_together() -> None:
    targets = torch.arange(100) % 5
    x = torch.nn.functional.one_hot(targets, 5).float()
    mixed, soft = Augment(mixup=0.4).mix(x, targets, 5, generator())
    assert torch.allclose(mixed, soft)
    assert torch.allclose(soft.sum(1), torch.ones(100))
    assert (soft.max(1).values < 0.99).any()


@pytest.mark.parametrize(
    "augment", [Augment(shift=0.2), Augment(flip=True), Augment(erase=0.5), Augment(mixup=0.3)]
)
def test_the_seed_decides_everything(augment: Augment) -> None:
    x, targets = torch.randn(40, 1, 16, 16), torch.arange(40) % 4

    def draw(seed: int) -> torch.Tensor:
        source = generator(seed)
        return augment.mix(augment.images(x, source), targets, 4, source)[0]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_nothing_is_done_unless_asked() -> None:
    x, targets = torch.randn(4, 1, 16, 16), torch.arange(4)
    assert Augment().images(x, generator()) is x
    assert Augment().mix(x, targets, 4, generator()) == (x, targets)

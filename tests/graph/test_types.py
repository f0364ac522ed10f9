"""Rules of tensor types: sizes, shapes, examples, JSON."""

from __future__ import annotations

import pytest
import torch

from nasplat.errors import GraphTypeError
from nasplat.graph.types import (
    Grid,
    Ids,
    Image,
    KeyValues,
    Logits,
    Points,
    Presence,
    Scores,
    Series,
    TensorType,
    Tokens,
    Vector,
    Volume,
    Weights,
    type_from_json,
    type_to_json,
)

EVERY = [
    (Image(3, 4, 5), (3, 4, 5)),
    (Volume(2, 3, 4, 5), (2, 3, 4, 5)),
    (Series(2, 9), (2, 9)),
    (Tokens(7, 8), (7, 8)),
    (Ids(7, 11), (7,)),
    (Vector(6), (6,)),
    (Logits(10), (10,)),
    (Points(5), (5, 3)),
    (Scores(2, 7, 9), (2, 7, 9)),
    (KeyValues(2, 7, 4), (2, 2, 7, 4)),
    (Presence(6), (6,)),
    (Grid(3, 4, 5, 6, 7), (3, 4, 5, 6, 7)),
    (Weights(4, 3), (4, 3)),
]


@pytest.mark.parametrize(("tensor_type", "shape"), EVERY)
def test_an_example_has_the_shape_of_its_type(
    tensor_type: TensorType, shape: tuple[int, ...]
) -> None:
    assert tensor_type.shape == shape
    assert tensor_type.example(2).shape == (2, *shape)


@pytest.mark.parametrize(("tensor_type", "shape"), EVERY)
def test_types_survive_json(tensor_type: TensorType, shape: tuple[int, ...]) -> None:
    assert type_from_json(type_to_json(tensor_type)) == tensor_type


def test_ids_stay_in_their_vocabulary() -> None:
    ids = Ids(1000, 3).example(1, torch.Generator().manual_seed(0))
    assert set(ids.flatten().tolist()) == {0, 1, 2}


@pytest.mark.parametrize("sizes", [(0, 4, 4), (3, -1, 4), (3, 4.0, 4), (True, 4, 4)])
def test_a_size_is_a_positive_integer(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(GraphTypeError, match=r"Image\.\w+ must be a positive integer, got"):
        Image(*sizes)


@pytest.mark.parametrize("data", [["Picture", 3], ["Image", 3]])
def test_json_of_an_unknown_type_is_refused(data: list[object]) -> None:
    with pytest.raises(GraphTypeError, match=r"unknown tensor type|does not take the sizes"):
        type_from_json(data)

"""OpenML through scikit-learn's own loader, from a cache on disk as a first download leaves it."""

from __future__ import annotations

import gzip
import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from nasplat.errors import TaskError
from nasplat.graph.types import Image, Vector
from nasplat.tasks.base import Task
from nasplat.tasks.load import load_task
from nasplat.tasks.openml import openml
from nasplat.testing.task import TaskConformance

IRIS = """@RELATION petals
@ATTRIBUTE length NUMERIC
@ATTRIBUTE width NUMERIC
@ATTRIBUTE colour {red, white}
@ATTRIBUTE class {setosa, virginica}
@DATA
"""


def leave_in_cache(
    home: Path, name: str, arff: str, *, target: str = "class", data_id: int = 61
) -> None:
    """Write what ``fetch_openml`` keeps of one data set: gzip'd answers of the web API."""
    site = home / "openml" / "openml.org"
    names = [line.split()[1] for line in arff.splitlines() if line.startswith("@ATTRIBUTE")]
    row = {
        "did": data_id,
        "name": name,
        "version": 1,
        "status": "active",
        "format": "ARFF",
    }
    description = {
        "id": str(data_id),
        "name": name,
        "version": "1",
        "description": "made by a test",
        "format": "ARFF",
        "file_id": str(data_id),
        "status": "active",
        "default_target_attribute": target,
        "md5_checksum": hashlib.md5(arff.encode()).hexdigest(),
        "url": f"https://openml.org/data/v1/download/{data_id}",
        "processing_date": "2020-01-01",
    }
    features = [
        {
            "index": str(index),
            "name": column,
            "data_type": "numeric" if "NUMERIC" in line else "nominal",
            "is_target": str(column == target).lower(),
            "is_ignore": "false",
            "is_row_identifier": "false",
            "number_of_missing_values": "0",
        }
        for index, (column, line) in enumerate(
            zip(names, [x for x in arff.splitlines() if x.startswith("@ATTR")], strict=True)
        )
    ]
    qualities = [{"name": "NumberOfInstances", "value": str(arff.count("\n") - len(names) - 2)}]
    answers: dict[str, Any] = {
        f"api/v1/json/data/list/data_name/{name}/limit/2/status/active/": {
            "data": {"dataset": [row]}
        },
        f"api/v1/json/data/{data_id}": {"data_set_description": description},
        f"api/v1/json/data/features/{data_id}": {"data_features": {"feature": features}},
        f"api/v1/json/data/qualities/{data_id}": {"data_qualities": {"quality": qualities}},
    }
    for path, answer in answers.items():
        file = site / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(json.dumps(answer).encode()))
    file = site / f"data/v1/download/{data_id}.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(arff.encode()))


def petals(count: int = 40, *, gap: bool = False) -> str:
    rows = [
        f"{0.1 * n},{'?' if gap and n == 5 else 1 + n % 3},{('red', 'white')[n % 2]},"
        f"{('setosa', 'virginica')[n % 2]}"
        for n in range(count)
    ]
    return IRIS + "\n".join(rows) + "\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    leave_in_cache(tmp_path / "sk", "petals", petals())
    return tmp_path / "sk"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on disk is not there: no test asks the internet."""

    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)


class TestOpenML(TaskConformance):
    @pytest.fixture
    def task(self, home: Path) -> Task:
        return openml("petals", data_home=str(home))


def test_categories_become_columns(home: Path) -> None:
    task = load_task("openml:petals", data_home=str(home))
    assert list(task.inputs.values()) == [Vector(4)]
    assert task.describe().startswith("openml:petals: 40 examples, 2 classes")


def test_nasplats_own_cache_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASPLAT_CACHE", str(tmp_path))
    leave_in_cache(tmp_path / "openml", "petals", petals())
    assert load_task("openml:petals").sizes["train"] == 32


def test_columns_can_be_read_as_images(home: Path) -> None:
    task = load_task("openml:petals?shape=1x2x2", data_home=str(home))
    assert list(task.inputs.values()) == [Image(1, 2, 2)]
    with pytest.raises(TaskError, match="has 4 columns; shape 1x3x3 needs 9"):
        openml("petals", shape="1x3x3", data_home=str(home))
    with pytest.raises(TaskError, match="CxHxW such as 1x28x28, got '2x2'"):
        openml("petals", shape="2x2", data_home=str(home))


def test_pixels_are_images_without_being_told(tmp_path: Path) -> None:
    head = "@RELATION tiny\n" + "".join(f"@ATTRIBUTE pixel{n} NUMERIC\n" for n in range(9))
    rows = "\n".join(",".join([str(n % 7)] * 9) + f",{n % 2}" for n in range(30))
    leave_in_cache(tmp_path, "tiny", head + "@ATTRIBUTE class {0, 1}\n@DATA\n" + rows + "\n")
    assert list(openml("tiny", data_home=str(tmp_path)).inputs.values()) == [Image(1, 3, 3)]


def test_missing_numbers_are_refused_or_filled(tmp_path: Path) -> None:
    leave_in_cache(tmp_path, "petals", petals(gap=True))
    with pytest.raises(TaskError, match=r"1 columns .* missing numbers: width \(1\)") as met:
        openml("petals", data_home=str(tmp_path))
    assert "missing=mean" in met.value.hint
    assert openml("petals", missing="mean", data_home=str(tmp_path)).sizes["train"] == 32
    with pytest.raises(TaskError, match="missing must be error or mean, got 'drop'"):
        openml("petals", missing="drop", data_home=str(tmp_path))


def test_a_quantity_is_no_class(tmp_path: Path) -> None:
    leave_in_cache(tmp_path, "petals", petals(), target="length")
    with pytest.raises(TaskError, match="is a quantity"):
        openml("petals", data_home=str(tmp_path))


def test_without_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"openml\.org cannot be reached for 'flowers'") as met:
        openml("flowers", data_home=str(tmp_path))
    assert str(tmp_path) in met.value.hint

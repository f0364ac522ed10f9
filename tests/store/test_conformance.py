"""Every kind of database keeps every rule of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nasplat.store.store import Store
from nasplat.testing.store import StoreConformance


class TestSQLiteFile(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
            yield store


class TestMemory(StoreConformance):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with Store.open("memory://") as store:
            yield store


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[Store]:
        with Store.open(postgres_url) as store:
            yield store

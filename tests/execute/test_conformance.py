"""Both executors keep the one contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nasplat.execute.engine import RayExecutor
from nasplat.execute.inline import InlineExecutor
from nasplat.execute.profile import Profile
from nasplat.execute.session import ray_session
from nasplat.testing.executor import ExecutorConformance, Make
from nasplat.testing.scripted import SPEC, ScriptedEvaluator


class TestInline(ExecutorConformance):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        def make(**options: Any) -> InlineExecutor:
            return InlineExecutor(ScriptedEvaluator(), scratch=tmp_path, **options)

        return make


@pytest.mark.slow
class TestRay(ExecutorConformance):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def ray(cls) -> Iterator[None]:
        """One Ray for all tests here: an executor uses the one that runs."""
        with ray_session(Profile(name="test")):
            yield

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        def make(**options: Any) -> RayExecutor:
            return RayExecutor(Profile(name="test", **options), SPEC, scratch=tmp_path)

        return make

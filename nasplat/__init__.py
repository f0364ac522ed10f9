"""nasplat finds the Pareto-optimal neural architectures for a task and a device, inside a budget.

The nouns that scripts use are importable from here. Each is loaded from the module that defines
it when it is first asked for, so that ``import nasplat`` costs nothing. Inside the library nothing
imports from this face.

    study = nasplat.Study.create("flowers", space="hybrid-vit", task="./flowers", budget="8gpu-h")
    study.run()
    study.pareto()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasplat.errors import NasplatError as NasplatError
    from nasplat.execute.trainable import Trainable as Trainable
    from nasplat.execute.tune import ParetoRungs as ParetoRungs
    from nasplat.execute.tune import StudySearcher as StudySearcher
    from nasplat.export.export import export_model as export_model
    from nasplat.export.verify import verify_export as verify_export
    from nasplat.graph.graph import Graph as Graph
    from nasplat.graph.graph import GraphBuilder as GraphBuilder
    from nasplat.search.study import Study as Study
    from nasplat.space.load import load_space as load_space
    from nasplat.space.space import Space as Space
    from nasplat.store.store import Store as Store
    from nasplat.tasks.load import load_task as load_task

_HOMES = {
    "Graph": "nasplat.graph.graph",
    "GraphBuilder": "nasplat.graph.graph",
    "NasplatError": "nasplat.errors",
    "ParetoRungs": "nasplat.execute.tune",
    "Space": "nasplat.space.space",
    "Store": "nasplat.store.store",
    "Study": "nasplat.search.study",
    "StudySearcher": "nasplat.execute.tune",
    "Trainable": "nasplat.execute.trainable",
    "export_model": "nasplat.export.export",
    "load_space": "nasplat.space.load",
    "load_task": "nasplat.tasks.load",
    "verify_export": "nasplat.export.verify",
}

__all__ = [
    "Graph",
    "GraphBuilder",
    "NasplatError",
    "ParetoRungs",
    "Space",
    "Store",
    "Study",
    "StudySearcher",
    "Trainable",
    "__version__",
    "export_model",
    "load_space",
    "load_task",
    "verify_export",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("nasplat")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'nasplat' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

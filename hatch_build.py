"""Puts what stands beside the library into the wheel, as ``nasplat/_content/<folder>``.

An editable install gets no copy: there the library reads the folders of the checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("search_spaces", "predictors", "workers", "db")


class ContentHook(BuildHookInterface):
    """Forces every content folder into a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        for folder in FOLDERS:
            for file in sorted((Path(self.root) / folder).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    relative = file.relative_to(self.root).as_posix()
                    build_data["force_include"][str(file)] = f"nasplat/_content/{relative}"

"""The table of ops holds every kind once, the user's too."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplat.errors import UsageError
from nasplat.graph.op import Op
from nasplat.ops.conv import Conv
from nasplat.ops.table import FAMILIES, op_table, ops_of

HEAD = """
from dataclasses import dataclass
from nasplat.graph.op import Op
from nasplat.ops.conv import Conv
"""
OWN = """
@dataclass(frozen=True, kw_only=True)
class {name}(Op):
    width: int = 1
"""


def test_every_kind_is_listed_under_its_own_name() -> None:
    table = op_table()
    assert table["conv"] is Conv
    assert all(op.kind == kind and issubclass(op, Op) for kind, op in table.items())


def test_every_file_that_defines_ops_is_a_family() -> None:
    import nasplat.ops

    folder = Path(nasplat.ops.__path__[0])
    names = {module.__name__.rpartition(".")[2] for module in FAMILIES}
    assert names <= {file.stem for file in folder.glob("*.py")}
    assert {"attention", "conv", "ffn", "head", "merge", "norm"} <= names
    assert all(ops_of(module) for module in FAMILIES)


def test_ops_of_a_users_file_join_and_what_it_imports_is_not_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + OWN.format(name="MyMixer"))
    table = op_table([file, file])
    assert set(table) - set(op_table()) == {"my_mixer"}


def test_a_kind_defined_twice_names_both_owners(tmp_path: Path) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(HEAD + OWN.format(name="MLP") + OWN.format(name="Twice"))
    second.write_text(HEAD + OWN.format(name="Twice"))
    with pytest.raises(UsageError) as caught:
        op_table([first, second])
    message = str(caught.value)
    assert f"'mlp' is defined twice: MLP in nasplat.ops.ffn and MLP in {first}" in message
    assert f"'twice' is defined twice: Twice in {first} and Twice in {second}" in message

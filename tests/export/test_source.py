"""Tests of source code that is copied out of the files that define it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from nasplat.content import load_file
from nasplat.errors import ExportError
from nasplat.export.model import literal, model_source
from nasplat.export.source import Closure
from nasplat.graph.fake_quant import QuantLinear
from nasplat.graph.lower import lower
from nasplat.graph.op import Bits
from nasplat.graph.types import Image
from tests.export.nets import Attention, network, settle


def written(folder: Path, name: str, text: str) -> ModuleType:
    """A file of a user's own, as nasplat loads it."""
    path = folder / name
    path.write_text(
        "from __future__ import annotations\nimport torch\nfrom torch import nn\n" + text
    )
    return load_file(path)


def printed(closure: Closure) -> str:
    return closure.imports() + "\n" + closure.definitions()


def namespace(closure: Closure) -> dict[str, object]:
    found: dict[str, object] = {"__name__": "copied"}
    exec("from __future__ import annotations\n" + printed(closure), found)
    return found


def test_everything_a_class_uses_comes_with_it_and_nothing_else() -> None:
    closure = Closure()
    assert closure.add(Attention) == "Attention"
    source = printed(closure)
    for used in ("class Positional", "def squash", "TEMPERATURE =", "_SQUASHED =", "import math"):
        assert used in source
    for unused in ("class Halves", "dataclass", "nasplat"):
        assert unused not in source
    copy = namespace(closure)["Attention"]
    torch.manual_seed(0)
    made = copy(8, 2, 64, "tanh")  # type: ignore[operator]  # a class out of exec
    torch.manual_seed(0)
    x = Image(8, 8, 8).example(2, torch.Generator().manual_seed(1))
    assert torch.equal(made(x), Attention(8, 2, 64, "tanh")(x))


def test_a_class_of_torch_is_named_not_copied() -> None:
    closure = Closure()
    assert closure.add(nn.Linear) == "nn.Linear"
    assert closure.definitions() == ""


def test_two_definitions_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first = written(
        tmp_path,
        "first.py",
        "SIZE = 1\ndef act(x):\n    return x + SIZE\n"
        "class Block(nn.Module):\n    def forward(self, x, act_by=2):\n        return act(x) * act_by\n",
    )
    second = written(
        tmp_path,
        "second.py",
        "SIZE = 10\ndef act(x):\n    return x + SIZE\n"
        "class Block(nn.Module):\n"
        "    def forward(self, x):\n"
        "        SIZES = [SIZE for _ in range(2)]\n        return act(x) + sum(SIZES)\n",
    )
    closure = Closure()
    assert closure.add(first.Block) == "Block"
    assert closure.add(second.Block) == "Block_2"
    found = namespace(closure)
    x = torch.ones(1)
    assert found["Block"]().forward(x).item() == 4  # type: ignore[operator]  # out of exec
    assert found["Block_2"]().forward(x).item() == 31  # type: ignore[operator]  # out of exec


def test_a_renamed_global_leaves_locals_of_that_name_alone(tmp_path: Path) -> None:
    written_first = written(
        tmp_path,
        "a.py",
        "def scale(x):\n    return x\nclass A(nn.Module):\n"
        "    def forward(self, x):\n        return scale(x)\n",
    )
    second = written(
        tmp_path,
        "b.py",
        "def scale(x):\n    return 2 * x\n"
        "def use(x, scale):\n    return x * scale\n"
        "class B(nn.Module):\n    def forward(self, x):\n        return use(scale(x), scale=5)\n",
    )
    closure = Closure()
    closure.add(written_first.A)
    closure.add(second.B)
    assert namespace(closure)["B"]().forward(torch.ones(1)).item() == 10  # type: ignore[operator]  # out of exec


def test_a_file_beside_the_users_own_is_copied_too(tmp_path: Path) -> None:
    (tmp_path / "my_helpers.py").write_text("RATIO = 3\ndef grow(x):\n    return RATIO * x\n")
    main = written(
        tmp_path,
        "my_op.py",
        "from my_helpers import grow as enlarge\n"
        "class Big(nn.Module):\n    def forward(self, x):\n        return enlarge(x)\n",
    )
    closure = Closure()
    closure.add(main.Big)
    assert "my_helpers" not in closure.imports()
    assert namespace(closure)["Big"]().forward(torch.ones(1)).item() == 3  # type: ignore[operator]  # out of exec
    assert closure.packages == ()


def test_another_package_stays_an_import_and_is_named(tmp_path: Path) -> None:
    main = written(
        tmp_path,
        "np_op.py",
        "import numpy as np\nclass N(nn.Module):\n    def forward(self, x):\n        return x * np.pi\n",
    )
    closure = Closure()
    closure.add(main.N)
    assert "import numpy as np" in closure.imports()
    assert closure.packages == ("numpy",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "from nasplat.ops.modules import common\n"
            "class M(nn.Module):\n    def forward(self, x):\n"
            "        return common.make_activation('relu')(x)\n",
            "imports the module 'common'",
        ),
        (
            "class M(nn.Module):\n    def forward(self, x):\n"
            "        from nasplat.ops.modules.common import make_activation\n        return x\n",
            "is imported inside a function",
        ),
        (
            "def make():\n    class M(nn.Module):\n        pass\n    return M\nM = make()\n",
            "is defined inside",
        ),
    ],
    ids=["module", "hidden import", "nested class"],
)
def test_what_cannot_be_copied_is_refused_with_the_next_step(
    tmp_path: Path, text: str, message: str
) -> None:
    module = written(tmp_path, f"refused_{len(text)}.py", text)
    with pytest.raises(ExportError, match=message) as error:
        Closure().add(module.M)
    assert error.value.hint


def test_arguments_are_printed_as_literals_that_read_back() -> None:
    values = [1, -2.5, True, None, 'a "quoted"\nline', (1,), (1, 2), [1, "x"], {"k": (1.0, None)}]
    for value in values:
        assert eval(literal(value)) == value
    assert eval(literal(float("-inf"))) == float("-inf")
    with pytest.raises(ExportError, match="a device"):
        literal(torch.device("cpu"))


@pytest.mark.parametrize("bits", [Bits(), Bits(4, 8)], ids=["float", "quantised"])
def test_a_printed_network_has_the_keys_and_the_outputs_of_the_trained_one(bits: Bits) -> None:
    graph = network(bits)
    module = settle(lower(graph, seed=0), graph)
    source, packages = model_source(graph, title="Some network.")
    assert packages == ()
    assert "nasplat" not in source
    assert max(map(len, source.splitlines())) <= 110
    found: dict[str, object] = {"__name__": "model"}
    exec(compile(source, "model.py", "exec"), found)
    copy = found["build"]()  # type: ignore[operator]  # out of exec
    assert list(copy.state_dict()) == list(module.state_dict())
    copy.load_state_dict(module.state_dict())
    x = Image(1, 8, 8).example(3)
    with torch.no_grad():
        expected, met = module(x), copy(x)
    assert list(met) == list(expected)
    assert all(torch.equal(met[name], expected[name]) for name in met)


def test_the_forward_pass_reads_like_code() -> None:
    source, _ = model_source(network(), title="Some network.")
    body = source[source.index("def forward(self, image") :]
    assert "x = self.stages_0_blocks_0_merge(x, y)  # (B, 8, 8, 8)" in body
    assert 'return {"logits": x, "early_logits": z}' in body


def test_a_model_called_model_is_no_clash(tmp_path: Path) -> None:
    module = written(
        tmp_path, "m.py", "class Model(nn.Module):\n    pass\ndef build():\n    return Model()\n"
    )
    closure = Closure()
    assert closure.add(module.Model) == "Model_2"
    assert closure.add(module.build) == "build_2"


def test_the_narrow_layers_are_copied_without_nasplat() -> None:
    closure = Closure()
    closure.add(QuantLinear)
    ran = subprocess.run(
        [sys.executable, "-I", "-c", "from __future__ import annotations\n" + printed(closure)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr

"""The documentation is complete and true: every command is in it, and what it shows is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from nasplat.cli.main import app

ROOT = Path(__file__).parents[1]
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def verbs(group: Any, path: str = "nasplat") -> Iterator[tuple[str, Any]]:
    """Every command by the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_a_place_in_the_commands_page(verb: str) -> None:
    assert VERBS[verb].help
    assert f"`{verb} " in COMMANDS or f"`{verb}`" in COMMANDS


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_help_and_is_in_the_commands_page(verb: str) -> None:
    for parameter in VERBS[verb].params:
        names = [name for name in parameter.opts if name.startswith("--")]
        if parameter.param_type_name != "option" or "--help" in names:
            continue
        assert parameter.help, names
        assert any(re.search(rf"`{name}[ `]", COMMANDS) for name in names), names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    shown = re.findall(r"(?:`|\$ )(nasplat(?: [a-z]+)+)", page.read_text(encoding="utf-8"))
    groups = {verb.rpartition(" ")[0] for verb in VERBS}
    for words in shown:
        known = [verb for verb in VERBS if words == verb or words.startswith(f"{verb} ")]
        assert known or words in groups, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_tree_in_the_readme_is_the_tree() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = set(re.findall(r"^  (\w+)/ ", text, re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "nasplat").glob("*/__init__.py")}
    assert rooms == packages
    folders = set(re.findall(r"^(\w+)/ ", text, re.MULTILINE))
    ignored = {"runs", "exports", "bench", "build", "dist"}
    present = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    assert folders == present - ignored


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_python_page_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(text, "python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "NASPLAT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    assert "g1:" in done.stdout


@pytest.mark.slow
def test_the_worked_example_of_an_op_and_a_space_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NASPLAT_HOME": str(tmp_path / "runs"),
    }
    calls = 0
    for language, block in re.findall(r"```(console|python)\n(.*?)```", text, re.DOTALL):
        if language == "python":
            name = re.match(r"# (\w+\.py)\n", block)
            assert name, "a block of Python opens with the name of its file"
            (tmp_path / name[1]).write_text(block, encoding="utf-8")
            continue
        for line in block.splitlines():
            calls += 1
            done = subprocess.run(
                shlex.split(line.removeprefix("$ ")),
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=170,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert calls == 4


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_tour_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tour = text.partition("<!-- tour: begin -->")[2].partition("<!-- tour: end -->")[0]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NASPLAT_HOME": str(tmp_path / "runs"),
    }
    printed = []
    for language, block in re.findall(r"```(console|python)\n(.*?)```", tour, re.DOTALL):
        if language == "python":
            calls = [[sys.executable, "-c", block]]
        else:
            calls = [shlex.split(line[2:]) for line in block.splitlines() if line.startswith("$ ")]
        for call in calls:
            done = subprocess.run(
                call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
            )
            assert done.returncode == 0, f"{call}\n{done.stdout}\n{done.stderr}"
            printed.append(done.stdout)
    assert (tmp_path / "front.html").stat().st_size > 1000
    assert (tmp_path / "my_model" / "model.onnx").is_file()
    assert printed[-2].strip() == "torch.Size([1, 10])"
    assert printed[-1].strip() == "(1, 10)"

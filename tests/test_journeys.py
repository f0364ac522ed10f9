"""The seven journeys of a user, each from its first command to its last, with real training.

The first five minutes and taking the winner home are the tour of the README, which
``tests/test_docs.py`` runs as it stands.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nasplat
from nasplat.execute.profile import Profile
from nasplat.execute.session import ray_session


@dataclass(frozen=True)
class Shell:
    """A terminal in a folder of its own."""

    folder: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of nasplat."""
        return subprocess.Popen(
            [sys.executable, "-m", "nasplat", *words],
            cwd=self.folder,
            env={**os.environ, "NASPLAT_HOME": str(self.folder / "runs")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command of nasplat to its end; stdout, and stderr where it fails."""
        process = self.start(*words)
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, f"{words}\n{out}\n{err}"
        return out if code == 0 else err

    def json(self, *words: str) -> object:
        """What a reading verb says."""
        return json.loads(self.run(*words, "--format", "json"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def make_flowers(folder: Path, count: int = 60, side: int = 24) -> None:
    """Pictures of two kinds that differ in colour and pattern, as files in folders."""
    rng = np.random.default_rng(0)
    for name, channel in (("daisy", 0), ("iris", 2)):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 120, size=(side, side, 3))
            pixels[4 : side - 4, 4 : side - 4, channel] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index}.png")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_my_own_images_with_my_constraints_interrupted_and_resumed(shell: Shell) -> None:
    make_flowers(shell.folder / "flowers")
    search = (
        *("search", "--space", "hybrid-vit", "--task", "./flowers?size=16", "--study", "flowers"),
        *("--budget", "8trials", "--epochs", "3", "--min-epochs", "1"),
        *("--objective", "accuracy:max", "--objective", "latency_ms:min"),
        *("--constraint", "params<=5M", "--constraint", "latency_ms<=20"),
    )
    plan = shell.run(*search, "--dry-run")
    assert "120 images, 2 classes" in plan
    assert "hybrid-vit for Image(3, 16, 16)" in plan and "satisfy the cheap constraints" in plan
    assert re.search(r"about \d+ candidates at rungs 1/3 epochs \(measured", plan)

    process = shell.start(*search)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(2)
        probe = shell.start("trials", "flowers", "--state", "complete", "--format", "json")
        out, _ = probe.communicate(timeout=60)
        if probe.returncode == 0 and json.loads(out):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "resume flowers" in err
    before = shell.json("trials", "flowers", "--state", "complete")

    shell.run("resume", "flowers")
    after = {row["number"]: row["metrics"] for row in shell.json("trials", "flowers")}
    assert len(after) == 8
    assert all(after[row["number"]] == row["metrics"] for row in before)
    assert all(row["costs"]["params"] <= 5e6 for row in shell.json("pareto", "flowers"))


def test_asking_the_database(shell: Shell) -> None:
    shell.run(
        *("search", "--space", "nasbench201", "--task", "digits", "--study", "asked"),
        *("--budget", "3trials", "--epochs", "1", "--executor", "inline", "--strategy", "random"),
        *("--objective", "accuracy:max", "--objective", "params:min"),
    )
    (study,) = shell.json("studies")
    assert study["study"] == "asked"
    status = shell.json("status", "asked")
    assert {"study", "state", "space", "task", "objectives", "budget", "trials"} <= set(status)
    assert {"hypervolume", "front", "predictor"} <= set(status)
    rows = shell.run("trials", "asked", "--sort", "accuracy", "--limit", "2", "--format", "csv")
    assert len(rows.splitlines()) == 3
    front = shell.json("pareto", "asked")
    assert {"digest", "metrics", "costs", "measured_on"} <= set(front[0])
    assert "Image(1, 8, 8)" in shell.run("show", front[0]["digest"][:12])
    sql = "select space, count(*), max(accuracy) from trials group by space"
    assert "nasbench201" in shell.run("query", sql, "--format", "table")
    assert front[0]["digest"] in shell.run("query", "leaderboard", "--task", "digits", "-f", "csv")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_my_own_space_with_my_own_block(shell: Shell) -> None:
    shell.run("new", "op", "my_op.py")
    shell.run("new", "space", "my_space.py")
    space = shell.folder / "my_space.py"
    text = space.read_text().replace(
        "from nasplat.ops.conv", "from my_op import MyOp\n\nfrom nasplat.ops.conv"
    )
    text = text.replace("pool=PoolMixer()", "mine=MyOp(kernel=Choice(3, 5, 7))")
    space.write_text(text)
    assert shell.run("space", "check", "my_space.py", "--task", "digits").startswith("ok")
    shell.run(
        *("search", "--space", "my_space.py", "--task", "digits", "--study", "mine"),
        *("--budget", "12trials", "--epochs", "2", "--min-epochs", "2", "--final-epochs", "2"),
    )
    with_block = [
        row["digest"] for row in shell.json("trials", "mine") if row["state"] == "complete"
    ]
    shown = {digest: shell.run("show", digest) for digest in with_block}
    chosen = next((digest for digest, text in shown.items() if "MyOp(" in text), None)
    assert chosen, "none of twelve candidates chose the block"
    shell.run("export", "mine", "--arch", chosen, "--out", "my_model")
    assert "class MyOpModule" in (shell.folder / "my_model" / "model.py").read_text()
    assert "verified" in shell.run("verify", "my_model")


def test_inside_plain_optuna() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    task = nasplat.load_task("digits")
    space = nasplat.load_space("hybrid-vit", task)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        candidate = space.suggest(trial)
        module = candidate.module()
        batch = next(task.batches("validation", 16))
        loss = task.loss(module(*batch.inputs), batch.targets)
        return loss.item(), candidate.cost.params

    study = optuna.create_study(directions=["minimize", "minimize"])
    study.optimize(objective, n_trials=3)
    assert len(study.trials) == 3 and study.best_trials


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_inside_plain_ray_tune_and_pandas(tmp_path: Path) -> None:
    from ray import tune

    study = nasplat.Study.create(
        "tuned",
        space="nasbench201",
        task="digits",
        budget="4trials",
        objectives=["accuracy:max", "params:min"],
        strategy="random",
        epochs=2,
        min_epochs=1,
    )
    with ray_session(Profile(name="test")):
        tune.Tuner(
            nasplat.Trainable,
            tune_config=tune.TuneConfig(
                search_alg=nasplat.StudySearcher(study),
                scheduler=nasplat.ParetoRungs({"accuracy": "max"}, eta=2),
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path / "tune"), verbose=0),
        ).fit()
    frame = nasplat.Study.load("tuned").trials_dataframe()
    assert len(frame) == 4
    assert frame["accuracy"].between(0, 1).all()


def test_when_things_go_wrong_one_message_says_what_and_how_to_go_on(shell: Shell) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    said = shell.run("search", "--space", "hybrid-vit", "--budget", "100gpu-h", code=2)
    assert said.startswith(
        "error: a budget of 100 gpu-h can never be spent: the cluster has 0 GPUs"
    )
    assert "\n       use a budget this machine can spend" in said
    assert "Traceback" not in said

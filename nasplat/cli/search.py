"""The verbs that run a search: ``nasplat search | resume | stop``."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasplat import settings
from nasplat.cli import output
from nasplat.cli.options import FormatOption, StorageOption, StudyArgument
from nasplat.cli.study_file import merged
from nasplat.errors import NasplatError
from nasplat.report import summary, units
from nasplat.report.tables import Format, render_one

if TYPE_CHECKING:
    from nasplat.search.plan import Plan
    from nasplat.search.study import Study

_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (search, resume, stop):
        app.command()(verb)


def search(
    study_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[STUDY.yaml]",
            help="A file with the same settings, each under the name of its option; options given "
            "here go first.",
            show_default=False,
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(metavar="SPACE", help="Name such as hybrid-vit, or a file of your own."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="A name of `nasplat task list`, a folder of images, sound or texts, FILE.npz, "
            "FILE.csv, FILE.txt, openml:NAME, or FILE.py of your own.  "
            "[default: the space's own]",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="BUDGET",
            help="Such as 100gpu-h, 8cpu-h, 2h30m, 30min, 500trials; several with commas, the "
            "first that is reached ends the search.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the study; by default space and task."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC:max|min",
            help="What to optimise; may be repeated.  [default: the task's metric, latency_ms:min]",
            show_default=False,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'METRIC<=NUMBER'",
            help="What every winner must keep, such as 'params<=5M'; may be repeated.",
            show_default=False,
        ),
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DESIGN|PATTERN=VALUES",
            help="Search only inside a published design, such as davit, or where decisions have "
            "these values, such as 'stages.*.depth=1,2'; may be repeated.",
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DESIGN",
            help="Start from candidates of a published design, such as crossvit; may be repeated. "
            "`nasplat survey list` shows the designs.",
            show_default=False,
        ),
    ] = None,
    transfer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDY",
            help="An earlier study of the same database, of any task and space, that guided learns "
            "from before it has results of its own; may be repeated.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="guided, nsga2, evolution, local, random, optuna-tpe, optuna-nsga2, optuna-gp, or "
            "FILE.py:Class.  [default: guided]",
            show_default=False,
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A setting of the strategy; may be repeated.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of everything random.  [default: NASPLAT_SEED or 0]"),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE",
            help="Worker profile: laptop, gpu, cluster, or FILE.toml.  [default: laptop]",
            show_default=False,
        ),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="ray|inline",
            help="Worker processes through Ray Tune, or this process.  [default: ray]",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of a complete trial.  [default: 27]")
    ] = None,
    min_epochs: Annotated[
        int | None, typer.Option(help="Fewest epochs of the first rung.  [default: 3]")
    ] = None,
    eta: Annotated[
        float | None,
        typer.Option(help="One in so many trials goes on beyond a rung.  [default: 3]"),
    ] = None,
    final_epochs: Annotated[
        int | None,
        typer.Option(help="Epochs that winners are trained for.  [default: twice --epochs]"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Device that latency is measured on.  [default: cpu]"),
    ] = None,
    ops: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.py",
            help="A file that defines ops of your own; may be repeated.",
            show_default=False,
        ),
    ] = None,
    skip_if_exists: Annotated[
        bool,
        typer.Option("--skip-if-exists", help="Go on with the study of this name, if it exists."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; store and start nothing.")
    ] = False,
    storage: StorageOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Search a space for the Pareto-optimal architectures of a task, inside a budget.

    Ctrl-C once launches nothing more and keeps all; twice kills what runs.
    """
    given = {
        "space": space,
        "task": task,
        "budget": budget,
        "study": study,
        "objective": objective,
        "constraint": constraint,
        "within": within,
        "like": like,
        "transfer": transfer,
        "strategy": strategy,
        "option": option,
        "seed": seed,
        "workers": workers,
        "executor": executor,
        "epochs": epochs,
        "min_epochs": min_epochs,
        "eta": eta,
        "final_epochs": final_epochs,
        "device": device,
        "ops": [str(file) for file in ops] if ops else None,
        "storage": storage,
    }
    asked = merged(study_file, given)
    where = asked.pop("storage", None)
    from nasplat.search.plan import make_plan

    plan = make_plan(**{"seed": settings.seed(), "storage": where, **asked})
    if dry_run:
        from nasplat.report.plan import plan_record, plan_text

        record = plan_record(plan)
        output.line(render_one(record, form, shown=plan_text(record)))
        return
    from nasplat.search.study import Study

    made = Study.from_plan(plan, where, exist_ok=skip_if_exists)
    _introduce(made, plan)
    _run(made, where, form)


def resume(
    study: StudyArgument = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="BUDGET", help="Another budget for the whole study; what is used counts."
        ),
    ] = None,
    storage: StorageOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Go on with a study that was stopped, interrupted or killed."""
    from nasplat.search.study import Study

    loaded = Study.load(study, storage)
    if budget is not None:
        loaded.extend(budget)
    _introduce(loaded)
    _run(loaded, storage, form)


def stop(study: StudyArgument = None, storage: StorageOption = None) -> None:
    """Ask whoever runs a study to launch nothing more and to keep all; returns at once."""
    from nasplat.search.study import Study

    loaded = Study.load(study, storage)
    loaded.stop()
    output.note(
        f"asked; running trials go on to their next rung. Continue later with: "
        f"{summary.command('resume', loaded.name, *_at(storage))}"
    )


def _at(storage: str | None) -> tuple[str, ...]:
    return ("--storage", storage) if storage else ()


def _introduce(study: Study, plan: Plan | None = None) -> None:
    size = study.record.space.size
    target = f"  target {plan.device}" if plan is not None and plan.device is not None else ""
    output.note(
        f"study {study.name}  space {study.record.space.name} "
        f"({units.size(size) if size else '?'} candidates)  task {study.record.task}{target}"
    )
    output.note(f"database {study.store.url}")


def _run(study: Study, storage: str | None, form: Format) -> None:
    """Run a study under its progress, then print what came of it."""
    with _progress(study):
        study.run()
    status = study.status()
    front = study.pareto()
    text = summary.result_text(status, front, study.store.url, _at(storage))
    output.line(render_one({**status, "front_rows": front}, form, shown=text))
    if study.driver().reason == "interrupted":
        waiting = status["trials"]["waiting"]
        output.note(
            f"stopped launching, {waiting} unfinished trials kept. Continue with: "
            f"{summary.command('resume', study.name, *_at(storage))}"
        )
        raise typer.Exit(_INTERRUPTED)
    ended = status["trials"]["complete"] + status["trials"]["stopped"]
    if not ended and status["trials"]["failed"]:
        last = [trial for trial in study.trials() if trial.failure is not None][-1]
        raise NasplatError(
            f"no trial came to an end, {status['trials']['failed']} failed; the last: "
            f"{last.failure}: {last.message}",
            hint=f"See them all: {summary.command('trials', study.name, *_at(storage))}",
        )


def _progress(study: Study) -> AbstractContextManager[None]:
    if output.is_quiet():
        return nullcontext()
    from rich.console import Console

    from nasplat.report.live import watch

    def read() -> dict[str, Any]:
        return study.status()

    return watch(read, Console(stderr=True))

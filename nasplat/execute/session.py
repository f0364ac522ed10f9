"""Starts and ends Ray around a run: quietly, without usage statistics, dashboard or leftovers.

It knows profiles and environment variables, no trials.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nasplat.errors import UsageError
from nasplat.execute.cluster import count_cpus, count_gpus
from nasplat.execute.folder import temporary_folder
from nasplat.execute.profile import Profile

_KNOCK_SECONDS = 10.0
_OBJECT_STORE_BYTES = 200_000_000
"""Jobs and reports are small; checkpoints go through folders, not through Ray's object store."""

DRIVER_ENVIRONMENT: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer reporter prints tables at verbosity 0 too
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of jobs mean the same on workers
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is the executor's
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the store is the record, not CSV files
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # nor is Tune's experiment state
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # the searcher limits trials; workers start together
    "TUNE_WARN_THRESHOLD_S": "1e9",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1e9",  # preflight has said so before
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "1e9",
}


@contextlib.contextmanager
def ray_session(profile: Profile) -> Iterator[Path]:
    """Connect to the profile's cluster, or start Ray on this machine and end it afterwards.

    A Ray that this process is connected to already is used and left as it is.

    Yields:
        A temporary folder for the run's own files; it is removed at the end, with Ray's files when
        Ray was started here.

    Raises:
        UsageError: No cluster answers at the profile's address.
    """
    with temporary_folder() as folder, _environment(DRIVER_ENVIRONMENT):
        import ray

        ours = not ray.is_initialized()
        with _quiet():
            try:
                if ours:
                    _connect(profile, str(folder / "ray"))
                yield folder
            finally:
                if ours:
                    ray.shutdown()


def _connect(profile: Profile, folder: str) -> None:
    import ray

    environment = {"env_vars": worker_environment(profile)}
    if profile.local:
        ray.init(
            address="local",
            num_cpus=count_cpus(),
            num_gpus=count_gpus(),
            resources={name: float(amount) for name, amount in profile.resources.items()} or None,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            runtime_env=environment,
            _temp_dir=folder,
        )
        return
    try:
        _knock(profile.address)
        ray.init(
            address=profile.address,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            runtime_env=environment,
        )
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise UsageError(
            f"no Ray cluster answers at {profile.address!r} (profile {profile.name!r}): {error}",
            hint="Start one: ray start --head, or use --workers laptop.",
        ) from error


def _knock(address: str) -> None:
    """Fail within seconds where nothing listens; Ray itself tries for minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def worker_environment(profile: Profile) -> dict[str, str]:
    """Environment variables of the workers: threads, and where to find nasplat in a checkout."""
    threads = str(profile.threads)
    variables = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
    }
    root = Path(__file__).resolve().parents[2]
    if root.name != "site-packages":
        known = os.environ.get("PYTHONPATH", "")
        variables["PYTHONPATH"] = os.pathsep.join(part for part in (str(root), known) if part)
    return {**variables, **profile.env}


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    # What the user has set stays.
    os.environ.update({name: value for name, value in variables.items() if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's and Tune's own messages off the screen, where JSON may be all that is wanted.

    Ray prints the death of a worker on stdout by a function of its own, whatever ``log_to_driver``
    says; there is no setting for it. The trial's record says it in our words.
    """
    from ray._private import worker

    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.air", "ray.train")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    printing = worker.print_to_stdstream
    worker.print_to_stdstream = _log
    try:
        yield
    finally:
        worker.print_to_stdstream = printing
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _log(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    """Take the place of Ray's printing."""
    logging.getLogger("nasplat.ray").debug("%s", " ".join(data["lines"]))

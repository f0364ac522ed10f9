"""What trials reach and how they end: reports, final states, the Pareto front.

Every change of state is one transaction, its ledger entry included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, Double, Integer, bindparam, case, insert, select, update
from sqlalchemy.engine import Connection

from nasplat.errors import Failure, NotFoundError, StoreError, UsageError
from nasplat.store.engine import clean
from nasplat.store.ledger import to_micros
from nasplat.store.records import FinishedTrial, Lease, NewReport, TrialState
from nasplat.store.rows import report_values
from nasplat.store.schema import Metric, Report, Trial
from nasplat.store.statements import insert_report, run
from nasplat.store.trials import Trials
from nasplat.store.views import column_for, create_views, stored_metrics

_ACTIVE = (Trial.state == "waiting") | (Trial.state == "running")
_NOW: BindParameter[float] = bindparam("now", type_=Double())
_GIVEN = bindparam("of_attempt", type_=Integer())  # -1: any
_MINE = (Trial.study_id == bindparam("of_study")) & (Trial.number == bindparam("of_number"))
_ATTEMPT = (_GIVEN == -1) | (Trial.attempt == _GIVEN)
_REPORT = insert(Report)
_REACHED = bindparam("reached", type_=Integer())
_NEWEST = Trial.fidelity.is_(None) | (Trial.fidelity <= _REACHED)
_REPORTED = (
    update(Trial)
    .where(_MINE, _ACTIVE, _ATTEMPT)
    .values(
        device_micros=Trial.device_micros + bindparam("micros"),
        attempt_micros=Trial.attempt_micros + bindparam("micros"),
        beat=_NOW,
        lease_until=_NOW + Trial.lease_seconds,
        checkpoint=bindparam("at_checkpoint"),
        device=bindparam("on_device"),
        metrics=case((_NEWEST, bindparam("new", type_=Trial.metrics.type)), else_=Trial.metrics),
        fidelity=case((_NEWEST, _REACHED), else_=Trial.fidelity),
    )
    .returning(Trial.state)
)
_ENDED = (
    update(Trial)
    .where(_MINE, _ACTIVE, _ATTEMPT)
    .values(
        state=bindparam("to_state"),
        failure=bindparam("why"),
        message=bindparam("said"),
        ended=bindparam("end"),
        device_micros=Trial.device_micros + bindparam("micros"),
        attempt_micros=Trial.attempt_micros + bindparam("micros"),
        lease_until=None,
    )
    .returning(Trial.attempt, Trial.attempt_micros)
)


class Results(Trials):
    """What a store does with the results of trials."""

    def report(
        self,
        study: str,
        number: int,
        report: NewReport,
        *,
        attempt: int | None = None,
        shared_from: tuple[str, int] | None = None,
    ) -> None:
        """Store what a trial reached, renew its lease and add to its device time.

        A second report at one fidelity replaces the first, as after a restart; its time adds up.

        Args:
            study: Name of the study.
            number: A running trial; a waiting one too when no device time was spent.
            report: What was reached.
            attempt: The attempt of the lease, to be refused when it is not the present one.
            shared_from: Study and number of the trial whose result is taken over here.

        Raises:
            StoreError: The trial has ended, or somebody else has the lease.
            UsageError: A metric name that cannot be a column.
        """
        micros = to_micros(report.device_seconds)
        with self._write() as connection:
            key = self._study_id(connection, study)
            now = self._now(connection)
            self._know_metrics(connection, report.metrics)
            found = run(
                connection,
                _REPORTED,
                {
                    "of_study": key,
                    "of_number": number,
                    "of_attempt": -1 if attempt is None else attempt,
                    "micros": micros,
                    "now": now,
                    "at_checkpoint": report.checkpoint,
                    "on_device": report.device,
                    "new": dict(report.metrics),
                    "reached": report.fidelity,
                },
            )
            if not found:
                raise self._refused(connection, study, number, attempt)
            if found[0][0] == TrialState.WAITING and micros:
                raise _unleased(study, number)
            if shared_from is not None:
                source = self._source(connection, shared_from)
                connection.execute(
                    update(Trial).where(Trial.study_id == key, Trial.number == number), source
                )
            run(
                connection,
                insert_report(self.dialect),
                report_values(report, key, number, micros, now),
            )

    def finish(
        self,
        study: str,
        number: int,
        state: TrialState = TrialState.COMPLETE,
        *,
        failure: Failure | None = None,
        message: str = "",
        device_seconds: float = 0.0,
        attempt: int | None = None,
        front: Iterable[int] | None = None,
    ) -> None:
        """End a trial and settle its ledger entry.

        Args:
            study: Name of the study.
            number: A running trial; a waiting one too, as when it is found invalid.
            state: ``complete``, ``stopped`` or ``failed``.
            failure: The class, exactly when it failed.
            message: What happened.
            device_seconds: Spent since the last report.
            attempt: The attempt of the lease, to be refused when it is not the present one.
            front: The new Pareto front of the study, stored in the same transaction.

        Raises:
            StoreError: The trial has ended before, or somebody else has the lease.
        """
        if not state.ended or (state is TrialState.FAILED) != (failure is not None):
            raise UsageError(
                f"a trial ends as complete, stopped or failed, with a failure exactly when failed; "
                f"got {state=!s}, {failure=!s}"
            )
        micros = to_micros(device_seconds)
        with self._write() as connection:
            key = self._study_id(connection, study)
            now = self._now(connection)
            self._leave(connection, study, number, state, failure, message, micros, attempt, now)
            if front is not None:
                self._set_front(connection, key, front)

    def _leave(
        self,
        connection: Connection,
        study: str,
        number: int,
        state: TrialState,
        failure: Failure | None,
        message: str,
        micros: int,
        attempt: int | None,
        now: float,
    ) -> None:
        key = self._study_id(connection, study)
        found = run(
            connection,
            _ENDED,
            {
                "of_study": key,
                "of_number": number,
                "of_attempt": -1 if attempt is None else attempt,
                "to_state": state,
                "why": failure,
                "said": clean(message),
                "end": now if state.ended else None,
                "micros": micros,
            },
        )
        if not found:
            raise self._refused(connection, study, number, attempt)
        leased, spent = found[0]
        if micros and not leased:
            raise _unleased(study, number)
        self._settle(connection, key, number, leased, spent, now)

    def release(
        self,
        study: str,
        numbers: Iterable[int],
        *,
        device_seconds: float = 0.0,
        message: str = "",
    ) -> None:
        """Let running trials wait again, as when a search is interrupted or a trial is retried.

        Args:
            study: Name of the study.
            numbers: Running trials.
            device_seconds: Spent by each since its last report.
            message: Why.

        Raises:
            StoreError: One of them has ended; then none is released.
        """
        micros = to_micros(device_seconds)
        with self._write() as connection:
            now = self._now(connection)
            for number in numbers:
                self._leave(
                    connection, study, number, TrialState.WAITING, None, message, micros, None, now
                )

    def record(
        self, study: str, done: Sequence[FinishedTrial], *, unit: str = "cpu", worker: str = ""
    ) -> list[int]:
        """Store trials with their reports and ends at once; many thousands per second.

        Args:
            study: Name of the study.
            done: The trials, all ended.
            unit: Kind of device charged.
            worker: Who evaluated them.

        Returns:
            Their numbers, in order.
        """
        if not done:
            return []
        spent = [sum(to_micros(report.device_seconds) for report in item.reports) for item in done]
        with self._write() as connection:
            key = self._study_id(connection, study)
            now = self._now(connection)
            names = {name for item in done for report in item.reports for name in report.metrics}
            self._know_metrics(connection, names)
            numbers = self._insert(
                connection,
                key,
                [item.trial for item in done],
                Lease(worker, unit=unit),
                now,
                [_end_values(item, micros, now) for item, micros in zip(done, spent, strict=True)],
            )
            self._open_entries(connection, key, dict.fromkeys(numbers, 1), unit, 0, now, used=spent)
            rows = [
                report_values(report, key, number, to_micros(report.device_seconds), now)
                for number, item in zip(numbers, done, strict=True)
                for report in item.reports
            ]
            if rows:
                run(connection, _REPORT, rows)
            return numbers

    def set_front(self, study: str, numbers: Iterable[int]) -> None:
        """Say which trials are on the Pareto front of a study now."""
        with self._write() as connection:
            self._set_front(connection, self._study_id(connection, study), numbers)

    def _set_front(self, connection: Connection, study: int, numbers: Iterable[int]) -> None:
        wanted = set(numbers)
        present = set(
            connection.scalars(
                select(Trial.number).where(Trial.study_id == study, Trial.on_front.is_(True))
            )
        )
        for changed, value in ((present - wanted, False), (wanted - present, True)):
            if changed:
                connection.execute(
                    update(Trial)
                    .where(Trial.study_id == study, Trial.number.in_(changed))
                    .values(on_front=value)
                )

    def _know_metrics(self, connection: Connection, names: Iterable[str]) -> None:
        """Give each new metric its column and extend the views, in the same transaction."""
        new = sorted(set(names) - self._metric_names)
        if not new:
            return
        if self.postgresql:
            connection.exec_driver_sql("LOCK TABLE metric IN EXCLUSIVE MODE")
        stored = stored_metrics(connection)
        missing = [name for name in new if name not in stored]
        for name in missing:
            stored[name] = column_for(name, stored.values())
            connection.execute(insert(Metric).values(name=name, column=stored[name]))
        if missing:
            create_views(connection)
        self._metric_names = frozenset(stored)

    def _refused(
        self, connection: Connection, study: str, number: int, attempt: int | None
    ) -> NotFoundError | StoreError:
        row = connection.execute(
            select(Trial.state, Trial.attempt, Trial.worker).where(
                Trial.study_id == self._study_id(connection, study), Trial.number == number
            )
        ).one_or_none()
        if row is None:
            return NotFoundError(
                f"study {study!r} has no trial {number}",
                hint=f"List them with: nasplat trials {study}",
            )
        if attempt is not None and row.attempt != attempt:
            return StoreError(
                f"trial {number} of {study!r} is at attempt {row.attempt} ({row.worker}), "
                f"attempt {attempt} lost its lease"
            )
        return StoreError(f"trial {number} of {study!r} is {row.state}: nothing can be added to it")


def _unleased(study: str, number: int) -> StoreError:
    return StoreError(
        f"trial {number} of {study!r} is waiting: device time can be charged only to a lease",
        hint="Take it first: lease(study, Lease(worker))",
    )


def _end_values(item: FinishedTrial, micros: int, now: float) -> dict[str, Any]:
    last = max(item.reports, key=lambda report: report.fidelity, default=None)
    ended: dict[str, Any] = {
        "state": item.state,
        "failure": item.failure,
        "message": clean(item.message),
        "device_micros": micros,
        "attempt_micros": micros,
        "ended": now,
        "lease_until": None,
    }
    if last is not None:
        ended |= {
            "metrics": dict(last.metrics),
            "fidelity": last.fidelity,
            "device": last.device,
            "checkpoint": last.checkpoint,
        }
    return ended

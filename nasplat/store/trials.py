"""Proposing and leasing trials. Every change of state is one transaction.

A worker holds a trial by a lease that its heartbeats renew. A lease without heartbeat lapses: the
trial waits again, its attempt is charged for what reports and heartbeats show. The number of the
attempt is the token by which a late worker is told apart from the one that has the trial now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import Connection

from nasplat.store.ledger import Ledger, to_micros
from nasplat.store.records import Lease, NewTrial, TrialRecord, TrialState
from nasplat.store.rows import architecture_values, trial_query, trial_record, trial_values
from nasplat.store.schema import MICRO, Architecture, Event, Study, Trial
from nasplat.store.statements import insert_new, run

_NUMBERS = (
    update(Study)
    .where(Study.id == bindparam("of_study"))
    .values(next_number=Study.next_number + bindparam("count"))
    .returning(Study.next_number, Study.space_id)
)
_ADD = insert(Trial)


class Trials(Ledger):
    """What a store does with trials."""

    def add_trials(
        self, study: str, new: Sequence[NewTrial], *, lease: Lease | None = None
    ) -> list[int]:
        """Store proposed candidates; architectures that are new are stored once.

        Args:
            study: Name of the study.
            new: The candidates.
            lease: Take all of them at once, so that they start as running.

        Returns:
            Their numbers, in order.
        """
        if not new:
            return []
        with self._write() as connection:
            key = self._study_id(connection, study)
            now = self._now(connection)
            numbers = self._insert(connection, key, new, lease, now)
            if lease is not None:
                self._open_entries(
                    connection,
                    key,
                    dict.fromkeys(numbers, 1),
                    lease.unit,
                    to_micros(lease.seconds),
                    now,
                )
            return numbers

    def _insert(
        self,
        connection: Connection,
        study: int,
        new: Sequence[NewTrial],
        lease: Lease | None,
        now: float,
        ends: Sequence[dict[str, Any]] = (),
    ) -> list[int]:
        ((after, space),) = run(connection, _NUMBERS, {"of_study": study, "count": len(new)})
        numbers = list(range(after - len(new), after))
        distinct = {trial.digest: trial for trial in new}
        run(
            connection,
            insert_new(Architecture, self.dialect),
            [  # sorted: two writers that add the same graphs never wait for each other in a circle
                architecture_values(digest, distinct[digest].graph, distinct[digest].costs, now)
                for digest in sorted(distinct)
            ],
        )
        run(
            connection,
            _ADD,
            [
                trial_values(trial, study, number, space, now, lease)
                | self._source(connection, trial.shared_from)
                | end
                for number, trial, end in zip(numbers, new, ends or [{}] * len(new), strict=True)
            ],
        )
        return numbers

    def _source(
        self, connection: Connection, shared_from: tuple[str, int] | None
    ) -> dict[str, int | None]:
        if shared_from is None:
            return {"shared_study_id": None, "shared_number": None}
        study, number = shared_from
        return {"shared_study_id": self._study_id(connection, study), "shared_number": number}

    def lease(
        self, study: str, lease: Lease, count: int = 1, *, limit_seconds: float | None = None
    ) -> list[TrialRecord]:
        """Take waiting trials, those whose lease lapsed included; each goes to one worker only.

        Args:
            study: Name of the study.
            lease: The terms.
            count: At most so many.
            limit_seconds: The budget of ``lease.unit`` in device seconds: no more trials are taken
                than what is used, held and newly reserved stays within.

        Returns:
            The trials with their graphs, lowest numbers first; fewer when there are no more.
        """
        micros = to_micros(lease.seconds)
        with self._write() as connection:
            key = self._study_id(connection, study)
            now = self._now(connection)
            self._lapse(connection, key, now, everything=False)
            if limit_seconds is not None:
                count = min(count, self._affordable(connection, key, lease, limit_seconds))
            picked = connection.scalars(
                select(Trial.number)
                .where(Trial.study_id == key, Trial.state == TrialState.WAITING)
                .order_by(Trial.number)
                .limit(max(count, 0))
                .with_for_update(skip_locked=True)
            ).all()
            if not picked:
                return []
            taken = connection.execute(
                update(Trial)
                .where(Trial.study_id == key, Trial.number.in_(picked))
                .values(
                    state=TrialState.RUNNING,
                    attempt=Trial.attempt + 1,
                    attempt_micros=0,
                    worker=lease.worker,
                    started=now,
                    leased=now,
                    beat=now,
                    lease_seconds=lease.ttl_seconds,
                    lease_share=lease.share,
                    lease_until=now + lease.ttl_seconds,
                )
                .returning(Trial.number, Trial.attempt)
            )
            attempts = {number: attempt for number, attempt in taken}
            self._open_entries(connection, key, attempts, lease.unit, micros, now)
            rows = connection.execute(
                trial_query(graphs=True)
                .where(Trial.study_id == key, Trial.number.in_(picked))
                .order_by(Trial.number)
            )
            return [trial_record(row) for row in rows]

    def _affordable(
        self, connection: Connection, study: int, lease: Lease, limit_seconds: float
    ) -> int:
        # the row of the study is the lock under which concurrent leases count the same money
        connection.execute(select(Study.id).where(Study.id == study).with_for_update())
        total = self._totals(connection, study).get(lease.unit)
        left = to_micros(limit_seconds)
        if total is not None:
            left -= to_micros(total.reserved) + to_micros(total.used)
        if left <= 0:
            return 0
        each = to_micros(lease.seconds)
        return left // each if each else left

    def _lapse(
        self, connection: Connection, study: int, now: float, *, everything: bool
    ) -> list[int]:
        held = select(
            Trial.number,
            Trial.attempt,
            Trial.attempt_micros,
            Trial.leased,
            Trial.beat,
            Trial.lease_share,
            Trial.worker,
        ).where(Trial.study_id == study, Trial.state == TrialState.RUNNING)
        if not everything:
            held = held.where(Trial.lease_until < now)
        rows = connection.execute(held.with_for_update(skip_locked=True)).all()
        for row in rows:
            alive = round((row.beat - row.leased) * row.lease_share * MICRO)
            charged = max(row.attempt_micros, alive)
            connection.execute(
                update(Trial)
                .where(Trial.study_id == study, Trial.number == row.number)
                .values(
                    state=TrialState.WAITING,
                    device_micros=Trial.device_micros + charged - row.attempt_micros,
                    attempt_micros=charged,
                    lease_until=None,
                )
            )
            self._settle(connection, study, row.number, row.attempt, charged, now)
            connection.execute(
                insert(Event).values(
                    study_id=study,
                    number=row.number,
                    kind="lapsed",
                    message=f"no heartbeat of {row.worker} for attempt {row.attempt}",
                    data={"attempt": row.attempt, "worker": row.worker},
                    at=now,
                )
            )
        return [row.number for row in rows]

    def reclaim(self, study: str, *, everything: bool = False) -> list[int]:
        """Let trials whose lease lapsed wait again.

        Args:
            study: Name of the study.
            everything: Take back living leases too: for a resume that knows the old driver is gone.

        Returns:
            The numbers of these trials.
        """
        with self._write() as connection:
            key = self._study_id(connection, study)
            return self._lapse(connection, key, self._now(connection), everything=everything)

    def beat(self, study: str, numbers: Iterable[int], *, worker: str | None = None) -> list[int]:
        """Renew the leases of running trials.

        Returns:
            The numbers that are not held (by ``worker``, if given) any more: stop working on them.
        """
        wanted = sorted(set(numbers))
        if not wanted:
            return []
        with self._write() as connection:
            now = self._now(connection)
            mine = [
                Trial.study_id == self._study_id(connection, study),
                Trial.number.in_(wanted),
                Trial.state == TrialState.RUNNING,
            ]
            if worker is not None:
                mine.append(Trial.worker == worker)
            held = connection.scalars(
                update(Trial)
                .where(*mine)
                .values(beat=now, lease_until=now + Trial.lease_seconds)
                .returning(Trial.number)
            ).all()
            return [number for number in wanted if number not in set(held)]

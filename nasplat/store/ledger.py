"""The ledger: device time reserved when a lease is taken, settled when the attempt ends.

One entry for each attempt of a trial, failures and lapsed leases included, so that the time used by
a study's trials in the ledger always equals the sum of their device seconds, to the microsecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, case, func, insert, select, update
from sqlalchemy.engine import Connection

from nasplat.errors import StoreError, UsageError
from nasplat.store.records import LedgerEntry, LedgerTotal
from nasplat.store.schema import MICRO, LedgerRow, Trial
from nasplat.store.statements import run
from nasplat.store.studies import Studies


def to_micros(seconds: float) -> int:
    """Device seconds as whole microseconds.

    Raises:
        UsageError: Negative or not finite.
    """
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"device time must be 0 or more seconds, got {seconds!r}")
    return round(seconds * MICRO)


_USED = case(
    (LedgerRow.settled.is_(None) & LedgerRow.number.is_not(None), Trial.attempt_micros),
    else_=LedgerRow.used_micros,
)
_HELD = case(
    (
        LedgerRow.settled.is_(None) & (LedgerRow.reserved_micros > _USED),
        LedgerRow.reserved_micros - _USED,
    ),
    else_=0,
)
_OF_TRIAL = (Trial.study_id == LedgerRow.study_id) & (Trial.number == LedgerRow.number)
_OPEN = insert(LedgerRow)
_SETTLE = (
    update(LedgerRow)
    .where(
        LedgerRow.study_id == bindparam("of_study"),
        LedgerRow.number == bindparam("of_number"),
        LedgerRow.attempt == bindparam("of_attempt"),
    )
    .values(used_micros=bindparam("used"), settled=bindparam("at"))
)


class Ledger(Studies):
    """What a store knows of device time."""

    def _open_entries(
        self,
        connection: Connection,
        study: int,
        attempts: Mapping[int, int],
        unit: str,
        micros: int,
        now: float,
        used: Sequence[int] | None = None,
    ) -> None:
        """Open one entry for each number and attempt; with ``used`` they are settled at once."""
        spent = [0] * len(attempts) if used is None else used
        run(
            connection,
            _OPEN,
            [
                {
                    "study_id": study,
                    "number": number,
                    "attempt": attempt,
                    "unit": unit,
                    "reserved_micros": micros,
                    "used_micros": use,
                    "opened": now,
                    "settled": None if used is None else now,
                    "note": "",
                }
                for (number, attempt), use in zip(attempts.items(), spent, strict=True)
            ],
        )

    def _settle(
        self, connection: Connection, study: int, number: int, attempt: int, micros: int, now: float
    ) -> None:
        """Close the entry of an attempt that was leased; a trial without a lease has none."""
        if attempt:
            run(
                connection,
                _SETTLE,
                {
                    "of_study": study,
                    "of_number": number,
                    "of_attempt": attempt,
                    "used": micros,
                    "at": now,
                },
            )

    def _totals(self, connection: Connection, study: int) -> dict[str, LedgerTotal]:
        rows = connection.execute(
            select(LedgerRow.unit, func.sum(_HELD), func.sum(_USED))
            .select_from(LedgerRow)
            .outerjoin(Trial, _OF_TRIAL)
            .where(LedgerRow.study_id == study)
            .group_by(LedgerRow.unit)
        )
        return {
            unit: LedgerTotal(int(held) / MICRO, int(used) / MICRO) for unit, held, used in rows
        }

    def ledger_totals(self, study: str) -> dict[str, LedgerTotal]:
        """Device seconds of a study by unit: still held by open entries, and used so far."""
        with self._read() as connection:
            return self._totals(connection, self._study_id(connection, study))

    def ledger(self, study: str) -> list[LedgerEntry]:
        """All entries of a study in the order in which they were opened."""
        with self._read() as connection:
            rows = connection.execute(
                select(*LedgerRow.__table__.c, _USED.label("spent"))
                .select_from(LedgerRow)
                .outerjoin(Trial, _OF_TRIAL)
                .where(LedgerRow.study_id == self._study_id(connection, study))
                .order_by(LedgerRow.id)
            )
            return [
                LedgerEntry(
                    study=study,
                    number=row.number,
                    attempt=row.attempt,
                    unit=row.unit,
                    reserved=row.reserved_micros / MICRO,
                    used=int(row.spent) / MICRO,
                    opened=row.opened,
                    settled=row.settled,
                    note=row.note,
                )
                for row in rows
            ]

    def reserve(self, study: str, number: int, seconds: float) -> None:
        """Change what is reserved for the running attempt of a trial, as when it is promoted.

        Args:
            study: Name of the study.
            number: A running trial.
            seconds: Device seconds of the whole attempt, replacing what was reserved.

        Raises:
            StoreError: The trial holds no open entry.
        """
        micros = to_micros(seconds)
        with self._write() as connection:
            changed = connection.execute(
                update(LedgerRow)
                .where(
                    LedgerRow.study_id == self._study_id(connection, study),
                    LedgerRow.number == number,
                    LedgerRow.settled.is_(None),
                )
                .values(reserved_micros=micros)
            ).rowcount
            if not changed:
                raise StoreError(f"trial {number} of {study!r} is not running: nothing is reserved")

    def charge(self, study: str, unit: str, seconds: float, note: str) -> None:
        """Charge a study for device time of no trial, such as training a supernet.

        Args:
            study: Name of the study.
            unit: Kind of device, as in the leases.
            seconds: Device seconds, >= 0.
            note: What it was spent on.
        """
        micros = to_micros(seconds)
        with self._write() as connection:
            now = self._now(connection)
            run(
                connection,
                _OPEN,
                {
                    "study_id": self._study_id(connection, study),
                    "number": None,
                    "attempt": 0,
                    "unit": unit,
                    "reserved_micros": 0,
                    "used_micros": micros,
                    "opened": now,
                    "settled": now,
                    "note": note,
                },
            )

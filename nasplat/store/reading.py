"""Reading trials back as records; changes nothing."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, func, select

from nasplat.errors import NotFoundError
from nasplat.store.archive import Archive
from nasplat.store.records import ReportRecord, TrialRecord, TrialState
from nasplat.store.rows import report_query, report_record, trial_query, trial_record
from nasplat.store.schema import Report, Study, Trial

_SAME = (
    report_query()
    .join(Trial, (Trial.study_id == Report.study_id) & (Trial.number == Report.number))
    .where(
        Trial.digest == bindparam("digest"),
        Trial.recipe_key == bindparam("recipe"),
        Trial.seed == bindparam("with_seed"),
        Trial.shared_study_id.is_(None),
        Report.fidelity == bindparam("at_fidelity"),
        Study.task_fingerprint == bindparam("task"),
    )
    .order_by(Report.at)
    .limit(1)
)


class Reading(Archive):
    """What a store tells of trials."""

    def trials(
        self,
        study: str | None = None,
        *,
        states: Collection[TrialState] | None = None,
        numbers: Collection[int] | None = None,
        digest: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        graphs: bool = False,
    ) -> list[TrialRecord]:
        """Trials that match everything given, by study and number.

        Args:
            study: Name of the study; None: all studies.
            states: Only these states.
            numbers: Only these numbers.
            digest: Only this architecture.
            after: Only numbers above this one.
            limit: At most so many.
            graphs: Load the graphs too.

        Raises:
            NotFoundError: No such study.
        """
        query = trial_query(graphs=graphs).order_by(Trial.study_id, Trial.number).limit(limit)
        if states is not None:
            query = query.where(Trial.state.in_(states))
        if numbers is not None:
            query = query.where(Trial.number.in_(numbers))
        if digest is not None:
            query = query.where(Trial.digest == digest)
        if after is not None:
            query = query.where(Trial.number > after)
        with self._read() as connection:
            if study is not None:
                query = query.where(Trial.study_id == self._study_id(connection, study))
            return [trial_record(row) for row in connection.execute(query)]

    def trial(self, study: str, number: int) -> TrialRecord:
        """One trial with its graph.

        Raises:
            NotFoundError: No such study or trial.
        """
        found = self.trials(study, numbers=[number], graphs=True)
        if not found:
            raise NotFoundError(
                f"study {study!r} has no trial {number}",
                hint=f"List them with: nasplat trials {study}",
            )
        return found[0]

    def front(self, study: str) -> list[TrialRecord]:
        """The trials on the Pareto front of a study, by number."""
        query = trial_query().where(Trial.on_front.is_(True)).order_by(Trial.number)
        with self._read() as connection:
            query = query.where(Trial.study_id == self._study_id(connection, study))
            return [trial_record(row) for row in connection.execute(query)]

    def counts(self, study: str) -> dict[TrialState, int]:
        """How many trials are in each state, zeros included."""
        with self._read() as connection:
            rows = connection.execute(
                select(Trial.state, func.count())
                .where(Trial.study_id == self._study_id(connection, study))
                .group_by(Trial.state)
            )
            found = {state: count for state, count in rows}
        return {state: found.get(state, 0) for state in TrialState}

    def reports(self, study: str, number: int | None = None) -> list[ReportRecord]:
        """The learning curves of a study, or of one trial, by number and fidelity."""
        query = report_query().order_by(Report.number, Report.fidelity)
        if number is not None:
            query = query.where(Report.number == number)
        with self._read() as connection:
            query = query.where(Report.study_id == self._study_id(connection, study))
            return [report_record(row) for row in connection.execute(query)]

    def find_result(
        self, digest: str, task_fingerprint: str, recipe_key: str, fidelity: int, seed: int
    ) -> ReportRecord | None:
        """What was trained once, in any study of this store, is not trained again.

        Returns:
            The oldest report of that architecture, data, recipe, fidelity and seed that was trained
            and not taken over itself; None when there is none.
        """
        with self._read() as connection:
            row = connection.execute(
                _SAME,
                {
                    "digest": digest,
                    "task": task_fingerprint,
                    "recipe": recipe_key,
                    "at_fidelity": fidelity,
                    "with_seed": seed,
                },
            ).one_or_none()
            return None if row is None else report_record(row)

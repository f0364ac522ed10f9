"""Studies and spaces: creating, finding and changing them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.engine import Connection

from nasplat.errors import NotFoundError, UsageError, unknown
from nasplat.store.engine import encode
from nasplat.store.records import JSON, NewStudy, SpaceRecord, StudyRecord, StudyState
from nasplat.store.schema import NAME, Space, Study
from nasplat.store.session import Database
from nasplat.store.statements import insert_new


def check_name(kind: str, name: str) -> None:
    """Refuse a name that the tables cannot hold.

    Raises:
        UsageError: Empty, too long, or with characters that do not print.
    """
    if not name.strip() or len(name) > NAME or not name.isprintable():
        raise UsageError(
            f"the {kind} name {name[:60]!r} has {len(name)} characters; "
            f"expected 1 to {NAME} that print"
        )


class Studies(Database):
    """What a store knows of studies."""

    def _study_id(self, connection: Connection, name: str) -> int:
        known = self._study_ids.get(name)
        if known is not None:
            return known
        found = connection.scalar(select(Study.id).where(Study.name == name))
        if found is None:
            names = connection.scalars(select(Study.name)).all()
            raise unknown(
                "study",
                name,
                names,
                NotFoundError,
                hint=f"List them with: nasplat studies   (database: {self.url})",
            )
        self._study_ids[name] = found
        return found

    def _space_id(self, connection: Connection, space: SpaceRecord) -> int:
        check_name("space", space.name)
        values = {
            "name": space.name,
            "version": space.version,
            "size": None if space.size is None else str(space.size),
            "definition": space.definition,
        }
        connection.execute(insert_new(Space, self.dialect), values)
        return connection.scalars(
            select(Space.id).where(Space.name == space.name, Space.version == space.version)
        ).one()

    def create_study(self, new: NewStudy, *, exist_ok: bool = False) -> StudyRecord:
        """Create a study; its state is ``waiting``.

        Args:
            new: What is fixed from now on.
            exist_ok: Return the study of this name when space, task and objectives are equal.

        Raises:
            UsageError: The name is taken; says what differs and how to go on.
        """
        check_name("study", new.name)
        if not new.objectives:
            raise UsageError(
                f"study {new.name!r} has no objective",
                hint="Give at least one: --objective accuracy:max",
            )
        with self._write() as connection:
            if self._exists(connection, new, exist_ok):
                return _record(connection.execute(_query().where(Study.name == new.name)).one())
            now = self._now(connection)
            connection.execute(
                insert(Study).values(
                    name=new.name,
                    space_id=self._space_id(connection, new.space),
                    task=new.task,
                    task_fingerprint=new.task_fingerprint,
                    task_spec=new.task_spec,
                    objectives=[dict(objective) for objective in new.objectives],
                    constraints=new.constraints,
                    budget=new.budget,
                    settings=new.settings,
                    seed=new.seed,
                    environment=dict(new.environment),
                    state=StudyState.WAITING,
                    created=now,
                    updated=now,
                    next_number=0,
                )
            )
            return _record(connection.execute(_query().where(Study.name == new.name)).one())

    def _exists(self, connection: Connection, new: NewStudy, exist_ok: bool) -> bool:
        row = connection.execute(_query().where(Study.name == new.name)).one_or_none()
        if row is None:
            return False
        old = _record(row)
        pairs = (
            (
                "space",
                f"{old.space.name} {old.space.version}",
                f"{new.space.name} {new.space.version}",
            ),
            ("task", old.task, new.task),
            ("data of the task", old.task_fingerprint, new.task_fingerprint),
            ("objectives", encode(old.objectives), encode([dict(o) for o in new.objectives])),
        )
        differs = [f"{what} {was} there, {now} here" for what, was, now in pairs if was != now]
        if differs or not exist_ok:
            why = "; it differs: " + "; ".join(differs) if differs else ""
            raise UsageError(
                f"study {new.name!r} exists already in {self.url}{why}",
                hint=f"Continue it: nasplat resume {new.name}; or take another name: --study NAME",
            )
        return True

    def study(self, name: str) -> StudyRecord:
        """The study of this name.

        Raises:
            NotFoundError: No such study; lists the known ones, nearest first.
        """
        with self._read() as connection:
            key = self._study_id(connection, name)
            return _record(connection.execute(_query().where(Study.id == key)).one())

    def studies(self) -> list[StudyRecord]:
        """All studies, the newest last."""
        with self._read() as connection:
            return [_record(row) for row in connection.execute(_query().order_by(Study.id))]

    def study_state(self, name: str) -> StudyState:
        """The state alone; cheap enough to ask every second."""
        with self._read() as connection:
            key = self._study_id(connection, name)
            return StudyState(connection.scalars(select(Study.state).where(Study.id == key)).one())

    def update_study(
        self,
        name: str,
        *,
        state: StudyState | None = None,
        budget: JSON = None,
        constraints: JSON = None,
        settings: JSON = None,
        space: SpaceRecord | None = None,
    ) -> StudyRecord:
        """Change what is given (not None) of a study.

        A new version of the space holds for trials added from now on.

        Raises:
            NotFoundError: No such study.
        """
        given = {
            "state": state,
            "budget": budget,
            "constraints": constraints,
            "settings": settings,
        }
        values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        with self._write() as connection:
            key = self._study_id(connection, name)
            if space is not None:
                values["space_id"] = self._space_id(connection, space)
            values["updated"] = self._now(connection)
            connection.execute(update(Study).where(Study.id == key).values(**values))
            return _record(connection.execute(_query().where(Study.id == key)).one())


def _query() -> Select[Any]:
    return select(
        *Study.__table__.c,
        Space.name.label("space_name"),
        Space.version.label("space_version"),
        Space.size.label("space_size"),
        Space.definition.label("space_definition"),
    ).join_from(Study, Space, Study.space_id == Space.id)


def _record(row: Row[Any]) -> StudyRecord:
    objectives: Sequence[dict[str, str]] = json.loads(encode(row.objectives))
    return StudyRecord(
        name=row.name,
        space=SpaceRecord(
            row.space_name,
            row.space_version,
            None if row.space_size is None else int(row.space_size),
            row.space_definition,
        ),
        task=row.task,
        task_fingerprint=row.task_fingerprint,
        objectives=objectives,
        task_spec=row.task_spec,
        constraints=row.constraints,
        budget=row.budget,
        settings=row.settings,
        seed=row.seed,
        environment=row.environment,
        state=StudyState(row.state),
        created=row.created,
        updated=row.updated,
    )

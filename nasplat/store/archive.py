"""What outlives a trial: architectures, devices, measurements, predictors, artifacts, events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from nasplat.errors import NotFoundError, UsageError, unknown
from nasplat.store.engine import clean
from nasplat.store.records import (
    ArchitectureRecord,
    ArtifactRecord,
    DeviceRecord,
    EventRecord,
    MeasurementRecord,
    Method,
    PredictorRecord,
)
from nasplat.store.results import Results
from nasplat.store.rows import architecture_values
from nasplat.store.schema import (
    Architecture,
    Artifact,
    Device,
    Event,
    Measurement,
    Predictor,
    Study,
)
from nasplat.store.statements import insert_new, insert_or_replace

_ONE_VALUE = ("digest", "device", "metric", "method")
_VALUE = ("value", "spread", "protocol", "at")


class Archive(Results):
    """What a store knows beside studies and trials."""

    def add_architectures(self, records: Iterable[ArchitectureRecord]) -> None:
        """Store graphs that no trial brought; those that are known stay as they are."""
        with self._write() as connection:
            now = self._now(connection)
            rows = [
                architecture_values(record.digest, record.graph, record.costs, now)
                for record in sorted(records, key=lambda record: record.digest)
            ]
            if rows:
                connection.execute(insert_new(Architecture, self.dialect), rows)

    def architecture(self, digest: str) -> ArchitectureRecord:
        """The graph of a digest, or of the only digest that begins so.

        Raises:
            NotFoundError: None begins so.
            UsageError: Several do; lists them.
        """
        with self._read() as connection:
            query = select(*Architecture.__table__.c)
            row = connection.execute(query.where(Architecture.digest == digest)).one_or_none()
            if row is None:
                row = self._only(connection, digest)
            return ArchitectureRecord(row.digest, row.graph, row.costs, row.created)

    def _only(self, connection: Connection, prefix: str) -> Any:
        rows = connection.execute(
            select(*Architecture.__table__.c)
            .where(Architecture.digest.startswith(prefix, autoescape=True))
            .order_by(Architecture.digest)
            .limit(10)
        ).all()
        if not rows:
            raise NotFoundError(
                f"no architecture in {self.url} has a digest that begins with {prefix!r}",
                hint='List them with: nasplat query "select digest from architectures"',
            )
        if len(rows) > 1:
            listing = ", ".join(row.digest for row in rows)
            raise UsageError(
                f"{prefix!r} begins several digests: {listing}", hint="Give more of it"
            )
        return rows[0]

    def put_device(self, record: DeviceRecord) -> None:
        """Store a device; what is known of the same fingerprint is replaced."""
        with self._write() as connection:
            connection.execute(
                insert_or_replace(Device, self.dialect, ("fingerprint",), ("name", "data")),
                {
                    "fingerprint": record.fingerprint,
                    "name": record.name,
                    "data": dict(record.data),
                    "created": self._now(connection),
                },
            )

    def devices(self) -> list[DeviceRecord]:
        """All devices by fingerprint."""
        with self._read() as connection:
            rows = connection.execute(select(*Device.__table__.c).order_by(Device.fingerprint))
            return [DeviceRecord(row.fingerprint, row.name, row.data) for row in rows]

    def device(self, fingerprint: str) -> DeviceRecord:
        """The device of a fingerprint.

        Raises:
            NotFoundError: Lists the known ones, nearest first.
        """
        known = {record.fingerprint: record for record in self.devices()}
        if fingerprint not in known:
            raise unknown("device", fingerprint, known, NotFoundError)
        return known[fingerprint]

    def put_measurements(self, records: Sequence[MeasurementRecord]) -> None:
        """Store values; each replaces an older one of equal digest, device, metric and method.

        Architectures and devices must be stored before.
        """
        if not records:
            return
        with self._write() as connection:
            now = self._now(connection)
            connection.execute(
                insert_or_replace(Measurement, self.dialect, _ONE_VALUE, _VALUE),
                [
                    {
                        "digest": record.digest,
                        "device": record.device,
                        "metric": record.metric,
                        "method": record.method,
                        "value": record.value,
                        "spread": record.spread,
                        "protocol": dict(record.protocol),
                        "at": record.at or now,
                    }
                    for record in records
                ],
            )

    def measurements(
        self,
        *,
        digest: str | None = None,
        device: str | None = None,
        metric: str | None = None,
        method: Method | None = None,
    ) -> list[MeasurementRecord]:
        """Stored values that match everything given, oldest first."""
        query = select(*Measurement.__table__.c).order_by(Measurement.at, Measurement.digest)
        for column, value in (
            (Measurement.digest, digest),
            (Measurement.device, device),
            (Measurement.metric, metric),
            (Measurement.method, method),
        ):
            if value is not None:
                query = query.where(column == value)
        with self._read() as connection:
            return [
                MeasurementRecord(
                    digest=row.digest,
                    device=row.device,
                    metric=row.metric,
                    value=row.value,
                    method=Method(row.method),
                    spread=row.spread,
                    protocol=row.protocol,
                    at=row.at,
                )
                for row in connection.execute(query)
            ]

    def find_measurement(
        self, digest: str, device: str, metric: str, method: Method = Method.MEASURED
    ) -> MeasurementRecord | None:
        """The value of one method; another method never answers for it."""
        found = self.measurements(digest=digest, device=device, metric=metric, method=method)
        return found[0] if found else None

    def add_predictor(self, record: PredictorRecord) -> None:
        """Store the state of a predictor after a fit."""
        with self._write() as connection:
            connection.execute(
                insert(Predictor).values(
                    study_id=self._study_id(connection, record.study),
                    name=record.name,
                    target=record.target,
                    fitted_on=record.fitted_on,
                    kendall_tau=record.kendall_tau,
                    data=dict(record.data),
                    at=record.at or self._now(connection),
                )
            )

    def predictors(self, study: str) -> list[PredictorRecord]:
        """The history of a study's predictors, the newest last."""
        with self._read() as connection:
            key = self._study_id(connection, study)
            rows = connection.execute(
                select(*Predictor.__table__.c)
                .where(Predictor.study_id == key)
                .order_by(Predictor.id)
            )
            return [
                PredictorRecord(
                    study, row.name, row.target, row.fitted_on, row.kendall_tau, row.data, row.at
                )
                for row in rows
            ]

    def add_artifact(self, record: ArtifactRecord) -> None:
        """Store where something made from an architecture lies."""
        with self._write() as connection:
            study = None if record.study is None else self._study_id(connection, record.study)
            connection.execute(
                insert(Artifact).values(
                    digest=record.digest,
                    study_id=study,
                    number=record.number,
                    kind=record.kind,
                    path=record.path,
                    sha256=record.sha256,
                    size_bytes=record.size_bytes,
                    data=dict(record.data),
                    at=record.at or self._now(connection),
                )
            )

    def artifacts(
        self, *, digest: str | None = None, study: str | None = None, kind: str | None = None
    ) -> list[ArtifactRecord]:
        """Artifacts that match everything given, the newest last."""
        query = (
            select(*Artifact.__table__.c, Study.name.label("study"))
            .select_from(Artifact)
            .outerjoin(Study, Study.id == Artifact.study_id)
            .order_by(Artifact.id)
        )
        for column, value in (
            (Artifact.digest, digest),
            (Study.name, study),
            (Artifact.kind, kind),
        ):
            if value is not None:
                query = query.where(column == value)
        with self._read() as connection:
            return [
                ArtifactRecord(
                    digest=row.digest,
                    kind=row.kind,
                    path=row.path,
                    study=row.study,
                    number=row.number,
                    sha256=row.sha256,
                    size_bytes=row.size_bytes,
                    data=row.data,
                    at=row.at,
                )
                for row in connection.execute(query)
            ]

    def add_event(self, record: EventRecord) -> None:
        """Append to the log; nothing in it is ever changed."""
        with self._write() as connection:
            study = None if record.study is None else self._study_id(connection, record.study)
            connection.execute(
                insert(Event).values(
                    study_id=study,
                    number=record.number,
                    kind=record.kind,
                    message=clean(record.message),
                    data=dict(record.data),
                    at=record.at or self._now(connection),
                )
            )

    def events(
        self, *, study: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> list[EventRecord]:
        """The log, or its last ``limit`` lines, the newest last."""
        query = (
            select(*Event.__table__.c, Study.name.label("study"))
            .select_from(Event)
            .outerjoin(Study, Study.id == Event.study_id)
            .order_by(Event.id.desc())
            .limit(limit)
        )
        if study is not None:
            query = query.where(Study.name == study)
        if kind is not None:
            query = query.where(Event.kind == kind)
        with self._read() as connection:
            rows = connection.execute(query).all()
        return [
            EventRecord(row.kind, row.message, row.study, row.number, row.data, row.at)
            for row in reversed(rows)
        ]

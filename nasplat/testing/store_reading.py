"""Part of the conformance suite of stores: measurements, artifacts, predictors, and reading in SQL."""

from __future__ import annotations

import pytest

from nasplat.errors import Failure, NotFoundError, StoreError, UsageError
from nasplat.store.records import (
    ArchitectureRecord,
    ArtifactRecord,
    DeviceRecord,
    EventRecord,
    MeasurementRecord,
    Method,
    NewReport,
    PredictorRecord,
    TrialState,
)
from nasplat.store.store import Store
from nasplat.testing.store_given import WORKER, GivenStore, make_study, make_trials


class ReadingRules(GivenStore):
    """Rules of facts beside trials, and reading."""

    def test_measurements_of_different_methods_are_never_mixed(self, running: Store) -> None:
        running.put_device(DeviceRecord("d1:cpu", "old name"))
        running.put_device(DeviceRecord("d1:cpu", "a processor", {"threads": 1}))
        digest = f"g1:{0:032x}"
        slow = MeasurementRecord(digest, "d1:cpu", "latency_ms", 2.0, protocol={"repeats": 9})
        guess = MeasurementRecord(digest, "d1:cpu", "latency_ms", 3.0, Method.PREDICTED, spread=0.5)
        running.put_measurements([slow, guess])
        running.put_measurements([MeasurementRecord(digest, "d1:cpu", "latency_ms", 1.0)])
        measured = running.find_measurement(digest, "d1:cpu", "latency_ms")
        predicted = running.find_measurement(digest, "d1:cpu", "latency_ms", Method.PREDICTED)
        assert measured is not None and measured.value == 1.0 and measured.protocol == {}
        assert predicted is not None and (predicted.value, predicted.spread) == (3.0, 0.5)
        assert running.find_measurement(digest, "d1:cpu", "latency_ms", Method.ANALYTIC) is None
        assert running.find_measurement(digest, "d1:gpu", "latency_ms") is None
        assert running.device("d1:cpu") == DeviceRecord("d1:cpu", "a processor", {"threads": 1})
        frame = running.query("select device_name, method, value from measurements order by method")
        assert frame.values.tolist() == [
            ["a processor", "measured", 1.0],
            ["a processor", "predicted", 3.0],
        ]

    def test_a_measurement_of_something_unknown_is_refused(self, running: Store) -> None:
        record = MeasurementRecord("g1:unknown", "d1:unknown", "latency_ms", 1.0)
        with pytest.raises(StoreError, match="not stored"):
            running.put_measurements([record])
        with pytest.raises(NotFoundError, match="unknown device 'd1:unknown'"):
            running.device("d1:unknown")

    def test_an_architecture_is_found_by_the_beginning_of_its_digest(self, running: Store) -> None:
        running.add_architectures([ArchitectureRecord("g1:abc_1", {"n": 1}, {"params": 3})])
        running.add_architectures([ArchitectureRecord("g1:abc_1", {"n": 2})])
        found = running.architecture("g1:abc")
        assert (found.digest, found.graph, found.costs) == ("g1:abc_1", {"n": 1}, {"params": 3})
        with pytest.raises(UsageError, match=f"several digests: g1:{0:032x}, g1:{1:032x}"):
            running.architecture("g1:0")
        with pytest.raises(NotFoundError, match="begins with 'g1:f'"):
            running.architecture("g1:f")
        with pytest.raises(NotFoundError):
            running.architecture("g1_abc%")

    def test_predictors_artifacts_and_events_come_back_in_order(self, running: Store) -> None:
        for count, tau in ((10, None), (15, 0.7)):
            running.add_predictor(PredictorRecord("demo", "gp", "accuracy", count, tau))
        assert [(p.fitted_on, p.kendall_tau) for p in running.predictors("demo")] == [
            (10, None),
            (15, 0.7),
        ]
        digest = f"g1:{0:032x}"
        running.add_artifact(ArtifactRecord(digest, "export", "exports/a", "demo", 0))
        running.add_artifact(ArtifactRecord(digest, "weights", "w.safetensors", size_bytes=2**40))
        assert [a.path for a in running.artifacts(digest=digest)] == ["exports/a", "w.safetensors"]
        assert [a.number for a in running.artifacts(study="demo", kind="export")] == [0]
        for number in range(3):
            running.add_event(EventRecord("note", f"line {number}", "demo", number, {"n": number}))
        running.add_event(EventRecord("opened"))
        assert [e.message for e in running.events(study="demo", limit=2)] == ["line 1", "line 2"]
        assert [e.study for e in running.events(kind="opened")] == [None]

    # reading

    def test_metrics_become_columns_of_the_views_when_they_first_appear(
        self, running: Store
    ) -> None:
        running.lease("demo", WORKER, 2)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5, "latency_ms": 2.0}))
        running.finish("demo", 0, front=[0])
        frame = running.query("select digest, accuracy, latency_ms from front where study='demo'")
        assert frame.values.tolist() == [[f"g1:{0:032x}", 0.5, 2.0]]
        running.report("demo", 1, NewReport(1, {"top-5": 0.75, "Accuracy": 0.6, "digest": 1.0}))
        frame = running.query(
            "select accuracy_2, top_5, metric_digest, accuracy from trials where number = 1"
        )
        assert frame.iloc[0, :3].tolist() == [0.6, 0.75, 1.0] and frame["accuracy"].isna().all()
        frame = running.query(
            "select space, count(*) as count, max(accuracy) as best from trials group by space"
        )
        assert frame.values.tolist() == [["hybrid-vit", 4, 0.5]]

    def test_a_metric_name_that_no_view_can_carry_is_refused(self, running: Store) -> None:
        running.lease("demo", WORKER, 1)
        with pytest.raises(UsageError, match="metric name"):
            running.report("demo", 0, NewReport(1, {'"; drop table trial; --': 1.0}, 1.0))
        assert running.trial("demo", 0).device_seconds == 0.0

    def test_every_column_of_every_view_is_described(self, running: Store) -> None:
        running.lease("demo", WORKER, 1)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}))
        described = running.describe_views()
        for view in {column.view for column in described}:
            columns = [column.column for column in described if column.view == view]
            assert running.query(f"select * from {view}").columns.tolist() == columns
        assert all(column.meaning for column in described)

    def test_every_named_query_runs(self, running: Store) -> None:
        running.lease("demo", WORKER, 3)
        running.report("demo", 0, NewReport(1, {"accuracy": 0.5}, 2.0))
        running.report("demo", 1, NewReport(1, {"accuracy": 0.7}, 2.0))
        running.finish("demo", 0)
        running.finish("demo", 1)
        running.finish("demo", 2, TrialState.FAILED, failure=Failure.OOM, message="too big")
        assert set(running.named_queries()) >= {"leaderboard", "failures", "budget", "lineage"}
        for name, query in running.named_queries().items():
            given = {"study": "demo", "number": "2"} if name == "lineage" else {}
            assert len(running.query(name, given).columns) > 1, name
            assert query.meaning
        board = running.query("leaderboard", {"task": "digits"})
        assert board["number"].tolist() == [1, 0] and board["place"].tolist() == [1, 2]
        assert running.query("leaderboard", {"direction": "min"})["number"].tolist() == [0, 1]
        assert running.query("leaderboard", {"task": "other"}).empty
        assert running.query("lineage", {"study": "demo", "number": 2})["number"].tolist() == [
            2,
            1,
            0,
        ]
        assert running.query("failures")["last_message"].tolist() == ["too big"]
        assert running.query("budget")["used_seconds"].tolist() == [4.0]

    def test_a_named_query_says_what_it_needs(self, store: Store) -> None:
        with pytest.raises(UsageError, match="unknown query 'leaderbord'; known: leaderboard"):
            store.query("leaderbord")
        with pytest.raises(UsageError, match="lineage needs --study: the study"):
            store.query("lineage", {"number": 1})
        with pytest.raises(UsageError, match="--number of the query lineage must be integer"):
            store.query("lineage", {"study": "demo", "number": "one"})
        with pytest.raises(UsageError, match="unknown parameter of budget 'studi'; known: study"):
            store.query("budget", {"studi": "demo"})

    @pytest.mark.parametrize(
        "sql",
        [
            "delete from trial",
            "update trial set number = 3",
            "drop view trials",
            "insert into metric (name) values ('x')",
            "create table mine (a integer)",
            "with x as (select 1 as a) delete from trial",
        ],
    )
    def test_a_query_that_writes_is_refused_and_says_so(self, running: Store, sql: str) -> None:
        with pytest.raises(UsageError, match="only reads"):
            running.query(sql)
        assert len(running.trials("demo")) == 4
        running.add_trials("demo", make_trials(1))  # the handle can still write

    @pytest.mark.parametrize("sql", ["select 1; drop table trial", "commit; drop table trial"])
    def test_a_second_statement_never_runs(self, running: Store, sql: str) -> None:
        with pytest.raises(UsageError):
            running.query(sql)
        assert len(running.trials("demo")) == 4

    def test_an_error_of_sql_shows_the_nearest_names(self, running: Store) -> None:
        with pytest.raises(UsageError, match="nearest: space, ") as caught:
            running.query("select spce from trials")
        assert "views: trials, front" in str(caught.value)
        with pytest.raises(UsageError, match="nearest: trials, "):
            running.query("select * from trails")
        with pytest.raises(UsageError, match="cannot be run"):
            running.query("select from where")

    def test_parameters_and_limits_of_sql(self, running: Store) -> None:
        sql = "select number, '50 % :x' as text from trials where number >= :low order by number"
        frame = running.query(sql.replace(":x", ""), {"low": 1}, limit=2)
        assert frame["number"].tolist() == [1, 2] and frame.attrs["truncated"]
        assert frame["text"].tolist() == ["50 % "] * 2
        assert not running.query("select number from trials", limit=4).attrs["truncated"]
        with pytest.raises(UsageError, match=r"has the parameters \['low'\], given were \[\]"):
            running.query("select :low as low")

    def test_the_frame_of_a_study_has_its_own_metrics_alone(self, running: Store) -> None:
        running.create_study(make_study("other"))
        for study in ("demo", "other"):
            running.add_trials(study, make_trials(1), lease=WORKER)
        running.report("demo", 4, NewReport(1, {"accuracy": 0.5}, 1.5))
        running.report("other", 0, NewReport(1, {"perplexity": 9.0}))
        frame = running.trials_dataframe("demo")
        assert frame.index.tolist() == [0, 1, 2, 3, 4]
        assert "accuracy" in frame and "perplexity" not in frame
        assert frame.loc[4, "device_seconds"] == 1.5
        with pytest.raises(NotFoundError, match="unknown study"):
            running.trials_dataframe("nobody")

    def test_a_new_store_is_healthy_and_at_the_newest_version(self, store: Store) -> None:
        assert store.check() == []
        version = store.version()
        assert store.upgrade() == (version, version)

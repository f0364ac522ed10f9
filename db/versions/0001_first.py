"""All tables of the first release.

Revision 0001; nothing before it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "architecture",
        sa.Column("digest", sa.String(length=96), nullable=False),
        sa.Column("graph", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("costs", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("params", sa.BigInteger(), nullable=True),
        sa.Column("macs", sa.BigInteger(), nullable=True),
        sa.Column("flops", sa.BigInteger(), nullable=True),
        sa.Column("activation_bytes", sa.BigInteger(), nullable=True),
        sa.Column("weight_bytes", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_architecture")),
    )
    op.create_table(
        "device",
        sa.Column("fingerprint", sa.String(length=96), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_device")),
    )
    op.create_table(
        "metric",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("column", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric")),
        sa.UniqueConstraint("column", name=op.f("uq_metric_column")),
        sa.UniqueConstraint("name", name=op.f("uq_metric_name")),
    )
    op.create_table(
        "space",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=96), nullable=False),
        sa.Column("size", sa.Text(), nullable=True),
        sa.Column("definition", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_space")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_space_name_version")),
    )
    op.create_table(
        "measurement",
        sa.Column("digest", sa.String(length=96), nullable=False),
        sa.Column("device", sa.String(length=96), nullable=False),
        sa.Column("metric", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=24), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("spread", sa.Double(), nullable=True),
        sa.Column("protocol", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device"], ["device.fingerprint"], name=op.f("fk_measurement_device")
        ),
        sa.ForeignKeyConstraint(
            ["digest"], ["architecture.digest"], name=op.f("fk_measurement_digest")
        ),
        sa.PrimaryKeyConstraint(
            "digest", "device", "metric", "method", name=op.f("pk_measurement")
        ),
    )
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("task_fingerprint", sa.String(length=96), nullable=False),
        sa.Column("task_spec", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("objectives", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("constraints", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("budget", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("next_number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["space_id"], ["space.id"], name=op.f("fk_study_space_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("name", name=op.f("uq_study_name")),
    )
    op.create_table(
        "artifact",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=96), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=96), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["architecture.digest"], name=op.f("fk_artifact_digest")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_artifact_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact")),
    )
    op.create_index(op.f("ix_artifact_digest_kind"), "artifact", ["digest", "kind"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_event_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_study_id_kind"), "event", ["study_id", "kind"], unique=False)
    op.create_table(
        "predictor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("fitted_on", sa.Integer(), nullable=False),
        sa.Column("kendall_tau", sa.Double(), nullable=True),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_predictor_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictor")),
    )
    op.create_index(
        op.f("ix_predictor_study_id_name"), "predictor", ["study_id", "name"], unique=False
    )
    op.create_table(
        "trial",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=96), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("failure", sa.String(length=24), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("genotype", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("recipe", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("recipe_key", sa.String(length=96), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("fidelity", sa.Integer(), nullable=True),
        sa.Column("device_micros", sa.BigInteger(), nullable=False),
        sa.Column("attempt_micros", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.String(length=96), nullable=True),
        sa.Column("checkpoint", sa.Text(), nullable=True),
        sa.Column("shared_study_id", sa.Integer(), nullable=True),
        sa.Column("shared_number", sa.Integer(), nullable=True),
        sa.Column("on_front", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("started", sa.Double(), nullable=True),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=255), nullable=True),
        sa.Column("leased", sa.Double(), nullable=True),
        sa.Column("beat", sa.Double(), nullable=True),
        sa.Column("lease_seconds", sa.Double(), nullable=True),
        sa.Column("lease_share", sa.Double(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["device"], ["device.fingerprint"], name=op.f("fk_trial_device")),
        sa.ForeignKeyConstraint(["digest"], ["architecture.digest"], name=op.f("fk_trial_digest")),
        sa.ForeignKeyConstraint(["space_id"], ["space.id"], name=op.f("fk_trial_space_id")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_trial_study_id")),
        sa.PrimaryKeyConstraint("study_id", "number", name=op.f("pk_trial")),
    )
    op.create_index(
        op.f("ix_trial_digest_recipe_key_seed"),
        "trial",
        ["digest", "recipe_key", "seed"],
        unique=False,
    )
    op.create_index(
        op.f("ix_trial_study_id_on_front"), "trial", ["study_id", "on_front"], unique=False
    )
    op.create_index(
        op.f("ix_trial_study_id_state_number"),
        "trial",
        ["study_id", "state", "number"],
        unique=False,
    )
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=24), nullable=False),
        sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
        sa.Column("used_micros", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.Double(), nullable=False),
        sa.Column("settled", sa.Double(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "number"],
            ["trial.study_id", "trial.number"],
            name=op.f("fk_ledger_entry_study_id_number"),
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_ledger_entry_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint(
            "study_id", "number", "attempt", name=op.f("uq_ledger_entry_study_id_number_attempt")
        ),
    )
    op.create_index(
        op.f("ix_ledger_entry_study_id_settled"),
        "ledger_entry",
        ["study_id", "settled"],
        unique=False,
    )
    op.create_table(
        "report",
        sa.Column("study_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fidelity", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("device_micros", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=True),
        sa.Column("curve", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("device", sa.String(length=96), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["device.fingerprint"], name=op.f("fk_report_device")),
        sa.ForeignKeyConstraint(
            ["study_id", "number"],
            ["trial.study_id", "trial.number"],
            name=op.f("fk_report_study_id_number"),
        ),
        sa.PrimaryKeyConstraint("study_id", "number", "fidelity", name=op.f("pk_report")),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("report")
    op.drop_index(op.f("ix_ledger_entry_study_id_settled"), table_name="ledger_entry")
    op.drop_table("ledger_entry")
    op.drop_index(op.f("ix_trial_study_id_state_number"), table_name="trial")
    op.drop_index(op.f("ix_trial_study_id_on_front"), table_name="trial")
    op.drop_index(op.f("ix_trial_digest_recipe_key_seed"), table_name="trial")
    op.drop_table("trial")
    op.drop_index(op.f("ix_predictor_study_id_name"), table_name="predictor")
    op.drop_table("predictor")
    op.drop_index(op.f("ix_event_study_id_kind"), table_name="event")
    op.drop_table("event")
    op.drop_index(op.f("ix_artifact_digest_kind"), table_name="artifact")
    op.drop_table("artifact")
    op.drop_table("study")
    op.drop_table("measurement")
    op.drop_table("space")
    op.drop_table("metric")
    op.drop_table("device")
    op.drop_table("architecture")

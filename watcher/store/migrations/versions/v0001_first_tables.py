"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _pipelines()
    _sources()
    _batches()
    _detections()


def _pipelines() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "pipeline",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_fired_at", MOMENT),
        sa.Column("gate_code", sa.Text()),
        sa.Column("gate_sentence", sa.Text(), server_default="", nullable=False),
        sa.Column("gate_since", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_pipeline"),
        sa.UniqueConstraint("name", name="uq_pipeline_name"),
    )


def _sources() -> None:
    op.create_table(
        "source",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("pipeline_ref", BIG_ID, nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.JSON()),
        sa.Column("watched_since", MOMENT, nullable=False),
        sa.Column("last_look_at", MOMENT),
        sa.Column("last_change_at", MOMENT),
        sa.Column("failing_since", MOMENT),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text()),
        sa.Column("message", sa.Text()),
        *(sa.Column(total, sa.BigInteger(), nullable=False) for total in ("seen", "recorded", "filtered", "repeated")),
        sa.Column("detections", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["pipeline_ref"], ["pipeline.id"], name="fk_source_pipeline_ref"),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
        sa.UniqueConstraint("pipeline_ref", "source_id", name="uq_source_pipeline_ref"),
    )
    op.create_table(
        "inventory",
        sa.Column("source_ref", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("rank", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["source_ref"], ["source.id"], name="fk_inventory_source_ref"),
        sa.PrimaryKeyConstraint("source_ref", "key_hash", name="pk_inventory"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_inventory_rank", "inventory", ["source_ref", "rank"])


def _batches() -> None:
    states = "('ready', 'confirmed', 'parked', 'succeeded', 'failed', 'vanished', 'discarded')"
    op.create_table(
        "batch",
        sa.Column("number", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("pipeline_ref", BIG_ID, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("dag_id", "dag_run_id", "state")),
        sa.Column("unknown", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("reason", "kind")),
        sa.Column("because", sa.JSON(), nullable=False),
        sa.Column("fired_at", MOMENT, nullable=False),
        *(sa.Column(total, sa.BigInteger(), nullable=False) for total in ("changes", "bytes", "files")),
        *(sa.Column(name, MOMENT) for name in ("first_change_at", "last_change_at")),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.Column("next_at", MOMENT, nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("answer", "code")),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("run_state", sa.Text()),
        *(sa.Column(name, MOMENT) for name in ("started_at", "ended_at")),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"state in {states}", name="ck_batch_state"),
        sa.ForeignKeyConstraint(["pipeline_ref"], ["pipeline.id"], name="fk_batch_pipeline_ref"),
        sa.PrimaryKeyConstraint("number", name="pk_batch"),
        sa.UniqueConstraint("dag_id", "dag_run_id", name="uq_batch_dag_id"),
        sa.UniqueConstraint("uid", name="uq_batch_uid"),
    )
    ready = sa.text("state = 'ready'")
    op.create_index("ix_batch_ready", "batch", ["dag_id", "number"], sqlite_where=ready, postgresql_where=ready)
    op.create_index("ix_batch_state", "batch", ["state", "number"])
    op.create_index("ix_batch_pipeline_ref", "batch", ["pipeline_ref", "state", "number"])


def _detections() -> None:
    op.create_table(
        "detection",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("pipeline_ref", BIG_ID, nullable=False),
        sa.Column("source_ref", BIG_ID, nullable=False),
        sa.Column("batch_number", BIG_ID),
        sa.Column("detected_at", MOMENT, nullable=False),
        *(sa.Column(total, sa.BigInteger(), nullable=False) for total in ("changes", "bytes", "files")),
        sa.Column("operations", sa.JSON(), nullable=False),
        *(sa.Column(name, MOMENT) for name in ("first_change_at", "last_change_at")),
        *(sa.Column(name, sa.JSON()) for name in ("range", "cursor_from")),
        sa.Column("cursor_to", sa.JSON(), nullable=False),
        sa.Column("cursor_at", MOMENT),
        sa.Column("sample", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("changes > 0", name="ck_detection_changes"),
        sa.ForeignKeyConstraint(["batch_number"], ["batch.number"], name="fk_detection_batch_number"),
        sa.ForeignKeyConstraint(["pipeline_ref"], ["pipeline.id"], name="fk_detection_pipeline_ref"),
        sa.ForeignKeyConstraint(["source_ref"], ["source.id"], name="fk_detection_source_ref"),
        sa.PrimaryKeyConstraint("id", name="pk_detection"),
        sqlite_autoincrement=True,
    )
    pending = sa.text("batch_number is null")
    columns = ["pipeline_ref", "id"]
    op.create_index("ix_detection_pending", "detection", columns, sqlite_where=pending, postgresql_where=pending)
    op.create_index("ix_detection_batch_number", "detection", ["batch_number"])
    op.create_index("ix_detection_source_ref", "detection", ["source_ref"])
    op.create_table(
        "detection_file",
        sa.Column("detection_ref", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("path", "operation")),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["detection_ref"], ["detection.id"], name="fk_detection_file_detection_ref"),
        sa.PrimaryKeyConstraint("detection_ref", "position", name="pk_detection_file"),
        sqlite_with_rowid=False,
    )

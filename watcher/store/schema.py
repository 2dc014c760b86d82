"""The tables as they are after the newest migration; nothing but migrations changes a real store."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from watcher.store.columns import BigId, Exact, Moment, Words

STATES = ("ready", "confirmed", "parked", "succeeded", "failed", "vanished", "discarded")
"""Every state of a batch; the first three are open."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

counter = Table(
    "counter",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

pipeline = Table(
    "pipeline",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("last_fired_at", Moment),
    Column("gate_code", Text),
    Column("gate_sentence", Words, nullable=False, server_default=""),
    Column("gate_since", Moment),
)

source = Table(
    "source",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("pipeline_ref", BigId, ForeignKey("pipeline.id"), nullable=False),
    Column("source_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("cursor", JSON(none_as_null=True)),
    Column("watched_since", Moment, nullable=False),
    Column("last_look_at", Moment),
    Column("last_change_at", Moment),
    Column("failing_since", Moment),
    Column("failures", Integer, nullable=False),
    Column("code", Text),
    Column("message", Words),
    # Totals over the whole life of the source, in changes; `detections` in rows. They outlive the rows they count.
    Column("seen", BigInteger, nullable=False),
    Column("recorded", BigInteger, nullable=False),
    Column("filtered", BigInteger, nullable=False),
    Column("repeated", BigInteger, nullable=False),
    Column("detections", BigInteger, nullable=False),
    UniqueConstraint("pipeline_ref", "source_id"),
)

batch = Table(
    "batch",
    metadata,
    # Comes from `counter`, so that numbers have no holes and order all batches of the store.
    Column("number", BigId, primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False, unique=True),
    Column("pipeline_ref", BigId, ForeignKey("pipeline.id"), nullable=False),
    Column("dag_id", Text, nullable=False),
    Column("dag_run_id", Text, nullable=False),
    Column("state", Text, CheckConstraint(f"state in {STATES}", name="state"), nullable=False),
    Column("unknown", Boolean, nullable=False),
    Column("reason", Words, nullable=False),
    Column("kind", Text, nullable=False),
    Column("because", JSON, nullable=False),
    Column("fired_at", Moment, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("first_change_at", Moment),
    Column("last_change_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", Moment),
    Column("next_at", Moment, nullable=False),
    Column("answer", Text),
    Column("code", Text),
    Column("detail", Words, nullable=False),
    Column("confirmed_at", Moment),
    Column("run_state", Text),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("changed_at", Moment, nullable=False),
    UniqueConstraint("dag_id", "dag_run_id"),
)
Index(
    "ix_batch_ready",
    batch.c.dag_id,
    batch.c.number,
    sqlite_where=text("state = 'ready'"),
    postgresql_where=text("state = 'ready'"),
)
Index("ix_batch_state", batch.c.state, batch.c.number)
Index("ix_batch_pipeline_ref", batch.c.pipeline_ref, batch.c.state, batch.c.number)

detection = Table(
    "detection",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("pipeline_ref", BigId, ForeignKey("pipeline.id"), nullable=False),
    Column("source_ref", BigId, ForeignKey("source.id"), nullable=False),
    Column("batch_number", BigId, ForeignKey("batch.number")),
    Column("detected_at", Moment, nullable=False),
    Column("changes", BigInteger, CheckConstraint("changes > 0", name="changes"), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("operations", JSON, nullable=False),
    Column("first_change_at", Moment),
    Column("last_change_at", Moment),
    Column("range", JSON(none_as_null=True)),
    Column("cursor_from", JSON(none_as_null=True)),
    Column("cursor_to", JSON, nullable=False),
    Column("cursor_at", Moment),
    Column("sample", JSON, nullable=False),
    Column("note", Words, nullable=False),
    # An id is never given twice, so "oldest first" stays true after a clean-up.
    sqlite_autoincrement=True,
)
Index(
    "ix_detection_pending",
    detection.c.pipeline_ref,
    detection.c.id,
    sqlite_where=text("batch_number is null"),
    postgresql_where=text("batch_number is null"),
)
Index("ix_detection_batch_number", detection.c.batch_number)
Index("ix_detection_source_ref", detection.c.source_ref)

detection_file = Table(
    "detection_file",
    metadata,
    Column("detection_ref", BigId, ForeignKey("detection.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("path", Exact, nullable=False),
    Column("operation", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

inventory = Table(
    "inventory",
    metadata,
    Column("source_ref", BigId, ForeignKey("source.id"), primary_key=True, autoincrement=False),
    # Keys may be longer than PostgreSQL can index, so their hash is the key of the row.
    Column("key_hash", LargeBinary(16), primary_key=True),
    Column("key", Exact, nullable=False),
    Column("value", Exact, nullable=False),
    Column("rank", Double, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_inventory_rank", inventory.c.source_ref, inventory.c.rank)

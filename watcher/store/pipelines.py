"""How every pipeline stands, read in one moment; and the state of its gate, written only when it moves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.store import batch as batch_rows
from watcher.store import source as source_rows
from watcher.store.access import ReadStore, Store
from watcher.store.batch import Batch
from watcher.store.looks import ensure_pipeline
from watcher.store.schema import batch, detection, pipeline, source
from watcher.store.source import SourceState
from watcher.store.waiting import whole

OPEN_OR_PARKED = ("ready", "confirmed", "parked")


@dataclass(frozen=True, slots=True)
class PipelineOverview:
    """One pipeline at one moment. `batches` counts those ready, confirmed or parked, without zeros.

    `parked` is the oldest parked batch. `gate_code` None is an open gate; `gate_since` None a gate never asked.
    """

    pipeline: str
    sources: tuple[SourceState, ...] = ()
    pending_changes: int = 0
    pending_bytes: int = 0
    pending_files: int = 0
    pending_oldest: datetime | None = None
    batches: Mapping[str, int] = field(default_factory=dict)
    last_batch: Batch | None = None
    parked: Batch | None = None
    gate_code: str | None = None
    gate_sentence: str = ""
    gate_since: datetime | None = None


async def set_gate(store: Store, pipeline_name: str, code: str | None, sentence: str, now: datetime) -> bool:
    """Writes the gate when it differs from the stored one; answers whether it did. `since` stays with the code."""
    async with store.read() as connection:
        row = (await connection.execute(select(pipeline).where(pipeline.c.name == pipeline_name))).one_or_none()
    if row is not None and row.gate_since and (row.gate_code, row.gate_sentence) == (code, sentence):
        return False
    moved = row is None or row.gate_since is None or row.gate_code != code
    async with store.write() as connection:
        pipeline_ref = await ensure_pipeline(connection, pipeline_name)
        values = {"gate_code": code, "gate_sentence": sentence} | ({"gate_since": now} if moved else {})
        await connection.execute(update(pipeline).where(pipeline.c.id == pipeline_ref).values(values))
    return True


async def overview(store: ReadStore) -> tuple[PipelineOverview, ...]:
    """All pipelines that the store has ever seen, by name."""
    async with store.read() as connection:
        rows = (await connection.execute(select(pipeline).order_by(pipeline.c.name))).all()
        sources = _grouped(await connection.execute(select(source).order_by(source.c.source_id)))
        waiting = _grouped(await connection.execute(_waiting()))
        counts = _grouped(await connection.execute(_counts()))
        last = await _batches(connection, select(func.max(batch.c.number)).group_by(batch.c.pipeline_ref))
        parked = select(func.min(batch.c.number)).where(batch.c.state == "parked").group_by(batch.c.pipeline_ref)
        first_parked = await _batches(connection, parked)
    return tuple(
        PipelineOverview(
            pipeline=row.name,
            sources=tuple(source_rows.from_row(row.name, one) for one in sources[row.id]),
            **_pending(waiting[row.id]),
            batches={one.state: one.amount for one in counts[row.id]},
            last_batch=last.get(row.name),
            parked=first_parked.get(row.name),
            gate_code=row.gate_code,
            gate_sentence=row.gate_sentence,
            gate_since=row.gate_since,
        )
        for row in rows
    )


def _grouped(rows: Iterable[Row[Any]]) -> dict[int, list[Row[Any]]]:
    groups: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        groups[row.pipeline_ref].append(row)
    return groups


def _pending(rows: Iterable[Row[Any]]) -> dict[str, Any]:
    """The columns of `_waiting` by name; nothing where nothing waits."""
    return {name: value for row in rows for name, value in row._mapping.items() if name != "pipeline_ref"}


def _waiting() -> Select[Any]:
    return (
        select(
            detection.c.pipeline_ref,
            whole(detection.c.changes).label("pending_changes"),
            whole(detection.c.bytes).label("pending_bytes"),
            whole(detection.c.files).label("pending_files"),
            func.min(detection.c.detected_at).label("pending_oldest"),
        )
        .where(detection.c.batch_number.is_(None))
        .group_by(detection.c.pipeline_ref)
    )


def _counts() -> Select[Any]:
    return (
        select(batch.c.pipeline_ref, batch.c.state, func.count().label("amount"))
        .where(batch.c.state.in_(OPEN_OR_PARKED))
        .group_by(batch.c.pipeline_ref, batch.c.state)
    )


async def _batches(connection: AsyncConnection, ids: Select[Any]) -> dict[str, Batch]:
    found = await connection.execute(batch_rows.selected().where(batch.c.number.in_(ids)))
    return {row.pipeline: batch_rows.from_row(row) for row in found}

"""What waits to be fired: a query over detections without a batch, folded as far as no decision can tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.decide import Arrival, Pending
from watcher.store.access import ReadStore
from watcher.store.batch import OPEN
from watcher.store.schema import batch, detection, pipeline, source


async def pending(store: ReadStore, pipeline_name: str, within: timedelta | None, now: datetime) -> Pending:
    """What waits in a pipeline. Times are those of recording; detections of the last `within` stay single."""
    async with store.read() as connection:
        found = await connection.execute(select(pipeline).where(pipeline.c.name == pipeline_name))
        row = found.one_or_none()
        return Pending() if row is None else await read(connection, row.id, row.last_fired_at, within, now)


async def read(
    connection: AsyncConnection,
    pipeline_ref: int,
    last_fired_at: datetime | None,
    within: timedelta | None,
    now: datetime,
) -> Pending:
    """The same inside a transaction."""
    rows = await connection.execute(_arrivals(pipeline_ref, None if within is None else now - within))
    arrivals = [Arrival(*row) for row in rows]
    ready = func.count().filter(batch.c.state == "ready")
    ours = (batch.c.pipeline_ref == pipeline_ref, batch.c.state.in_(OPEN))
    counts = (await connection.execute(select(func.count(), ready).where(*ours))).one()
    return Pending(tuple(sorted(arrivals, key=lambda a: (a.first_at, a.source_id))), last_fired_at, *counts)


def waits(pipeline_ref: int) -> tuple[ColumnElement[bool], ...]:
    """The detections of a pipeline that no batch has."""
    return detection.c.pipeline_ref == pipeline_ref, detection.c.batch_number.is_(None)


def whole(column: ColumnElement[int]) -> ColumnElement[int]:
    """A sum as a plain integer, 0 over nothing; PostgreSQL's sum of 64-bit numbers is a decimal."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _arrivals(pipeline_ref: int, single_from: datetime | None) -> Any:
    folded = (
        select(
            source.c.source_id,
            func.min(detection.c.detected_at),
            func.max(detection.c.detected_at),
            whole(detection.c.changes),
            whole(detection.c.bytes),
            whole(detection.c.files),
        )
        .join(source, source.c.id == detection.c.source_ref)
        .where(*waits(pipeline_ref))
        .group_by(source.c.source_id)
    )
    if single_from is None:
        return folded
    old, young = detection.c.detected_at < single_from, detection.c.detected_at >= single_from
    return union_all(folded.where(old), _single(pipeline_ref).where(young))


def _single(pipeline_ref: int) -> Select[Any]:
    return (
        select(
            source.c.source_id,
            detection.c.detected_at,
            detection.c.detected_at,
            detection.c.changes,
            detection.c.bytes,
            detection.c.files,
        )
        .join(source, source.c.id == detection.c.source_ref)
        .where(*waits(pipeline_ref))
    )

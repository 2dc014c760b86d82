"""A batch with its sources, as the run is told about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, select

from watcher.detection import FileChange, Range
from watcher.pipeline.facts import BatchFacts, SourceFacts
from watcher.store.access import ReadStore
from watcher.store.batch import Batch
from watcher.store.schema import batch, detection, detection_file, source


async def facts(store: ReadStore, of: Batch) -> BatchFacts:
    """All that the batch holds: per source the sums, the stretches of cursor and range, and every file in order."""
    detections = (
        select(detection, source.c.source_id)
        .join(batch, batch.c.number == detection.c.batch_number)
        .join(source, source.c.id == detection.c.source_ref)
        .where(batch.c.uid == of.uid)
        .order_by(detection.c.id)
    )
    changed = (
        select(detection_file)
        .join(detection, detection.c.id == detection_file.c.detection_ref)
        .join(batch, batch.c.number == detection.c.batch_number)
        .where(batch.c.uid == of.uid)
        .order_by(detection_file.c.detection_ref, detection_file.c.position)
    )
    rows: dict[str, list[Row[Any]]] = defaultdict(list)
    files: dict[int, list[FileChange]] = defaultdict(list)
    async with store.read() as connection:
        for row in await connection.execute(detections):
            rows[row.source_id].append(row)
        for row in await connection.execute(changed):
            files[row.detection_ref].append(FileChange(row.path, row.operation, row.bytes))
    return BatchFacts(
        number=of.number,
        uid=of.uid,
        pipeline=of.pipeline,
        dag_id=of.dag_id,
        dag_run_id=of.dag_run_id,
        reason=of.reason,
        fired_at=of.fired_at,
        first_change_at=of.first_change_at,
        last_change_at=of.last_change_at,
        sources=tuple(_source(source_id, found, files) for source_id, found in rows.items()),
    )


def _source(source_id: str, rows: Sequence[Row[Any]], files: dict[int, list[FileChange]]) -> SourceFacts:
    operations: Counter[str] = Counter()
    for row in rows:
        operations.update(row.operations)
    return SourceFacts(
        source_id=source_id,
        changes=sum(row.changes for row in rows),
        bytes=sum(row.bytes for row in rows),
        operations=dict(operations),
        cursor_from=rows[0].cursor_from,
        cursor_to=rows[-1].cursor_to,
        range=merge([None if row.range is None else Range(**row.range) for row in rows]),
        files=tuple(file for row in rows for file in files.get(row.id, ())),
    )


def merge(ranges: Iterable[Range | None]) -> Range | None:
    """The stretch that covers all; None when that cannot be said: one has no range, the columns or the types differ."""
    found = list(ranges)
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found) or len({one.column for one in known}) > 1:
        return None
    lows: list[Any] = [one.low for one in known]
    highs: list[Any] = [one.high for one in known]
    try:
        return Range(known[0].column, None if None in lows else min(lows), None if None in highs else max(highs))
    except TypeError:  # a column of numbers and texts, or one that became another: no stretch covers both
        return None

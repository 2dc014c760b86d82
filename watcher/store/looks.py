"""What looks found: the cursor moves with the stored detection, and only from where the look began."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.detection import Cursor, Detection, FileChange
from watcher.errors import SourceError
from watcher.store import inventory as inventories
from watcher.store.access import ReadStore, Store
from watcher.store.inventory import StoredInventory
from watcher.store.schema import detection as detections
from watcher.store.schema import detection_file, pipeline, source
from watcher.store.source import SourceState, from_row
from watcher.store.upsert import insert

__all__ = ["SourceState", "StoredInventory", "load", "mark_failed", "mark_recovered", "record"]


async def load(store: Store, pipeline_name: str, source_id: str, kind: str, now: datetime) -> SourceState:
    """The state of a source; a new one when the store does not have it.

    When `kind` is not the stored one, cursor and inventory are forgotten: they are of something else.
    What is pending stays.
    """
    found = await _find(store, pipeline_name, source_id)
    if found is not None and found.kind == kind:
        return found
    async with store.write() as connection:
        pipeline_ref = await ensure_pipeline(connection, pipeline_name)
        await _ensure_source(connection, pipeline_ref, source_id, kind, now)
        ours = (source.c.pipeline_ref == pipeline_ref, source.c.source_id == source_id)
        row = (await connection.execute(select(source).where(*ours).with_for_update())).one()
        if row.kind != kind:
            await inventories.clear(connection, row.id)
            reset = {"kind": kind, "watched_since": now, "cursor": None, "revision": source.c.revision + 1, **_SOUND}
            changed = update(source).where(source.c.id == row.id).values(reset).returning(source)
            row = (await connection.execute(changed)).one()
    return from_row(pipeline_name, row)


_SOUND: dict[str, Any] = {"failing_since": None, "failures": 0, "code": None, "message": None}


async def record(store: Store, state: SourceState, detection: Detection, now: datetime) -> SourceState | None:
    """Stores all that a look found, in one transaction; the state after it, or None when somebody recorded before us.

    A look that found nothing new writes nothing. Raises StoreError; SourceError when the cursor is not JSON.
    """
    drop = tuple(detection.inventory.drop)
    inventory_stays = not detection.inventory.put and not drop and detection.inventory.drop_below is None
    cursor_stays = _canonical(detection.cursor) == _canonical(state.cursor)
    if cursor_stays and inventory_stays and not detection.changes:
        return replace(state, last_look_at=now)
    async with store.write() as connection:
        moved = update(source).where(source.c.id == state.row, source.c.revision == state.revision)
        row = (await connection.execute(moved.values(_progress(detection, now)).returning(source))).one_or_none()
        if row is None:
            return None
        if detection.changes:
            await _insert(connection, row.pipeline_ref, state, detection, now)
        if not inventory_stays:
            await inventories.apply(connection, state.row, detection.inventory, drop)
    return from_row(state.pipeline, row)


async def mark_failed(store: Store, state: SourceState, code: str, message: str, now: datetime) -> SourceState:
    """One more failed look in a row; `failing_since` is that of the first."""
    return await _update(
        store,
        state,
        {
            "failing_since": func.coalesce(source.c.failing_since, now),
            "failures": source.c.failures + 1,
            "code": code,
            "message": message,
            "last_look_at": now,
        },
    )


async def mark_recovered(store: Store, state: SourceState, now: datetime) -> SourceState:
    """A look after failed ones was good."""
    return await _update(store, state, {**_SOUND, "last_look_at": now})


async def ensure_pipeline(connection: AsyncConnection, name: str) -> int:
    """The store's number of a pipeline, given to it when it is new."""
    await connection.execute(insert(connection, pipeline).values(name=name).on_conflict_do_nothing())
    found = await connection.execute(select(pipeline.c.id).where(pipeline.c.name == name))
    return int(found.scalar_one())


async def _find(store: ReadStore, pipeline_name: str, source_id: str) -> SourceState | None:
    ours = (pipeline.c.name == pipeline_name, source.c.source_id == source_id)
    async with store.read() as connection:
        row = (await connection.execute(select(source).join(pipeline).where(*ours))).one_or_none()
    return None if row is None else from_row(pipeline_name, row)


async def _ensure_source(
    connection: AsyncConnection, pipeline_ref: int, source_id: str, kind: str, now: datetime
) -> None:
    totals = dict.fromkeys(("seen", "recorded", "filtered", "repeated", "detections", "failures", "revision"), 0)
    new = {"pipeline_ref": pipeline_ref, "source_id": source_id, "kind": kind, "watched_since": now, **totals}
    await connection.execute(insert(connection, source).values(new).on_conflict_do_nothing())


async def _update(store: Store, state: SourceState, values: Mapping[str, Any]) -> SourceState:
    async with store.write() as connection:
        changed = update(source).where(source.c.id == state.row).values(values).returning(source)
        row = (await connection.execute(changed)).one()
    return from_row(state.pipeline, row)


def _progress(detection: Detection, now: datetime) -> dict[str, Any]:
    seen = detection.changes + detection.filtered + detection.repeated
    progress = {
        "cursor": dict(detection.cursor),
        "revision": source.c.revision + 1,
        "last_look_at": now,
        "seen": source.c.seen + seen,
        "recorded": source.c.recorded + detection.changes,
        "filtered": source.c.filtered + detection.filtered,
        "repeated": source.c.repeated + detection.repeated,
    }
    if detection.changes:
        progress |= {"last_change_at": now, "detections": source.c.detections + 1}
    return progress


async def _insert(
    connection: AsyncConnection, pipeline_ref: int, state: SourceState, detection: Detection, now: datetime
) -> None:
    row = {
        "pipeline_ref": pipeline_ref,
        "source_ref": state.row,
        "detected_at": now,
        "changes": detection.changes,
        "bytes": detection.bytes,
        "files": len(detection.files),
        "operations": dict(detection.operations),
        "first_change_at": detection.first_change_at,
        "last_change_at": detection.last_change_at,
        "range": None if detection.range is None else asdict(detection.range),
        "cursor_from": None if state.cursor is None else dict(state.cursor),
        "cursor_to": dict(detection.cursor),
        "cursor_at": detection.cursor_at,
        "sample": list(detection.sample),
        "note": detection.note,
    }
    stored = insert(connection, detections).values(row).returning(detections.c.id)
    detection_ref = (await connection.execute(stored)).scalar_one()

    def file_row(entry: tuple[int, FileChange]) -> dict[str, Any]:
        position, file = entry
        return {"detection_ref": detection_ref, "position": position, **asdict(file)}

    await inventories.execute_in_chunks(connection, detection_file.insert(), enumerate(detection.files), file_row)


def _canonical(cursor: Cursor | None) -> str:
    """One text per position: 1, 1.0 and true are equal in Python and are not equal here."""
    try:
        return json.dumps(None if cursor is None else dict(cursor), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SourceError(f"the cursor is not JSON: {error}", code="detector-failed") from error

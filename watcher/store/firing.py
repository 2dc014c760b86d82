"""From pending to a batch: decided in the transaction, and on the rows, that become the batch."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.decide import Decision, Fire, Pending
from watcher.pipeline.facts import make_run_id
from watcher.store import waiting
from watcher.store.access import Store
from watcher.store.batch import Batch, because_as_json, from_row
from watcher.store.schema import batch, counter, detection, pipeline
from watcher.store.upsert import insert


@dataclass(frozen=True, slots=True)
class Fired:
    """What `fire` came to: the decision, and the batch when there is one."""

    batch: Batch | None
    decision: Decision


async def fire(
    store: Store,
    pipeline_name: str,
    dag_id: str,
    within: timedelta | None,
    decide: Callable[[Pending], Decision],
    now: datetime,
) -> Fired:
    """Makes one batch of what waits if `decide` says so, in one transaction. Nothing fires empty. Raises StoreError."""
    async with store.write() as connection:
        # Storing a detection takes FOR KEY SHARE here for its foreign key: until we commit nothing new can become
        # pending, and what was being stored is committed before we read. So we stamp exactly what `decide` sees.
        locked = select(pipeline).where(pipeline.c.name == pipeline_name).with_for_update()
        row = (await connection.execute(locked)).one_or_none()
        if row is None:
            return Fired(None, decide(Pending()))
        found = await waiting.read(connection, row.id, row.last_fired_at, within, now)
        decision = decide(found)
        if not isinstance(decision, Fire) or not found.arrivals:
            return Fired(None, decision)
        made = await _make(connection, row, dag_id, decision, now)
    return Fired(from_row(made, pipeline_name), decision)


async def _make(connection: AsyncConnection, owner: Row[Any], dag_id: str, decision: Fire, now: datetime) -> Row[Any]:
    chosen = list(waiting.waits(owner.id))
    if decision.max_changes is not None:
        chosen.append(detection.c.id <= await _last_that_fits(connection, owner.id, decision.max_changes))
    sums = select(
        waiting.whole(detection.c.changes).label("changes"),
        waiting.whole(detection.c.bytes).label("bytes"),
        waiting.whole(detection.c.files).label("files"),
        func.min(detection.c.first_change_at).label("first_change_at"),
        func.max(detection.c.last_change_at).label("last_change_at"),
    ).where(*chosen)
    totals = (await connection.execute(sums)).mappings().one()
    number = await _next_number(connection)
    new = insert(connection, batch).values(
        number=number,
        uid=secrets.token_hex(16),
        pipeline_ref=owner.id,
        dag_id=dag_id,
        dag_run_id=make_run_id(now, number),
        state="ready",
        unknown=False,
        reason=decision.reason,
        kind=decision.kind,
        because=because_as_json(decision.because),
        fired_at=now,
        attempts=0,
        next_at=now,
        detail="",
        changed_at=now,
        **totals,
    )
    made: Row[Any] = (await connection.execute(new.returning(batch))).one()
    await connection.execute(update(detection).where(*chosen).values(batch_number=made.number))
    await connection.execute(update(pipeline).where(pipeline.c.id == owner.id).values(last_fired_at=now))
    return made


async def _last_that_fits(connection: AsyncConnection, pipeline_ref: int, most: int) -> int:
    """The id of the newest detection that goes along, oldest first; the first one always does."""
    running = func.sum(detection.c.changes).over(order_by=detection.c.id)
    rows = select(detection.c.id, detection.c.changes, running.label("running")).where(*waiting.waits(pipeline_ref))
    counted = rows.subquery()
    fits = or_(counted.c.running <= most, counted.c.running == counted.c.changes)
    return int((await connection.execute(select(func.max(counted.c.id)).where(fits))).scalar_one())


async def _next_number(connection: AsyncConnection) -> int:
    """The next batch number of the whole store, from a row: a sequence would leave holes after a rollback."""
    first = insert(connection, counter).values(name="batch", value=1)
    step = first.on_conflict_do_update(index_elements=[counter.c.name], set_={"value": counter.c.value + 1})
    return int((await connection.execute(step.returning(counter.c.value))).scalar_one())

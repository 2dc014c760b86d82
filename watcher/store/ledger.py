"""The sums that prove that no change is lost or doubled: totals kept while recording against a recount of the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from watcher.store.access import ReadStore
from watcher.store.schema import batch, detection, pipeline, source
from watcher.store.waiting import whole


@dataclass(frozen=True, slots=True)
class Sums:
    """The changes of one source over its whole life; `by_state` has those in batches, by the batch's state."""

    pipeline: str
    source_id: str
    seen: int
    recorded: int
    filtered: int
    repeated: int
    pending: int
    by_state: Mapping[str, int]

    @property
    def unaccounted(self) -> int:
        """How many changes are in no place, or in one too many. Anything but 0 is a bug of ours."""
        here = self.pending + sum(self.by_state.values())
        return abs(self.recorded - here) + abs(self.seen - self.recorded - self.filtered - self.repeated)


async def sums(store: ReadStore) -> tuple[Sums, ...]:
    """The ledger of every source, recounted from all rows at one moment. Reads every detection."""
    places: dict[int, dict[str | None, int]] = defaultdict(dict)
    kept = (
        select(source, pipeline.c.name.label("pipeline")).join(pipeline).order_by(pipeline.c.name, source.c.source_id)
    )
    async with store.read() as connection:
        for row in await connection.execute(_places()):
            places[row.source_ref][row.state] = row.changes
        sources = (await connection.execute(kept)).all()
    return tuple(
        Sums(
            pipeline=row.pipeline,
            source_id=row.source_id,
            seen=row.seen,
            recorded=row.recorded,
            filtered=row.filtered,
            repeated=row.repeated,
            pending=places[row.id].get(None, 0),
            by_state={state: changes for state, changes in places[row.id].items() if state is not None},
        )
        for row in sources
    )


async def unaccounted(store: ReadStore) -> int:
    """Changes and rows that are not where the ledger says, over all sources and batches; 0, or it is our bug."""
    ledger = await sums(store)
    async with store.read() as connection:
        batches = (await connection.execute(_batches_that_differ())).scalar_one()
        rows = (await connection.execute(_sources_that_differ())).scalar_one()
    return sum(source.unaccounted for source in ledger) + int(batches) + int(rows)


def _places() -> Select[Any]:
    """Changes per source and state of the batch; no state is pending."""
    return (
        select(detection.c.source_ref, batch.c.state, whole(detection.c.changes).label("changes"))
        .outerjoin(batch, batch.c.number == detection.c.batch_number)
        .group_by(detection.c.source_ref, batch.c.state)
    )


def _batches_that_differ() -> Select[Any]:
    """How far what batches say they hold is from what is stamped with them."""
    held = (
        select(detection.c.batch_number, whole(detection.c.changes).label("changes"))
        .where(detection.c.batch_number.is_not(None))
        .group_by(detection.c.batch_number)
        .subquery()
    )
    apart = func.abs(batch.c.changes - func.coalesce(held.c.changes, 0))
    return select(whole(apart)).select_from(batch).outerjoin(held, held.c.batch_number == batch.c.number)


def _sources_that_differ() -> Select[Any]:
    """Detections counted while recording against the rows that are there."""
    stored = select(detection.c.source_ref, func.count().label("rows")).group_by(detection.c.source_ref).subquery()
    apart = func.abs(source.c.detections - func.coalesce(stored.c.rows, 0))
    return select(whole(apart)).select_from(source).outerjoin(stored, stored.c.source_ref == source.c.id)

"""Batches on their way: a state only ever goes forward, and each verb checks the one it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, func, or_, select, update

from watcher.errors import StoreError
from watcher.store.access import ReadStore, Store
from watcher.store.batch import Batch, State, from_row, selected
from watcher.store.firing import Fired, fire
from watcher.store.handover import facts
from watcher.store.schema import batch as batches
from watcher.store.waiting import pending

__all__ = [
    "Batch",
    "Fired",
    "Outcome",
    "Postponed",
    "discard",
    "due",
    "facts",
    "find",
    "fire",
    "mark_confirmed",
    "mark_ended",
    "mark_running",
    "mark_sending",
    "next_due",
    "open_runs",
    "park",
    "pending",
    "postpone",
    "retry",
]

BEYOND_ANY_PAUSE = timedelta(minutes=16)
"""Airflow's Retry-After is obeyed for 15 minutes at most, and no back-off is longer."""

Outcome = Literal["succeeded", "failed", "vanished"]


@dataclass(frozen=True, slots=True)
class Postponed:
    """Why a batch waits and until when; `unknown` when an attempt may have reached Airflow."""

    code: str | None
    detail: str
    next_at: datetime
    unknown: bool


async def due(store: ReadStore, now: datetime, limit: int) -> list[Batch]:
    """Ready batches whose time has come, longest due first; only the oldest of each DAG, so that its order is kept."""
    # a time further off than any pause was written before the clock was set back: it would wait for ever
    ripe_at = or_(batches.c.next_at <= now, batches.c.next_at > now + BEYOND_ANY_PAUSE)
    ripe = selected().where(batches.c.number.in_(_oldest_per_dag()), ripe_at)
    return await _read(store, ripe.order_by(batches.c.next_at, batches.c.number).limit(limit))


async def next_due(store: ReadStore) -> datetime | None:
    """When the next batch is due, perhaps long ago; None when none is ready."""
    async with store.read() as connection:
        earliest = select(func.min(batches.c.next_at)).where(batches.c.number.in_(_oldest_per_dag()))
        found: datetime | None = (await connection.execute(earliest)).scalar_one()
    return found


async def find(store: ReadStore, number: int) -> Batch | None:
    """The batch of a number."""
    found = await _read(store, selected().where(batches.c.number == number))
    return found[0] if found else None


async def open_runs(store: ReadStore) -> list[Batch]:
    """Confirmed batches whose end is not known, oldest first."""
    return await _read(store, selected().where(batches.c.state == "confirmed").order_by(batches.c.number))


async def mark_sending(store: Store, batch: Batch, now: datetime) -> Batch:
    """An attempt begins: unknown from before its first byte until there is an answer."""
    attempt = {"attempts": batches.c.attempts + 1, "unknown": True, "sent_at": now}
    return await _move(store, batch, ("ready", "ready"), now, attempt)


async def mark_confirmed(store: Store, batch: Batch, run_state: str, answer: str, now: datetime) -> Batch:
    """Airflow has the run and it is ours."""
    known = {
        "unknown": False,
        "run_state": run_state,
        "answer": answer,
        "confirmed_at": now,
        "code": None,
        "detail": "",
    }
    return await _move(store, batch, ("ready", "confirmed"), now, known)


async def postpone(store: Store, batch: Batch, why: Postponed, now: datetime) -> Batch:
    """Not now; it stays ready."""
    wait = {"code": why.code, "detail": why.detail, "next_at": why.next_at, "unknown": why.unknown}
    return await _move(store, batch, ("ready", "ready"), now, wait)


async def park(store: Store, batch: Batch, code: str, detail: str, now: datetime, *, unknown: bool = False) -> Batch:
    """A person is needed. `unknown` when it is parked without an answer to its last attempt."""
    return await _move(store, batch, ("ready", "parked"), now, {"code": code, "detail": detail, "unknown": unknown})


async def retry(store: Store, batch: Batch, now: datetime) -> Batch:
    """A person sends a parked batch again, under the same run id; what is unknown stays so and is verified first."""
    return await _move(store, batch, ("parked", "ready"), now, {"next_at": now, "code": None, "detail": ""})


async def discard(store: Store, batch: Batch, reason: str, now: datetime) -> Batch:
    """A person gives a parked batch up. Refused while it is unknown whether it runs."""
    return await _move(store, batch, ("parked", "discarded"), now, {"detail": reason}, ~batches.c.unknown)


async def mark_running(store: Store, batch: Batch, run_state: str, started_at: datetime | None, now: datetime) -> Batch:
    """What Airflow says of a run that goes on."""
    seen = {"run_state": run_state, "started_at": started_at}
    return await _move(store, batch, ("confirmed", "confirmed"), now, seen)


async def mark_ended(
    store: Store, batch: Batch, state: Outcome, started_at: datetime | None, ended_at: datetime | None, now: datetime
) -> Batch:
    """How the run ended. Of one that vanished the last known words stay."""
    end: dict[str, Any] = {"ended_at": ended_at}
    if state == "vanished":
        end |= {"code": "run-vanished"}
    else:
        end |= {"started_at": started_at, "run_state": "success" if state == "succeeded" else "failed"}
    return await _move(store, batch, ("confirmed", state), now, end)


async def _move(
    store: Store,
    batch: Batch,
    path: tuple[State, State],
    now: datetime,
    values: dict[str, Any],
    *also: ColumnElement[bool],
) -> Batch:
    """The only door through which a batch changes. StoreError `store-busy` when it is not in the state it leaves."""
    leaves, enters = path
    change = (
        update(batches)
        .where(batches.c.uid == batch.uid, batches.c.state == leaves, *also)
        .values(state=enters, changed_at=now, **values)
    )
    async with store.write() as connection:
        row = (await connection.execute(change.returning(batches))).one_or_none()
    if row is None:  # another process moved it: the step is repeated on what the store says now
        raise StoreError(
            f"batch {batch.number} cannot go from {leaves} to {enters}: it is not {leaves} any more", code="store-busy"
        )
    return from_row(row, batch.pipeline)


def _oldest_per_dag() -> Select[Any]:
    return select(func.min(batches.c.number)).where(batches.c.state == "ready").group_by(batches.c.dag_id)


async def _read(store: ReadStore, statement: Select[Any]) -> list[Batch]:
    async with store.read() as connection:
        return [from_row(row) for row in await connection.execute(statement)]

"""Detections, decisions and states in one line each, so that a test shows only what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event

from watcher.decide import Decision, Fire, Pending, Wait
from watcher.detection import Cursor, Detection
from watcher.store import Store, batches, looks
from watcher.store.batches import Batch
from watcher.store.looks import SourceState

NOW = datetime(2026, 11, 22, 14, 10, 6, 123456, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def found(changes: int = 1, cursor: Cursor | None = None, **more: Any) -> Detection:
    operations = {"insert": changes} if changes else {}
    return Detection(**{"cursor": cursor or {"at": changes}, "changes": changes, "operations": operations, **more})


async def load(store: Store, source_id: str = "db", pipeline: str = "orders", kind: str = "table") -> SourceState:
    return await looks.load(store, pipeline, source_id, kind, NOW)


async def recorded(
    store: Store, detection: Detection, source_id: str = "db", pipeline: str = "orders", now: datetime = NOW
) -> SourceState:
    """Stores one detection from where the source stands now."""
    state = await looks.record(store, await load(store, source_id, pipeline), detection, now)
    assert state is not None
    return state


def fire_all(pending: Pending) -> Decision:
    return fire_up_to(None)(pending)


def fire_up_to(most: int | None) -> Callable[[Pending], Decision]:
    return lambda _: Fire("by test", "changes", (), most)


def wait(pending: Pending) -> Decision:
    return Wait(None)


async def fired(store: Store, pipeline: str = "orders", dag_id: str = "orders", now: datetime = NOW) -> Batch:
    """A batch of all that waits."""
    batch = (await batches.fire(store, pipeline, dag_id, None, fire_all, now)).batch
    assert batch is not None
    return batch


async def ready(store: Store, pipeline: str = "orders", dag_id: str = "orders", now: datetime = NOW) -> Batch:
    """A batch of one new change."""
    await recorded(store, found(), pipeline=pipeline, now=now)
    return await fired(store, pipeline, dag_id, now)


class CrashError(Exception):
    """Stands for the end of the process at one point."""


@contextmanager
def at_commit(act: Callable[[], None]) -> Iterator[None]:
    """Calls `act` at the start of each commit of any store."""

    def listener(_connection: object) -> None:
        act()

    event.listen(Engine, "commit", listener)
    try:
        yield
    finally:
        event.remove(Engine, "commit", listener)


def crash() -> None:
    raise CrashError

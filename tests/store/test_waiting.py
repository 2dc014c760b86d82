"""What waits, folded only as far as no decision can tell."""

from __future__ import annotations

from datetime import timedelta

from tests.store.making import fired, found, later, recorded
from watcher.decide import Arrival, Pending
from watcher.store import Store, batches


async def test_an_unknown_pipeline_waits_for_nothing(store: Store) -> None:
    """A pipeline that was never looked at has nothing pending."""
    assert await batches.pending(store, "orders", None, later(0)) == Pending()


async def test_without_within_each_source_is_one_arrival(store: Store) -> None:
    """The fold has the sums, the first and the last time; sources stay apart, other pipelines out."""
    for second in range(5):
        await recorded(store, found(2, {"at": second}, bytes=3), "db", now=later(second))
    await recorded(store, found(7), "files", now=later(2))
    await recorded(store, found(9), pipeline="other")
    pending = await batches.pending(store, "orders", None, later(100))
    assert pending.arrivals == (
        Arrival("db", later(0), later(4), 10, 15, 0),
        Arrival("files", later(2), later(2), 7, 0, 0),
    )


async def test_with_within_only_what_is_older_is_folded(store: Store) -> None:
    """What may still count towards a limit keeps its own time, the edge included."""
    for second in range(6):
        await recorded(store, found(1, {"at": second}), now=later(second))
    pending = await batches.pending(store, "orders", timedelta(seconds=3), later(6))
    spans = [(arrival.first_at, arrival.last_at, arrival.changes) for arrival in pending.arrivals]
    assert spans == [(later(0), later(2), 3), *((later(second), later(second), 1) for second in (3, 4, 5))]


async def test_open_batches_are_counted_by_what_they_wait_for(store: Store) -> None:
    """Ready ones are unconfirmed, ready and confirmed ones are open; the newest one says when it last fired."""
    for second in range(3):
        await recorded(store, found(1, {"at": second}))
        batch = await fired(store, now=later(second))
    assert await batches.pending(store, "orders", None, later(9)) == Pending((), later(2), 3, 3)
    batch = await batches.mark_confirmed(store, batch, "queued", "created", later(3))
    assert await batches.pending(store, "orders", None, later(9)) == Pending((), later(2), 3, 2)
    await batches.mark_ended(store, batch, "failed", None, later(4), later(4))
    assert await batches.pending(store, "orders", None, later(9)) == Pending((), later(2), 2, 2)


async def test_a_parked_batch_blocks_nothing(store: Store) -> None:
    """It waits for a person, not the pipeline for it."""
    await recorded(store, found())
    await batches.park(store, await fired(store), "params-refused", "n", later(1))
    pending = await batches.pending(store, "orders", None, later(2))
    assert (pending.open_batches, pending.unconfirmed) == (0, 0)

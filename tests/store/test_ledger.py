"""The sums show where every change is, and notice when one is not."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.store.making import NOW, fired, found, later, ready, recorded
from watcher.store import Store, batches, ledger
from watcher.store.batches import Outcome
from watcher.store.ledger import Sums


async def test_an_empty_store_adds_up(store: Store) -> None:
    """Nothing is nowhere."""
    assert await ledger.sums(store) == ()
    assert await ledger.unaccounted(store) == 0


async def test_every_change_is_in_one_place(store: Store) -> None:
    """Per source: seen, what was left out, what waits, and what batches of each state hold."""
    await recorded(store, found(1, {"at": 1}, filtered=1), "db")
    await recorded(store, found(10, {"at": 1}, repeated=5), "files")
    await batches.mark_confirmed(store, await fired(store), "queued", "created", NOW)
    await recorded(store, found(2, {"at": 2}), "db")
    await batches.park(store, await fired(store), "params-refused", "", NOW)
    await recorded(store, found(3, {"at": 3}), "db")
    await fired(store)
    await recorded(store, found(4, {"at": 4}), "db")
    assert await ledger.sums(store) == (
        Sums("orders", "db", 11, 10, 1, 0, pending=4, by_state={"confirmed": 1, "parked": 2, "ready": 3}),
        Sums("orders", "files", 15, 10, 0, 5, pending=0, by_state={"confirmed": 10}),
    )
    assert await ledger.unaccounted(store) == 0


@pytest.mark.parametrize(
    ("fault", "missing"),
    [
        ("delete from detection where batch_number is null", 3 + 1),
        ("update detection set changes = changes + 1 where batch_number is null", 1),
        ("update detection set batch_number = 1 where batch_number is null", 3),
        ("update detection set batch_number = null", 2),
        ("update batch set changes = 1", 1),
        ("update source set recorded = recorded + 7", 7 + 7),
        ("update source set seen = seen - 1", 1),
        ("update source set detections = detections + 1", 1),
    ],
)
async def test_a_change_that_is_lost_doubled_or_moved_is_noticed(store: Store, fault: str, missing: int) -> None:
    """Whatever is changed behind the store's back, the sums are not 0 any more."""
    await recorded(store, found(2, {"at": 1}))
    await fired(store)
    await recorded(store, found(3, {"at": 2}))
    assert await ledger.unaccounted(store) == 0
    async with store.write() as connection:
        await connection.execute(text(fault))
    assert await ledger.unaccounted(store) == missing


async def test_ends_of_runs_move_changes_and_keep_the_sum(store: Store) -> None:
    """Each outcome has its own column."""
    outcomes: tuple[Outcome, ...] = ("succeeded", "failed", "vanished")
    for outcome in outcomes:
        batch = await batches.mark_confirmed(store, await ready(store), "queued", "created", NOW)
        await batches.mark_ended(store, batch, outcome, NOW, later(1), later(1))
    (sums,) = await ledger.sums(store)
    assert (sums.recorded, sums.by_state) == (3, {"succeeded": 1, "failed": 1, "vanished": 1})

"""From pending to a batch: exactly what the decision saw, once, and never nothing."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from sqlalchemy import text

from tests.store.conftest import empty
from tests.store.making import (
    NOW,
    CrashError,
    at_commit,
    crash,
    fire_all,
    fire_up_to,
    fired,
    found,
    later,
    load,
    recorded,
    wait,
)
from watcher.decide import Condition, Decision, Fire, Pending, Wait
from watcher.store import Store, batches, ledger, looks, open_store


async def test_a_batch_takes_all_that_waits(store: Store) -> None:
    """Its facts are fixed at once: number, uid, run id, reason, sums; nothing waits any more."""
    await recorded(store, found(2, {"at": 1}, bytes=10, first_change_at=later(-9), last_change_at=later(-5)), "db")
    await recorded(store, found(3, bytes=5, first_change_at=later(-7), last_change_at=later(-1)), "files")
    because = (Condition("changes", "changes 5 of 5", True), Condition("gate", "DAG known", True))

    def decide(pending: Pending) -> Decision:
        assert sum(arrival.changes for arrival in pending.arrivals) == 5
        return Fire("changes 5 >= 5", "changes", because)

    result = await batches.fire(store, "orders", "orders_dag", None, decide, NOW)
    batch = result.batch
    assert batch is not None
    assert isinstance(result.decision, Fire)
    assert (batch.number, batch.pipeline, batch.dag_id, batch.state) == (1, "orders", "orders_dag", "ready")
    assert batch.dag_run_id == "watcher__20261122T141006Z__b000001"
    assert len(bytes.fromhex(batch.uid)) == 16
    assert (batch.reason, batch.kind, batch.because) == ("changes 5 >= 5", "changes", because)
    assert (batch.changes, batch.bytes, batch.files) == (5, 15, 0)
    assert (batch.first_change_at, batch.last_change_at) == (later(-9), later(-1))
    assert (batch.attempts, batch.unknown, batch.next_at, batch.fired_at) == (0, False, NOW, NOW)
    assert await batches.due(store, NOW, 10) == [batch]
    assert (await batches.pending(store, "orders", None, NOW)).arrivals == ()


async def test_waiting_changes_nothing(store: Store) -> None:
    """The decision is handed back and everything still waits."""
    await recorded(store, found(2))
    result = await batches.fire(store, "orders", "orders", None, wait, NOW)
    assert (result.batch, isinstance(result.decision, Wait)) == (None, True)
    assert [a.changes for a in (await batches.pending(store, "orders", None, NOW)).arrivals] == [2]


@pytest.mark.parametrize("known", [True, False])
async def test_nothing_never_fires(store: Store, known: bool) -> None:
    """Whatever the decision says: without a change there is no batch, and no number is used up."""
    if known:
        await load(store)
    assert (await batches.fire(store, "orders", "orders", None, fire_all, NOW)).batch is None
    await recorded(store, found())
    assert (await fired(store)).number == 1


async def test_numbers_are_one_row_for_all_pipelines_without_holes(store: Store) -> None:
    """A batch is found by its number alone, also after a fire that crashed."""
    numbers = []
    for name in ("orders", "stock", "orders"):
        await recorded(store, found(1, {"at": len(numbers)}), pipeline=name)
        with at_commit(crash), pytest.raises(CrashError):
            await fired(store, name, name)
        batch = await fired(store, name, name)
        assert await batches.find(store, batch.number) == batch
        numbers.append(batch.number)
    assert numbers == [1, 2, 3]


async def test_a_crash_while_firing_leaves_everything_pending(store: Store) -> None:
    """Batch row and stamps are one transaction: after the crash neither is there."""
    await recorded(store, found(4))
    before = await batches.pending(store, "orders", None, NOW)
    with at_commit(crash), pytest.raises(CrashError):
        await fired(store)
    assert await batches.pending(store, "orders", None, NOW) == before
    assert await batches.next_due(store) is None
    assert await ledger.unaccounted(store) == 0


async def test_an_error_of_the_decision_leaves_everything_pending(store: Store) -> None:
    """It comes out as it is."""
    await recorded(store, found(4))

    def decide(pending: Pending) -> Decision:
        raise CrashError

    with pytest.raises(CrashError):
        await batches.fire(store, "orders", "orders", None, decide, NOW)
    assert (await fired(store)).changes == 4


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [3, 2, 1, 4]), (3, [3, 3, 4]), (4, [3, 3, 4]), (5, [5, 5]), (6, [6, 4]), (10, [10]), (None, [10])],
)
async def test_a_batch_holds_at_most_so_many_changes(store: Store, most: int | None, expected: list[int]) -> None:
    """Whole detections, oldest first, over all sources; one that is bigger than the limit goes alone."""
    for number, changes in enumerate((3, 2, 1, 4)):
        await recorded(store, found(changes, {"at": number}), ("db", "files")[number % 2])
    sizes: list[int] = []
    while batch := (await batches.fire(store, "orders", "orders", None, fire_up_to(most), NOW)).batch:
        sizes.append(batch.changes)
        facts = await batches.facts(store, batch)
        assert sum(source.changes for source in facts.sources) == batch.changes
    assert sizes == expected
    assert await ledger.unaccounted(store) == 0


async def test_other_pipelines_are_not_taken(store: Store) -> None:
    """A batch has only what its own pipeline found."""
    await recorded(store, found(2))
    await recorded(store, found(3), pipeline="stock")
    assert (await fired(store)).changes == 2
    assert (await fired(store, "stock", "stock")).changes == 3


async def test_two_fires_at_once_make_one_batch(store: Store, twin: Store) -> None:
    """The second one decides on what the first one left: nothing."""
    await recorded(store, found(5))
    results = await asyncio.gather(
        *(batches.fire(one, "orders", "orders", None, fire_all, NOW) for one in (store, twin, store, twin))
    )
    assert [result.batch.changes for result in results if result.batch] == [5]
    assert await ledger.unaccounted(store) == 0


async def test_many_records_and_fires_at_once_lose_and_double_nothing(store: Store, twin: Store) -> None:
    """Whatever the order, each change is in one batch, and each batch holds what its decision saw."""
    seen: dict[str, int] = {}

    async def record(source_id: str, one: Store) -> None:
        state = await load(one, source_id)
        for position in range(8):
            state_after = await looks.record(one, state, found(position + 1, {"at": position}), NOW)
            assert state_after is not None
            state = state_after

    async def fire(one: Store) -> None:
        saw = 0

        def decide(pending: Pending) -> Decision:
            nonlocal saw
            saw = sum(arrival.changes for arrival in pending.arrivals)
            return Fire("by test", "changes")

        for _ in range(8):
            if batch := (await batches.fire(one, "orders", "orders", None, decide, NOW)).batch:
                seen[batch.uid] = saw

    await asyncio.gather(record("db", store), record("files", twin), fire(store), fire(twin))
    await fire(store)
    held = {batch.uid: batch.changes for batch in [await batches.find(store, n) for n in range(1, 40)] if batch}
    assert held == seen
    assert sum(held.values()) == 2 * sum(range(1, 9))
    assert await ledger.unaccounted(store) == 0


async def test_nothing_can_come_between_decision_and_stamps(migrated_database: str) -> None:
    """On PostgreSQL another session that stores a detection waits until the batch is made; then its change is pending."""
    empty(migrated_database)
    async with open_store(migrated_database) as store:
        await recorded(store, found(2))

        def decide(pending: Pending) -> Decision:
            with psycopg.connect(migrated_database) as other:
                other.execute("set lock_timeout = '100ms'")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute(_INSERT)
            return fire_all(pending)

        batch = (await batches.fire(store, "orders", "orders", None, decide, NOW)).batch
        assert batch is not None
        assert batch.changes == 2


async def test_a_decision_waits_for_a_detection_that_is_being_stored(migrated_database: str) -> None:
    """On PostgreSQL what another replica has written and not yet committed is seen by the decision, not skipped."""
    empty(migrated_database)
    async with open_store(migrated_database) as store, open_store(migrated_database) as twin, asyncio.timeout(20):
        await recorded(store, found(2))
        async with twin.write() as connection:
            await connection.execute(text(_INSERT))
            task = asyncio.ensure_future(batches.fire(store, "orders", "orders", None, fire_all, NOW))
            await _somebody_waits_for_a_lock(store)
        batch = (await task).batch
        assert batch is not None
        assert batch.changes == 42


_INSERT = """
insert into detection (pipeline_ref, source_ref, detected_at, changes, bytes, files, operations, cursor_to, sample, note)
select pipeline_ref, id, now(), 40, 0, 0, '{}', '{}', '[]', '' from source
"""


async def _somebody_waits_for_a_lock(store: Store) -> None:
    while True:
        async with store.read() as connection:
            if (await connection.execute(text("select count(*) from pg_locks where not granted"))).scalar_one():
                return
